# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""muP and relative rates in compiled packages: a base at its own width keeps every bit, scaled products are those of a
plain package with scaled weights, tables of rates are what the papers say, the optimizer follows them, and a step of Adam
moves scores by as much at every width."""
import ctypes as c
import json
import os
import subprocess

import numpy as np

from abi import BUILD, Adamw, Model, compile_spec

SPEC = """
model m(width = {width}, heads = 2, vocab = 32) {{
  x = embed(tokens, vocab, width)
  repeat 2 {{
    x += rms_norm(x) |> attention(heads, rope = 10000.0)
    x += rms_norm(x) |> moe(expert = swiglu(hidden = 2 * width), experts = 4, top_k = 2)
    x += rms_norm(x) |> mamba(state = 4, conv = 4, expand = 2)
    x += rms_norm(x) |> mlp(hidden = 4 * width)
  }}
  return rms_norm(x) |> head(vocab)
}}
train {{
  batch = 2   context = 24   steps = 10240
  optimizer = adamw(lr = 1e-3, weight_decay = 0.1)
  schedule  = cosine(warmup = 102, final = 0.0444444)
  {more}
}}
"""


def spec(width, more=""):
    return SPEC.format(width=width, more=more)


def rates(text, at):
    """What `moire rates` says of the spec at a step: by parameter's name."""
    path = os.path.join(BUILD, "test-scaling.moire")
    with open(path, "w") as file:
        file.write(text)
    run = subprocess.run([os.path.join(BUILD, "bin", "moire"), "rates", path, "--at", str(at), "--json"],
                         capture_output=True, text=True, check=True)
    os.remove(path)
    return {row["name"]: row for row in json.loads(run.stdout)["parameters"]}


def update(model, step, lr, lr_end=0.0, decay=0.1):
    norm = c.c_double()
    scalars = Adamw(lr=lr, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=decay, clip=0, grad_scale=1, lr_end=lr_end,
                    step=step)
    assert model.package.optimizer_step(model.buffers, c.byref(scalars), c.byref(norm)) == 0


def base_is_identical():
    """Three steps of the model at its base's own width, and of the plain one."""
    def run(more):
        model = Model(compile_spec(spec(32, more)))
        model.randomise(1)
        for step in range(1, 4):
            model.train_step(*model.tokens(step))
            update(model, step, 1e-2)
        return model.arrays["params"].tobytes(), model.eval_step(*model.tokens(9))[0]
    plain, scaled = run(""), run("scaling = mup(base_width = 32)   rates = { router: 1 -> 1, \"*.out.weight\": 1.0 }")
    assert plain == scaled
    print(f"a base as wide as the model: the same {len(plain[0])} bytes of parameters after 3 steps, loss {plain[1]:.6f}")


def multiply(tensors, base_head=16, head=32):
    """The multipliers of a model at twice its base, input = 3 and output = 1/2, in weights or gradients."""
    factors = {"embed.weight": 3, "head.weight": 0.5 / 2, "router.weight": 1 / 2}
    for path, value in tensors.items():
        for end, factor in factors.items():
            if path.endswith(end):
                value *= factor
        if path.endswith("qkv.weight"):  # scores: sqrt(16) / 32 for 1 / sqrt(32)
            value[:, :64] *= np.sqrt(base_head / head)


def scaled_products():
    """The model at twice its base against the plain one with the multipliers in its weights."""
    for precision, limit in (("f64", 1e-13), ("f32", 2e-6)):
        scaled = Model(compile_spec(spec(64, "scaling = mup(base_width = 32, input = 3.0, output = 0.5)"),
                                    f"--precision={precision}"))
        plain = Model(compile_spec(spec(64), f"--precision={precision}"))
        scaled.randomise(2)
        plain.randomise(2)
        multiply(plain.tensors())
        plain.refresh()
        tokens = plain.tokens(3)
        (a, _), (b, _) = scaled.eval_step(*tokens), plain.eval_step(*tokens)
        assert abs(a - b) <= limit * abs(b), (a, b)
        scaled.train_step(*tokens)
        plain.train_step(*tokens)
        multiply(plain.tensors("grads"))
        worst = 0
        for path, value in scaled.tensors("grads").items():
            other = plain.tensors("grads")[path]
            worst = max(worst, np.abs(value - other).max() / max(np.abs(other).max(), 1e-30))
        assert worst <= (1e-11 if precision == "f64" else 2e-4), worst
        print(f"{precision}: loss {a:.6f} is that of scaled weights to {abs(a - b) / b:.1e}, gradients to {worst:.1e}")


