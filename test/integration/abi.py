# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""runtime/abi.h in ctypes: compiles a spec, loads the package, calls its entry points on numpy arrays."""
import ctypes as c
import os
import subprocess
import tempfile

import numpy as np

BUILD = os.environ["MOIRE_BUILD"]
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STATE_POINTERS = ("params", "grads", "moment1", "moment2", "compute", "arena", "state")


class Parameter(c.Structure):
    _fields_ = [("name", c.c_char_p), ("role", c.c_char_p), ("paths", c.POINTER(c.c_char_p)), ("instances", c.c_int64),
                ("rank", c.c_int32), ("shape", c.POINTER(c.c_int64)), ("offset", c.c_int64),
                ("compute_offset", c.c_int64), ("init", c.c_int32), ("init_a", c.c_double), ("init_b", c.c_double),
                ("lr_factor", c.c_double), ("decay_factor", c.c_double),
                ("sign_rate", c.c_double), ("rate_start", c.c_double), ("rate_end", c.c_double),
                ("multiplier", c.c_double)]


class Metric(c.Structure):
    _fields_ = [("path", c.c_char_p), ("kind", c.c_char_p), ("offset", c.c_int64), ("count", c.c_int64)]


class Buffers(c.Structure):
    _fields_ = [(name, c.c_void_p) for name in STATE_POINTERS]


class Adamw(c.Structure):
    _fields_ = [(name, c.c_double) for name in ("lr", "beta1", "beta2", "eps", "weight_decay", "clip", "grad_scale",
                                              "lr_end")
                ] + [("step", c.c_int64)]


class Package(c.Structure):
    _fields_ = [("abi_version", c.c_uint32), ("struct_bytes", c.c_uint32)] + [
        (name, c.c_char_p) for name in ("model", "compiler", "spec", "spec_hash", "target", "features", "train_json",
                                        "cost_json")] + [("precision", c.c_int32), ("reserved", c.c_int32)] + [
        (name, c.c_int64) for name in ("batch", "context", "vocab", "decode_context", "prefill_tokens",
                                       "parameter_elements", "trained_elements", "compute_elements", "arena_bytes",
                                       "state_bytes", "metric_floats", "parameter_count")] + [
        ("parameters", c.POINTER(Parameter)), ("metric_count", c.c_int64), ("metrics", c.POINTER(Metric)),
        ("train_step", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers), c.c_void_p, c.c_void_p, c.c_double, c.c_void_p)),
        ("accumulate", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers), c.c_void_p)),
        ("optimizer_step", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers), c.POINTER(Adamw), c.POINTER(c.c_double))),
        ("refresh", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers))),
        ("eval_step", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers), c.c_void_p, c.c_void_p, c.POINTER(c.c_double),
                                  c.POINTER(c.c_int64))),
        ("prefill", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers), c.c_void_p, c.c_int64, c.c_void_p)),
        ("decode", c.CFUNCTYPE(c.c_int32, c.POINTER(Buffers), c.c_void_p, c.c_int64, c.c_void_p))]


FOLDER = tempfile.TemporaryDirectory(prefix="moire-test-")  # removed when the test ends


def moirec(spec, emit, out, *options):
    """What the compiler prints of `spec`, a path or the text of a spec; RuntimeError with what it says where it fails."""
    if "\n" in spec:
        with tempfile.NamedTemporaryFile("w", suffix=".moire", dir=FOLDER.name, delete=False) as file:
            file.write(spec)
        spec = file.name
    run = subprocess.run([os.path.join(BUILD, "bin", "moirec"), spec, f"--emit={emit}", "-o", out, *options],
                         capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    return run.stdout


def compile_spec(spec, *options):
    """Path of the package of `spec`."""
    out = os.path.join(tempfile.mkdtemp(dir=FOLDER.name), "package.so")
    moirec(spec, "package", out, *options)
    return out


def emitted(spec, level, *options):
    """The text of a level of `spec`."""
    return moirec(spec, level, "-", *options)


def aligned(count, dtype):
    """A zeroed array that begins on a 64-byte boundary."""
    size = int(count) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip:skip + size].view(dtype)


