#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training steps per second beside PyTorch, on this machine, in turns.

    test/bench/step.py [--models gpt moe mamba moe_mamba] [--precisions f32 bf16] [--rounds 5] [--no-compile]
                       [--venv DIR] [--build DIR] [--json FILE]

Sets up the newest PyTorch that installs in a virtual environment outside the tree (default ~/.cache/moire/bench). Each
round runs some steps of the compiled model, then of PyTorch eager, then of torch.compile, the same shapes on all sides;
a round's ratio is our speed over the faster of the other two, and the median of the rounds counts. A probe of the
machine's peak (multiply-adds on registers, in the precision of the run) stands beside each round, because other tenants
of the machine make it vary; `of peak` is what the operations of a whole step, as the compiler counts them, reach of it.
torch.compile is given --compile-limit seconds to get ready; a model that it has not finished by then is left to eager.
"""
import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
SIZES = dict(vocab=256, width=256, depth=4, context=256, batch=8)
# The example models at the sizes of the comparison: sixteen experts as wide as the dense layer, two of them chosen.
OURS = {"gpt": {"hidden": 1024, "heads": 4}, "moe": {"hidden": 1024, "heads": 4, "experts": 16, "top_k": 2},
        "mamba": {}, "moe_mamba": {"experts": 16}}
THEIRS = {"gpt": {}, "moe": {"top_k": 2, "renormalize": 0}, "mamba": {}, "moe_mamba": {"top_k": 1, "renormalize": 0}}


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--models", nargs="+", choices=sorted(OURS), default=list(OURS))
    p.add_argument("--precisions", nargs="+", choices=("f32", "bf16"), default=["f32", "bf16"])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=6, help="of ours in a round; PyTorch runs half as many")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    p.add_argument("--compile-limit", type=float, default=600)
    p.add_argument("--venv", default=os.path.expanduser("~/.cache/moire/bench"))
    p.add_argument("--build", default=os.path.join(SOURCE, "build"))
    p.add_argument("--json", help="where to write all numbers")
    return p.parse_args()


def interpreter(venv):
    """Python with PyTorch, installed on first use."""
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    if subprocess.run([python, "-c", "import torch, setuptools"], capture_output=True).returncode:
        print(f"installing PyTorch into {venv}", flush=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "torch", "numpy", "setuptools"], check=True)
    return python


class Peer:
    """A PyTorch process that runs steps when asked."""

    def __init__(self, python, model, precision, threads, compiled):
        options = {**SIZES, **THEIRS[model]}
        command = [python, os.path.join(HERE, "peer", "worker.py"), "--model", model, "--dtype", precision, "--threads",
                   str(threads)] + [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
        self.process = subprocess.Popen(command + (["--compile"] if compiled else []), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ready = None

    def wait(self, limit):
        """Whether it is ready within `limit` seconds."""
        end = time.time() + limit
        while time.time() < end:
            if select.select([self.process.stdout], [], [], 1)[0]:
                line = self.process.stdout.readline()
                if not line:
                    return False
                self.ready = json.loads(line)
                return True
        self.process.kill()
        return False

    def seconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self):
        self.process.kill()


def our_seconds(a, package, folder, data, precision):
    out = os.path.join(folder, f"run-{time.time_ns()}")
    subprocess.run([os.path.join(a.build, "bin", "moire"), "train", package, "--data", data, "--out", out, "--steps",
                    str(a.steps + 2), "--threads", str(a.threads), "--holdout", "0"], check=True, capture_output=True)
    lines = [json.loads(line) for line in open(os.path.join(out, "metrics.jsonl"))]
    tokens = SIZES["batch"] * SIZES["context"]
    return [tokens / line["tokens_per_s"] for line in lines[2:]]


def peak(a):
    """What the probe says: GFLOP/s of multiply-adds by precision, GB/s of reading memory."""
    probe = os.path.join(a.build, "bin", "moire-peak")
    environment = {**os.environ, "MOIRE_THREADS": str(a.threads)}
    return json.loads(subprocess.run([probe], capture_output=True, text=True, check=True, env=environment).stdout)


def compare(a, python, model, precision, folder, data):
    spec = os.path.join(SOURCE, "examples", model, f"{model}.moire")
    package = os.path.join(folder, f"{model}-{precision}.so")
    options = [f"-D{k}={v}" for k, v in {**SIZES, **OURS[model]}.items()]
    compiler = os.path.join(a.build, "bin", "moirec")
    subprocess.run([compiler, spec, "--emit=package", f"--precision={precision}", "-o", package, *options], check=True)
    bill = json.loads(subprocess.run([compiler, spec, "--cost=json", f"--precision={precision}", *options], check=True,
                                     capture_output=True, text=True).stdout)
    operations = bill["flops_per_token"]["training"]
    peers = {"eager": Peer(python, model, precision, a.threads, False)}
    if not peers["eager"].wait(a.compile_limit):
        raise SystemExit("PyTorch did not start")
    if not a.no_compile:
        compiled = Peer(python, model, precision, a.threads, True)
        if compiled.wait(a.compile_limit):
            peers["compiled"] = compiled
        else:
            print(f"  torch.compile was not ready after {a.compile_limit:.0f} s: left out", flush=True)
    rounds = []
    tokens = SIZES["batch"] * SIZES["context"]
    for _ in range(a.rounds):
        before = peak(a)
        ours = statistics.median(our_seconds(a, package, folder, data, precision))
        theirs = {name: statistics.median(peer.seconds(max(2, a.steps // 2))) for name, peer in peers.items()}
        rounds.append({"ours": tokens / ours, **{name: tokens / value for name, value in theirs.items()},
                       "ratio": min(theirs.values()) / ours, "peak": before,
                       "of_peak": operations * tokens / ours / (1e9 * before[f"{precision}_gflops"])})
    for peer in peers.values():
        peer.close()
    median = lambda key: statistics.median(r[key] for r in rounds)
    result = {"model": model, "precision": precision, "torch": peers["eager"].ready["torch"], "rounds": rounds,
              "tokens_per_s": {name: median(name) for name in ["ours", *peers]}, "ratio": median("ratio"), "of_peak": median("of_peak")}
    speeds = "  ".join(f"{name} {value:8.0f}" for name, value in result["tokens_per_s"].items())
    print(f"{model:10s} {precision:5s} tokens/s: {speeds}   ratio {result['ratio']:.2f}   "
          f"of peak {100 * result['of_peak']:.0f} %", flush=True)
    return result


def main():
    a = arguments()
    python = interpreter(a.venv)
    with tempfile.TemporaryDirectory(prefix="moire-bench-") as folder:
        data = os.path.join(folder, "noise.txt")
        with open(data, "wb") as file:
            file.write(os.urandom(1 << 20))
        results = [compare(a, python, model, precision, folder, data) for model in a.models for precision in a.precisions]
    if a.json:
        with open(a.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
