//===- passes/Transforms/Autodiff/SavedValues.h - what a reverse loop reads --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes the values of a forward loop's body available in the body of the loop that runs it backwards: by reading the
// slices of operands again, by computing cheap values again, or by stacking values in the forward loop.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_SAVEDVALUES_H
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_SAVEDVALUES_H

#include "passes/Transforms/Autodiff/Activity.h"

namespace moire {

/// Rewrites `block`, the complete body of the reverse loop of `forward`, so that it reads nothing of the forward body.
/// Appends the stacked values that it reads instead to `slices`, and their slices to the arguments of the block.
/// Without `recompute` only constants are computed again. Returns the forward loop, which may be a new one.
RepeatOp makeAvailable(RepeatOp forward, mlir::Block &block, llvm::SmallVector<mlir::Value> &slices,
                       Activity &activity, bool recompute);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_SAVEDVALUES_H
