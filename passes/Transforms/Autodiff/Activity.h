//===- passes/Transforms/Autodiff/Activity.h - what lies on the way ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which values lead from the wanted arguments of a function to its objective. Loops are followed to a fixed point.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_ACTIVITY_H
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_ACTIVITY_H

#include "dialect/IR/MoireOps.h"
#include "llvm/ADT/DenseSet.h"

namespace moire {

/// Activity of the floating-point values of one function body, nested loops included.
class Activity {
public:
  Activity(mlir::Block &body, llvm::ArrayRef<mlir::Value> wanted, mlir::Value objective);

  /// Whether `value` depends on a wanted argument.
  bool isActive(mlir::Value value) const { return active.contains(value); }
  /// Whether the objective depends on `value`.
  bool isUseful(mlir::Value value) const { return useful.contains(value); }
  /// Lets `replacement` stand for `original`, which is about to be erased.
  void replace(mlir::Value original, mlir::Value replacement);

private:
  void propagateBackward(mlir::Block &block);
  void propagateBackward(RepeatOp repeat);

  llvm::DenseSet<mlir::Value> active, useful;
};

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_ACTIVITY_H
