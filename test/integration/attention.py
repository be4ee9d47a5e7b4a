#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every variant of attention, compiled, against formulas written out in PyTorch: the loss and all gradients, in f32.

The bound is 1e-5 of the largest entry of each gradient. What can be decoded also keeps the contract of packages:
decoding token by token gives what the whole sequence gives, and prefilling what decoding gives.
"""
import math
import os
import subprocess
import sys

import torch
import torch.nn.functional as F

from abi import BUILD, Model, compile_spec

WIDTH, HEADS, KV, DIM, VOCAB, CONTEXT = 32, 4, 2, 8, 19, 24
FRAME = f"""
model test(width = {WIDTH}, vocab = {VOCAB}) {{{{
  x = embed(tokens, vocab, width)
  {{body}}
}}}}
train {{{{ batch = 2   context = {CONTEXT}   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}}}
"""
EPS = 1e-6
NOT_CAUSAL = ["--skip-proofs=causality"]  # what the compiler is told of a model that sees later positions on purpose


def rms(x, weight, eps=EPS):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def frequencies(dim, base, kind=None, factor=1.0, original=None, fast=32, slow=1, truncate=True):
    """One angle per position for each pair, as the models' own code computes them."""
    pairs = torch.arange(0, dim, 2, dtype=torch.float64)
    plain = base ** (-pairs / dim)
    if kind == "linear":
        return plain / factor
    if kind == "ntk":
        return (base * factor ** (dim / (dim - 2))) ** (-pairs / dim)
    if kind != "yarn":
        return plain
    correction = lambda turns: dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))
    low, high = correction(fast), correction(slow)
    if truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    high += 0.001 if low == high else 0
    extrapolate = 1 - torch.clamp((torch.arange(dim // 2, dtype=torch.float64) - low) / (high - low), 0, 1)
    return plain / factor * (1 - extrapolate) + plain * extrapolate


def rotate(x, freqs, interleaved=False):
    """x [batch, time, heads, dim]; halves of the first 2 len(freqs) features turn, or neighbours."""
    half = len(freqs)
    if interleaved:
        angle = (torch.arange(x.shape[1], dtype=torch.float64)[:, None] * freqs).float()[None, :, None, :]
        turned = torch.view_as_complex(x[..., :2 * half].reshape(*x.shape[:-1], half, 2).contiguous())
        turned = torch.view_as_real(turned * torch.complex(angle.cos(), angle.sin())).flatten(-2)
        return torch.cat([turned, x[..., 2 * half:]], -1)
    angle = (torch.arange(x.shape[1], dtype=torch.float64)[:, None] * freqs).float()[None, :, None, :]
    a, b, rest = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin(), rest], -1)


def slopes(heads):
    """The recursion of the paper's code (arXiv 2108.12409)."""
    if math.log2(heads).is_integer():
        start = 2 ** (-(2 ** -(math.log2(heads) - 3)))
        return [start * start ** i for i in range(heads)]
    closest = 2 ** math.floor(math.log2(heads))
    return slopes(closest) + slopes(2 * closest)[0::2][:heads - closest]


def attend(q, k, v, scale, causal=True, window=None, softcap=None, alibi=False, sinks=None):
    heads, group = q.shape[2], q.shape[2] // k.shape[2]
    k, v = k.repeat_interleave(group, 2), v.repeat_interleave(group, 2)
    scores = torch.einsum("bthd,bshd->bhts", q, k) * scale
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    distance = torch.arange(q.shape[1])[:, None] - torch.arange(q.shape[1])[None, :]
    if alibi:
        scores = scores - torch.tensor(slopes(heads))[:, None, None] * distance.abs()
    hidden = torch.zeros_like(distance, dtype=torch.bool)
    if causal:
        hidden |= distance < 0
    if window:
        hidden |= distance.abs() >= window
    scores = scores.masked_fill(hidden, float("-inf"))
    if sinks is not None:
        column = sinks[None, :, None, None].expand(*scores.shape[:3], 1)
        weights = torch.cat([scores, column], -1).softmax(-1)[..., :-1]
    else:
        weights = scores.softmax(-1)
    return torch.einsum("bhts,bshd->bthd", weights, v)


def attention(p, x, heads=HEADS, kv_heads=KV, head_dim=DIM, value_dim=None, qk_norm=None, gate=None, rope=None,
              rope_dim=None, rope_scaling=None, rope_factor=1.0, rope_original=None, rope_beta_fast=32, rope_beta_slow=1,
              rope_truncate=True, rope_interleaved=False, scale=None, sinks=False, bias=False, width=None, **form):
    value_dim, batch, time = value_dim or head_dim, *x.shape[:2]
    qkv = x @ p["attention.qkv.weight"] + (p["attention.qkv.bias"] if bias else 0)
    q, k, v = qkv.split([heads * head_dim, kv_heads * head_dim, kv_heads * value_dim], -1)
    if qk_norm == "full":
        q, k = rms(q, p["attention.q_norm.weight"]), rms(k, p["attention.k_norm.weight"])
    q, k, v = (y.reshape(batch, time, -1, d) for y, d in ((q, head_dim), (k, head_dim), (v, value_dim)))
    if qk_norm == "head":
        q, k = rms(q, p["attention.q_norm.weight"]), rms(k, p["attention.k_norm.weight"])
    scale = scale or head_dim ** -0.5
    if rope:
        freqs = frequencies(rope_dim or head_dim, rope, rope_scaling, rope_factor, rope_original, rope_beta_fast,
                            rope_beta_slow, rope_truncate)
        q, k = rotate(q, freqs, rope_interleaved), rotate(k, freqs, rope_interleaved)
        if rope_scaling == "yarn":
            scale *= (0.1 * math.log(rope_factor) + 1) ** 2
    y = attend(q, k, v, scale, sinks=p["attention.sinks"] if sinks else None, **form)
    if gate == "head":
        y = y * torch.sigmoid(x @ p["attention.gate.weight"])[..., None]
    if gate == "element":
        y = y * torch.sigmoid(x @ p["attention.gate.weight"]).reshape(y.shape)
    return y.reshape(batch, time, -1) @ p["attention.out.weight"] + (p["attention.out.bias"] if bias else 0)


def latent_attention(p, x, heads=HEADS, kv_latent=12, q_latent=None, nope_dim=6, rope_dim=4, value_dim=5, rope=10000.0,
                     rope_scaling=None, rope_factor=1.0, rope_original=None, rope_interleaved=False):
    batch, time = x.shape[:2]
    w = lambda name: p[f"latent_attention.{name}.weight"]
    q = rms(x @ w("q_down"), w("q_norm")) @ w("q_up") if q_latent else x @ w("q")
    q = q.reshape(batch, time, heads, nope_dim + rope_dim)
    latent, turned = (x @ w("kv_down")).split([kv_latent, rope_dim], -1)
    kv = (rms(latent, w("kv_norm")) @ w("kv_up")).reshape(batch, time, heads, nope_dim + value_dim)
    freqs = frequencies(rope_dim, rope, rope_scaling, rope_factor, rope_original)
    q = torch.cat([q[..., :nope_dim], rotate(q[..., nope_dim:], freqs, rope_interleaved)], -1)
    shared = rotate(turned[:, :, None, :], freqs, rope_interleaved).expand(-1, -1, heads, -1)
    k, v = torch.cat([kv[..., :nope_dim], shared], -1), kv[..., nope_dim:]
    scale = (nope_dim + rope_dim) ** -0.5 * ((0.1 * math.log(rope_factor) + 1) ** 2 if rope_scaling == "yarn" else 1)
    return attend(q, k, v, scale).reshape(batch, time, -1) @ w("out")


def sinusoids(time, width):
    angle = torch.arange(time, dtype=torch.float64)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], -1).reshape(time, width).float()


