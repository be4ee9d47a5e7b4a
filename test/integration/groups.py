#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Where no token chooses: mixtures of tokens, experts that choose, and experts that see everything, compiled, against an
independent PyTorch module: loss, losses of the router and gradients in f32, within 1e-5 of the largest entry. Then what
the groups promise: nothing of the future is seen, and threads make no difference.
"""
import sys

import numpy as np
import torch

import mixtures as common
from abi import Model, compile_spec
from mixtures import compare, gated, norm, pool, spell

BATCH, TIME = 4, 16
FRAME = """
model test(width = 16, vocab = 23) {{
  x = embed(tokens, vocab, width)
  x += rms_norm(x) |> moe(expert = swiglu(hidden = 10), {arguments})
  return rms_norm(x) |> head(vocab)
}}
train {{ batch = 4   context = 16   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}
"""
CASES = {
    "expert choice": dict(choice="expert", experts=4, top_k=2, group=4),
    "expert choice in pairs, capacity": dict(choice="expert", experts=6, top_k=2, group=2, capacity=1.5, scale=2.0),
    "expert choice, fine-grained, z": dict(choice="expert", expansion=2, granularity=2, group=4, z=0.1,
                                           mutual_information=0.2),
    "mixture": dict(choice="mixture", experts=5, group=2),
    "mixture, colder": dict(choice="mixture", experts=5, group=4, temperature=0.5),
    "mixture, learned temperature, own weights back": dict(choice="mixture", experts=5, group=4, temperature="learned",
                                                           emit="separate"),
    "mixture, a learned temperature for each expert": dict(choice="mixture", experts=5, group=2,
                                                           temperature="learned_per_expert"),
    "mixture, softmax over experts, scaled": dict(choice="mixture", experts=6, group=2, emit="softmax_experts",
                                                  scale=1.5, temperature=2.0),
    "dense": dict(choice="dense", experts=5, mutual_information=0.3, z=0.1, shared="swiglu(hidden = 12)"),
}


def spec(given):
    return FRAME.format(arguments=", ".join(f"{key} = {spell(value)}" for key, value in given.items()))


def unlike(model):
    """A batch without equal tokens at one position: a tie between them would be broken either way."""
    tokens, targets = model.tokens()
    return (tokens[:1] + 5 * np.arange(BATCH)[:, None]) % 23, targets


def members(x, group):
    """[batch * time, n] as [groups, member, time, n]."""
    return x.view(BATCH // group, group, TIME, x.shape[-1])


def scored(h, p, a):
    """Weights of experts that choose, or that take everything, and the losses."""
    logits = h @ p["moe.router.weight"]
    probs = logits.softmax(-1)
    mean = probs.mean(0)
    entropy = lambda v: -(v * (v + 1e-8).log()).sum(-1)
    losses = {"moe.z_loss": a.get("z", 0) * logits.logsumexp(-1).square().mean(),
              "moe.mutual_information_loss": a.get("mutual_information", 0) * (entropy(probs).mean() - entropy(mean))}
    weights = probs
    if a["choice"] == "expert":
        experts = logits.shape[1]
        top_k = a.get("top_k", a.get("granularity", 1))
        count = round(a.get("capacity", 1.0) * a["group"] * top_k / experts)
        seen = members(probs.detach(), a["group"])
        taken = torch.zeros_like(seen).scatter_(1, seen.topk(count, 1).indices, 1.0)
        weights = probs * taken.reshape(probs.shape)
    return weights * a.get("scale", 1.0), losses


def mixed(h, p, a):
    """What tokens get back from mixtures of their groups."""
    temperature = a.get("temperature", 1.0)
    if temperature in ("learned", "learned_per_expert"):
        temperature = (p["moe.router.temperature"] - 1).exp()
    logits = members(h @ p["moe.router.weight"] / temperature, a["group"])
    merge = emit = logits.softmax(1)
    if a.get("emit") == "separate":
        emit = members(h @ p["moe.router.emit.weight"] / temperature, a["group"]).softmax(1)
    if a.get("emit") == "softmax_experts":
        emit = logits.softmax(-1)
    x = members(h, a["group"])
    outputs = []
    for e in range(logits.shape[-1]):
        token = (merge[..., e, None] * x).sum(1, keepdim=True)
        outputs.append(emit[..., e, None] * gated(token, p, "moe.experts.", e))
    return sum(outputs).reshape(h.shape) * a.get("scale", 1.0)


def values():
    good = True
    for name, a in CASES.items():
        def build(p, x, tokens):
            h = norm(x, p["rms_norm.weight"])
            if a["choice"] == "mixture":
                return x + mixed(h, p, a), {}
            weights, losses = scored(h, p, a)
            return x + pool(h, weights, p, "moe.experts.", a), losses

        model = Model(compile_spec(spec(a)))
        assert model.package.prefill_tokens == (TIME if a["choice"] == "dense" else 0)
        good &= compare(name, model, build, unlike(model))
    return good


def future():
    """Targets before a position are predicted with the same loss whatever stands from there on, in any sequence; what
    stands before it in a neighbour of the group is seen."""
    at = 9
    for name, a in CASES.items():
        model = Model(compile_spec(spec(a)))
        model.randomise()
        tokens, targets = model.tokens()
        targets[:, at:] = -1
        loss = lambda t: model.eval_step(t, targets)[0]
        before = loss(tokens)
        later = tokens.copy()
        later[:, at:] = (later[:, at:] + 5) % 23
        assert loss(later) == before, f"{name}: the future is seen"
        # The first sequence's targets alone, and another token in the second one, at a position that counts.
        targets[1:] = -1
        alone, neighbour = loss(tokens), tokens.copy()
        neighbour[1, 3] = (neighbour[1, 3] + 5) % 23
        seen = loss(neighbour) != alone
        assert seen == (a["choice"] == "mixture") or a["choice"] == "expert", f"{name}: neighbours are seen: {seen}"
    print(f"ok   {len(CASES)} choices see nothing of the future")
    return True


def threads():
    """The same bits on one and on two threads."""
    for name, a in CASES.items():
        for precision in ("f32", "bf16"):
            model = Model(compile_spec(spec(a), f"--precision={precision}"))
            model.randomise()
            assert model.step_bits(1) == model.step_bits(2), f"{name} {precision}"
    print(f"ok   {len(CASES)} choices: the same bits on 1 and 2 threads")
    return True


def information():
    """The loss that makes tokens decided and experts even, at the numbers of arXiv 2404.05567: rows of scores that are set."""
    rows = {"two tokens": ([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], 0.849882 - 1.080528),
            "uniform": ([[0.25] * 4] * 2, 0.0),
            "one each": (np.where(np.eye(32), 1.0, 1e-30).tolist(), -3.465736)}
    for name, (scores, wanted) in rows.items():
        kinds, experts = len(scores), len(scores[0])
        text = FRAME.format(arguments=f"choice = dense, experts = {experts}, mutual_information = 1.0")
        model = Model(compile_spec(text.replace("width = 16", "width = 32").replace("vocab = 23", "vocab = 32")))
        model.randomise()
        p = model.tensors()
        # A token of kind i is the i-th axis, far longer than the eps of its norm, which makes it sqrt(width) long.
        p["embed.weight"][...] = 100 * np.eye(32)
        p["rms_norm.weight"][...] = 1
        p["moe.router.weight"][...] = 0
        p["moe.router.weight"][:kinds] = np.log(scores) / np.sqrt(32)
        model.refresh()
        tokens = (np.arange(BATCH * TIME, dtype=np.int32) % kinds).reshape(BATCH, TIME)
        found = float(model.train_step(tokens, tokens)["moe.mutual_information_loss"][0])
        assert abs(found - wanted) < 1e-5, (name, found, wanted)
    print("ok   mutual information of rows of scores that are known")
    return True


if __name__ == "__main__":
    torch.set_num_threads(1)
    common.BATCH, common.TIME = BATCH, TIME
    parts = [values, information, future, threads]
    wanted = sys.argv[1:] or [part.__name__ for part in parts]
    sys.exit(0 if all([part() for part in parts if part.__name__ in wanted]) else 1)
