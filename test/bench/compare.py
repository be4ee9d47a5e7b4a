#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What mixtures gain at small scale: each against its plain form, at equal cost, on real text.

    test/bench/compare.py --data FILE... --out DIR [--only NAME...] [--first] [--steps 1000] [--seeds 1 2]
                          [--lr 1e-3] [--precision bf16] [--threads N] [--build DIR]

Trains every variant of every comparison for every seed with `moire train`, from the specs beside this script and of
the examples. Where a variant costs more operations a token than the first of its comparison, it gets fewer steps, so that
all spend the same. What is finished stays in DIR and is not trained again. Prints a table of the losses on held-out text; with matplotlib at hand,
DIR/NAME.svg has the loss over the operations spent.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES, HERE = os.path.join(SOURCE, "examples"), os.path.join(SOURCE, "test", "bench", "compare")

# name: (what is compared, spec, settings of all, variants)
COMPARISONS = {
    "fine_grained": ("experts cut into G pieces, 8 times the active experts", f"{EXAMPLES}/fine_grained/fine_grained.moire",
                     {"width": 128, "depth": 4, "expansion": 8},
                     {f"G = {g}": {"granularity": g} for g in (1, 4, 16)}),
    "moe_mamba": ("Switch layers between Mamba layers, the same active parameters", f"{HERE}/moe_mamba.moire", {},
                  {"Mamba alone": {"experts": 0}, "8 experts": {"experts": 8}, "32 experts": {"experts": 32}}),
    "mixture_of_tokens": ("mixtures of the tokens of a group, at the cost of the dense layer",
                          f"{HERE}/mixture_of_tokens.moire", {},
                          {"dense": {"group": 1}, "groups of 4": {"group": 4}, "groups of 16": {"group": 16}}),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", nargs="+", choices=list(COMPARISONS), default=list(COMPARISONS))
    parser.add_argument("--first", action="store_true", help="the first variant of each alone: to choose a learning rate")
    parser.add_argument("--steps", type=int, default=1000, help="of the first variant of each comparison")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--lr", default="1e-3")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--build", default=os.path.join(SOURCE, "build"))
    return parser.parse_args()


def spec_with_rate(a, spec, folder):
    """A copy of the spec with the learning rate of these runs: specs write it as a number of their own."""
    copy = os.path.join(folder, os.path.basename(spec))
    with open(spec) as source:
        text = source.read()
    start = text.index("lr = ") + len("lr = ")
    with open(copy, "w") as out:
        out.write(text[:start] + a.lr + text[text.index(",", start):])
    return copy


def bill(a, spec, options):
    said = subprocess.run([os.path.join(a.build, "bin", "moire"), "cost", spec, "--json", *options], check=True,
                          capture_output=True, text=True)
    return json.loads(said.stdout)


def train(a, spec, options, steps, seed, out):
    """The evaluations of a run, as [step, loss]; of the one in `out` when it is complete."""
    done = os.path.join(out, "evaluations.json")
    if not os.path.exists(done):
        subprocess.run(["rm", "-rf", out], check=True)
        subprocess.run([os.path.join(a.build, "bin", "moire"), "train", spec, "--data", *a.data, "--out", out, "--steps",
                        str(steps), "--seed", str(seed), "--precision", a.precision, "--threads", str(a.threads),
                        "--eval-every", str(max(1, steps // 10)), "--checkpoint-every", str(steps), *options],
                       check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(out, "metrics.jsonl")) as lines:
            metrics = [json.loads(line) for line in lines]
        with open(done, "w") as file:
            json.dump([[m["step"], m["eval_loss"]] for m in metrics if "eval_loss" in m], file)
    with open(done) as file:
        return json.load(file)


def compare(a, name):
    what, original, common, variants = COMPARISONS[name]
    folder = os.path.join(a.out, name)
    os.makedirs(folder, exist_ok=True)
    spec, rows, budget = spec_with_rate(a, original, folder), [], None
    for label, settings in list(variants.items())[:1 if a.first else None]:
        options = [item for k, v in {**common, **settings}.items() for item in ("-D", f"{k}={v}")]
        cost = bill(a, spec, options)
        flops = cost["flops_per_token"]["training"]
        budget = budget or flops * a.steps
        steps = round(budget / flops)
        runs = [train(a, spec, options, steps, seed, os.path.join(folder, f"{label.replace(' ', '')}-{seed}"))
                for seed in a.seeds]
        rows.append(dict(label=label, active=cost["parameters"]["active"], total=cost["parameters"]["total"], flops=flops,
                         steps=steps, runs=runs, losses=[run[-1][1] for run in runs]))
        print(f"{name}: {label}: {steps} steps, " + ", ".join(f"{loss:.4f}" for loss in rows[-1]["losses"]),
              file=sys.stderr, flush=True)
    print(f"\n### {name}: {what}\n")
    print("| variant | active | total | operations a token | steps | " + " | ".join(f"seed {s}" for s in a.seeds)
          + " | mean | against the first |")
    print("| --- |" + " --- |" * (6 + len(a.seeds)))
    first = statistics.mean(rows[0]["losses"])
    for r in rows:
        mean = statistics.mean(r["losses"])
        print(f"| {r['label']} | {r['active']:,} | {r['total']:,} | {r['flops']:,} | {r['steps']} | "
              + " | ".join(f"{loss:.4f}" for loss in r["losses"]) + f" | {mean:.4f} | {mean - first:+.4f} |")
    return rows


def plot(a, name, rows):
    try:
        import matplotlib
    except ImportError:
        print("without matplotlib there is no plot", file=sys.stderr)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = name  # the same figure from the same numbers
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(6.4, 4))
    for r in rows:
        tokens_per_step = 2048  # of every comparison
        x = [step * tokens_per_step * r["flops"] / 1e12 for step, _ in r["runs"][0]]
        axes.plot(x, [statistics.mean(run[i][1] for run in r["runs"]) for i in range(len(x))], marker=".", label=r["label"])
    axes.set(xlabel="training operations, 10^12", ylabel="loss on held-out text, nats a byte", title=name.replace("_", " "))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(os.path.join(a.out, f"{name}.svg"), bbox_inches="tight", metadata={"Date": None})


def main():
    a = parse()
    for name in a.only:
        plot(a, name, compare(a, name))


if __name__ == "__main__":
    main()