def write(value):
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


BASE = dict(heads=HEADS, kv_heads=KV)
YARN = dict(rope=10000.0, rope_scaling="yarn", rope_factor=4.0, rope_original=16)
LATENT = dict(heads=HEADS, kv_latent=12, nope_dim=6, rope_dim=4, value_dim=5)
CASES = {
    "plain": {},
    "window": dict(window=5),
    "window, rotary": dict(window=7, rope=100.0),
    "both directions": dict(causal=False),
    "window in both directions": dict(causal=False, window=4),
    "sinks": dict(sinks=True),
    "sinks, window": dict(sinks=True, window=6, rope=100.0, bias=True),
    "softcap": dict(softcap=1.5),
    "alibi": dict(alibi=True),
    "alibi, six heads": dict(alibi=True, heads=6, kv_heads=3, head_dim=4),
    "scale": dict(scale=0.2),
    "qk_norm head": dict(qk_norm="head", rope=100.0),
    "qk_norm full": dict(qk_norm="full", rope=100.0),
    "gate head": dict(gate="head"),
    "gate element": dict(gate="element"),
    "value_dim": dict(value_dim=5, gate="head"),
    "rope_dim": dict(rope=100.0, rope_dim=4),
    "rope linear": dict(rope=100.0, rope_scaling="linear", rope_factor=2.5),
    "rope ntk": dict(rope=100.0, rope_scaling="ntk", rope_factor=2.0),
    "rope yarn": dict(**YARN),
    "rope yarn, other bounds": dict(**YARN, rope_beta_fast=8.0, rope_beta_slow=2.0, head_dim=16),
    "rope yarn, bounds that are not rounded": dict(**YARN, rope_truncate=False, head_dim=16),
    "rope, neighbours": dict(rope=100.0, rope_interleaved=True, qk_norm="head"),
    "rope, neighbours, part": dict(**YARN, rope_dim=6, head_dim=10, rope_interleaved=True),
    "rope yarn, part": dict(**YARN, rope_dim=4, head_dim=12),
    "everything": dict(**YARN, rope_dim=6, window=9, sinks=True, softcap=3.0, alibi=True, scale=0.4, qk_norm="head",
                       gate="element", value_dim=6),
    "latent": dict(layer="latent_attention", **LATENT),
    "latent, queries too": dict(layer="latent_attention", q_latent=10, **LATENT),
    "latent, neighbours": dict(layer="latent_attention", rope_interleaved=True, **LATENT),
    "latent, yarn": dict(layer="latent_attention", **LATENT, **YARN),
    "sinusoidal positions": dict(positions=True),
    "soft cap of the logits": dict(head=2.0),
}


