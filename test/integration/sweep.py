#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`moire sweep`, killed and resumed, and `moire coord-check`, which standard parametrisation fails."""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.dom.minidom

from abi import SOURCE
from runs import MOIRE, moire, text

SPEC = """model tiny(width = 32, hidden = 2 * width, vocab = 256) {
  x = embed(tokens, vocab, width)
  repeat 2 {
    x += rms_norm(x) |> attention(heads = width / 8)
    x += rms_norm(x) |> moe(expert = mlp(hidden), experts = 4, top_k = 2)
  }
  return rms_norm(x) |> head(vocab)
}
train { batch = 4   context = 32   steps = 30   optimizer = adamw(lr = 1e-3) }
"""


def packages(cache):
    return [name for name in os.listdir(os.path.join(cache, "moire"))]


def sweeps(folder, data):
    spec, out, cache = (os.path.join(folder, name) for name in ("tiny.moire", "sweep", "cache"))
    with open(spec, "w") as file:
        file.write(SPEC)
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    grid = ["sweep", spec, "--data", data, "--over", "lr=1e-3,4e-3,16e-3", "--widths", "16,32", "--seeds", "0,1"]
    whole = json.loads(moire(*grid, "--out", out, "--json", env=environment).stdout)
    assert len(whole["points"]) == 12 and not any(p["diverged"] for p in whole["points"]), whole
    assert len(packages(cache)) == 2, packages(cache)  # one for a width: rates share it
    assert [c["name"] for c in whole["curves"]] == ["width=16", "width=32"] and len(whole["drifts"]) == 1, whole
    curve = [sum(p["eval_loss"] for p in whole["points"] if p["width"] == "16" and p["lr"] == lr) / 2
             for lr in whole["rows"]["values"]]
    assert max(abs(a - b) for a, b in zip(curve, whole["curves"][0]["eval_loss"])) < 1e-9, whole
    print("ok   twelve points from two packages")

    # What was killed goes on to the same numbers.
    again = os.path.join(folder, "killed")
    started = subprocess.Popen([MOIRE, *grid, "--out", again], stdout=subprocess.DEVNULL, env=environment)
    while not (os.path.isdir(again) and sum(name.startswith("lr=") for name in os.listdir(again)) >= 3):
        time.sleep(0.02)
    started.send_signal(signal.SIGKILL)
    started.wait()
    resumed = moire(*grid, "--out", again, "--json", env=environment)
    losses = lambda result: [p["eval_loss"] for p in result["points"]]
    assert losses(json.loads(resumed.stdout)) == losses(whole), resumed.stdout
    assert re.search(r"; [23] done before", resumed.stderr), resumed.stderr
    print("ok   killed in the third point, the rest is trained to the same losses")

    # Another grid over the same points trains the new ones only; another spec is refused.
    plot = os.path.join(folder, "sweep.svg")
    more = moire("sweep", spec, "--data", data, "-D", "width=16", "--over", "lr=2e-3,4e-3", "--out", out, "--plot", plot,
                 env=environment)
    assert "1 done before, 1 to train" in more.stdout and "best lr" in more.stdout, more.stdout
    assert len(xml.dom.minidom.parse(plot).getElementsByTagName("path")) == 1
    with open(spec, "w") as file:
        file.write(SPEC.replace("top_k = 2", "top_k = 1"))
    refused = moire(*grid, "--out", out, check=False, env=environment)
    assert refused.returncode == 1 and "was trained from something else: model" in refused.stderr, refused.stderr
    print("ok   a larger grid reuses its points, another spec is refused")

    with open(spec, "w") as file:
        file.write(SPEC)
    diverged = json.loads(moire("sweep", spec, "--data", data, "--over", "lr=4e-3,1e6", "--over", "hidden=32,48", "--out",
                                os.path.join(folder, "diverged"), "--json", env=environment).stdout)
    assert [c["best"] for c in diverged["curves"]] == ["4e-3"] * 2, diverged
    for arguments, wanted in ((["--over", "lr=1,1.0"], "`lr` has the value 1.0 twice"), (["--over", "lrr=1"], "`lrr`"),
                              (["--over", "lr=x,y"], "`lr` takes numbers, not x, y"), ([], "nothing is varied"),
                              (["--widths", "16,32", "-D", "width=3"], "is varied, and -D width=3 fixes it")):
        run = moire("sweep", spec, "--data", data, *arguments, "--out", os.path.join(folder, "no"), check=False,
                    env=environment)
        assert run.returncode == 1 and wanted in run.stderr, (arguments, run.stderr)
    print("ok   rates that are too high, refusals")


def coordinates(folder, data):
    spec = os.path.join(folder, "tiny.moire")
    with open(spec, "w") as file:
        file.write(SPEC)
    plot = os.path.join(folder, "coordinates.svg")
    run = moire("coord-check", spec, "--data", data, "--widths", "16,32,64", "--lr", "0.02", "--json", "--plot", plot,
                check=False)
    assert run.returncode == 1, run.stderr
    found = json.loads(run.stdout)
    slopes = {probe["path"]: probe for probe in found["probes"]}
    assert set(slopes) == {"embed", "logits"} | {f"layers.{i}.{name}" for i in (0, 1)
                                                  for name in ("attention", "moe.router", "moe.experts")}, slopes
    # What a learning rate does to one weight it does to each of `width` summands.
    assert slopes["logits"]["grows"] and slopes["logits"]["worst"] > 0.5, slopes["logits"]
    assert abs(slopes["embed"]["change_slopes"][1]) < 0.1 and not slopes["embed"]["grows"], slopes["embed"]
    assert found["probes"][0]["changes"][0][0] == 0 and not found["passes"]
    assert len(xml.dom.minidom.parse(plot).getElementsByTagName("path")) == len(slopes)
    dense = ["coord-check", os.path.join(SOURCE, "examples", "gpt", "gpt.moire"), "--data", data, "--widths", "64,128,256",
             "--lr", "3e-3", "-D", "depth=2", "-D", "batch=4", "-D", "context=64"]
    standard, scaled = moire(*dense, check=False), moire(*dense, "-D", "scaling=mup(base_width=64)", check=False)
    assert standard.returncode == 1 and "\nfails: at most" in standard.stdout, standard.stdout
    assert scaled.returncode == 0 and "\npasses: at most" in scaled.stdout, scaled.stdout
    still = moire("coord-check", spec, "--data", data, "--widths", "16,32", "--lr", "0", "--seeds", "1", "--steps", "1",
                  check=False)
    assert "|h - h_0|" in still.stdout, still.stdout + still.stderr
    print("ok   a dense model fails as it is, passes under mup")
    print(f"ok   standard parametrisation grows: logits by {slopes['logits']['worst']:+.2f}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = text(folder)
        sweeps(folder, data)
        coordinates(folder, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