class Model:
    """A loaded package with memory of its own."""

    def __init__(self, path):
        kernels = c.CDLL(os.path.join(BUILD, "lib", "libmoire_kernels.so"), mode=c.RTLD_GLOBAL)
        kernels.moire_set_threads(2)
        self.kernels = kernels
        self.code = c.CDLL(path)
        self.code.moire_get_package.restype = c.POINTER(Package)
        p = self.package = self.code.moire_get_package().contents
        assert p.struct_bytes == c.sizeof(Package), (p.struct_bytes, c.sizeof(Package))
        self.real = np.float64 if p.precision == 2 else np.float32
        self.arrays = {name: aligned(p.trained_elements, self.real) for name in ("grads", "moment1", "moment2")}
        self.arrays["params"] = aligned(p.parameter_elements, self.real)
        self.arrays["compute"] = aligned(max(p.compute_elements, 1), np.uint16)
        self.arrays["arena"] = aligned(p.arena_bytes, np.uint8)
        self.arrays["state"] = aligned(max(p.state_bytes, 1), np.uint8)
        self.buffers = Buffers(*(self.arrays[name].ctypes.data for name in STATE_POINTERS))

    def tensors(self, which="params"):
        """{path: view} of every instance of every parameter in one of the flat buffers."""
        views = {}
        for i in range(self.package.parameter_count):
            q = self.package.parameters[i]
            if which != "params" and q.lr_factor == 0 and q.sign_rate == 0:
                continue  # frozen
            shape = [q.shape[d] for d in range(q.rank)]
            size = int(np.prod(shape))
            for k in range(q.instances):
                begin = q.offset + k * size
                views[q.paths[k].decode()] = self.arrays[which][begin:begin + size].reshape(shape)
        return views

    def randomise(self, seed=0, scale=0.3):
        """Values at which nothing is degenerate: norms near one, A_log and biases small, matrices by fan-in."""
        random = np.random.default_rng(seed)
        for path, value in self.tensors().items():
            noise = random.standard_normal(value.shape)
            if path.endswith("norm.weight") or "norm_" in path and path.endswith("weight") or path.endswith(".D"):
                value[...] = 1 + 0.1 * noise
            elif path.endswith("A_log"):
                value[...] = np.log(1 + np.arange(value.shape[-1])) + 0.1 * noise
            elif value.ndim <= 1:
                value[...] = 0.1 * noise
            else:
                value[...] = scale * noise if "embed" in path else noise / np.sqrt(value.shape[-2])
        self.refresh()

    def refresh(self):
        assert self.package.refresh(self.buffers) == 0

    def train_step(self, tokens, targets, loss_scale=1.0):
        """The metrics by path; gradients are in `tensors("grads")`."""
        tokens, targets = np.ascontiguousarray(tokens, np.int32), np.ascontiguousarray(targets, np.int32)
        out = aligned(self.package.metric_floats, np.float32)
        assert self.package.train_step(self.buffers, tokens.ctypes.data, targets.ctypes.data, loss_scale,
                                       out.ctypes.data) == 0
        metrics = {}
        for i in range(self.package.metric_count):
            m = self.package.metrics[i]
            metrics[m.path.decode()] = out[m.offset:m.offset + m.count].copy()
        return metrics

    def step_bits(self, threads):
        """Every gradient and metric of a step on so many threads, as bytes."""
        self.kernels.moire_set_threads(threads)
        self.arrays["grads"][...] = np.nan
        metrics = self.train_step(*self.tokens())
        return [value.tobytes() for value in [*self.tensors("grads").values(), *metrics.values()]]

    def eval_step(self, tokens, targets):
        """Sum of the cross-entropy, and the number of targets."""
        tokens, targets = np.ascontiguousarray(tokens, np.int32), np.ascontiguousarray(targets, np.int32)
        loss, count = c.c_double(), c.c_int64()
        assert self.package.eval_step(self.buffers, tokens.ctypes.data, targets.ctypes.data, c.byref(loss),
                                      c.byref(count)) == 0
        return loss.value, count.value

    def tokens(self, seed=0):
        """A random batch: tokens and targets."""
        random = np.random.default_rng(seed)
        p = self.package
        window = random.integers(0, p.vocab, (p.batch, p.context + 1), dtype=np.int32)
        return window[:, :-1].copy(), window[:, 1:].copy()
