# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The example models in PyTorch: what a user would write and run instead, as fast as plain PyTorch allows on a CPU.

Modules are named after the paths of the compiled model's parameters, so that one set of first values serves both
(see `load_checkpoint`). Attention uses the fused kernel of PyTorch, experts run on tokens sorted by expert, the scan
keeps time as its outermost dimension so that every step reads and writes contiguous memory.
"""
import json
import math
import struct

import torch
import torch.nn as nn
import torch.nn.functional as F


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        if hasattr(F, "rms_norm"):
            return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), 1e-5)
        y = x.float()
        return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * self.weight


class Attention(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.heads, dim = a.heads, a.width // a.heads
        self.qkv = nn.Linear(a.width, 3 * a.width, bias=False)
        self.out = nn.Linear(a.width, a.width, bias=False)
        angle = torch.arange(a.context)[:, None] * 10000.0 ** (-torch.arange(0, dim, 2) / dim)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = self.rotate(q), self.rotate(k)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            future = torch.ones(time, time, dtype=torch.bool).triu(1)
            scores = (q @ k.transpose(-1, -2)).float() / math.sqrt(q.shape[-1])
            y = scores.masked_fill(future, -math.inf).softmax(-1).to(v.dtype) @ v
        return self.out(y.transpose(1, 2).reshape(batch, time, width))

    def rotate(self, x):
        a, b = x.float().chunk(2, -1)
        cos, sin = self.cos[:x.shape[-2]], self.sin[:x.shape[-2]]
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class SwiGLU(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.gate_up = nn.Linear(a.width, 2 * a.hidden, bias=False)
        self.down = nn.Linear(a.hidden, a.width, bias=False)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class Experts(nn.Module):
    """The matrices of all experts; `gate_up.weight` (or, without gates, `up.weight`) and `down.weight` are stacked."""

    def __init__(self, a):
        super().__init__()
        self.gated, self.down = getattr(a, "gated", True), nn.Module()
        first = nn.Module()
        first.weight = nn.Parameter(torch.empty(a.experts, a.width, (2 if self.gated else 1) * a.hidden))
        setattr(self, "gate_up" if self.gated else "up", first)
        self.down.weight = nn.Parameter(torch.empty(a.experts, a.hidden, a.width))

    def forward(self, expert, x):
        if self.gated:
            gate, up = (x @ self.gate_up.weight[expert]).chunk(2, -1)
            return (F.silu(gate) * up) @ self.down.weight[expert]
        return F.relu(x @ self.up.weight[expert]) @ self.down.weight[expert]


class MoE(nn.Module):
    """Token choice without dropping: softmax, then top-k; `renormalize` divides the chosen gates by their sum."""

    def __init__(self, a):
        super().__init__()
        self.count, self.top_k, self.coefficient, self.renormalize = a.experts, a.top_k, a.balance, a.renormalize
        self.router = nn.Linear(a.width, a.experts, bias=False)
        self.experts = Experts(a)

    def forward(self, x):
        shape = x.shape
        x = x.reshape(-1, shape[-1])
        with torch.autocast("cpu", enabled=False):
            probs = F.linear(x.float(), self.router.weight).softmax(-1)
        gates, chosen = probs.topk(self.top_k, -1)
        if self.renormalize:
            gates = gates / gates.sum(-1, keepdim=True)
        order = chosen.flatten().argsort(stable=True)
        tokens = order // self.top_k
        counts = chosen.flatten().bincount(minlength=self.count)
        outputs = []
        kind = torch.bfloat16 if torch.is_autocast_cpu_enabled() else x.dtype
        # One split rather than a slice per expert: the reverse of a slice fills all rows.
        for expert, rows in enumerate(x.to(kind)[tokens].split(counts.tolist())):
            outputs.append(self.experts(expert, rows))
        y = torch.cat(outputs) * gates.flatten()[order, None].to(kind)
        share = counts.float() / x.shape[0]
        self.balance = self.coefficient * self.count * (share * probs.mean(0)).sum()
        return torch.zeros_like(x).index_add_(0, tokens, y.to(x.dtype)).view(shape)


class Mamba(nn.Module):
    def __init__(self, a):
        super().__init__()
        inner, self.rank, self.state = 2 * a.width, math.ceil(a.width / 16), 16
        self.in_proj = nn.Linear(a.width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, 4, groups=inner, padding=3)
        self.x_proj = nn.Linear(inner, self.rank + 2 * self.state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, self.state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, a.width, bias=False)

    def forward(self, x):
        time = x.shape[1]
        u, gate = self.in_proj(x).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., :time].transpose(1, 2))
        low, b, c = self.x_proj(u).split((self.rank, self.state, self.state), -1)
        dt = F.softplus(self.dt_proj(low).float())
        y = self.scan(u.float(), dt, b.float(), c.float()).to(x.dtype)
        return self.out_proj(y * F.silu(gate))

    def scan(self, u, dt, b, c):
        """h_t = exp(dt A) h_{t-1} + dt B u; y = C h + D u, one step after another."""
        first = lambda v: v.transpose(0, 1)  # time outermost
        decay = torch.exp(first(dt)[..., None] * -self.A_log.exp())
        drive = first(dt * u)[..., None] * first(b)[:, :, None, :]
        h, states = torch.zeros_like(drive[0]), []
        for step_decay, step_drive in zip(decay.unbind(0), drive.unbind(0)):
            h = torch.addcmul(step_drive, step_decay, h)
            states.append(h)
        y = torch.einsum("tbdn,tbn->tbd", torch.stack(states), first(c))
        return first(y) + u * self.D


class Mamba2(nn.Module):
    """Mamba-2 with its scan written as attention with decays: all pairs of positions at once."""

    def __init__(self, a):
        super().__init__()
        self.inner, self.state, self.groups, self.dim = 2 * a.width, a.state, a.groups, a.head_dim
        self.heads, mixed = self.inner // a.head_dim, self.inner + 2 * a.groups * a.state
        self.in_proj = nn.Linear(a.width, self.inner + mixed + self.heads, bias=False)
        self.conv = nn.Conv1d(mixed, mixed, 4, groups=mixed, padding=3)
        self.dt_bias = nn.Parameter(torch.full((self.heads,), -4.0))
        self.A_log = nn.Parameter(torch.linspace(1, 16, self.heads).log())
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = nn.Module()
        self.norm.weight = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, a.width, bias=False)

    def forward(self, u):
        batch, time, _ = u.shape
        each = self.groups * self.state
        z, mixed, dt = self.in_proj(u).split((self.inner, self.inner + 2 * each, self.heads), -1)
        mixed = F.silu(self.conv(mixed.transpose(1, 2))[..., :time].transpose(1, 2))
        x, b, c = mixed.float().split((self.inner, each, each), -1)
        x = x.view(batch, time, self.heads, self.dim)
        b, c = (v.view(batch, time, self.groups, self.state).repeat_interleave(self.heads // self.groups, 2)
                for v in (b, c))
        dt = F.softplus(dt.float() + self.dt_bias)
        sums = (dt * -self.A_log.exp()).cumsum(1).transpose(1, 2)  # batch, heads, time
        past = torch.ones(time, time, dtype=torch.bool).tril()
        decay = (sums[..., :, None] - sums[..., None, :]).masked_fill(~past, -math.inf).exp()
        scores = torch.einsum("bthn,bshn->bhts", c, b) * decay * dt.transpose(1, 2)[:, :, None, :]
        y = torch.einsum("bhts,bshp->bthp", scores, x) + x * self.D[:, None]
        y = y.reshape(batch, time, self.groups, -1) * F.silu(z.float()).view(batch, time, self.groups, -1)
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-5)
        return self.out_proj(y.reshape(batch, time, self.inner).to(u.dtype) * self.norm.weight)


class Layer(nn.Module):
    """One iteration of the model's loop: named residual branches behind norms."""

    def __init__(self, branches):
        super().__init__()
        self.names = list(branches)
        for index, (name, branch) in enumerate(branches.items()):
            setattr(self, "rms_norm" + (f"_{index}" if index else ""), RMSNorm(branch.width))
            setattr(self, name, branch)

    def forward(self, x):
        for index, name in enumerate(self.names):
            x = x + getattr(self, name)(getattr(self, "rms_norm" + (f"_{index}" if index else ""))(x))
        return x


