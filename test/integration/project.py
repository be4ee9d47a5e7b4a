#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Projected compression (arXiv 2506.22255): gradients, sizes, what a small model is at first, and what is left of it."""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from abi import BUILD, SOURCE, Model, compile_spec, moirec
from gradients import check_package

MOIRE = os.path.join(BUILD, "bin", "moire")
MODEL = """model m(width = {width}, vocab = {vocab}) {{
  x = embed(tokens, vocab, width)
  repeat 2 {{
    x += rms_norm(x) |> attention(heads = 4, kv_heads = 2, head_dim = 8, rope = 100.0)
    x += rms_norm(x) |> swiglu(hidden = 2 * width, bias = true)
    x += rms_norm(x) |> moe(expert = swiglu(hidden = width), experts = 4, top_k = 2, balance = 0.0,
                            shared = mlp(hidden = 2 * width))
  }}
  return rms_norm(x) |> head(vocab)
}}
train {{ batch = {batch}   context = 12   steps = {steps}   optimizer = adamw(lr = 1e-2){more} }}
"""
COMPRESS = "   compress = projected(width = 16)"


def spec(width, more="", vocab=256, batch=4, steps=20):
    return MODEL.format(width=width, more=more, vocab=vocab, batch=batch, steps=steps)


def composed_by_hand(model, path, pieces):
    """in source out + aux in numpy, of one weight."""
    values = model.tensors()
    source, aux = values[path + ".source"], values[path + ".aux"]
    columns, first, source_first = [], 0, 0
    for number, width in enumerate(pieces):
        out = values.get(path + ".out")
        source_width = source.shape[-1] // len(pieces) if out is not None else width
        part = source[..., source_first:source_first + source_width]
        if path + ".in" in values:
            part = values[path + ".in"][..., number * aux.shape[-2]:(number + 1) * aux.shape[-2], :] @ part
        if out is not None:
            part = part @ out[..., source_first:source_first + source_width, :]
        columns.append(part)
        first, source_first = first + width, source_first + source_width
    return np.concatenate(columns, -1) + aux


def worked_example():
    """W = [[1, 2, 3], [4, 5, 6], [7, 8, 9]], outputs {0, 2} and inputs {1, 2} kept: the compiled layer is [[2, 3], [8, 9]],
    and [[7, 9], [8, 9]] once the first row of P_out is (1, 1, 0)."""
    text = """model t(width = 2, vocab = 5) {
  x = embed(tokens, vocab, width)
  x += linear(x, width)
  return head(x, vocab)
}
train { batch = 2   context = 6   MORE }
"""
    small = Model(compile_spec(text.replace("MORE", "compress = projected(width = 3)"), "--precision=f64"))
    plain = Model(compile_spec(text.replace("MORE", ""), "--precision=f64"))
    small.randomise(seed=2)
    values, tokens = small.tensors(), small.tokens(seed=3)
    weights = plain.tensors()
    for path in ("embed.weight", "head.weight"):
        weights[path][...] = composed_by_hand(small, path, weights[path].shape[-1:])
    # A weight is stored with its inputs as rows.
    values["linear.weight.source"][...] = np.arange(1.0, 10).reshape(3, 3).T
    values["linear.weight.aux"][...] = 0
    values["linear.weight.in"][...] = np.eye(3)[[1, 2]]
    values["linear.weight.out"][...] = np.eye(3)[:, [0, 2]]
    for row, wanted in (((1, 0, 0), [[2, 3], [8, 9]]), ((1, 1, 0), [[7, 9], [8, 9]])):
        values["linear.weight.out"][:, 0] = row
        weights["linear.weight"][...] = np.transpose(wanted)
        small.refresh()
        plain.refresh()
        losses = [m.eval_step(*tokens)[0] for m in (small, plain)]
        assert abs(losses[0] - losses[1]) < 1e-12 * abs(losses[0]), losses
        weights["linear.weight"][0, 0] += 1e-3  # so that the comparison can fail
        plain.refresh()
        assert abs(plain.eval_step(*tokens)[0] - losses[0]) > 1e-9 * abs(losses[0])


