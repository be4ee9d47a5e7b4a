#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a package is made of, how long making it takes, and how much memory a run takes.

    structure.py symbols|compile-time|memory
"""
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

from abi import BUILD, SOURCE, compile_spec
from runs import EXAMPLES, SMALL, spec, text

# What a process takes besides the model: the tool itself, its libraries, the threads' scratch memory, the data's pages.
CONSTANT = 24 << 20


def symbols():
    """Packages call kernels (products, attention, scans, routing), the pool, and memory functions; nothing else."""
    listed = open(os.path.join(SOURCE, "kernels", "include", "KernelList.inc")).read()
    families = set(re.findall(r"MOIRE_KERNEL\((\w+?)(?:_##SUFFIX)?\)", listed))
    allowed = {"moire_parallel_for", "memcpy", "memset", "memmove"}
    for kind in EXAMPLES:
        for precision in ("f32", "bf16"):
            package = compile_spec(spec(kind), f"--precision={precision}")
            run = subprocess.run([os.path.join(BUILD, "bin", "moire"), "inspect", package, "--json"], check=True,
                                 capture_output=True, text=True)
            needed = json.loads(run.stdout)["symbols"]
            for name in needed:
                family = re.sub(r"(_(f32|bf16|f64))+$", "", name.removeprefix("moire_"))
                assert name in allowed or name.startswith("moire_") and family in families, f"{kind}: calls {name}"
            assert any("gemm" in name for name in needed), needed
            print(f"ok   {kind} {precision}: {' '.join(needed)}", flush=True)


def compile_seconds(depth):
    """(processor seconds, wall seconds) of one compilation from text to package."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    compile_spec(spec("moe_mamba"), f"-Ddepth={depth}", "-Dwidth=256")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, time.perf_counter() - began


def compile_time():
    """Depth does not matter: a loop is compiled once. Processor time, because tests share the machine."""
    shallow, deep = [], []
    for _ in range(5):
        shallow.append(compile_seconds(4))
        deep.append(compile_seconds(48))
    ratio = min(deep)[0] / min(shallow)[0]
    wall = min(seconds for _, seconds in deep)
    print(f"depth 4: {min(shallow)[0]:.2f} s, depth 48: {min(deep)[0]:.2f} s of processor time, ratio {ratio:.2f}; "
          f"{wall:.2f} s from text to package")
    assert ratio <= 1.2, "compile time grows with depth"
    assert wall <= 3, "compiling takes too long"


def memory():
    """Resident memory of training is what the bill says, within 15 % and a constant."""
    with tempfile.TemporaryDirectory(prefix="moire-test-") as folder:
        data = text(folder)
        for kind in EXAMPLES:
            options = ("-D", "batch=4", "-D", "depth=2")
            bill = json.loads(subprocess.run([os.path.join(BUILD, "bin", "moirec"), spec(kind), "--cost=json", *options],
                                             check=True, capture_output=True, text=True).stdout)["bytes"]["peak"]
            package = compile_spec(spec(kind), *options)
            process = subprocess.Popen([os.path.join(BUILD, "bin", "moire"), "train", package, "--data", data, "--out",
                                        os.path.join(folder, kind), "--steps", "3"], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            assert status == 0, status
            taken = usage.ru_maxrss * 1024
            print(f"{kind}: the bill says {bill / 2**20:.1f} MiB, the process took {taken / 2**20:.1f} MiB", flush=True)
            assert 0.85 * bill <= taken <= 1.15 * bill + CONSTANT, kind


if __name__ == "__main__":
    {"symbols": symbols, "compile-time": compile_time, "memory": memory}[sys.argv[1]]()
