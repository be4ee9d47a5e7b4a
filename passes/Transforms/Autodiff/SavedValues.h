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

/// What may be computed again in a reverse loop.
struct Recompute {
  bool pointwise = true;    ///< row ops, convolutions, moves of elements and rows
  int64_t contraction = 32; ///< products that sum no more terms than this per element
  bool iterations = false;  ///< everything: an iteration keeps what entered it
};

/// Rewrites `block`, the complete body of the reverse loop of `forward`, so that it reads nothing of the forward body.
/// Appends the stacked values that it reads instead to `slices`, and their slices to the arguments of the block.
/// Constants are always computed again. Returns the forward loop, which may be a new one.
RepeatOp makeAvailable(RepeatOp forward, mlir::Block &block, llvm::SmallVector<mlir::Value> &slices, Activity &activity,
                       Recompute recompute);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_SAVEDVALUES_H