def formulas():
    """The composed model against the plain one with weights composed in numpy."""
    worked_example()
    for vocab, batch in ((31, 2), (11, 3)):  # rows are projected; the table is
        small = Model(compile_spec(spec(10, COMPRESS, vocab, batch), "--precision=f64"))
        plain = Model(compile_spec(spec(10, "", vocab, batch), "--precision=f64"))
        small.randomise(seed=4)
        values = small.tensors()
        for path, to in plain.tensors().items():
            pieces = (32, 16, 16) if "qkv" in path else [to.shape[-1] // 2] * 2 if "gate_up.weight" in path else (to.shape[-1],)
            to[...] = composed_by_hand(small, path, pieces) if path + ".aux" in values else values[path]
        tokens, targets = small.tokens(seed=5)
        losses = [m.eval_step(tokens, targets)[0] for m in (small, plain)]
        assert abs(losses[0] - losses[1]) < 1e-9 * abs(losses[0]), losses
        metrics = [float(m.train_step(tokens, targets)["loss"][0]) for m in (small, plain)]
        assert abs(metrics[0] - metrics[1]) < 1e-5, metrics
        # dP_out = (P_in W)^T G and so on, where G is the gradient of the plain weight.
        path = "layers.1.moe.experts.shared.down.weight"
        g, grads = plain.tensors("grads")[path], small.tensors("grads")
        assert path + ".source" not in grads
        into, out, w = values[path + ".in"], values[path + ".out"], values[path + ".source"]
        for name, wanted in ((".aux", g), (".out", (into @ w).T @ g), (".in", g @ (w @ out).T)):
            assert np.allclose(grads[path + name], wanted, rtol=1e-9, atol=1e-12), name
    print("ok   formulas: values and gradients")


def bits():
    for precision in ("f32", "bf16"):
        model = Model(compile_spec(spec(10, COMPRESS), f"--precision={precision}"))
        model.randomise(seed=3)
        assert model.step_bits(1) == model.step_bits(2), precision
    print("ok   same bits with one and two threads")


def sizes():
    """Published sizes, and what a composed model holds."""
    body = """model m(width = 1024, depth = 16, heads = 16) {
  x = embed(tokens, vocab = 50257, width)
  repeat depth {
    x += rms_norm(x) |> attention(heads, head_dim = 64)
    x += rms_norm(x) |> mlp(hidden = 4 * width, activation = gelu)
  }
  return rms_norm(x) |> head(vocab = 50257)
}
train { batch = 1   context = 16 }
"""
    with tempfile.NamedTemporaryFile("w", suffix=".moire") as file:
        file.write(body)
        file.flush()

        def parameters(*options):
            run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), file.name, "--cost=json", *options],
                                 capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            return json.loads(run.stdout)

        def weights(*options):
            found = parameters(*options)["parameters"]
            return found["total"] - found["by_role"]["norm"]

        large = ("-Dwidth=1536", "-Ddepth=24", "-Dheads=24")
        for options, wanted in (((), 304252928), (("-Dwidth=640",), 158700800), (("-Dwidth=480",), 109195200),
                                (("-Dwidth=320",), 66243200), (large, 833866752),
                                ((*large, "-Dwidth=1152"), 540465408), ((*large, "-Dwidth=768"), 303687168),
                                ((*large, "-Dwidth=528"), 184454688)):
            assert weights(*options) == wanted, (options, weights(*options), wanted)
            print(f"ok   {wanted:,} weights at {' '.join(options) or 'width 1024'}", flush=True)
        bill = parameters("-Dwidth=640", "-Dcompress=projected(width = 1024)")
        held, norms = bill["parameters"], 640 * 33
        # Per layer: q, k, v and up read the stream by projections of their own, out and down write it; up and down have
        # one for what lies between; embedding and head have one each.
        projections = 16 * (6 * 640 * 1024 + 2 * 4 * 640 * 4 * 1024) + 2 * 640 * 1024
        assert held["frozen"] == 304252928
        assert held["total"] == 304252928 + 158700800 + projections + norms, held
        trained = held["total"] - held["frozen"]
        assert 0 <= bill["bytes"]["optimizer"] - 8 * trained < 8 * 16 * 400 and bill["bytes"]["gradients"] * 2 == \
            bill["bytes"]["optimizer"]
        print(f"ok   composed: {held['total']:,} parameters, {held['frozen']:,} of them frozen")


def moire(*arguments, fails=False):
    run = subprocess.run([MOIRE, *arguments], capture_output=True, text=True, errors="replace")
    assert (run.returncode != 0) == fails, (arguments, run.stdout, run.stderr)
    return run.stderr if fails else run.stdout


