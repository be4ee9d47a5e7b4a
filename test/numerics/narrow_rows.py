# Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Rows of a few bf16 columns against numpy, on each vector width: the tails of vector code must write nothing beyond.

A compiler that turns a masked store of one 16-bit lane into a store of 32 bits has been seen; the bytes around every
buffer are guarded, and the last row of a slice would show it.
"""
import numpy as np

import moire_native

CASES = [(rows, columns) for rows in (1, 2, 31) for columns in (1, 2, 3, 15, 17, 31, 33)]


def function(rows, columns):
    narrow, wide = f"tensor<{rows}x{columns}xbf16>", f"tensor<{rows}x{columns + 3}xbf16>"
    return f"""func.func @rows{rows}_{columns}(%x: {wide}, %w: tensor<{columns}xf32>) -> ({narrow}, {narrow}) {{
  %s = moire.slice %x dim 1 at 2 : {wide} to {narrow}
  %a = moire.unary silu %s : {narrow}
  %y, %q = moire.rms_norm %a, %w eps 1.0e-5 : ({narrow}, tensor<{columns}xf32>) -> ({narrow}, tensor<{rows}xf32>)
  return %a, %y : {narrow}, {narrow}
}}
"""


for features in ("native", "avx2", "baseline"):
    module = moire_native.compile("".join(function(*case) for case in CASES), f"--features={features}")
    for rows, columns in CASES:
        x = np.random.default_rng(rows + columns).standard_normal((rows, columns + 3)).astype(np.float32)
        a, y = module.call(f"rows{rows}_{columns}", x, np.ones(columns, np.float32))
        s = moire_native.from_bf16(moire_native.to_bf16(x))[:, 2 : 2 + columns]
        silu = s / (1 + np.exp(-s))
        norm = silu / np.sqrt((silu**2).mean(-1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(moire_native.from_bf16(a), silu, atol=1e-2)
        np.testing.assert_allclose(moire_native.from_bf16(y), norm, atol=3e-2)
    print(f"{features}: {len(CASES)} shapes agree")
