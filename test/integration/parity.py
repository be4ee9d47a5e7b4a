#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled examples against independent PyTorch modules: the loss and the gradient of every parameter, in f32.

The bound is 1e-5 of the largest entry of each gradient, at small sizes where rounding has little room.
"""
import os
import sys
import types

import numpy as np
import torch

from abi import Model, SOURCE, compile_spec

sys.path.insert(0, os.path.join(SOURCE, "test", "bench", "peer"))
import models  # noqa: E402

SIZES = dict(state=24, head_dim=16, groups=2, chunk=7, width=32, depth=2, heads=4, hidden=64, experts=4, top_k=2, vocab=19, context=16, batch=2)
OPTIONS = {"gpt": ("heads", "hidden"), "moe": ("heads", "experts", "top_k"), "mamba": (), "moe_mamba": ("experts",), "mamba2": ("state", "head_dim", "groups", "chunk"),
           "moe_mamba_parallel": ("experts",)}


def to_torch(path, value):
    """Our layout to PyTorch's: matrices are transposed, taps are channels by one by taps."""
    if path.endswith("conv.weight"):
        return value.T[:, None, :]
    if value.ndim == 2 and "embed" not in path and "A_log" not in path:
        return value.T
    return value


def check(kind):
    spec = os.path.join(SOURCE, "examples", kind, f"{kind}.moire")
    common = ("width", "depth", "vocab", "context", "batch")
    model = Model(compile_spec(spec, *[f"-D{name}={SIZES[name]}" for name in common + OPTIONS[kind]]))
    model.randomise()
    ours = model.tensors()
    a = types.SimpleNamespace(**SIZES, balance=0.01, renormalize=False)
    if kind == "moe_mamba_parallel":
        a.hidden, a.top_k, a.gated = 3 * a.width, 1, False
    if kind in ("moe", "moe_mamba"):
        gate_up = next(value for path, value in ours.items() if "experts.gate_up" in path)
        a.hidden = gate_up.shape[-1] // 2
    if kind == "moe_mamba":
        a.top_k = 1
    peer = models.Model(kind, a)
    with torch.no_grad():
        for path, p in peer.named_parameters():
            p.copy_(torch.from_numpy(np.ascontiguousarray(to_torch(path, ours[path]))))
    assert {path for path, _ in peer.named_parameters()} == set(ours), "the parameters have other names"

    tokens, targets = model.tokens()
    metrics = model.train_step(tokens, targets)
    loss, extra = peer(torch.from_numpy(tokens).long(), torch.from_numpy(targets))
    (loss + extra).backward()
    worst, where = abs(float(metrics["loss"][0]) - loss.item()) / loss.item(), "loss"
    gradients = model.tensors("grads")
    for path, p in peer.named_parameters():
        mine, theirs = to_torch(path, gradients[path]), p.grad.numpy()
        error = np.abs(mine - theirs).max() / np.abs(theirs).max()
        if error > worst:
            worst, where = error, path
    ours_extra = sum(float(value[0]) for path, value in metrics.items() if path.endswith("_loss"))
    assert abs(ours_extra - extra.item()) <= 1e-5 * max(abs(extra.item()), 1), (ours_extra, extra.item())
    print(f"{kind}: loss {metrics['loss'][0]:.6f} and {loss.item():.6f}, worst relative difference {worst:.2e} ({where})")
    return worst <= 1e-5


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(0 if all([check(kind) for kind in (sys.argv[1:] or OPTIONS)]) else 1)