def life(folder):
    """Trained large, attached, trained small, merged; cut in comparison."""
    text, at = os.path.join(SOURCE, "docs", "language.md"), lambda name: os.path.join(folder, name)
    for name, content in (("large", spec(16)), ("small", spec(10, COMPRESS)), ("plain", spec(10)), ("other", spec(12))):
        with open(at(name + ".moire"), "w") as file:
            file.write(content)
    loss = lambda run: json.loads(moire("eval", at(run), "--data", text, "--batches", "8"))["loss"]
    moire("train", at("large.moire"), "--data", text, "--out", at("source"), "--seed", "5")
    error = moire("transform", at("source"), "--to", at("small.moire"), "--out", at("none"), fails=True)
    assert "--importance says by what to choose" in error, error
    error = moire("transform", at("source"), "--to", at("plain.moire"), "--out", at("none"), fails=True)
    assert "`embed.weight` is [256, 10], the source has [256, 16]" in error, error
    error = moire("train", at("small.moire"), "--data", text, "--out", at("none"), fails=True)
    assert "`embed.weight.source` is frozen, and a new run has no values for it" in error, error
    for importance in ("magnitude", "random"):
        for target in ("small", "plain"):
            moire("transform", at("source"), "--to", at(target + ".moire"), "--out", at(f"{target}-{importance}"),
                  "--importance", importance)
        # Products with ones and zeros are exact, and the sums are of one term.
        composed, cut = loss(f"small-{importance}"), loss(f"plain-{importance}")
        assert abs(composed - cut) < 1e-6 * cut, (composed, cut)
        print(f"ok   by {importance}: loss {composed:.6f} composed, {cut:.6f} cut, {loss('source'):.6f} of the source",
              flush=True)
    for precision in ("f32", "bf16"):
        run = f"trained-{precision}"
        moire("train", at("small.moire"), "--from", at("small-magnitude"), "--data", text, "--out", at(run), "--precision",
              precision, "--seed", "6")
        error = moire("transform", at(run), "--to", at("other.moire"), "--out", at("none"), fails=True)
        assert "the source composes [256, 10]" in error, error
        table = moire("transform", at(run), "--to", at("plain.moire"), "--out", at("merged-" + precision), "--precision",
                      precision)
        assert "merged  embed.weight" in table, table
        before, after = loss(run), loss("merged-" + precision)
        assert abs(before - after) < (1e-5 if precision == "f32" else 2e-2) * before, (before, after)
        print(f"ok   {precision}: loss {before:.6f} after training, {after:.6f} merged", flush=True)
    resumed = moire("inspect", at("trained-f32"), "--json")
    assert resumed


def refusals():
    """What the text of a spec can say wrong."""
    for text, wanted in (
            (spec(10, "   compress = projected(widht = 16)"), "the model has no hyperparameter `widht`, did you mean `width`?"),
            (spec(10, "   compress = pruned(width = 16)"), "`compress` is `projected(width = …)`"),
            (spec(10, "   compress = projected()"), "`projected` needs the larger model"),
            (spec(10, "   compress = projected(width = 8)"), "a projection makes nothing larger"),
            (spec(10, "   compress = projected(width = 10)"), "there is nothing to project"),
            (spec(10, "   compress = projected(width = 16.0)"), "`width` is a count, in the source"),
            (spec(10, "   scaling = mup(base_width = 8)   compress = projected(width = 16)"), "choose one"),
            (spec(10, COMPRESS).replace("head_dim = 8", "head_dim = width"), "heads keep their number and size"),
            (spec(10, COMPRESS).replace("experts = 4", "experts = width").replace("top_k = 2", "top_k = 1"),
             "in the source and"),
            (spec(10, COMPRESS).replace("repeat 2", "repeat width / 2"), "a projection changes sizes, not layers")):
        try:
            compile_spec(text)
        except RuntimeError as error:
            assert wanted in str(error), (wanted, str(error))
        else:
            raise AssertionError(f"compiled: {wanted}")
    # The resolved spec stands for itself.
    resolved = moirec(spec(10, COMPRESS), "spec", "-")
    assert "compress = projected(shapes = {" in resolved and moirec(resolved, "spec", "-") == resolved
    print("ok   refusals")


if __name__ == "__main__":
    refusals()
    formulas()
    right = [check_package(f"composed, {vocab} rows", compile_spec(spec(10, COMPRESS, vocab, 2), "--precision=f64"))
             for vocab in (31, 11)]
    bits()
    with tempfile.TemporaryDirectory() as folder:
        life(folder)
    sizes()
    sys.exit(0 if all(right) else 1)
