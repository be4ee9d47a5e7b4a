#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What fusing routing is worth: one model of mixture layers, compiled both ways, in turns.

    test/bench/routing.py [--granularities 1 4 16] [--precisions f32 bf16] [--rounds 9] [--width 256] [--threads 2]
                          [--build DIR] [-D NAME=VALUE ...]

Granularity G cuts each expert, and what a token meets of them, into G pieces: the operations of the products stay what
they are. A round is a training step (forward and reverse, no optimizer) of each package, the first of which alternates; the
median counts, and the ratio is the median of the rounds' ratios. Kernels are the ops of the training step at the fused
level but for views, each counted once however often a loop runs it.
Memory is the arena of a step, and of it what is kept of each layer from forward to reverse. `of peak` is what the
operations of the step reach of multiply-adds on registers, measured beside it.
"""
import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
SPEC = """model mixtures(width = 256, depth = 2, experts = 8, top_k = 2, hidden = 512, vocab = 256) {
  x = embed(tokens, vocab, width)
  repeat depth {
    x += rms_norm(x) |> moe(expert = swiglu(hidden), experts, top_k, balance = 0.01)
  }
  return rms_norm(x) |> head(vocab)
}
train { batch = 8   context = 256   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }
"""
BYTES = {"f32": 4, "i32": 4, "bf16": 2, "f64": 8}
WORDS = ("false", "true")


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--granularities", nargs="+", type=int, default=[1, 4, 16])
    p.add_argument("--precisions", nargs="+", choices=("f32", "bf16", "f64"), default=["f32", "bf16"])
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--width", type=int, default=256)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--build", default=os.path.join(SOURCE, "build"))
    p.add_argument("-D", dest="defines", action="append", default=[], help="override a hyperparameter of the spec")
    return p.parse_args()


def run(command, **environment):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout


def kept_bytes(step):
    """Bytes that the forward loop of the fused level stacks for the reverse one, metrics aside."""
    loop = re.search(r"moire\.repeat \d+ carried\((.*?)\)(?: slices\(.*?\))? -> \((.*?)\)", step)
    types = re.findall(r"tensor<([0-9x]*?)x?(f32|i32|bf16|f64)>", loop[2])[loop[1].count("%arg"):]
    total = 0
    for shape, element in types:
        extents = [int(e) for e in shape.split("x") if e]
        total += BYTES[element] * math.prod(extents)
    return total


class Side:
    """The package of one way to compile, and what its training step is made of."""

    def __init__(self, a, spec, flags, word):
        from abi import Model, compile_spec
        from fusion import VIEWS, counts
        flags = [*flags, f"--fuse-routing={word}"]
        self.kernels = sum(count for op, count in counts(spec, *flags).items() if op not in VIEWS)
        compiler = os.path.join(a.build, "bin", "moirec")
        text = run([compiler, spec, "--emit=fused", *flags])
        self.kept = kept_bytes(text[text.index("func.func @train"):])
        self.flops = json.loads(run([compiler, spec, "--cost=json", *flags]))["flops_per_token"]["training"]
        self.model = Model(compile_spec(spec, *flags))
        self.model.kernels.moire_set_threads(a.threads)
        self.model.randomise(seed=1)
        self.batch = self.model.tokens(seed=2)

    def seconds(self):
        begin = time.perf_counter()
        self.model.train_step(*self.batch)
        return time.perf_counter() - begin


def compare(a, spec, granularity, precision):
    sizes = {"experts": 8 * granularity, "top_k": 2 * granularity, "hidden": 512 // granularity, "width": a.width}
    flags = [f"--precision={precision}", *(f"-D{k}={v}" for k, v in sizes.items()), *(f"-D{d}" for d in a.defines)]
    sides = [Side(a, spec, flags, word) for word in WORDS]
    for side in sides:
        side.seconds()
    times = ([], [])
    for number in range(a.rounds):
        for which in ((0, 1) if number % 2 else (1, 0)):
            times[which].append(sides[which].seconds())
    probe = json.loads(run([os.path.join(a.build, "bin", "moire-peak")], MOIRE_THREADS=str(a.threads)))
    peak = 1e9 * probe.get(f"{precision}_gflops", probe["f32_gflops"] / 2)
    tokens = sides[0].batch[0].size
    median = [statistics.median(t) for t in times]
    ratio = statistics.median(x / y for x, y in zip(*times))
    of_peak = [100 * side.flops * tokens / m / peak for side, m in zip(sides, median)]
    mib = lambda pair: " -> ".join(f"{x / 2**20:.1f}" for x in pair)
    print(f"| {precision} | {granularity} | {' -> '.join(str(side.kernels) for side in sides)} | "
          f"{mib([side.model.package.arena_bytes for side in sides])} | {mib([side.kept for side in sides])} | "
          f"{1e3 * median[0]:.1f} -> {1e3 * median[1]:.1f} | {ratio:.2f} | {of_peak[0]:.0f} -> {of_peak[1]:.0f} % |", flush=True)


def main():
    a = arguments()
    os.environ["MOIRE_BUILD"] = a.build
    sys.path.insert(0, os.path.join(SOURCE, "test", "integration"))
    with tempfile.TemporaryDirectory(prefix="moire-bench-") as folder:
        spec = os.path.join(folder, "mixtures.moire")
        with open(spec, "w") as file:
            file.write(SPEC)
        print(run([os.path.join(a.build, "bin", "moire-peak")], MOIRE_THREADS=str(a.threads)).strip())
        print("| type | granularity | kernels | arena MiB | kept MiB | ms per step | faster | of peak |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for precision in a.precisions:
            for granularity in a.granularities:
                compare(a, spec, granularity, precision)


if __name__ == "__main__":
    main()