def completed(layer="attention", **arguments):
    """The arguments of a case with those that all have."""
    if layer == "attention":
        arguments = {**BASE, **({} if "head_dim" in arguments else {"head_dim": DIM}), **arguments}
    return dict(layer=layer, **arguments)


def spec_of(positions=False, head=None, layer="attention", **arguments):
    listed = ", ".join(f"{key} = {write(value)}" for key, value in arguments.items())
    body = ("x += sinusoidal_positions(x)\n  " if positions else "") + f"x += rms_norm(x) |> {layer}({listed})\n"
    body += f"  return rms_norm(x) |> head(vocab{f', softcap = {head}' if head else ''})"
    return FRAME.format(body=body)


def logits_of(p, tokens, positions=False, head=None, layer="attention", **arguments):
    x = p["embed.weight"][torch.from_numpy(tokens).long()]
    if positions:
        x = x + sinusoids(x.shape[1], WIDTH)
    inner = rms(x, p["rms_norm.weight"], 1e-5)
    x = x + (attention if layer == "attention" else latent_attention)(p, inner, **arguments)
    logits = rms(x, p["rms_norm_1.weight"], 1e-5) @ p["head.weight"]
    return head * torch.tanh(logits / head) if head else logits


def check(name, **case):
    case = completed(**case)
    decodes = case.get("causal", True)
    package = compile_spec(spec_of(**case), *([] if decodes else NOT_CAUSAL))
    model = Model(package)
    model.randomise(seed=4)
    p = {path: torch.from_numpy(value.copy()).requires_grad_() for path, value in model.tensors().items()}
    tokens, targets = model.tokens()
    metrics = model.train_step(tokens, targets)

    logits = logits_of(p, tokens, **case)
    loss = F.cross_entropy(logits.reshape(-1, VOCAB), torch.from_numpy(targets).long().reshape(-1))
    loss.backward()

    worst, where = abs(float(metrics["loss"][0]) - loss.item()) / loss.item(), "loss"
    for path, gradient in model.tensors("grads").items():
        theirs = p[path].grad.numpy()
        error = abs(gradient - theirs).max() / abs(theirs).max()
        if error > worst:
            worst, where = error, path
    assert (model.package.decode_context > 0) == decodes
    run = subprocess.run([os.path.join(BUILD, "bin", "package-conformance"), f"--package={package}"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]
    print(f"{'ok  ' if worst <= 1e-5 else 'FAIL'} {name}: loss {loss.item():.6f}, worst relative difference {worst:.1e} "
          f"({where})", flush=True)
    return worst <= 1e-5


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if all([check(name, **CASES[name]) for name in (sys.argv[1:] or CASES)]) else 1)
