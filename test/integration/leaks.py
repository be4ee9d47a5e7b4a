#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the compiler proves about positions, seen from outside: change one token, see whose losses change.

    leaks.py [SPEC ...]     (every example when none is named)

A target below 0 is not counted, so that an evaluation with one target left is the loss of that position. The proof says
that a token may change the losses of its own example from its position on, and the test that it changes no other. An
example that the compiler refuses must be seen to leak; one that lets tokens meet by declaration may do so or not (a
capacity, for one, holds in training only).
"""
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

from abi import BUILD, SOURCE, Model, compile_spec

SMALL = ("-D", "width=32", "-D", "depth=2", "-D", "vocab=64", "-D", "batch=4", "-D", "context=8")
FRAME = """
model test(width = 32, vocab = 64) {{
  x = embed(tokens, vocab, width)
  x += rms_norm(x) |> {layer}
  return rms_norm(x) |> head(vocab)
}}
train {{ batch = 4   context = 8   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}
"""
# Documents in the two sequences of a batch begin at these positions, beside the first one.
SEPARATOR = 5
STARTS = ([4, 5, 17], [1, 16, 23])
ISOLATED = ("gpt", "mamba", "mamba2", "moe_mamba", "mixtral", "deepseek_v3", "granite4")
# What the compiler must refuse, what it must tell of, and what it must prove.
LAYERS = {
    "both directions": ("attention(heads = 2, causal = false)", "refused"),
    "an hourglass": ("shift(by = 3) |> stack(factor = 4) |> linear(width = 128) |> unstack(factor = 4)", "proved"),
    "an hourglass without a shift": ("stack(factor = 4) |> linear(width = 128) |> unstack(factor = 4)", "refused"),
    "a convolution": ("conv1d(width, kernel = 3)", "proved"),
    "a convolution in both directions": ("conv1d(width, kernel = 3, causal = false)", "refused"),
    "a window": ("attention(heads = 2, window = 3)", "proved"),
    "experts that choose": ("moe(expert = swiglu(hidden = 16), experts = 4, top_k = 2, choice = expert, group = 2)", "told"),
    "a mixture of tokens": ("moe(expert = swiglu(hidden = 16), experts = 4, choice = mixture, group = 2)", "told"),
    "a capacity": ("moe(expert = swiglu(hidden = 16), experts = 4, top_k = 1, capacity = 1.0)", "told"),
    "sigmoid in groups": ("moe(expert = swiglu(hidden = 16), experts = 4, top_k = 2, gate = sigmoid_topk, bias_rate = 1e-3)",
                          "proved"),
}


def losses(model, tokens, targets):
    """The loss of every position by itself, [batch, time]."""
    out = np.empty(tokens.shape)
    for place in np.ndindex(*tokens.shape):
        one = np.full_like(targets, -1)
        one[place] = targets[place]
        out[place] = model.eval_step(tokens, one)[0]
    return out


def changes(model, seed=0, places=((0, 3), (1, 0), (2, 5))):
    """For each changed token, which losses differ in any bit: {(example, position): [batch, time] of bool}."""
    tokens, targets = model.tokens(seed)
    before, seen = losses(model, tokens, targets), {}
    for place in places:
        other = tokens.copy()
        other[place] = (other[place] + 1 + seed) % model.package.vocab
        seen[place] = losses(model, other, targets) != before
    return seen


def judge(seen):
    """(whether an earlier position changed, whether another example did, whether its own or a later one did)."""
    future = neighbours = past = False
    for (example, position), changed in seen.items():
        neighbours |= bool(np.delete(changed, example, axis=0).any())
        future |= bool(changed[example, :position].any())
        past |= bool(changed[example, position:].any())
    return future, neighbours, past


def check_documents(name, spec, *options):
    """Separators at three places of each sequence: nothing that comes before one is seen behind it."""
    options = (*options, "-Dbatch=2", "-Dcontext=24", f"-Dseparator={SEPARATOR}")
    for precision in ("f32", "bf16"):
        for isolate in ("true", "false"):
            model = Model(compile_spec(spec, f"--precision={precision}", *options, f"-Disolate={isolate}"))
            model.randomise(seed=1)
            tokens, targets = model.tokens(0)
            tokens[tokens == SEPARATOR] = SEPARATOR + 1
            for example, starts in enumerate(STARTS):
                tokens[example, starts] = SEPARATOR
            before, crossed, own = losses(model, tokens, targets), False, False
            for example, position in ((0, 2), (0, 5), (1, 0), (1, 19)):
                other = tokens.copy()
                other[example, position] = SEPARATOR + 1 + (other[example, position] - SEPARATOR) % 7
                end = min([start for start in STARTS[example] if start > position] + [tokens.shape[1]])
                changed = losses(model, other, targets) != before
                own |= bool(changed[example, position:end].any())
                crossed |= bool(changed[example, :position].any() or changed[example, end:].any())
            assert own, f"{name}: a change of a token is not seen at all"
            assert crossed == (isolate == "false"), f"{name} {precision}: {isolate=}, and seen: {crossed}"
        print(f"ok   {name} {precision}: documents are apart when isolated, and are not when not", flush=True)


def proof(spec, *options):
    """What the compiler says: (proved, its declared exceptions, its errors)."""
    run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), spec, "--emit=tensor", "-o", os.devnull, *options],
                         capture_output=True, text=True)
    if run.returncode:
        return False, [], run.stderr
    run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), spec, "--cost=json", *options], capture_output=True,
                         text=True, check=True)
    return True, json.loads(run.stdout)["proofs"]["causality"][1:], ""


def check(name, spec, *options):
    proved, exceptions, errors = proof(spec, *options)
    for precision in ("f32", "bf16"):
        model = Model(compile_spec(spec, "--skip-proofs=causality", f"--precision={precision}", *options))
        model.randomise(seed=1)
        future, neighbours, past = judge(changes(model))
        assert past, f"{name}: a change of a token is not seen at all"
        if proved and not exceptions:
            assert not future and not neighbours, f"{name}: proved, but seen to leak: {future=} {neighbours=}"
        elif not proved:
            assert future or neighbours, f"{name}: refused, and nothing is seen to leak: {errors}"
        print(f"ok   {name} {precision}: {'proved' if proved else 'refused'}, "
              f"{len(exceptions)} exceptions; seen: future {future}, neighbours {neighbours}, past {past}", flush=True)


def check_layer(name, layer, expected):
    with tempfile.TemporaryDirectory() as folder:
        spec = os.path.join(folder, "spec.moire")
        with open(spec, "w") as file:
            file.write(FRAME.format(layer=layer))
        proved, exceptions, errors = proof(spec)
        found = "refused" if not proved else "told" if exceptions else "proved"
        assert found == expected, f"{name}: {found}, expected {expected}: {exceptions} {errors}"
        assert proved or "spec.moire:4:" in errors, f"{name}: the error is not at its line: {errors}"
        check(name, spec)


def small(spec):
    """Those of SMALL that the spec has; it keeps the rest of its sizes."""
    with open(spec) as file:
        names = re.search(r"model \w+\((.*?)\) {", file.read(), re.DOTALL).group(1) + ", batch = 1, context = 1"
    pairs = zip(SMALL[::2], SMALL[1::2])
    return [word for pair in pairs if re.search(rf"\b{pair[1].split('=')[0]} = ", names) for word in pair]


def main(arguments):
    if arguments:
        for spec in arguments:
            check(spec, spec)
        return
    for name, (layer, expected) in LAYERS.items():
        check_layer(name, layer, expected)
    for name in sorted(os.listdir(os.path.join(SOURCE, "examples"))):
        spec = os.path.join(SOURCE, "examples", name, f"{name}.moire")
        if os.path.exists(spec):
            check(name, spec, *small(spec))
        if name in ISOLATED:
            check_documents(name, spec, *small(spec))


if __name__ == "__main__":
    main(sys.argv[1:])
