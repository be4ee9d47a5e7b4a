#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs training steps of one model in PyTorch on request, so that two sides can be timed in turns.

    worker.py --model moe --dtype bf16 [--compile]

Reads numbers from standard input, a line each; runs that many steps and answers with one JSON line
{"seconds": [...], "loss": ...}. The first line it prints is {"ready": ..., "torch": version, "parameters": count}.
"""
import argparse
import json
import sys
import time

import torch

from models import Model


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--model", choices=("gpt", "moe", "mamba", "moe_mamba"), required=True)
    p.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--threads", type=int, default=2)
    for name, default in dict(vocab=256, width=256, depth=4, heads=4, hidden=1024, experts=16, top_k=2, context=256,
                              batch=8).items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    p.add_argument("--balance", type=float, default=0.01)
    p.add_argument("--renormalize", type=int, default=1)
    return p.parse_args()


def main():
    a = arguments()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model = Model(a.model, a)
    fused = {"fused": True} if torch.__version__ >= "2.4" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, **fused)
    step = torch.compile(model) if a.compile else model
    tokens = torch.randint(a.vocab, (a.batch, a.context + 1))

    def run():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.dtype == "bf16"):
            loss, extra = step(tokens[:, :-1], tokens[:, 1:])
        (loss + extra).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    began = time.perf_counter()
    run()
    run()
    print(json.dumps({"ready": time.perf_counter() - began, "torch": torch.__version__,
                      "parameters": sum(p.numel() for p in model.parameters())}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            began = time.perf_counter()
            loss = run()
            seconds.append(time.perf_counter() - began)
        print(json.dumps({"seconds": seconds, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