def table_of_mup():
    """The factors at 4 times the base (arXiv 2508.09752's table; 2203.03466, table 8)."""
    base, wide = rates(spec(32), 102), rates(spec(128, "scaling = mup(base_width = 32)"), 102)
    hidden = ("qkv.weight", "out.weight", "experts.gate_up.weight", "experts.down.weight", "mlp.up.weight",
              "mlp.down.weight", "in_proj.weight", "x_proj.weight", "dt_proj.weight", "out_proj.weight")
    counts = {"hidden": 0, "output": 0, "other": 0}
    for name, row in wide.items():
        sigma, was = row["sigma"], base[name]["sigma"]
        if name.endswith(hidden):
            want, kind = (0.25, 1, 0.4, 0.5), "hidden"
            if name.endswith("in_proj.weight"):
                want = (0.25, 1, 0.4, 0.5)
        elif name == "head.weight" or name.endswith("router.weight"):
            want, kind = (1, 0.25, 0.1, 1), "output"
        else:
            want, kind = (1, 1, base[name]["weight_decay"], 1), "other"
        got = (row["lr_factor"], row["multiplier"], row["weight_decay"], sigma / was if was else 1)
        assert np.allclose(got, want, rtol=1e-12), (name, got, want)
        assert np.isclose(row["lr"], 1e-3 * want[0]), (name, row["lr"])
        counts[kind] += 1
    assert counts["hidden"] == 10 and counts["output"] == 2, counts
    print(f"at 4 times the width: {counts['hidden']} hidden weights with rate 1/4 and deviation 1/2, router and head with "
          f"multiplier 1/4, {counts['other']} others as they were")
    for router, factors in (("branch", (1, 1, 1)), ("hidden", (0.25, 1, 0.5))):
        row = rates(spec(128, f"scaling = mup(base_width = 32, router = {router})"), 102)["layers.#.moe.router.weight"]
        was = base["layers.#.moe.router.weight"]["sigma"]
        assert np.allclose((row["lr_factor"], row["multiplier"], row["sigma"] / was), factors), (router, row)


def table_of_rates():
    """The learning rates of arXiv 2507.03526's method, as the compiled package and its optimizer have them."""
    groups = {"embedding": (5, 0.666), "head": (0.666, 0.444), "router": (0.666, 1), "expert": (0.3, 1.125),
              "attention": (1, 1)}
    more = "rates = { " + ", ".join(f"{role}: {float(a)} -> {float(b)}" for role, (a, b) in groups.items()) + " }"
    want = {"embedding": (4.901961e-5, 5e-3, 5e-3, 2.514800e-3, 2.959997e-5),
            "head": (6.529412e-6, 6.66e-4, 6.66e-4, 3.428667e-4, 1.973331e-5),
            "router": (6.529412e-6, 6.66e-4, 6.66e-4, 3.552222e-4, 4.444440e-5),
            "expert": (2.941176e-6, 3e-4, 3e-4, 1.75e-4, 4.999995e-5),
            "attention": (9.803922e-6, 1e-3, 1e-3, 5.222222e-4, 4.444440e-5)}
    for column, step in enumerate((0, 101, 102, 5171, 10240)):
        for name, row in rates(spec(32, more), step).items():
            if row["role"] in want:
                assert f"{row['lr']:.6e}" == f"{want[row['role']][column]:.6e}", (name, step, row["lr"])
    print("25 learning rates of 5 roles to the last digit published")
    # One step of the optimizer from fresh moments moves every element by its rate, whatever its gradient.
    model = Model(compile_spec(spec(32, more)))
    model.randomise(4)
    model.train_step(*model.tokens(5))
    before = {path: value.copy() for path, value in model.tensors().items()}
    update(model, 1, 2e-3, lr_end=1e-3, decay=0)
    for path, role in (("embed.weight", "embedding"), ("head.weight", "head"), ("layers.1.moe.router.weight", "router"),
                       ("layers.0.moe.experts.down.weight", "expert"), ("layers.0.attention.out.weight", "attention")):
        start, end = groups[role]
        moved = np.median(np.abs(model.tensors()[path] - before[path])[model.tensors("grads")[path] != 0])
        rate = start * 2e-3 + end * 1e-3
        assert abs(moved - rate) <= 1e-3 * rate, (path, moved, rate)
    print("the optimizer moves each role by its own rate")


def score_movement():
    """A step of Adam with correlated signs moves a router's scores by eta times the base's width at every width; without
    muP by eta times the width (derived from the rule, arXiv 2508.09752's router being a weight to a fixed width)."""
    def moved(width, more):
        model = Model(compile_spec(f"""
model r(width = {width}, vocab = 8) {{
  x = embed(tokens, vocab, width)
  x += moe(x, expert = mlp(hidden = 8), experts = 2, top_k = 1)
  return rms_norm(x) |> head(vocab)
}}
train {{ batch = 1   context = 8   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%)   {more} }}
"""))
        router = model.tensors()["moe.router.weight"]
        model.tensors("grads")["moe.router.weight"][...] = 1
        before = router.copy()
        update(model, 1, 1e-3, decay=0)
        scores = np.abs((router - before).sum(axis=0))  # of an input of ones
        table = {model.package.parameters[i].name: model.package.parameters[i].multiplier
                 for i in range(model.package.parameter_count)}
        return scores[0] * table[b"moe.router.weight"]
    scaled = [moved(width, "scaling = mup(base_width = 16)") for width in (16, 64, 256)]
    plain = [moved(width, "") for width in (16, 64, 256)]
    assert np.allclose(scaled, 16e-3, rtol=1e-4) and np.allclose(plain, [16e-3, 64e-3, 256e-3], rtol=1e-4), (scaled, plain)
    print(f"scores move by {scaled[0]:.4f} at each of three widths; without scaling by "
          + ", ".join(f"{one:.4f}" for one in plain))


if __name__ == "__main__":
    base_is_identical()
    scaled_products()
    table_of_mup()
    table_of_rates()
    score_movement()
