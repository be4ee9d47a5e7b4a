//===- passes/Conversion/Rowwise/VectorMath.h - functions as polynomials ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// exp, log, log1p, erf, erfc and tanh without a mathematical library, and bf16 conversions without the processor's
// help, for vectors and single numbers alike. Left to LLVM, `math.exp` on a vector becomes one library call per lane.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_VECTORMATH_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_VECTORMATH_H

#include "passes/Conversion/Rowwise/ConstantPool.h"

namespace moire::rows {

/// Replaces math.exp, log, log1p, erf, erfc, tanh and rsqrt on f32 and f64 (vectors or numbers) below `root` by
/// arithmetic. Errors: 2 units in the last place or 1e-6 relative in f32, 1e-14 in f64; exp below the smallest normal
/// number gives 0, and erfc beyond 4 is exact to 1e-8 only.
void expandMath(mlir::Operation *root, ConstantPool &pool);

/// Replaces extensions from and truncations to bf16 below `root` by integer arithmetic; rounds to nearest even.
void expandBf16(mlir::Operation *root, ConstantPool &pool);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_VECTORMATH_H