class SideBySide(nn.Module):
    """One iteration whose branches share a norm."""

    def __init__(self, branches):
        super().__init__()
        self.names = list(branches)
        for name, branch in branches.items():
            setattr(self, name, branch)
        self.rms_norm = RMSNorm(branch.width)

    def forward(self, x):
        n = self.rms_norm(x)
        return x + sum(getattr(self, name)(n) for name in self.names)


class Model(nn.Module):
    """`kind` is gpt, moe, mamba, moe_mamba, mamba2 or moe_mamba_parallel; sizes are attributes of `a`."""

    def __init__(self, kind, a):
        super().__init__()
        make = {"attention": Attention, "swiglu": SwiGLU, "moe": MoE, "mamba": Mamba, "mamba2": Mamba2}
        names = {"gpt": ("attention", "swiglu"), "moe": ("attention", "moe"), "mamba": ("mamba",),
                 "moe_mamba": ("mamba", "moe"), "mamba2": ("mamba2",), "moe_mamba_parallel": ("mamba", "moe")}[kind]
        self.tied = kind == "mamba2"
        if self.tied:
            self.embedding = nn.Embedding(a.vocab, a.width)
        else:
            self.embed = nn.Embedding(a.vocab, a.width)
        self.layers = nn.ModuleList()
        for _ in range(a.depth):
            branches = {name: make[name](a) for name in names}
            for branch in branches.values():
                branch.width = a.width
            self.layers.append((SideBySide if kind == "moe_mamba_parallel" else Layer)(branches))
        self.rms_norm = RMSNorm(a.width)
        if not self.tied:
            self.head = nn.Linear(a.width, a.vocab, bias=False)
        for name, p in self.named_parameters():
            if p.dim() >= 2 and not any(part in name for part in ("A_log", "conv", "dt_proj")):
                nn.init.normal_(p, std=0.02 if "embed" in name else math.sqrt(0.1 / p.shape[-1]))

    def logits(self, tokens):
        x = (self.embedding if self.tied else self.embed)(tokens)
        for layer in self.layers:
            x = layer(x)
        x = self.rms_norm(x)
        return (F.linear(x, self.embedding.weight) if self.tied else self.head(x)).float()

    def forward(self, tokens, targets):
        """The cross-entropy and the balance losses, apart."""
        logits = self.logits(tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten().long())
        extra = [m.balance for m in self.modules() if isinstance(m, MoE)]
        return loss, sum(extra) if extra else loss.new_zeros(())


def read_safetensors(path):
    """A dictionary of float32 tensors."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32", (name, entry["dtype"])
            begin, end = entry["data_offsets"]
            tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).view(entry["shape"])
    return tensors


def load_checkpoint(model, path):
    """Copies a checkpoint's model.safetensors into `model`; every tensor of either side must find its partner.

    The compiled model keeps matrices as [in, out] and taps as [taps, channels]; PyTorch the other way round.
    """
    tensors = read_safetensors(path)
    with torch.no_grad():
        for name, p in model.named_parameters():
            value = tensors.pop(name)
            if name.endswith("conv.weight"):
                value = value.t()[:, None, :]
            elif p.dim() == 2 and "embed" not in name and "A_log" not in name:
                value = value.t()
            assert value.shape == p.shape, (name, tuple(value.shape), tuple(p.shape))
            p.copy_(value)
    assert not tensors, f"left over: {sorted(tensors)}"
