//===- passes/Transforms/Rowwise/Passes.h - row ops to row kernels ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares and registers the pass that fuses row ops.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_ROWWISE_PASSES_H
#define MOIRE_PASSES_TRANSFORMS_ROWWISE_PASSES_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Pass/Pass.h"

namespace moire {
#define GEN_PASS_DECL
#include "passes/Transforms/Rowwise/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Transforms/Rowwise/Passes.h.inc"
} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_ROWWISE_PASSES_H
