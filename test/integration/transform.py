#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`moire transform`: what a model becomes gives at first what it gave before, and what has no such way is refused."""
import json
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

from abi import BUILD, SOURCE

MOIRE = os.path.join(BUILD, "bin", "moire")
# A feed-forward layer in the place of FFN; some layers and some sizes, to be told apart in every shape.
MODEL = """model small(width = 32, depth = 2, heads = 2, vocab = 256) {
  x = embed(tokens, vocab, width)
  repeat depth {
    x += rms_norm(x) |> attention(heads, rope = 10000.0)
    x += rms_norm(x) |> FFN
  }
  return rms_norm(x) |> head(vocab)
}
train { batch = 4   context = 16   steps = 30   optimizer = adamw(lr = 1e-2) }"""


def moire(*arguments, fails=False):
    run = subprocess.run([MOIRE, *arguments], capture_output=True, text=True, errors="replace")
    if (run.returncode != 0) != fails:
        raise AssertionError(f"{arguments}: exit code {run.returncode}\n{run.stdout}{run.stderr}")
    return run.stderr if fails else run.stdout


def tensors(run, step):
    """The parameters of a checkpoint, by path."""
    with open(os.path.join(run, "checkpoints", f"step-{step:08d}", "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


class Bench:
    """Trained parents and what becomes of them, in a folder."""

    def __init__(self, folder):
        self.folder, self.made = folder, 0
        self.text = os.path.join(SOURCE, "docs", "language.md")

    def spec(self, ffn):
        self.made += 1
        path = os.path.join(self.folder, f"{self.made}.moire")
        with open(path, "w") as file:
            file.write(ffn if "model" in ffn else MODEL.replace("FFN", ffn))
        return path

    def train(self, ffn, *options):
        self.made += 1
        out = os.path.join(self.folder, f"run-{self.made}")
        moire("train", self.spec(ffn), "--data", self.text, "--out", out, "--seed", "5", *options)
        return out

    def transform(self, run, ffn, *options, **settings):
        """The folder that `run` becomes, with the table of what was done; or the error."""
        self.made += 1
        out = os.path.join(self.folder, f"run-{self.made}")
        printed = moire("transform", run, "--to", self.spec(ffn), "--out", out, *options, **settings)
        return printed if settings.get("fails") else (out, printed)

    def loss(self, run):
        return json.loads(moire("eval", run, "--data", self.text, "--batches", "8"))["loss"]


def same(bench, before, after, what, within=1e-6):
    losses = bench.loss(before), bench.loss(after)
    assert abs(losses[0] - losses[1]) < within * losses[0], (what, losses)
    print(f"ok   {what}: loss {losses[0]:.7f} before, {losses[1]:.7f} after", flush=True)


def upcycling(bench):
    """Every way to be exact, with one slice and several, with biases, with a shared expert."""
    for dense, pools in (
        ("swiglu(hidden = 64)", [
            "moe(expert = swiglu(hidden = 64), experts = 4, top_k = 2, renormalize = true)",
            "moe(expert = swiglu(hidden = 64), experts = 4, top_k = 2, gate = topk_softmax, scale = 2.5)",
            "moe(expert = swiglu(hidden = 64), experts = 4, top_k = 4, gate = sigmoid_topk, renormalize = true)",
            "moe(expert = swiglu(hidden = 64), experts = 4, choice = dense)",
            "moe(expert = swiglu(hidden = 64), experts = 4, top_k = 2, choice = hash)",
            "moe(expert = swiglu(hidden = 16), experts = 12, top_k = 4, renormalize = true)",
            "moe(expert = swiglu(hidden = 32), experts = 8, top_k = 4, gate = topk_softmax, bias_rate = 1e-3)",
            "moe(expert = swiglu(hidden = 16), experts = 16, choice = dense)",
            "moe(expert = swiglu(hidden = 16), experts = 16, top_k = 4, groups = 4, top_groups = 2, renormalize = true)",
            "moe(expert = swiglu(hidden = 16), experts = 6, top_k = 3, renormalize = true, shared = swiglu(hidden = 16))",
        ]),
        ("mlp(hidden = 48, activation = relu, bias = true)", [
            "moe(expert = mlp(hidden = 48, activation = relu, bias = true), experts = 4, top_k = 2, renormalize = true)",
            "moe(expert = mlp(hidden = 16, activation = relu, bias = true), experts = 6, top_k = 3, scale = 2.0, "
            "renormalize = true)",
            "moe(expert = mlp(hidden = 8, activation = relu, bias = true), experts = 8, top_k = 4, renormalize = true, "
            "shared = mlp(hidden = 16, activation = relu, bias = true))",
        ])):
        parent = bench.train(dense)
        for pool in pools:
            child, table = bench.transform(parent, pool)
            assert "gives what the dense layer gives" in table, table
            same(bench, parent, child, pool)
    # Gates that sum to less: refused, or made right on average.
    pool = "moe(expert = mlp(hidden = 48, activation = relu, bias = true), experts = 4, top_k = 1)"
    error = bench.transform(parent, pool, fails=True)
    assert "`renormalize = true`, with top_k of 2 or more, would" in error, error
    child, table = bench.transform(parent, pool, "--approximate")
    assert "on average only" in table and "times 4" in table, table
    same(bench, parent, child, pool + " --approximate", within=0.05)
    # Noise tells experts apart: as large as was said, of the seed.
    pool = "moe(expert = mlp(hidden = 48, activation = relu, bias = true), experts = 4, top_k = 2, renormalize = true)"
    runs = [bench.transform(parent, pool, "--noise", "0.01", "--seed", seed)[0] for seed in ("1", "1", "2")]
    found = [tensors(run, 0)["layers.1.moe.experts.up.weight"] for run in runs]
    whole = tensors(parent, 30)["layers.1.mlp.up.weight"]
    share = np.sqrt(((found[0] - whole)**2).mean() / (whole**2).mean())
    assert (found[0] == found[1]).all() and (found[0] != found[2]).any() and abs(share - 0.01) < 5e-4, share
    same(bench, parent, runs[0], "noise of 1 %", within=0.01)
    return True


def choices(bench):
    """Mixtures and dense training to token choice: all tensors stay; with all experts, dense training is what it was."""
    mlp = "mlp(hidden = 16, activation = relu)"
    parent = bench.train(f"moe(expert = {mlp}, experts = 8, choice = mixture, group = 2)")
    child, table = bench.transform(parent, f"moe(expert = {mlp}, experts = 8, top_k = 2, capacity = 1.25)")
    before, after = tensors(parent, 30), tensors(child, 0)
    assert before.keys() == after.keys() and all((before[k] == after[k]).all() for k in before)
    assert "choice mixture -> token" in table and "the mixture's controller" in table, table
    parent = bench.train(f"moe(expert = {mlp}, experts = 8, choice = mixture, group = 2, emit = separate, "
                         "temperature = learned_per_expert)")
    child, table = bench.transform(parent, f"moe(expert = {mlp}, experts = 8, top_k = 2)")
    before, after = tensors(parent, 30), tensors(child, 0)
    router = "layers.0.moe.router."
    wanted = before[router + "weight"] * np.exp(1 - before[router + "temperature"])
    assert np.allclose(after[router + "weight"], wanted, rtol=1e-6) and (wanted != before[router + "weight"]).any()
    assert table.count("dropped") == 1 and "over its temperature" in table, table
    print("ok   mixtures of tokens to token choice: the same tensors, temperatures in the routers", flush=True)
    parent = bench.train(f"moe(expert = {mlp}, experts = 8, choice = dense, mutual_information = 1e-3)")
    child, _ = bench.transform(parent, f"moe(expert = {mlp}, experts = 8, top_k = 8)")
    same(bench, parent, child, "dense training to top_k = experts")
    return True


def thresholds(bench):
    """A threshold below every score is none; higher ones leave fewer experts, which is measured, and name a top_k."""
    mlp = "mlp(hidden = 16, activation = relu)"
    parent = bench.train(f"moe(expert = {mlp}, experts = 8, choice = dense, mutual_information = 1e-2)", "--steps", "60")
    pool = f"moe(expert = {mlp}, experts = 8, top_k = 8, threshold = THRESHOLD)"
    child, _ = bench.transform(parent, pool.replace("THRESHOLD", "1e-6"))
    same(bench, parent, child, "dense training to a threshold of 1e-6")
    before, counts, costs = bench.loss(parent), [], []
    for threshold in (0.48, 0.9, 1.2):
        _, printed = bench.transform(parent, pool.replace("THRESHOLD", str(threshold)), "--data", bench.text, "--json")
        measured = json.loads(printed)["measured"]
        layers = measured["layers"]
        assert [layer["path"] for layer in layers] == ["layers.0.moe", "layers.1.moe"] and measured["tokens"] == 8 * 64
        counts.append(sum(layer["active"] for layer in layers) / 2)
        costs.append(abs(measured["loss_after"] - measured["loss_before"]))
        assert abs(measured["loss_before"] - before) < 1.5, (measured, before)
    assert 8 >= counts[0] > counts[1] > counts[2] > 0 and costs[0] < 0.1, (counts, costs)
    _, table = bench.transform(parent, pool.replace("THRESHOLD", "0.9").replace("top_k = 8", "top_k = 3"), "--data",
                               bench.text)
    assert "threshold 0.9 leaves a token" in table and "as a fixed number, top_k = " in table, table
    assert "with top_k = 8 none would be missed" in table, table
    print(f"ok   thresholds leave {', '.join(f'{count:.2f}' for count in counts)} of 8 experts, at "
          f"{', '.join(f'{cost:.4f}' for cost in costs)} of the loss", flush=True)
    return True


def training(bench):
    """A run that starts from weights: their loss, a fresh optimizer, a record of where from; what does not fit is named."""
    parent = bench.train("swiglu(hidden = 64)")
    pool = "moe(expert = swiglu(hidden = 32), experts = 4, top_k = 2, renormalize = true, balance = 0)"
    child, _ = bench.transform(parent, pool)
    state = json.load(open(os.path.join(child, "checkpoints", "step-00000000", "state.json")))
    assert state["step"] == 0 and state["origin"]["how"] == "transform" and state["origin"]["step"] == 30, state
    runs = [os.path.join(bench.folder, name) for name in ("dense-on", "sparse-on")]
    for ffn, start, out in (("swiglu(hidden = 64)", parent, runs[0]),
                            (pool, os.path.join(child, "checkpoints", "step-00000000"), runs[1])):
        moire("train", bench.spec(ffn), "--from", start, "--data", bench.text, "--out", out, "--steps", "3", "--seed", "7")
    first = [json.loads(open(os.path.join(run, "metrics.jsonl")).readline()) for run in runs]
    assert first[0]["step"] == 1 and abs(first[0]["loss"] - first[1]["loss"]) < 1e-4 and first[0]["loss"] < 4, first
    origin = json.load(open(os.path.join(runs[1], "checkpoints", "step-00000003", "state.json")))["origin"]
    assert origin["how"] == "weights" and origin["origin"]["how"] == "transform", origin
    moire("train", "--resume", "--out", runs[1], "--steps", "4")
    error = moire("train", "--resume", "--out", runs[1], "--from", child, fails=True)
    assert "choose one" in error, error
    error = moire("train", bench.spec("swiglu(hidden = 48)"), "--from", parent, "--data", bench.text, "--out",
                  runs[1] + "-no", fails=True)
    assert "`layers.1.swiglu.down.weight` is [64, 32], the package has [48, 32]" in error, error
    assert "moire transform" in error and not os.path.exists(runs[1] + "-no"), error
    error = moire("train", "--resume", "--out", child, fails=True)
    assert "has no data of its own" in error and "--from" in error, error
    text = moire("generate", child, "--prompt", "The ", "--tokens", "5")
    assert len(text) >= 4, text
    print("ok   training from weights starts at their loss", flush=True)
    return True


TIED = """model tied(width = 32, vocab = 256) {
  let table = embed(vocab, width)
  x = table(tokens)
  x += rms_norm(x) |> mlp(hidden = 16)
  return rms_norm(x) |> head(vocab, tied = table)
}
train { batch = 4   context = 16   steps = 2   optimizer = adamw(lr = 1e-2) }"""


def scaling(bench):
    """muP scales the products of some parameters: their values make up for it, both ways; a table read twice cannot."""
    scaled = lambda text: text.replace("optimizer =", "scaling = mup(base_width = 16, input = 3.0)   optimizer =")
    dense, pool = (MODEL.replace("FFN", ffn) for ffn in (
        "swiglu(hidden = 64)", "moe(expert = swiglu(hidden = 32), experts = 4, top_k = 2, renormalize = true)"))
    for before, after, what in ((dense, scaled(pool), "to muP"), (scaled(dense), pool, "from muP")):
        parent = bench.train(before)
        child, table = bench.transform(parent, after)
        assert table.count("as muP scales its products otherwise") == 3, table  # embedding, head, and up to a fixed size
        assert table.count("as muP scales scores otherwise") == 1, table
        same(bench, parent, child, what, within=1e-6)
    error = bench.transform(bench.train(TIED), scaled(TIED), fails=True)
    assert "`table.weight` is a table that `head` reads as well" in error, error
    return True


def refusals(bench):
    parent = bench.train("swiglu(hidden = 64)", "--steps", "2")
    for ffn, wanted in (
        ("swiglu(hidden = 48)", "`layers.#.swiglu.gate_up.weight` is [32, 96], the source has [32, 128]"),
        ("mlp(hidden = 64)", "`layers.#.swiglu.down.weight` [64, 32] of the source would be lost"),
        ("moe(expert = mlp(hidden = 64), experts = 4, top_k = 2, renormalize = true)", "`expert = swiglu(…)` would fit"),
        ("moe(expert = swiglu(hidden = 64, activation = gelu), experts = 4, top_k = 2, renormalize = true)",
         "activation of the experts is gelu, of the dense layer silu; `activation = silu` would fit"),
        ("moe(expert = swiglu(hidden = 24), experts = 4, top_k = 2, renormalize = true)",
         "experts of 24 hidden features are no slices of the 64 of the dense layer; 64, 32, 16, 8, 4 would fit"),
        ("moe(expert = swiglu(hidden = 32), experts = 8, top_k = 3, renormalize = true)",
         "`top_k` of 2 or 4 would fit, not 3"),
        ("moe(expert = swiglu(hidden = 32), experts = 5, top_k = 2, renormalize = true)", "6 would fit"),
        ("moe(expert = swiglu(hidden = 32), experts = 8, top_k = 2, choice = hash)", "does not choose each slice once"),
        ("moe(expert = swiglu(hidden = 64), experts = 8, choice = mixture, group = 2)", "no token is sure"),
        ("moe(expert = swiglu(hidden = 64), experts = 4, top_k = 2, null = 2, renormalize = true)", "`null = 0`"),
        ("moe(expert = swiglu(hidden = 64), experts = 4, top_k = 2, latent = 16, renormalize = true)", "`latent = 0`"),
    ):
        error = bench.transform(parent, ffn, fails=True)
        assert wanted in error, (ffn, error)
    wide = MODEL.replace("width = 32", "width = 48").replace("FFN", "swiglu(hidden = 64)")
    error = bench.transform(parent, wide, fails=True)
    assert "`embed.weight` is [256, 48], the source has [256, 32]" in error and "and " in error, error
    assert "already holds a run" in moire("transform", parent, "--to", bench.spec("swiglu(hidden = 64)"), "--out", parent,
                                          fails=True)
    assert "neither a run nor a checkpoint" in moire("transform", bench.folder, "--to", bench.spec("swiglu(hidden = 64)"),
                                                     fails=True)
    print("ok   what has no way is refused, with what would fit", flush=True)
    return True


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moire-test-") as temporary:
        shared = Bench(temporary)
        sys.exit(0 if all([upcycling(shared), choices(shared), thresholds(shared), training(shared), scaling(shared), refusals(shared)]) else 1)
