#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Documents packed into one sequence and kept apart (`isolate = true`): as if each were alone.

    documents.py [attention|peers|alone|runs]

PyTorch models that know nothing of documents are given each document by itself; the compiled model is given all of
them in a sequence. Losses and all gradients agree, within 1e-5 in f32. Then the same from one package: a document's
loss does not depend on where it lies. Decoding equals the whole pass, bits do not depend on threads, and the tools work
on such packages.
"""
import os
import re
import subprocess
import sys
import tempfile
import types

import numpy as np
import torch
import torch.nn.functional as F

import attention
import parity
from abi import BUILD, SOURCE, Model, compile_spec
from leaks import small
from runs import moire, text

SEPARATOR = 3
ISOLATE = (f"-Dseparator={SEPARATOR}", "-Disolate=true")
FRAME = """
model test(width = 32, vocab = 19) {{
  x = embed(tokens, vocab, width)
  {body}
  return rms_norm(x) |> head(vocab)
}}
train {{ batch = 2   context = 50   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}
"""
# Layers of all kinds, beside those of the examples.
LAYERS = {
    "learned positions": "x += learned_positions(x)\n  x += rms_norm(x) |> attention(heads = 2)",
    "sinusoidal positions": "x += sinusoidal_positions(x)\n  x += rms_norm(x) |> attention(heads = 2)",
    "window, alibi, sinks": "x += rms_norm(x) |> attention(heads = 4, window = 7, alibi = true, sinks = true)",
    "latent attention": "x += rms_norm(x) |> latent_attention(heads = 2, kv_latent = 6, q_latent = 5, nope_dim = 4, "
                        "rope_dim = 2, value_dim = 3)",
    "a wide convolution": "x += rms_norm(x) |> mamba(state = 4, conv = 9)",
    "short chunks": "x += rms_norm(x) |> mamba2(state = 5, head_dim = 8, conv = 3, chunk = 7)",
    "layers in loops": "repeat 2 { x += rms_norm(x) |> mamba(state = 4)\n x += rms_norm(x) |> attention(heads = 2) }",
}
EXAMPLES = ("gpt", "mamba", "mamba2", "moe_mamba", "mixtral", "deepseek_v3", "granite4", "jamba")


def documents(tokens):
    """(example, first, end) of each document."""
    for example, row in enumerate(tokens):
        starts = sorted({0, *np.flatnonzero(row == SEPARATOR).tolist()})
        yield from zip([example] * len(starts), starts, starts[1:] + [len(row)])


def compare(name, model, parameters, logits_of, transposed=lambda path, value: value):
    """Loss and gradients of a step against those of `logits_of(tokens)`, run on each document by itself."""
    tokens, targets = model.tokens(seed=2)
    metrics = model.train_step(tokens, targets)
    loss = sum(F.cross_entropy(logits_of(tokens[example:example + 1, first:end])[0],
                               torch.from_numpy(targets[example, first:end]).long(), reduction="sum")
               for example, first, end in documents(tokens)) / tokens.size
    loss.backward()
    worst, where = abs(float(metrics["loss"][0]) - loss.item()) / loss.item(), "loss"
    for path, gradient in model.tensors("grads").items():
        theirs = parameters[path].grad.numpy()
        error = np.abs(transposed(path, gradient) - theirs).max() / np.abs(theirs).max()
        if error > worst:
            worst, where = error, path
    print(f"{'ok  ' if worst <= 1e-5 else 'FAIL'} {name}: {len(list(documents(tokens)))} documents, "
          f"loss {loss.item():.6f}, worst relative difference {worst:.1e} ({where})", flush=True)
    assert worst <= 1e-5


def variants():
    for name, case in attention.CASES.items():
        case = attention.completed(**case)
        causal = case.get("causal", True)
        model = Model(compile_spec(attention.spec_of(**case), *ISOLATE, *([] if causal else attention.NOT_CAUSAL)))
        model.randomise(seed=4)
        p = {path: torch.from_numpy(value.copy()).requires_grad_() for path, value in model.tensors().items()}
        compare(name, model, p, lambda tokens: attention.logits_of(p, tokens, **case))


def peers():
    for kind in ("gpt", "mamba", "mamba2"):
        spec = os.path.join(SOURCE, "examples", kind, f"{kind}.moire")
        names = ("width", "depth", "vocab", "context", "batch") + parity.OPTIONS[kind]
        model = Model(compile_spec(spec, *[f"-D{name}={parity.SIZES[name]}" for name in names], *ISOLATE))
        model.randomise()
        peer = parity.models.Model(kind, types.SimpleNamespace(**parity.SIZES, balance=0.01, renormalize=False))
        with torch.no_grad():
            for path, p in peer.named_parameters():
                p.copy_(torch.from_numpy(np.ascontiguousarray(parity.to_torch(path, model.tensors()[path]))))
        compare(kind, model, dict(peer.named_parameters()),
                lambda tokens: peer.logits(torch.from_numpy(tokens).long()), parity.to_torch)


def check_alone(name, spec, *options):
    """A document at the beginning of a sequence, then where it lies; decoding; threads; one document a sequence."""
    package = compile_spec(spec, *ISOLATE, *options)
    model, plain = Model(package), Model(compile_spec(spec, *options))
    model.randomise(seed=4)
    plain.arrays["params"][...] = model.arrays["params"]
    plain.refresh()
    tokens, targets = model.tokens(seed=2)
    tokens[0, [9, 10, 17]] = SEPARATOR
    worst, count = 0, 0
    for example, first, end in documents(tokens):
        there, here = np.full_like(targets, -1), np.full_like(targets, -1)
        there[example, first:end] = here[0, :end - first] = targets[example, first:end]
        moved = np.full_like(tokens, SEPARATOR + 1)
        moved[0, :end - first] = tokens[example, first:end]
        packed, alone = model.eval_step(tokens, there)[0], model.eval_step(moved, here)[0]
        assert alone == plain.eval_step(moved, here)[0], f"{name}: one document has other bits isolated"
        worst, count = max(worst, abs(packed - alone) / alone), count + 1
    assert worst <= 1e-5, f"{name}: a document's loss depends on its place: {worst:.1e}"
    assert model.step_bits(1) == model.step_bits(2), f"{name}: bits depend on threads"
    run = subprocess.run([os.path.join(BUILD, "bin", "package-conformance"), f"--package={package}"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]
    print(f"ok   {name}: {count} documents, losses where they lie and alone differ by {worst:.1e}; decodes, "
          "1 and 2 threads give the same bits, and so does one document with and without isolation", flush=True)


def alone():
    for name, body in LAYERS.items():
        check_alone(name, FRAME.format(body=body))
    for name in EXAMPLES:
        spec = os.path.join(SOURCE, "examples", name, f"{name}.moire")
        options = [word for word in small(spec) if not re.match("(vocab|batch|context)=", word) and word != "-D"]
        check_alone(name, spec, *[f"-D{word}" for word in options], "-Dvocab=19", "-Dbatch=2", "-Dcontext=40")


def runs():
    """Bytes with a line a document, of a word each: training, evaluation, and text that ends with its line."""
    with tempfile.TemporaryDirectory(prefix="moire-test-") as folder:
        data, out = os.path.join(folder, "words.txt"), os.path.join(folder, "run")
        with open(text(folder)) as source, open(data, "w") as file:
            file.write("\n".join(re.findall("[a-z]+", source.read())))
        moire("train", os.path.join(SOURCE, "examples", "moe_mamba", "moe_mamba.moire"), "--data", data, "--out", out,
              "--steps", "60", *[word for value in ("width=32", "depth=2", "batch=4", "context=64", "separator=10",
                                                    "isolate=true") for word in ("-D", value)])
        result = moire("eval", out, "--data", data).stdout
        told = moire("generate", out, "--prompt", "one\nt", "--tokens", "50", "--seed", "1")
        assert told.stdout.startswith("one\nt") and told.stdout.count("\n") == 2, told
        assert "the document ends" in told.stderr, told
        # The same whatever came before its document.
        last = [moire("generate", out, "--prompt", f"{before}\nt", "--tokens", "40", "--temperature", "0").stdout
                for before in ("", "one", "one\ntwo")]
        assert len({text.rstrip("\n").rsplit("\n", 1)[-1] for text in last}) == 1, last
        print(f"ok   bytes, a line a document: {result.strip()}; {told.stdout!r}, {told.stderr.strip()}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = {"attention": variants, "peers": peers, "alone": alone, "runs": runs}
    for part in sys.argv[1:] or parts:
        parts[part]()
