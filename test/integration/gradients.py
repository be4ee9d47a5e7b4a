#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled f64 gradients of every block against central differences of the compiled loss, relative error <= 1e-6.

Two checks per parameter: the derivative along a random direction, and along the largest entry of the gradient. The
router's choice is piecewise constant; at these seeds no difference crosses a boundary.
"""
import sys

import numpy as np

from abi import Model, compile_spec

FRAME = """
model test(width = 16, vocab = 11) {{
  x = embed(tokens, vocab, width)
  {body}
}}
train {{ batch = 2   context = 12   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}
"""
HEAD = "return rms_norm(x) |> head(vocab)"
BLOCKS = {
    "learned positions, layer norm": f"x += learned_positions(x)\n  x = layer_norm(x)\n  {HEAD}",
    "layer norm without bias": "return layer_norm(x, bias = false) |> head(vocab, bias = true)",
    "attention": f"x += rms_norm(x) |> attention(heads = 2)\n  {HEAD}",
    "attention, grouped, rotary, bias":
        f"x += rms_norm(x) |> attention(heads = 4, kv_heads = 2, rope = 100.0, bias = true)\n  {HEAD}",
    "attention, head size": f"x += rms_norm(x) |> attention(heads = 3, head_dim = 6, rope = 100.0)\n  {HEAD}",
    "attention, window, sinks": f"x += rms_norm(x) |> attention(heads = 4, kv_heads = 2, window = 5, sinks = true)\n  {HEAD}",
    "attention, soft cap, alibi": f"x += rms_norm(x) |> attention(heads = 2, softcap = 2.0, alibi = true)\n  {HEAD}",
    "attention, norms per head, gated heads":
        f"x += rms_norm(x) |> attention(heads = 4, qk_norm = head, gate = head, rope = 100.0, rope_dim = 2)\n  {HEAD}",
    "attention, norms over all, gated elements, own values":
        f"x += rms_norm(x) |> attention(heads = 4, kv_heads = 2, qk_norm = full, gate = element, value_dim = 3)\n  {HEAD}",
    "latent attention": "x += rms_norm(x) |> latent_attention(heads = 2, kv_latent = 6, q_latent = 5, nope_dim = 4, "
                        f"rope_dim = 2, value_dim = 3)\n  {HEAD}",
    "no positions in every third layer": "repeat 6 as i { x += rms_norm(x) |> attention(heads = 2, rope = if i % 3 == 2 "
                                         "then none else 100.0) }\n  " + HEAD,
    "attention, neighbouring features turned": f"x += rms_norm(x) |> attention(heads = 2, rope = 100.0, rope_dim = 6, "
                                               f"rope_interleaved = true)\n  {HEAD}",
    "latent attention, neighbouring features turned":
        "x += rms_norm(x) |> latent_attention(heads = 2, kv_latent = 6, nope_dim = 4, rope_dim = 4, value_dim = 3, "
        f"rope_interleaved = true)\n  {HEAD}",
    "attention over two streams": "start = x\n x += rms_norm(x) |> mlp(hidden = 8)\n  x += rms_norm(concat(x, start)) |> "
                                  f"attention(heads = 4, width)\n  {HEAD}",
    "hourglass": "y = shift(x, by = 2) |> stack(factor = 3)\n  repeat 2 { y += rms_norm(y) |> attention(heads = 2, rope = 100.0"
                 f") }}\n  x += unstack(y, factor = 3)\n  {HEAD}",
    "convolutions": "y = rms_norm(x) |> conv1d(width = 12, kernel = 3) |> gelu |> conv1d(width = 32, kernel = 3, stride = 2, "
                    f"bias = false)\n  x += unstack(y, factor = 2)\n  {HEAD}",
    "norms after, and on both sides": "x = rms_norm(x + attention(x, heads = 2))\n  x += 0.5 * (rms_norm(x) |> swiglu("
                                      f"hidden = 8) |> layer_norm)\n  {HEAD}",
    "side by side, with multipliers, tied": "let table = embed(vocab, width)\n  y = 3 * table(tokens) + x\n  repeat 4 as i {\n"
        "h = rms_norm(y)\n if i % 2 == 1 { y += 0.5 * (attention(h, heads = 2, scale = 0.1) + swiglu(h, hidden = 8)) } else "
        "{ y += 0.5 * mlp(h, hidden = 8) } }\n  return (rms_norm(y) / 4) |> head(vocab, tied = table)",
    "soft cap of the logits": "x += sinusoidal_positions(x)\n  return rms_norm(x) |> head(vocab, softcap = 2.0)",
    "linear": f"x += rms_norm(x) |> linear(width) |> silu\n  {HEAD}",
    "mlp relu2": f"x += rms_norm(x) |> mlp(hidden = 24, activation = relu2)\n  {HEAD}",
    "mlp gelu with bias": f"x += rms_norm(x) |> mlp(hidden = 24, activation = gelu, bias = true)\n  {HEAD}",
    "swiglu with bias": f"x += rms_norm(x) |> swiglu(hidden = 24, bias = true)\n  {HEAD}",
    "swiglu, clamped": f"x += rms_norm(x) |> swiglu(hidden = 24, limit = 0.5, alpha = 1.702, offset = 1)\n  {HEAD}",
    "gated by gelu": f"x += rms_norm(x) |> swiglu(hidden = 24, activation = gelu)\n  {HEAD}",
    "moe with biases": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8, bias = true, limit = 0.5, alpha = 1.702, "
                       "offset = 1), experts = 5, top_k = 2, gate = topk_softmax, logit_bias = true, balance = 0.0)\n  "
                       + HEAD,
    "moe with biases, shared, latent":
        "x += rms_norm(x) |> moe(expert = mlp(hidden = 8, bias = true), experts = 4, top_k = 2, balance = 0.0, latent = 6, "
        "shared = swiglu(hidden = 8, bias = true, limit = 0.5))\n  " + HEAD,
    "mixture with biases, a temperature for each expert":
        "x += rms_norm(x) |> moe(expert = mlp(hidden = 8, bias = true), experts = 4, choice = mixture, group = 2, "
        "temperature = learned_per_expert, logit_bias = true)\n  " + HEAD,
    "moe": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 4, top_k = 2, balance = 0.0)\n  " + HEAD,
    "moe renormalised": "x += rms_norm(x) |> moe(expert = mlp(hidden = 8, activation = gelu), experts = 4, top_k = 2, "
                        "renormalize = true, balance = 0.0)\n  " + HEAD,
    "moe top-k then softmax": "x += rms_norm(x) |> moe(expert = mlp(hidden = 8, activation = silu), experts = 5, "
                              "top_k = 3, gate = topk_softmax, balance = 0.0)\n  " + HEAD,
    "moe fine-grained": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), expansion = 2, granularity = 2, "
                        "balance = 0.0)\n  " + HEAD,
    "moe sigmoid, scaled": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 5, top_k = 2, "
                           "gate = sigmoid_topk, renormalize = true, scale = 2.5, balance = 0.0)\n  " + HEAD,
    "moe root of softplus, nulls": "x += rms_norm(x) |> moe(expert = mlp(hidden = 8, activation = gelu), experts = 5, "
                                   "top_k = 3, null = 2, gate = sqrt_softplus_topk, balance = 0.0)\n  " + HEAD,
    "moe threshold": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 6, top_k = 5, threshold = 0.9, "
                     "balance = 0.0)\n  " + HEAD,
    "moe in groups": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 8, top_k = 3, groups = 4, "
                     "top_groups = 2, balance = 0.0)\n  " + HEAD,
    "moe hash": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 5, top_k = 2, choice = hash)\n  " + HEAD,
    "moe balanced": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 4, top_k = 2, choice = balanced)"
                    "\n  " + HEAD,
    "moe shared, latent": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 4, top_k = 2, balance = 0.0, "
                          "latent = 6, shared = mlp(hidden = 8, activation = silu), shared_gate = true)\n  " + HEAD,
    "a pool of all layers": "let pool = experts(expert = swiglu(hidden = 8))\n  y = x\n  repeat 3 {\n h = rms_norm(x)\n "
                            "r = route(y, experts = 4, top_k = 2, balance = 0.0)\n x += pool(h, r)\n y = h }\n  " + HEAD,
    "experts choose": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 4, top_k = 2, choice = expert, "
                      "group = 2)\n  " + HEAD,
    "mixture of tokens": "x += rms_norm(x) |> moe(expert = mlp(hidden = 8, activation = gelu), experts = 4, choice = "
                         "mixture, group = 2, temperature = learned, emit = separate)\n  " + HEAD,
    "mixture, softmax over experts": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 4, choice = mixture, "
                                     "group = 2, temperature = 0.5, emit = softmax_experts)\n  " + HEAD,
    "dense experts": "x += rms_norm(x) |> moe(expert = swiglu(hidden = 8), experts = 4, choice = dense)\n  " + HEAD,
    "mamba": f"x += rms_norm(x) |> mamba(state = 4, conv = 3, expand = 2)\n  {HEAD}",
    "mamba with inner norms": f"x += rms_norm(x) |> mamba(state = 4, conv = 3, inner_norm = true)\n  {HEAD}",
    "mamba2": f"x += rms_norm(x) |> mamba2(state = 5, head_dim = 8, conv = 3, chunk = 5)\n  {HEAD}",
    "mamba2, groups": f"x += rms_norm(x) |> mamba2(state = 4, head_dim = 4, groups = 2, chunk = 4)\n  {HEAD}",
    "mamba2 without norm": f"x += rms_norm(x) |> mamba2(state = 4, head_dim = 32, norm = false)\n  {HEAD}",
    "gated norm by groups": f"h = rms_norm(x)\n  x += rms_norm(linear(h, width) * silu(linear(h, width)), groups = 4)\n  {HEAD}",
    "mamba beside moe": "n = rms_norm(x)\n  x += mamba(n, state = 4) + moe(n, expert = mlp(hidden = 8, activation = silu), "
                        "experts = 4, top_k = 2, balance = 0.0)\n  " + HEAD,
    "tied head": "let table = embed(vocab, width)\n  y = tokens |> table\n  y += rms_norm(y + x) |> swiglu(hidden = 8)\n"
                 "  return rms_norm(y) |> head(vocab, tied = table)",
    "repeat": f"repeat 3 {{ x += rms_norm(x) |> swiglu(hidden = 8) }}\n  {HEAD}",
    "nested repeat": "repeat 2 {\n repeat 2 { x += rms_norm(x) |> swiglu(hidden = 8) }\n x += rms_norm(x) |> attention("
                     "heads = 2) }\n  " + HEAD,
    "a layer shared by iterations": "let shared = swiglu(hidden = 8)\n  repeat 3 { x += rms_norm(x) |> shared }\n  " + HEAD,
    "two kinds of layer": "repeat 4 as i {\n if i % 2 == 0 { x += rms_norm(x) |> mamba(state = 4) } else { x += "
                          "rms_norm(x) |> attention(heads = 2) } }\n  " + HEAD,
    "products of streams": f"y = rms_norm(x)\n  x = 0.5 * x + y * silu(y) - relu(y)\n  {HEAD}",
}


# The same with documents apart: one token in eleven begins one.
ISOLATED = ("learned positions, layer norm", "attention, grouped, rotary, bias", "attention, window, sinks",
            "attention, soft cap, alibi", "latent attention", "soft cap of the logits", "mamba", "mamba2",
            "mamba2, groups", "two kinds of layer", "nested repeat")


def check(name, body, *options, frame=FRAME):
    return check_package(name, compile_spec(frame.format(body=body), "--precision=f64", *options))


def check_package(name, package):
    """Whether the gradients of an f64 package are what differences of its loss are."""
    model = Model(package)
    model.randomise(seed=1)
    tokens, targets = model.tokens(seed=2)
    model.train_step(tokens, targets)
    gradients = {path: value.copy() for path, value in model.tensors("grads").items()}

    def loss():
        model.refresh()
        total, count = model.eval_step(tokens, targets)
        return total / count

    random, worst, where = np.random.default_rng(3), 0, ""
    for path, gradient in gradients.items():
        value = model.tensors()[path]
        largest = np.zeros_like(gradient)
        largest.flat[np.abs(gradient).argmax()] = 1
        for direction in (random.standard_normal(value.shape), largest):
            direction = direction / np.linalg.norm(direction)
            first, step = value.copy(), 1e-4
            samples = []
            for factor in (-2, -1, 1, 2):
                value[...] = first + factor * step * direction
                samples.append(loss())
            value[...] = first
            numeric = (samples[0] - 8 * samples[1] + 8 * samples[2] - samples[3]) / (12 * step)
            analytic = float((gradient * direction).sum())
            # Relative to the gradient's own size: a direction at right angles to it has no digits to compare.
            error = abs(numeric - analytic) / max(np.linalg.norm(gradient), 1e-5)
            if error > worst:
                worst, where = error, path
    print(f"{'ok  ' if worst <= 1e-6 else 'FAIL'} {name}: worst relative error {worst:.1e} ({where})", flush=True)
    return worst <= 1e-6


if __name__ == "__main__":
    wanted = sys.argv[1:] or BLOCKS
    right = [check(name, BLOCKS[name]) for name in wanted]
    right += [check(f"{name}; documents", BLOCKS[name], "-Dseparator=3", "-Disolate=true")
              for name in wanted if name in ISOLATED]
    sys.exit(0 if all(right) else 1)
