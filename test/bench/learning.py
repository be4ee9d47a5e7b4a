#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Step for step beside PyTorch: the same first values, the same batches, the same optimizer, on real text.

    test/bench/learning.py --data FILE [--models gpt moe_mamba] [--steps 200] [--precision f32] [--build DIR] [--json FILE]

At the examples' own learning rate two runs that differ in the last bit of one product drift apart after some twenty
steps, whatever made that bit; so both sides train at a third of it, with a longer warm-up, where loss curves can be
compared. Trains each example with `moire train`, then the PyTorch model of peer/models.py from the weights of the run's
step-0 checkpoint on the batches that docs/runtime.md says the run read. Prints both losses and the largest difference;
fails when it is above 0.02. Runs in any Python that has PyTorch; a fraction of the text is enough for a test.
"""
import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import types

import numpy as np
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, "peer"), os.path.join(SOURCE, "test", "runtime")]
import models  # noqa: E402
import moire_random  # noqa: E402

SIZES = {"gpt": dict(width=128, depth=4, heads=4, hidden=512, vocab=256, context=128, batch=8),
         "moe_mamba": dict(width=64, depth=2, experts=4, vocab=256, context=64, batch=8)}
OPTIMIZER = dict(lr=1e-3, beta1=0.9, beta2=0.95, weight_decay=0.1, clip=1.0, warmup=0.1, final=0.1)
SEED = 5


def ours(a, kind, folder, steps):
    """(losses, path of the step-0 weights)."""
    tool = os.path.join(a.build, "bin", "moire")
    spec = os.path.join(folder, f"{kind}.moire")
    with open(os.path.join(SOURCE, "examples", kind, f"{kind}.moire")) as example, open(spec, "w") as calmer:
        calmer.write(example.read().replace("lr = 3e-3", "lr = 1e-3").replace("warmup = 1%", "warmup = 10%"))
    options = [item for k, v in SIZES[kind].items() for item in ("-D", f"{k}={v}")]
    common = [tool, "train", spec, "--data", a.data, "--seed", str(SEED), "--precision", a.precision, *options]
    for out, count in (("first", 0), ("run", steps)):
        subprocess.run([*common, "--out", os.path.join(folder, out), "--steps", str(count)], check=True, capture_output=True)
    losses = [json.loads(line)["loss"] for line in open(os.path.join(folder, "run", "metrics.jsonl"))]
    return losses, os.path.join(folder, "first", "checkpoints", "step-00000000", "model.safetensors")


def rate(step, steps):
    warmup = max(1, round(OPTIMIZER["warmup"] * steps))
    if step < warmup:
        return OPTIMIZER["lr"] * (step + 1) / warmup
    low = OPTIMIZER["final"] * OPTIMIZER["lr"]
    return low + 0.5 * (OPTIMIZER["lr"] - low) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def theirs(a, kind, weights, steps):
    sizes = {"heads": 4, "hidden": 4 * SIZES[kind]["width"], "experts": 16, **SIZES[kind]}
    model = models.Model(kind, types.SimpleNamespace(**sizes, top_k=1, balance=0.01, renormalize=False))
    models.load_checkpoint(model, weights)
    decayed = [p for name, p in model.named_parameters() if p.dim() >= 2 and "A_log" not in name]
    kept = [p for name, p in model.named_parameters() if not (p.dim() >= 2 and "A_log" not in name)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": OPTIMIZER["weight_decay"]},
                                   {"params": kept, "weight_decay": 0.0}], lr=1.0,
                                  betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]), eps=1e-8)
    text = np.fromfile(a.data, np.uint8)
    train = int(len(text) * 0.9)
    batch, context = sizes["batch"], sizes["context"]
    losses = []
    for step in range(steps):
        starts = moire_random.window_starts(SEED, step, 0, batch, train, context)
        window = torch.from_numpy(np.stack([text[s:s + context + 1] for s in starts]).astype(np.int64))
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.precision == "bf16"):
            loss, extra = model(window[:, :-1], window[:, 1:])
        (loss + extra).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER["clip"])
        optimizer.step()
        losses.append(loss.item())
    return losses


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--data", required=True, help="one text file")
    p.add_argument("--models", nargs="+", choices=sorted(SIZES), default=list(SIZES))
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    p.add_argument("--build", default=os.environ.get("MOIRE_BUILD", os.path.join(SOURCE, "build")))
    p.add_argument("--json", help="where to write all losses")
    a = p.parse_args()
    results, good = {}, True
    for kind in a.models:
        with tempfile.TemporaryDirectory(prefix="moire-learning-") as folder:
            mine, weights = ours(a, kind, folder, a.steps)
            peer = theirs(a, kind, weights, a.steps)
        worst = max(abs(x - y) for x, y in zip(mine, peer))
        good = good and worst <= 0.02
        results[kind] = {"moire": mine, "pytorch": peer, "worst": worst}
        print(f"{kind} {a.precision}: loss {mine[0]:.4f} to {mine[-1]:.4f}, PyTorch {peer[0]:.4f} to {peer[-1]:.4f}; "
              f"largest difference of {a.steps} steps {worst:.5f}", flush=True)
    if a.json:
        with open(a.json, "w") as file:
            json.dump(results, file)
    return good


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
