#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models with experts compiled with routing fused and without: the same numbers, fewer ops, less memory.

    fusion.py [EXAMPLE ...]

All gradients agree within 1e-12 in f64, 1e-5 in f32 and 2e-2 in bf16, relative to the norm of each gradient; losses and other
metrics, and the loss of eval, bit by bit. The fused package gives the same bits on one thread and on two, needs no more
memory, and its f64 gradients agree with differences of its own loss.
"""
import os
import re
import subprocess
import sys

import numpy as np

import gradients
from abi import BUILD, SOURCE, Model, compile_spec

EXAMPLES = {"moe": {}, "fine_grained": {}, "mixtral": {}, "deepseek_v3": {"depth": 3}, "qwen3_moe": {}}
SIZES = {"batch": 4, "context": 64, "depth": 2}
TOLERANCES = {"f64": 1e-12, "f32": 1e-5, "bf16": 2e-2}
# Ops of a training step that only routing without fusion has, and those that take their place.
APART = ("route", "dispatch", "gather_rows", "combine", "combine_grad")
TOGETHER = ("fused_route", "grouped_combine", "product_rows")
# Ops that are views or mark where something ends: no kernel does them.
VIEWS = ("reshape", "slice", "yield", "repeat", "rotary_table", "even_offsets")
# Enough rows for the products to take their row kernels.
FRAME = gradients.FRAME.replace("context = 12", "context = 64")


def options(example, precision):
    sizes = {**SIZES, **EXAMPLES[example]}
    return [f"--precision={precision}", *(f"-D{name}={value}" for name, value in sizes.items())]


def counts(spec, *flags):
    """How often each op of the dialect stands in the training step at the fused level; what one kernel does is one op."""
    text = subprocess.run([os.path.join(BUILD, "bin", "moirec"), spec, "--emit=fused", *flags], check=True,
                          capture_output=True, text=True).stdout
    step = text[text.index("func.func @train"):text.index("func.func @eval")]
    found, inside, depth = {}, None, 0
    for line in step.splitlines():
        indent = len(line) - len(line.lstrip())
        if inside is not None and indent > inside:
            continue
        inside = None
        if match := re.search(r"(?:^|= )\s*moire\.(\w+)", line.strip()):
            found[match[1]] = found.get(match[1], 0) + 1
            if match[1] in ("rowwise", "product_rows"):
                inside = indent
    return found


def distance(a, b):
    scale = np.linalg.norm(b)
    return 0 if scale == 0 and not np.any(a) else float(np.linalg.norm(a.astype(np.float64) - b) / max(scale, 1e-30))


def compare(example, precision):
    spec = os.path.join(SOURCE, "examples", example, f"{example}.moire")
    flags = options(example, precision)
    models = [Model(compile_spec(spec, *flags, f"--fuse-routing={word}")) for word in ("true", "false")]
    worst, where = 0, ""
    steps, forward = [], []
    for model in models:
        model.randomise(seed=3)
        tokens, targets = model.tokens(seed=4)
        metrics = model.train_step(tokens, targets)
        loss, count = model.eval_step(tokens, targets)
        forward.append([loss / count, *(value.tobytes() for value in metrics.values())])
        steps.append(model.tensors("grads"))
    for path, value in steps[1].items():
        error = distance(steps[0][path], value)
        if not error <= worst:
            worst, where = error, path
    same = models[0].step_bits(1) == models[0].step_bits(2)
    arenas = [model.package.arena_bytes for model in models]
    ok = worst <= TOLERANCES[precision] and forward[0] == forward[1] and same and arenas[0] <= arenas[1]
    print(f"{'ok  ' if ok else 'FAIL'} {example} {precision}: {worst:.1e} apart at most ({where}), forward bits "
          f"{'agree' if forward[0] == forward[1] else 'DIFFER'}, on one and two threads {'agree' if same else 'DIFFER'}, arena {arenas[1]} -> {arenas[0]} bytes", flush=True)
    return ok


def count(example):
    """The unfused step has none of the fused ops, the fused one none of those that they replace."""
    spec = os.path.join(SOURCE, "examples", example, f"{example}.moire")
    flags = options(example, "bf16")
    fused, apart = counts(spec, *flags), counts(spec, *flags, "--fuse-routing=false")
    left = [op for op in APART if op in fused and op != "gather_rows"] # of the gates, a number each
    early = [op for op in TOGETHER if op in apart]
    missing = [op for op in TOGETHER if op not in fused]
    ok = not left and not early and not missing
    show = lambda ops: ", ".join(f"{ops[op]} {op}" for op in (*APART, *TOGETHER, "grouped_linear", "rowwise") if op in ops)
    print(f"{'ok  ' if ok else 'FAIL'} {example}: {show(apart)}  ->  {show(fused)}", flush=True)
    return ok


def main():
    wanted = sys.argv[1:] or EXAMPLES
    results = [count(example) for example in wanted]
    results += [compare(example, precision) for example in wanted for precision in TOLERANCES]
    for name in ("moe", "moe sigmoid, scaled", "moe root of softplus, nulls", "moe hash", "moe shared, latent"):
        results.append(gradients.check(f"{name}, fused", gradients.BLOCKS[name], frame=FRAME))
    return all(results)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
