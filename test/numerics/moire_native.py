# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compile IR of any level to native code and call its functions on numpy arrays.

    module = moire_native.compile('''func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> { ... }''')
    (y,) = module.call("f", x)

Compiles with `moirec` (of $MOIRE_BUILD/bin, or on PATH), whose package stage makes plain calls of modules that are no
model, and resolves kernels in libmoire_kernels.so of the same build. bf16 arrays are uint16, with helpers here.
"""
import ctypes
import json
import os
import shutil
import subprocess
import tempfile

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "bf16": np.uint16}


def to_bf16(x):
    """Rounds f32 to bf16 (nearest, ties to even), as uint16."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(x):
    return (np.asarray(x, np.uint32) << 16).view(np.float32)


def _build():
    build = os.environ.get("MOIRE_BUILD")
    if build:
        return build
    found = shutil.which("moirec")
    if not found:
        raise RuntimeError("set MOIRE_BUILD, or put moirec on PATH")
    return os.path.dirname(os.path.dirname(os.path.realpath(found)))


GUARD = 256  # bytes before and after every buffer that nothing may touch


def aligned(shape, dtype, fill=None):
    """An array whose first element lies on a cache line, as kernels may expect, and the guarded bytes around it."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.full(size + 2 * GUARD + 64, 0xA5, np.uint8)
    start = GUARD + -(raw.ctypes.data + GUARD) % 64
    out = raw[start : start + size].view(dtype).reshape(shape)
    if fill is not None:
        out[...] = fill
    return out, (raw[:start], raw[start + size :])


class Module:
    """A loaded shared object."""

    def __init__(self, path):
        build = _build()
        self._kernels = ctypes.CDLL(os.path.join(build, "lib", "libmoire_kernels.so"), mode=ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(path)

    def set_threads(self, count):
        self._kernels.moire_set_threads(ctypes.c_int32(count))

    def signature(self, name):
        """What each buffer of the function is: a list of {kind, type, shape}."""
        symbol = ctypes.c_char.in_dll(self._library, "moire_signature_" + name)
        return json.loads(ctypes.string_at(ctypes.addressof(symbol)))

    def call(self, name, *arguments, states=()):
        """Calls a function of tensors. `arguments` are its arguments in order, states left out; `states` are arrays
        that are updated in place. Returns its results, states left out."""
        given, kept = list(arguments), list(states)
        buffers, results, guards = [], [], []
        for entry in self.signature(name):
            dtype, shape = DTYPES[entry["type"]], tuple(entry["shape"])
            if entry["kind"] == "result":
                # Not zero, so that a result that nothing writes is noticed.
                array, around = aligned(shape, dtype, np.nan if dtype in (np.float32, np.float64) else 0x7FC0)
                results.append(array)
                guards.append(around)
            elif entry["kind"] == "state":
                array = kept.pop(0)
                if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
                    raise ValueError(f"{name}: a state is {dtype.__name__}{shape}, got {array.dtype}{array.shape}")
            else:
                source = np.asarray(given.pop(0))
                if source.shape != shape:
                    raise ValueError(f"{name}: an argument has shape {shape}, got {source.shape}")
                array, around = aligned(shape, dtype)
                guards.append(around)
                array[...] = source if dtype != np.uint16 or source.dtype == np.uint16 else to_bf16(source)
            buffers.append(array)
        if given or kept:
            raise ValueError(f"{name}: {len(given)} arguments and {len(kept)} states too many")
        size = ctypes.c_int64.in_dll(self._library, "moire_arena_" + name).value
        arena, around = aligned((size,), np.uint8, 0xFF)
        guards.append(around)
        pointers = (ctypes.c_void_p * max(len(buffers), 1))(*[b.ctypes.data for b in buffers])
        function = getattr(self._library, "moire_call_" + name)
        function.restype = None
        function(pointers, ctypes.c_void_p(arena.ctypes.data))
        if any((side != 0xA5).any() for around in guards for side in around):
            raise AssertionError(f"{name}: wrote outside of a buffer")
        return tuple(results)


def compile(text, *flags):
    """Compiles the text of a module and loads it; the compiler's diagnostics become the exception's text."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "module.mlir"), os.path.join(folder, "module.so")
        with open(source, "w") as out:
            out.write(text)
        command = [os.environ.get("MOIREC") or os.path.join(_build(), "bin", "moirec"), source, "-o", target, *flags]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return Module(target)
