#!/usr/bin/env python3
# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every way to choose experts, compiled, against an independent PyTorch module: loss, losses of the router and
gradients in f32, within 1e-5 of the largest entry. Then what is no derivative: the bias that evens out loads, and decoding.

The peer runs every expert on every token and weighs, so that it shares no sorting with what it checks.
"""
import ctypes as c
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

from abi import Adamw, Model, compile_spec, emitted, moirec

WIDTH, VOCAB, BATCH, TIME = 16, 23, 3, 16
FRAME = """
model test(width = 16, vocab = 23) {{
{lets}  x = embed(tokens, vocab, width)
{body}  return rms_norm(x) |> head(vocab)
}}
train {{ batch = 3   context = 16   steps = 1   optimizer = adamw(lr = 1e-3)   schedule = constant(warmup = 0%) }}
"""


def mixture(arguments):
    return FRAME.format(lets="", body=f"  x += rms_norm(x) |> moe({arguments})\n")


MIXTURES = {
    "softmax": dict(experts=6, top_k=2),
    "softmax renormalised, scaled": dict(experts=6, top_k=3, renormalize=True, scale=1.5, z=0.1),
    "late softmax": dict(experts=6, top_k=3, gate="topk_softmax", scale=0.5),
    "sigmoid": dict(experts=6, top_k=2, gate="sigmoid_topk", mutual_information=0.3),
    "sigmoid in groups, with bias": dict(experts=8, top_k=3, gate="sigmoid_topk", renormalize=True, scale=2.5, groups=4,
                                         top_groups=2, bias_rate=0.01, balance=0.0, sequence_balance=0.2),
    "softmax with bias": dict(experts=8, top_k=2, bias_rate=0.01, sequence_balance=0.2),
    "root of softplus": dict(experts=6, top_k=2, gate="sqrt_softplus_topk", renormalize=True, mutual_information=0.3),
    "capacity": dict(experts=4, top_k=2, capacity=0.75),
    "capacity, switch": dict(experts=4, top_k=1, capacity=1.0, gate="sigmoid_topk"),
    "null choices": dict(experts=5, top_k=3, null=3),
    "threshold": dict(experts=6, top_k=5, threshold=0.9, scale=1.5),
    "threshold, capacity": dict(experts=6, top_k=6, threshold=0.8, capacity=0.5, bias_rate=0.01),
    "hash": dict(experts=7, top_k=3, choice="hash"),
    "balanced": dict(experts=8, top_k=2, choice="balanced", renormalize=True),
    "shared": dict(experts=4, top_k=2, shared="swiglu(hidden = 12)"),
    "shared, gated": dict(experts=4, top_k=2, shared="mlp(hidden = 12, activation = gelu)", shared_gate=True),
    "biases": dict(expert="swiglu(hidden = 10, bias = true)", experts=6, top_k=3, gate="topk_softmax", logit_bias=True),
    "biases, clamped": dict(expert="swiglu(hidden = 10, bias = true, limit = 0.7, alpha = 1.702, offset = 1)", experts=6,
                            top_k=2, form=dict(limit=0.7, alpha=1.702, offset=1), logit_bias=True, bias_rate=0.01,
                            balance=0.0, gate="sigmoid_topk"),
    "biases, capacity": dict(expert="swiglu(hidden = 10, bias = true)", experts=4, top_k=2, capacity=0.75),
    "biases, null choices": dict(expert="swiglu(hidden = 10, bias = true)", experts=5, top_k=3, null=3),
    "biases, latent": dict(expert="swiglu(hidden = 10, bias = true)", experts=4, top_k=2, latent=6,
                           shared="swiglu(hidden = 12, bias = true)"),
    "latent": dict(experts=4, top_k=2, latent=6, shared="swiglu(hidden = 12)"),
}


def norm(x, weight):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


def mix32(x):
    x &= 0xFFFFFFFF
    x = (x ^ (x >> 16)) * 0x85EBCA6B & 0xFFFFFFFF
    x = (x ^ (x >> 13)) * 0xC2B2AE35 & 0xFFFFFFFF
    return x ^ (x >> 16)


def hashed(token, experts, top_k):
    chosen = []
    for j in range(top_k):
        expert = mix32(token + 0x9E3779B9 * j) % experts
        while expert in chosen:
            expert = (expert + 1) % experts
        chosen.append(expert)
    return chosen


def scores_of(logits, gate):
    if gate == "sigmoid_topk":
        return logits.sigmoid()
    if gate == "sqrt_softplus_topk":
        return F.softplus(logits).sqrt()
    return logits.softmax(-1)


def choose(logits, scores, a, bias):
    """Indices [tokens, top_k] by score and bias, group by group."""
    key = (logits if a["gate"] == "topk_softmax" else scores).detach() + bias
    groups = a.get("groups", 1)
    if groups > 1:
        parts = key.view(len(key), groups, -1)
        best = parts.topk(2, -1).values.sum(-1).topk(a["top_groups"], -1).indices
        open_groups = torch.zeros(len(key), groups, dtype=torch.bool).scatter_(1, best, True)
        key = parts.masked_fill(~open_groups[..., None], -math.inf).view(len(key), -1)
    return key.topk(a["top_k"], -1).indices


def dropped(chosen, gates, experts, limit):
    """Assignments that are above an expert's limit: the smallest gates, among equals the later ones."""
    keep = torch.ones_like(gates, dtype=torch.bool)
    for e in range(experts):
        rows = [(-gates[t, j].item(), t, j) for t, j in (chosen == e).nonzero().tolist()]
        for _, t, j in sorted(rows)[limit:]:
            keep[t, j] = False
    return keep


