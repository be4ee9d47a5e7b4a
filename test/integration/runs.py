#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training runs of compiled examples: same bits on 1 and 2 threads, exact resume after a kill, decoding, evaluation.

    runs.py threads|resume|examples
"""
import filecmp
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from abi import BUILD, SOURCE

MOIRE = os.path.join(BUILD, "bin", "moire")
GROUPED = ("mixture_of_tokens", "expert_choice")  # several sequences meet: no decoding
EXAMPLES = ("gpt", "moe", "mamba", "moe_mamba", "mamba2", "moe_mamba_parallel", "jamba", *GROUPED)
SMALL = ("-D", "width=32", "-D", "depth=2", "-D", "vocab=256", "-D", "batch=4", "-D", "context=32")


def spec(kind):
    return os.path.join(SOURCE, "examples", kind, f"{kind}.moire")


def text(folder):
    """Real text: this project's own sources and pages."""
    path = os.path.join(folder, "text.txt")
    with open(path, "w") as out:
        for pattern in ("docs/*.md", "dialect/IR/*.td", "dialect/IR/*.cpp"):
            for name in sorted(glob.glob(os.path.join(SOURCE, pattern))):
                with open(name) as file:
                    out.write(file.read())
    return path


def moire(*arguments, check=True, **options):
    run = subprocess.run([MOIRE, *arguments], capture_output=True, text=True, **options)
    if check and run.returncode:
        raise RuntimeError(f"{arguments}: exit code {run.returncode}\n{run.stderr}")
    return run


def train(kind, out, data, steps, *more, **options):
    return moire("train", spec(kind), "--data", data, "--out", out, "--steps", str(steps), "--seed", "3", *SMALL, *more,
                 **options)


def last(out, step):
    return os.path.join(out, "checkpoints", f"step-{step:08d}", "model.safetensors")


def threads(folder, data):
    for kind in EXAMPLES:
        for precision in ("f32", "bf16"):
            runs = [os.path.join(folder, f"{kind}-{precision}-{n}") for n in (1, 2)]
            for n, out in zip((1, 2), runs):
                train(kind, out, data, 20, "--threads", str(n), "--precision", precision)
            assert filecmp.cmp(last(runs[0], 20), last(runs[1], 20), shallow=False), f"{kind} {precision} differs"
            print(f"ok   {kind} {precision}: 20 steps on 1 and on 2 threads give the same bytes", flush=True)


def resume(folder, data):
    for kind in ("gpt", "moe_mamba"):
        whole, parts = os.path.join(folder, kind + "-whole"), os.path.join(folder, kind + "-parts")
        train(kind, whole, data, 20, "--checkpoint-every", "10")
        # Killed somewhere after the tenth step, in the middle of whatever it was doing.
        process = subprocess.Popen([MOIRE, "train", spec(kind), "--data", data, "--out", parts, "--steps", "20", "--seed",
                                    "3", "--checkpoint-every", "10", *SMALL], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while not os.path.exists(last(parts, 10)) and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not os.path.exists(last(parts, 20)), "the run ended before it could be killed"
        train(kind, parts, data, 20, "--resume", "--checkpoint-every", "10")
        assert filecmp.cmp(last(whole, 20), last(parts, 20), shallow=False), f"{kind}: the resumed run differs"
        steps = [json.loads(line)["step"] for line in open(os.path.join(parts, "metrics.jsonl"))]
        assert steps == list(range(1, 21)), steps
        print(f"ok   {kind}: 10 steps, a kill, and 10 more give the bytes of 20", flush=True)


def examples(folder, data):
    for kind in EXAMPLES:
        out = os.path.join(folder, kind)
        train(kind, out, data, 150)
        lines = [json.loads(line) for line in open(os.path.join(out, "metrics.jsonl"))]
        assert lines[0]["loss"] > 5 and lines[-1]["loss"] < 3.4, (kind, lines[0]["loss"], lines[-1]["loss"])
        result = json.loads(moire("eval", out, "--data", data).stdout)
        assert set(result) >= {"loss", "perplexity", "bits_per_byte", "tokens"} and result["loss"] < 3.6, result
        ask = ("generate", out, "--prompt", "The ", "--tokens", "20", "--temperature", "0")
        if kind in GROUPED:
            refused = moire(*ask, check=False)
            assert refused.returncode != 0 and "it trains and evaluates, but does not generate" in refused.stderr, refused
        else:
            greedy = [moire(*ask).stdout for _ in range(2)]
            assert greedy[0] == greedy[1] and len(greedy[0]) > 4, greedy
        if "moe" in kind:
            loads = [value for key, value in lines[-1].items() if key.endswith(".load")]
            assert len(loads) == 2 and all(abs(sum(load) - 1) < 1e-5 for load in loads), loads
        package = glob.glob(os.path.join(out, "package.so"))[0]
        check = subprocess.run([os.path.join(BUILD, "bin", "package-conformance"), f"--package={package}"],
                               capture_output=True, text=True)
        assert check.returncode == 0, check.stdout[-3000:]
        print(f"ok   {kind}: loss {lines[0]['loss']:.3f} to {lines[-1]['loss']:.3f}, evaluates to {result['loss']:.3f}, "
              f"{'does not generate' if kind in GROUPED else 'generates'}, keeps the contract of packages", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moire-test-") as temporary:
        {"threads": threads, "resume": resume, "examples": examples}[sys.argv[1]](temporary, text(temporary))
