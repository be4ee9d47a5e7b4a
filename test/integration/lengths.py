#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Streams of other lengths, and norms and multipliers on any edge, compiled, against PyTorch in f32; what is refused.

Convolutions are PyTorch's own, positions are stacked by its views: nothing is shared with what is compiled.
"""
import sys

import torch
import torch.nn.functional as F

from abi import Model, compile_spec

FRAME = """
model test(width = 16, vocab = 23) {{
{lets}  x = embed(tokens, vocab, width)
{body}
}}
train {{ batch = 2   context = 12   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant }}
"""
HEAD = "  return rms_norm(x) |> head(vocab)"
BOTH = ["--skip-proofs=causality"]


def rms(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def conv(x, p, path, kernel, stride=1, causal=True):
    """PyTorch's convolution; ours has the taps one below the other in one matrix."""
    weight = p[path + ".weight"].reshape(kernel, x.shape[2], -1).permute(2, 1, 0)
    before = kernel - 1 if causal else (kernel - 1) // 2
    x = F.pad(x.transpose(1, 2), (before, kernel - 1 - before))
    return F.conv1d(x, weight, p.get(path + ".bias"), stride).transpose(1, 2)[:, :, :]


def later(x, by):
    return F.pad(x, (0, 0, by, 0))[:, :x.shape[1]]


def stack(x, k):
    return x.reshape(x.shape[0], x.shape[1] // k, -1)


def unstack(x, k):
    return x.reshape(x.shape[0], x.shape[1] * k, -1)


def gated(x, p, path):
    gate, up = (x @ p[path + ".gate_up.weight"]).chunk(2, -1)
    return (F.silu(gate) * up) @ p[path + ".down.weight"]


def hourglass(p, x):
    y = stack(later(x, 3), 4)
    y = y + gated(rms(y, p["rms_norm.weight"]), p, "swiglu")
    return x + unstack(y, 4), "rms_norm_1"


def stem(p, x):
    y = F.gelu(conv(x, p, "conv1d", 3, causal=False))
    y = F.gelu(conv(y, p, "conv1d_1", 3, stride=2, causal=False))
    return x + unstack(stack(y, 3) @ p["linear.weight"], 6), "rms_norm"


def placements(p, x):
    x = rms(x + 0.5 * gated(x, p, "swiglu"), p["rms_norm.weight"])
    x = x + rms(gated(rms(x, p["rms_norm_1.weight"]), p, "swiglu_1"), p["rms_norm_2.weight"])
    h = rms(x, p["rms_norm_3.weight"])
    return x + 0.22 * (gated(h, p, "swiglu_2") + F.gelu(h @ p["mlp.up.weight"]) @ p["mlp.down.weight"]), "rms_norm_4"


def beside(p, x):
    y = torch.cat([rms(x, p["rms_norm.weight"]), gated(x, p, "swiglu")], -1)
    q, k, v = (part.unflatten(-1, (4, 8)).transpose(1, 2) for part in (y @ p["attention.qkv.weight"]).chunk(3, -1))
    scores = (q @ k.transpose(-1, -2) / 8**0.5).masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1).bool(), -torch.inf)
    seen = (scores.softmax(-1) @ v).transpose(1, 2).flatten(-2)
    return x + seen @ p["attention.out.weight"], "rms_norm_1"


CASES = {
    "two streams side by side, attention to another width": (
        "  y = concat(rms_norm(x), swiglu(x, hidden = 8))\n  x += attention(y, heads = 4, width = 16)\n", beside, []),
    "hourglass": ("  y = shift(x, by = 3) |> stack(factor = 4)\n  y += rms_norm(y) |> swiglu(hidden = 10)\n"
                  "  x += unstack(y, factor = 4)\n", hourglass, []),
    "stem of an encoder": ("  y = conv1d(x, width = 10, kernel = 3, causal = false) |> gelu |> conv1d(width = 12, kernel = 3, "
                           "stride = 2, causal = false) |> gelu |> stack(factor = 3) |> linear(width = 96)\n"
                           "  x += unstack(y, factor = 6)\n", stem, BOTH),
    "causal convolutions": ("  x += conv1d(x, width, kernel = 4, bias = false) |> conv1d(width = 48, kernel = 5, stride = 3) |> "
                            "unstack(factor = 3)\n",
                            lambda p, x: (x + unstack(conv(conv(x, p, "conv1d", 4), p, "conv1d_1", 5, stride=3), 3),
                                          "rms_norm"), []),
    "norms on all sides, multipliers": ("  x = rms_norm(x + 0.5 * swiglu(x, hidden = 8))\n"
                                        "  x += rms_norm(x) |> swiglu(hidden = 8) |> rms_norm\n  h = rms_norm(x)\n"
                                        "  x += 0.22 * (swiglu(h, hidden = 8) + mlp(h, hidden = 8))\n", placements, []),
}
REFUSED = {
    "an hourglass without a shift": (
        "  y = stack(x, factor = 4)\n  x += unstack(y, factor = 4)\n" + HEAD,
        [":4:7: error:", "lets a position see later ones: a position of its result is 4 of its operand; a stream that "
         "comes 3 positions later", "note: from there it comes through here", ":5:"], []),
}


def compare(name, body, build, options):
    model = Model(compile_spec(FRAME.format(lets="", body=body + HEAD), *options))
    model.randomise(seed=2)
    p = {path: torch.from_numpy(value.copy()).requires_grad_() for path, value in model.tensors().items()}
    tokens, targets = model.tokens()
    metrics = model.train_step(tokens, targets)
    x, last = build(p, p["embed.weight"][torch.from_numpy(tokens).long()])
    logits = rms(x, p[last + ".weight"]) @ p["head.weight"]
    loss = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).long().flatten())
    loss.backward()
    worst, where = abs(float(metrics["loss"][0]) - loss.item()) / loss.item(), "loss"
    for path, gradient in model.tensors("grads").items():
        theirs = p[path].grad.numpy()
        error = float(abs(gradient - theirs).max() / abs(theirs).max())
        worst, where = max((worst, where), (error, path))
    same = model.step_bits(1) == model.step_bits(2)
    good = worst <= 1e-5 and same
    print(f"{'ok  ' if good else 'FAIL'} {name}: worst relative difference {worst:.1e} ({where}), threads "
          f"{'agree' if same else 'DIFFER'}", flush=True)
    return good


def refused(name, body, texts, options):
    try:
        compile_spec(FRAME.format(lets="", body=body), *options)
        errors = ""
    except RuntimeError as error:
        errors = str(error)
    good = bool(errors) and all(text in errors for text in texts)
    print(f"{'ok  ' if good else 'FAIL'} {name} is refused" + ("" if good else f":\n{errors}"), flush=True)
    return good


if __name__ == "__main__":
    torch.set_num_threads(1)
    good = [compare(name, *case) for name, case in CASES.items()] + [refused(name, *case) for name, case in REFUSED.items()]
    sys.exit(0 if all(good) else 1)