def route(x, p, prefix, a, tokens):
    """Dense weights [tokens, experts], and the router's losses by name."""
    choice, experts, k = a.get("choice", "token"), a["experts"], a["top_k"]
    n = len(x)
    if choice == "hash":
        chosen = torch.tensor([hashed(int(token), experts, k) for token in tokens])
        return torch.zeros(n, experts).scatter_(1, chosen, a.get("scale", 1.0) / k), {}, chosen
    logits = x @ p[prefix + "weight"] + p.get(prefix + "logit_bias", 0)
    scores = scores_of(logits, a["gate"])
    if choice == "balanced":
        chosen = torch.tensor([[(t % TIME * k + j) % experts for j in range(k)] for t in range(n)])
    else:
        chosen = choose(logits, scores, a, p.get(prefix + "bias", torch.zeros(())).detach())
    gates = scores.gather(1, chosen)
    if a["gate"] == "topk_softmax":
        gates = logits.gather(1, chosen).softmax(-1)
    if a.get("renormalize"):
        gates = gates / gates.sum(-1, keepdim=True)
    gates = gates * a.get("scale", 1.0)
    choices = logits.shape[1]
    share = F.one_hot(chosen, choices).float().sum(1)  # how often each token chose each
    probs = scores / scores.sum(-1, keepdim=True)
    losses = {}
    balance = a.get("balance", 0.01 if choice == "token" else 0.0)
    losses["balance_loss"] = balance * choices * (probs.mean(0) * share.mean(0)).sum()
    per = lambda v: v.view(BATCH, TIME, -1).mean(1)
    sequence = a.get("sequence_balance", 0) * choices / k
    losses["sequence_balance_loss"] = sequence * (per(probs) * per(share)).sum(-1).mean()
    losses["z_loss"] = a.get("z", 0) * logits.logsumexp(-1).square().mean()
    mean = probs.mean(0)
    entropy = lambda v: -(v * (v + 1e-8).log()).sum(-1)
    losses["mutual_information_loss"] = a.get("mutual_information", 0) * (entropy(probs).mean() - entropy(mean))
    rowless = chosen
    if "threshold" in a:
        keep = gates * experts > a["threshold"] * a.get("scale", 1.0)
        assert not keep.all() and keep.any(), "nothing is at the threshold: the test is too easy"
        gates, rowless = gates * keep, chosen.masked_fill(~keep, -1)
    if "capacity" in a:
        keep = dropped(rowless, gates.detach(), experts, int(a["capacity"] * n * k / experts))
        assert not keep.all(), "nothing was dropped: the test is too easy"
        gates = gates * keep
    if "threshold" in a:
        losses["active"] = (gates.detach() > 0).float().sum(1).mean()
    weights = torch.zeros(n, choices).scatter(1, chosen, gates)
    return weights[:, :experts], losses, chosen


def gated(x, p, prefix, expert=None, limit=None, alpha=1.0, offset=0.0):
    """A gated layer, or one of a stack of them."""
    of = lambda name: p[prefix + name] if expert is None else p[prefix + name][expert]
    add = lambda name: of(name) if prefix + name in p else 0
    gate, up = (x @ of("gate_up.weight") + add("gate_up.bias")).chunk(2, -1)
    if limit is not None:
        gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    return ((up + offset) * gate * torch.sigmoid(alpha * gate)) @ of("down.weight") + add("down.bias")


