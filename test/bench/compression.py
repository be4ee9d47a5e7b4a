#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Projected compression against cutting, at equal tokens (arXiv 2506.22255): MOIRE_BUILD=build compression.py --data text

A source is trained; smaller models are made of it, cut or projected, by activations, magnitude or chance, and trained on; one of the
same size starts from nothing. A table of losses on held-out text, with the mean and the spread over seeds.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

MOIRE = os.path.join(os.environ["MOIRE_BUILD"], "bin", "moire")
SPEC = """model m(width = {width}, depth = 4) {{
  x = embed(tokens, vocab = 256, width)
  repeat depth {{
    x += rms_norm(x) |> attention(heads = 4, head_dim = {head}, rope = 10000.0)
    x += rms_norm(x) |> mlp(hidden = 4 * width, activation = gelu)
  }}
  return rms_norm(x) |> head(vocab = 256)
}}
train {{ batch = 8   context = 128   steps = {steps}   holdout = 10%   optimizer = adamw(lr = {rate})   {more} }}
"""


def moire(*arguments):
    run = subprocess.run([MOIRE, *map(str, arguments)], capture_output=True, text=True, errors="replace")
    if run.returncode:
        sys.exit(f"{arguments}: {run.stderr}")
    return run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--source-width", type=int, default=128)
    parser.add_argument("--widths", type=int, nargs="+", default=[80, 32])
    parser.add_argument("--source-steps", type=int, default=800)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--source-rate", type=float, default=3e-3)
    parser.add_argument("--rate", type=float, default=3e-3, help="of what is made of the source")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--importance", nargs="+", default=["activations", "magnitude", "random"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        def write(name, width, steps, rate, more=""):
            path = os.path.join(folder, name + ".moire")
            with open(path, "w") as file:
                file.write(SPEC.format(width=width, head=options.source_width // 4, steps=steps, rate=rate, more=more))
            return path

        def train(name, spec, seed, *more):
            out = os.path.join(folder, name)
            moire("train", spec, "--data", options.data, "--out", out, "--seed", seed, "--threads", 1, *more)
            return json.loads(moire("eval", out, "--data", options.data, "--batches", 50))["loss"]

        source = os.path.join(folder, "source")
        large = write("large", options.source_width, options.source_steps, options.source_rate)
        print(f"source, width {options.source_width}: {train('source', large, 1):.4f}", flush=True)
        for width in options.widths:
            plain = write(f"plain{width}", width, options.steps, options.rate)
            composed = write(f"composed{width}", width, options.steps, options.rate,
                             f"compress = projected(width = {options.source_width})")
            results = {"from nothing": [train(f"new{width}-{seed}", plain, seed) for seed in range(options.seeds)]}
            for importance in options.importance:
                for kind, spec in (("cut", plain), ("projected", composed)):
                    start = os.path.join(folder, f"{kind}{width}-{importance}")
                    moire("transform", source, "--to", spec, "--out", start, "--importance", importance, "--seed", 7,
                          "--data", options.data)
                    results[f"{kind}, by {importance}"] = [
                        train(f"{kind}{width}-{importance}-{seed}", spec, seed, "--from", start)
                        for seed in range(options.seeds)]
            for name, losses in results.items():
                spread = max(losses) - min(losses)
                print(f"width {width}, {name}: {statistics.mean(losses):.4f}, within {spread:.4f}", flush=True)


if __name__ == "__main__":
    main()
