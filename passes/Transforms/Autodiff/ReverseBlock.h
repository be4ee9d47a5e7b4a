//===- passes/Transforms/Autodiff/ReverseBlock.h - a block backwards ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Walks the ops of a block from last to first and builds their reverse: the rule of each op, and a loop the other way
// for each `moire.repeat`.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_REVERSEBLOCK_H
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_REVERSEBLOCK_H

#include "passes/Transforms/Autodiff/Activity.h"
#include "passes/Transforms/Autodiff/Cotangents.h"
#include "passes/Transforms/Autodiff/SavedValues.h"

namespace moire {

/// The reverse of one block: cotangents of its values, and of values from above that it uses.
class ReverseBlock final : public ReverseScope {
public:
  /// Builds at the insertion point of `builder`.
  ReverseBlock(mlir::OpBuilder &builder, Activity &activity, Recompute recompute)
      : builder(builder), activity(activity), recompute(recompute) {}

  mlir::Value cotangent(mlir::Value value) override { return cotangents.get(builder, value); }
  bool wanted(mlir::Value value) override { return activity.isActive(value); }
  void accumulate(mlir::Value value, mlir::Value gradient) override { cotangents.add(builder, value, gradient); }
  void accumulateSlice(mlir::Value value, mlir::Value gradient, int64_t dim, int64_t offset) override {
    cotangents.addSlice(builder, value, gradient, dim, offset);
  }

  /// Builds the reverse of every op of `block`. Cotangents of what leaves the block must have been handed over before.
  llvm::LogicalResult run(mlir::Block &block);
  /// All values with a cotangent.
  llvm::SmallVector<mlir::Value> values() const { return cotangents.values(); }

private:
  /// Builds the loop that runs `repeat` backwards (ReverseRepeat.cpp). May replace `repeat`.
  llvm::LogicalResult reverseRepeat(RepeatOp repeat);
  llvm::LogicalResult reverseOp(mlir::Operation *op);

  mlir::OpBuilder &builder;
  Activity &activity;
  Recompute recompute;
  Cotangents cotangents;
};

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_REVERSEBLOCK_H