def pool(x, weights, p, prefix, a):
    inner = x @ p[prefix + "latent.down.weight"] if a.get("latent") else x
    y = sum(weights[:, e, None] * gated(inner, p, prefix, e, **a.get("form", {})) for e in range(weights.shape[1]))
    if a.get("latent"):
        y = y @ p[prefix + "latent.up.weight"]
    if prefix + "shared.gate_up.weight" in p:
        y = y + gated(x, p, prefix + "shared.")
    elif prefix + "shared.up.weight" in p:
        open_ = (x @ p[prefix + "shared_gate.weight"]).sigmoid()
        y = y + open_ * (F.gelu(x @ p[prefix + "shared.up.weight"]) @ p[prefix + "shared.down.weight"])
    return y


def compare(name, model, build, batch=None):
    """Runs a training step both ways; `build(parameters, x, tokens)` gives the stream and the losses of routers."""
    model.randomise()
    p = {path: torch.tensor(value, requires_grad=True) for path, value in model.tensors().items()}
    tokens, targets = batch or model.tokens()
    metrics = model.train_step(tokens, targets)
    flat = torch.from_numpy(tokens).long().flatten()
    x, losses = build(p, p["embed.weight"][flat], flat)
    logits = norm(x, p[LAST + ".weight"]) @ p["head.weight"]
    loss = F.cross_entropy(logits, torch.from_numpy(targets).long().flatten())
    (loss + sum(value for path, value in losses.items() if path.endswith("_loss"))).backward()
    worst, where = abs(float(metrics["loss"][0]) - loss.item()) / loss.item(), "loss"
    active = {path: losses.pop(path).item() for path in list(losses) if path.endswith("active")}
    reached = {path: float(value.sum()) for path, value in metrics.items() if path.endswith("active")}
    assert active.keys() == reached.keys() and all(abs(active[path] - reached[path]) < 1e-5 for path in active), reached
    for path, value in metrics.items():
        if path.endswith("_loss"):
            error = abs(float(value.sum()) - losses[path].item()) / max(abs(losses[path].item()), 1e-3)
            worst, where = max((worst, where), (error, path))
    reported = {path for path in metrics if path.endswith("_loss")}
    assert reported == {path for path, value in losses.items() if value.item() != 0}, (reported, losses)
    gradients = model.tensors("grads")
    for path, parameter in p.items():
        if path.endswith("router.bias"):
            continue  # no derivative: see `bias`
        error = np.abs(gradients[path] - parameter.grad.numpy()).max() / parameter.grad.abs().max().item()
        worst, where = max((worst, where), (float(error), path))
    print(f"{'ok  ' if worst <= 1e-5 else 'FAIL'} {name}: worst relative difference {worst:.2e} ({where})", flush=True)
    return worst <= 1e-5


LAST = "rms_norm_1"


