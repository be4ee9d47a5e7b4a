#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Importance by activations (arXiv 2506.22255): the sums against numpy, and which features a smaller model gets."""
import json
import os
import struct
import tempfile

import numpy as np

from abi import SOURCE, Model, compile_spec
from project import COMPRESS, moire, spec
from transform import tensors

LAYERS = {"mlp": "mlp(hidden = 11, activation = relu2)", "swiglu": "swiglu(hidden = 11, bias = true)",
          "moe": "moe(expert = swiglu(hidden = 5), experts = 4, top_k = 2, shared = mlp(hidden = 7, "
                 "activation = relu))",
          "dense moe": "moe(expert = swiglu(hidden = 5), experts = 4, choice = dense)"}


def one_layer(layer):
    return f"""model m {{
  x = embed(tokens, vocab = 31, width = 10)
  x += rms_norm(x) |> {layer}
  return rms_norm(x) |> head(vocab = 31)
}}
train {{ batch = 3   context = 11   steps = 2   optimizer = adamw(lr = 1e-2) }}
"""


def silu(x):
    return x / (1 + np.exp(-x))


def gated(x):
    g, u = np.split(x, 2, -1)
    return silu(g) * u


def hidden_sums(kind, w, x):
    """Sums of |hidden| by the path of the metric, in numpy."""
    total = lambda y: np.abs(y).sum(0)
    if kind == "mlp":
        return {"mlp.hidden": total(np.maximum(x @ w["mlp.up.weight"], 0)**2)}
    if kind == "swiglu":
        return {"swiglu.hidden": total(gated(x @ w["swiglu.gate_up.weight"] + w["swiglu.gate_up.bias"]))}
    chosen = np.argsort(-(x @ w["moe.router.weight"]), -1)[:, :4 if kind == "dense moe" else 2]
    experts = [total(gated(x[(chosen == e).any(-1)] @ w["moe.experts.gate_up.weight"][e])) for e in range(4)]
    routed = {"moe.experts.hidden": np.concatenate(experts)}
    if kind == "dense moe":
        return routed
    return {**routed, "moe.experts.shared.hidden": total(np.maximum(x @ w["moe.experts.shared.up.weight"], 0))}


def sums():
    """What a package with probes reports."""
    for kind, layer in LAYERS.items():
        for precision, within in (("f64", 1e-6), ("f32", 1e-4), ("bf16", 3e-2)):
            model = Model(compile_spec(one_layer(layer), "--probe", f"--precision={precision}"))
            model.randomise(seed=3)
            tokens, targets = model.tokens(seed=4)
            metrics = model.train_step(tokens, targets)
            w = {path: value.astype(np.float64) for path, value in model.tensors().items()}
            x = w["embed.weight"][tokens.ravel()]
            x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w["rms_norm.weight"]
            wanted = {"rms_norm": np.abs(x).sum(0), **hidden_sums(kind, w, x)}
            for path, sizes in wanted.items():
                off = np.abs(metrics[path] - sizes).max() / sizes.max()
                # In bf16 a token may choose otherwise, and experts then have other rows.
                rerouted = precision == "bf16" and kind == "moe" and path == "moe.experts.hidden"
                assert off < within or rerouted, (kind, precision, path, off)
            assert model.step_bits(1) == model.step_bits(2), (kind, precision)
        print(f"ok   {kind}: {', '.join(wanted)}", flush=True)


def plant(run, step, zeros):
    """Sets values of a checkpoint to zero: {path: index}."""
    with open(os.path.join(run, "checkpoints", f"step-{step:08d}", "model.safetensors"), "r+b") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        for path, index in zeros.items():
            begin, end = header[path]["data_offsets"]
            file.seek(8 + size + begin)
            values = np.frombuffer(file.read(end - begin), np.float32).reshape(header[path]["shape"]).copy()
            values[index] = 0
            file.seek(8 + size + begin)
            file.write(values.tobytes())


def life(folder):
    """Features that never show are those that go, by layer and by expert."""
    text, at = os.path.join(SOURCE, "docs", "language.md"), lambda name: os.path.join(folder, name)
    for name, content in (("large", spec(16)), ("small", spec(10, COMPRESS)), ("plain", spec(10))):
        with open(at(name + ".moire"), "w") as file:
            file.write(content)
    moire("train", at("large.moire"), "--data", text, "--out", at("source"), "--seed", "5")
    error = moire("transform", at("source"), "--to", at("plain.moire"), "--out", at("none"), "--importance",
                  "activations", fails=True)
    assert "--importance activations needs --data" in error, error
    source = tensors(at("source"), 20)
    random, all_of = np.random.default_rng(7), slice(None)
    chosen = lambda size, left: np.sort(random.permutation(size)[:left])
    without = lambda size, kept: np.setdiff1d(np.arange(size), kept)
    stream, zeros, kept = chosen(16, 10), {}, {}
    for path in source:
        if "norm" in path:
            zeros[path] = without(16, stream)
    for i in range(2):
        for path, size, left in ((f"layers.{i}.swiglu", 32, 20), (f"layers.{i}.moe.experts", 16, 10)):
            weight = path + ".gate_up.weight"
            if "moe" not in path:
                kept[path] = chosen(size, left)
                zeros[weight] = (all_of, without(size, kept[path]))
                zeros[path + ".gate_up.bias"] = without(size, kept[path])
                continue
            mask = np.zeros(source[weight].shape, bool)
            for expert in range(4):
                kept[path, expert] = chosen(size, left)
                mask[expert][:, without(size, kept[path, expert])] = True
            zeros[weight] = mask
    plant(at("source"), 20, zeros)
    table = {}
    for target in ("small", "plain"):
        table[target] = moire("transform", at("source"), "--to", at(target + ".moire"), "--out", at(target + "-cut"),
                              "--importance", "activations", "--data", text, "--batches", "40")
    assert "the most important by activations" in table["plain"], table
    found = tensors(at("plain-cut"), 0)
    assert (found["embed.weight"] == source["embed.weight"][:, stream]).all()
    for i in range(2):
        down = f"layers.{i}.swiglu.down.weight"
        assert (found[down] == source[down][kept[f"layers.{i}.swiglu"]][:, stream]).all(), down
        down, experts = f"layers.{i}.moe.experts.down.weight", f"layers.{i}.moe.experts"
        for expert in range(4):
            assert (found[down][expert] == source[down][expert][kept[experts, expert]][:, stream]).all(), (down, expert)
    losses = [json.loads(moire("eval", at(run), "--data", text, "--batches", "8"))["loss"]
              for run in ("small-cut", "plain-cut")]
    assert abs(losses[0] - losses[1]) < 1e-6 * losses[1], losses
    print(f"ok   what never shows goes: loss {losses[0]:.6f} composed, {losses[1]:.6f} cut")


if __name__ == "__main__":
    sums()
    with tempfile.TemporaryDirectory() as folder:
        life(folder)
