#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Transition tuning (arXiv 2310.15961): does a mixture of tokens come back after it became token choice?

    test/bench/transform.py --data FILE… [--steps 1000] [--tune 100 300] [--build DIR] [--json FILE]

Trains a mixture of tokens, transforms it to token choice with as many operations a token, evaluates it before any tuning,
tunes it for so many steps at a third of the learning rate, and trains token choice from nothing for as many steps as
training and tuning had together. All losses are of the last tenth of the text, which nobody trained on. Prints a table.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# As many experts as sequences in a group, each as large as a dense layer's: 4 * width features inside for every token,
# both ways. The second half of the layers is sparse, as in the paper.
MODEL = """model transition(width = 128, depth = 4, heads = 4, group = 8, experts = group, hidden = 4 * width, vocab = 256) {
  x = embed(tokens, vocab, width)
  repeat depth as i {
    x += rms_norm(x) |> attention(heads, rope = 10000.0)
    if 2 * i < depth {
      x += rms_norm(x) |> mlp(hidden = 4 * width, activation = relu)
    } else {
      x += rms_norm(x) |> moe(expert = mlp(hidden, activation = relu), experts, CHOICE)
    }
  }
  return rms_norm(x) |> head(vocab)
}
train {
  batch = 16   context = 128   steps = 1000
  optimizer = adamw(lr = RATE, betas = (0.9, 0.95), weight_decay = 0.1, clip = 0.5)
  schedule  = cosine(warmup = 2%, final = 10%)
}
"""
CHOICES = {"mixture": "choice = mixture, group",
           "token": "choice = token, top_k = 1, capacity = 1.25, balance = 0.01"}


class Bench:
    def __init__(self, arguments, folder):
        self.a, self.folder = arguments, folder
        self.tool = os.path.join(arguments.build, "bin", "moire")

    def run(self, *command):
        return subprocess.run([self.tool, *command], check=True, stdout=subprocess.PIPE, text=True).stdout

    def spec(self, choice, rate):
        path = os.path.join(self.folder, f"{choice}-{rate}.moire")
        with open(path, "w") as file:
            file.write(MODEL.replace("CHOICE", CHOICES[choice]).replace("RATE", str(rate)))
        return path

    def train(self, name, choice, steps, rate, *more):
        out = os.path.join(self.folder, name)
        self.run("train", self.spec(choice, rate), "--data", *self.a.data, "--out", out, "--steps", str(steps), "--seed",
                 str(self.a.seed), "--precision", self.a.precision, "--keep", "1", *more)
        return out

    def loss(self, run):
        return json.loads(self.run("eval", run, "--data", *self.a.data, "--holdout", "0.1"))["loss"]


def measure(bench):
    a, rows = bench.a, []

    def row(name, steps, run):
        rows.append({"model": name, "steps": steps, "loss": bench.loss(run)})
        print(f"{name:<55} {steps:>6}  {rows[-1]['loss']:.4f}", flush=True)

    mixture = bench.train("mixture", "mixture", a.steps, a.rate)
    row("mixture of tokens", a.steps, mixture)
    changed = os.path.join(bench.folder, "changed")
    bench.run("transform", mixture, "--to", bench.spec("token", a.rate), "--out", changed, "--precision", a.precision)
    row("the same as token choice, untuned", a.steps, changed)
    for tune in a.tune:
        tuned = bench.train(f"tuned-{tune}", "token", tune, a.rate / 3, "--from", changed)
        row(f"the same, tuned for {tune} steps", a.steps + tune, tuned)
        row(f"token choice from nothing", a.steps + tune, bench.train(f"nothing-{tune}", "token", a.steps + tune, a.rate))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--tune", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--build", default=os.path.join(SOURCE, "build"))
    parser.add_argument("--json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moire-bench-") as folder:
        rows = measure(Bench(arguments, folder))
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