def spell(value):
    return {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value


def arguments(given):
    """The arguments of a `moe`; `form` tells the peer what the expert's text says."""
    given = {"expert": "swiglu(hidden = 10)", **given}
    return ", ".join(f"{key} = {spell(value)}" for key, value in given.items() if key != "form")


def mixtures():
    good = True
    for name, given in MIXTURES.items():
        text = arguments(given)
        a = {"gate": "softmax_topk", **given}

        def build(p, x, tokens):
            h = norm(x, p["rms_norm.weight"])
            weights, losses, _ = route(h, p, "moe.router.", a, tokens)
            return x + pool(h, weights, p, "moe.experts.", a), {f"moe.{key}": value for key, value in losses.items()}

        good &= compare(name, Model(compile_spec(mixture(text))), build)
    return good


POOL = FRAME.format(lets="  let pool = experts(expert = swiglu(hidden = 10))\n", body="""  prev = x
  repeat 3 {
    h = rms_norm(x)
    r = route(prev, experts = 6, top_k = 2, gate = sigmoid_topk)
    x += pool(h, r)
    prev = h
  }
""")


def shared_pool():
    """A pool for three layers whose routers read the layer before."""
    a = dict(experts=6, top_k=2, gate="sigmoid_topk")

    def build(p, x, tokens):
        previous, losses = x, {}
        for i in range(3):
            h = norm(x, p[f"layers.{i}.rms_norm.weight"])
            weights, found, _ = route(previous, p, f"layers.{i}.route.", a, tokens)
            losses.update({f"layers.{i}.route.{key}": value for key, value in found.items()})
            x, previous = x + pool(h, weights, p, "pool.", a), h
        return x, losses

    global LAST
    LAST = "rms_norm"
    good = compare("a pool of three layers, routed before", Model(compile_spec(POOL)), build)
    LAST = "rms_norm_1"
    return good


def tied():
    """The gradient of a pool is the sum of those of copies with equal values (arXiv 2507.17728)."""
    untied = POOL.replace("  let pool = experts(expert = swiglu(hidden = 10))\n", "").replace(
        "pool(h, r)", "experts(h, r, expert = swiglu(hidden = 10))")
    one, copies = Model(compile_spec(POOL)), Model(compile_spec(untied))
    one.randomise()
    shared = one.tensors()
    of_pool = lambda path: "pool" + path[path.index(".experts.") + len(".experts"):] if ".experts." in path else path
    for path, value in copies.tensors().items():
        value[...] = shared[of_pool(path)]
    copies.refresh()
    one.train_step(*one.tokens())
    copies.train_step(*copies.tokens())
    sums = {}
    for path, gradient in copies.tensors("grads").items():
        sums[of_pool(path)] = sums.get(of_pool(path), 0) + gradient
    for path, gradient in one.tensors("grads").items():
        np.testing.assert_allclose(gradient, sums[path], atol=1e-6 * np.abs(gradient).max(), err_msg=path)
    print("ok   the gradient of a pool is the sum over its uses")
    return True


def single():
    """A mixture of one expert is that expert: the gate is 1, and an even share holds every token (arXiv 2401.04081)."""
    one = Model(compile_spec(mixture("expert = swiglu(hidden = 10), experts = 1, top_k = 1, capacity = 1.0")))
    plain = Model(compile_spec(FRAME.format(lets="", body="  x += rms_norm(x) |> swiglu(hidden = 10)\n")))
    one.randomise()
    shared = one.tensors()
    for path, value in plain.tensors().items():
        value[...] = shared[path.replace("swiglu.", "moe.experts.")].reshape(value.shape)
    plain.refresh()
    losses = [float(model.train_step(*model.tokens())["loss"][0]) for model in (one, plain)]
    assert abs(losses[0] - losses[1]) <= 1e-6 * losses[1], losses
    for path, gradient in plain.tensors("grads").items():
        same = one.tensors("grads")[path.replace("swiglu.", "moe.experts.")].reshape(gradient.shape)
        np.testing.assert_allclose(same, gradient, atol=1e-6 * np.abs(gradient).max(), err_msg=path)
    print("ok   a mixture of one expert is that expert")
    return True


def limits():
    """Rows that an expert takes: tokens * top_k * capacity / experts, rounded down (as llm-random's routers do)."""
    for tokens, experts, capacity, wanted in ((1024, 8, 1.0, 128), (1000, 8, 1.25, 156), (65536, 42, 1.0, 1560)):
        text = mixture(f"expert = mlp(hidden = 8), experts = {experts}, top_k = 1, capacity = {capacity}")
        spec = text.replace("batch = 3   context = 16", f"batch = {tokens // 8}   context = 8")
        assert f"moire.dispatch %chosen gates %weights capacity {wanted} :" in emitted(spec, "tensor"), (tokens, experts, capacity, wanted)
    print("ok   capacities are rounded down")
    return True


def sizes():
    """Every way to give the sizes of a mixture makes the same parameters and costs the same."""
    bills = [moirec(mixture(arguments), "spec", "-", "--cost=json") for arguments in (
        "expert = swiglu(hidden = 8), experts = 8, top_k = 2", "expert = swiglu(hidden = 16), expansion = 4, granularity = 2",
        "expert = swiglu(), experts = 8, top_k = 2, active = 768", "expert = swiglu(), experts = 8, top_k = 2, total = 3072",
        "expert = swiglu(), top_k = 2, total = 3072, active = 768", "expert = swiglu(hidden = 8), total = 3072, active = 768",
        "expert = swiglu(), granularity = 2, total = 3072, active = 768",
        "expert = swiglu(), expansion = 4, granularity = 2, active = 768")]
    assert all(bill == bills[0] for bill in bills) and '"expert":3072' in bills[0], bills
    print(f"ok   {len(bills)} ways to give the sizes of one mixture")
    return True


def bias():
    """The bias moves by its rate against the sign of the excess load; nothing else moves it, and it moves no norm."""
    given = dict(experts=6, top_k=2, bias_rate=0.125, gate="sigmoid_topk")
    text = "expert = swiglu(hidden = 10), " + ", ".join(f"{key} = {value}" for key, value in given.items())
    model = Model(compile_spec(mixture(text)))
    model.randomise()
    before = model.tensors()["moe.router.bias"].copy()
    metrics = model.train_step(*model.tokens())
    load = metrics["moe.load"]
    gradients = model.tensors("grads")
    np.testing.assert_allclose(gradients["moe.router.bias"], load - 1 / 6, atol=1e-6)
    wanted = math.sqrt(sum(float(np.square(g.astype(np.float64)).sum()) for path, g in gradients.items()
                           if path != "moe.router.bias"))
    found = c.c_double()
    adamw = Adamw(lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, clip=1e-6, grad_scale=1, step=1)
    assert model.package.optimizer_step(model.buffers, c.byref(adamw), c.byref(found)) == 0
    assert abs(found.value - wanted) <= 1e-6 * wanted, (found.value, wanted)
    moved = model.tensors()["moe.router.bias"] - before
    np.testing.assert_allclose(moved, -0.125 * np.sign(load - np.float32(1 / 6)), atol=1e-6)
    print("ok   the bias follows the sign of the excess load")
    return True


def balancing():
    """The bias evens out loads in a run that has no balance loss; without it they stay uneven."""
    spread = {}
    for rate in (0.0, 0.005):
        text = f"expert = swiglu(hidden = 10), experts = 6, top_k = 2, gate = sigmoid_topk, balance = 0, bias_rate = {rate}"
        model = Model(compile_spec(mixture(text)))
        model.randomise()
        norm_, load = c.c_double(), np.zeros(6)
        for step in range(1, 301):
            now = model.train_step(*model.tokens(seed=step))["moe.load"]
            load += now if step > 200 else 0  # a batch is small: the mean of the last hundred
            adamw = Adamw(lr=1e-4, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0, clip=1, grad_scale=1, step=step)
            assert model.package.optimizer_step(model.buffers, c.byref(adamw), c.byref(norm_)) == 0
        spread[rate] = float(load.max() / load.mean())
    print(f"ok   the busiest of 6 experts has {spread[0.0]:.2f} of the mean load, {spread[0.005]:.2f} with a bias")
    assert spread[0.005] < 1.05 < 1.2 < spread[0.0], spread
    return True


def decoding():
    """Logits of the last token, one at a time and all at once, of every choice; a capacity does not count."""
    good = True
    for name in ("sigmoid in groups, with bias", "capacity", "threshold", "null choices", "hash", "balanced", "latent", "biases, clamped",
                 "biases, null choices"):
        text = arguments(MIXTURES[name])
        model = Model(compile_spec(mixture(text)))
        model.randomise()
        tokens = model.tokens()[0][0]
        whole, single = (np.zeros(VOCAB, np.float32) for _ in range(2))
        p = model.package
        assert p.prefill_tokens == TIME
        call = lambda f, t, at, out: f(model.buffers, np.ascontiguousarray(t).ctypes.data, at, out.ctypes.data)
        assert call(p.prefill, tokens, 0, whole) == 0
        model.arrays["state"][...] = 0
        for at in range(TIME):
            assert call(p.decode, tokens[at:at + 1], at, single) == 0
        error = np.abs(whole - single).max() / np.abs(whole).max()
        good &= bool(error <= 1e-5)
        print(f"{'ok  ' if error <= 1e-5 else 'FAIL'} {name}: decoding and prefill differ by {error:.1e}", flush=True)
    return good


def narrow():
    """bf16 beside f32 from the same first values: the router stays in f32, so that the losses stay close."""
    good = True
    for name, given in MIXTURES.items():
        text = arguments(given)
        losses = []
        for precision in ("f32", "bf16"):
            model = Model(compile_spec(mixture(text), f"--precision={precision}"))
            model.randomise()
            losses.append(float(model.train_step(*model.tokens())["loss"][0]))
            good &= all(np.isfinite(value).all() for value in model.tensors("grads").values())
        error = abs(losses[1] - losses[0]) / losses[0]
        good &= error <= 0.02
        print(f"{'ok  ' if error <= 0.02 else 'FAIL'} {name}: bf16 changes the loss by {error:.1e}", flush=True)
    return good


def threads():
    """The same bits on one and on two threads."""
    for name, given in MIXTURES.items():
        model = Model(compile_spec(mixture(arguments(given))))
        model.randomise()
        assert model.step_bits(1) == model.step_bits(2), name
    print(f"ok   {len(MIXTURES)} mixtures: the same bits on 1 and 2 threads")
    return True


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = [mixtures, shared_pool, tied, single, limits, sizes, bias, balancing, decoding, narrow, threads]
    wanted = sys.argv[1:] or [part.__name__ for part in parts]
    sys.exit(0 if all([part() for part in parts if part.__name__ in wanted]) else 1)
