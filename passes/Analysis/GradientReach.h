//===- passes/Analysis/GradientReach.h - which losses teach which values ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From every loss of a function back to its parameters. Whether a gradient passes an op is not decided here: the op's
// own reverse rule is built on the side, and what it hands to its operands is what passes.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_ANALYSIS_GRADIENTREACH_H
#define MOIRE_PASSES_ANALYSIS_GRADIENTREACH_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallBitVector.h"

namespace moire {

/// Whether the weights of this choice are the same number whatever the logits: one expert is chosen, and its score
/// divided by itself. Their gradient is zero, though no reverse rule says so.
bool hasConstantGates(RouteOp route);

/// Sets of values that others are made of, kept as one bit per value asked about ("term"). Loops are followed to a
/// fixed point.
class GradientReach {
public:
  /// `terms` are values of `function`, in its loops too.
  GradientReach(mlir::func::FuncOp function, llvm::ArrayRef<mlir::Value> terms);

  /// Whether the gradient of term number `term` with respect to `value` may differ from zero.
  bool teaches(unsigned term, mlir::Value value) const { return has(gradients, term, value); }
  /// Whether term number `term` is computed from `value`, by way of integers and constants for the gradient too.
  bool reads(unsigned term, mlir::Value value) const { return has(data, term, value); }

private:
  using Sets = llvm::DenseMap<mlir::Value, llvm::SmallBitVector>;

  bool has(const Sets &sets, unsigned term, mlir::Value value) const {
    auto found = sets.find(value);
    return found != sets.end() && found->second.test(term);
  }
  /// Adds the terms of `from` to those of `to`; whether that is news.
  bool add(Sets &sets, mlir::Value to, mlir::Value from);
  void run(mlir::Block &block);
  void run(RepeatOp repeat);
  /// The operands that the reverse rule of `result`'s op hands a gradient to, given one of `result` alone.
  llvm::ArrayRef<mlir::Value> taught(mlir::OpResult result);

  unsigned count;
  Sets gradients, data;
  llvm::DenseSet<mlir::Value> active; ///< depends on floating-point arguments: of anything else no gradient is wanted
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value>> asked;
};

} // namespace moire

#endif // MOIRE_PASSES_ANALYSIS_GRADIENTREACH_H
