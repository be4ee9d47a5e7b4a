//===- passes/Conversion/Buffers/HomePlan.h - where values should live ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides, before anything is emitted, which values are written straight to where they are needed: results of the
// function, parts of a concatenation, rows of a stack, the next value of a loop. What the plan does not place gets a
// buffer of its own; where a wish could not be granted, a copy is emitted.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_HOMEPLAN_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_HOMEPLAN_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Conversion/Buffers/Place.h"
#include "llvm/ADT/DenseMap.h"
#include <deque>
#include <vector>

namespace moire {

/// How one carried value of a loop is kept.
struct CarriedPlan {
  /// Yielded unchanged: it lives where its initial value lives, and the places below are empty.
  bool invariant = false;
  Place initial; ///< where the value is before the first iteration
  Place current; ///< the block argument
  Place next;    ///< where the yielded value goes
  Place final;   ///< the loop's result
};

/// How one stacked result of a loop is kept.
struct StackPlan {
  Place whole; ///< the loop's result
  Place row;   ///< where the value yielded in an iteration goes
};

struct LoopPlan {
  std::vector<CarriedPlan> carried;
  std::vector<StackPlan> stacks;
};

/// The places of a function's values, as far as they are wished for.
///
/// Invariant that makes wishes safe: memory that is offered to a value is free during the whole block that
/// defines the value, because nothing else is ever placed there; the two exceptions, values that take the memory
/// of the value they replace (in loops, and in a decoding state), are checked use by use.
class HomePlan {
public:
  /// `resultPlaces` are the places of the function's results, `argumentPlaces` those of its arguments.
  HomePlan(mlir::func::FuncOp function, llvm::ArrayRef<Place> argumentPlaces, llvm::ArrayRef<Place> resultPlaces);

  /// Where `value` is to be written, or null.
  const Place *home(mlir::Value value) const {
    auto found = homes.find(value);
    return found == homes.end() ? nullptr : &found->second;
  }
  const LoopPlan &loop(RepeatOp op) const { return loops.find(op)->second; }

  /// A new local buffer of the values' type, alive in `block`.
  Root &newRoot(mlir::Location loc, mlir::Type element, llvm::ArrayRef<int64_t> shape, mlir::Block *block);

private:
  /// Asks for `value`, computed in `block`, to be written to `place`; false when it will have to be copied there.
  bool request(mlir::Value value, const Place &place, mlir::Block *block);
  void planBlock(mlir::Block &block);
  void planConcat(ConcatOp op);
  void planRepeat(RepeatOp op);
  void planCarried(RepeatOp op, unsigned number, LoopPlan &plan);
  void planInStack(RepeatOp op, unsigned number, unsigned stack, LoopPlan &plan);
  void planStack(RepeatOp op, unsigned stack, LoopPlan &plan);
  bool planSharedBase(RepeatOp op, unsigned stack, LoopPlan &plan);
  void requestInitial(RepeatOp op, unsigned number, const Place &place, bool overwritten);
  void planState(mlir::BlockArgument state, mlir::Value value, const Place &place);

  llvm::DenseMap<mlir::Value, Place> homes;
  llvm::DenseMap<mlir::Operation *, LoopPlan> loops;
  /// Where the copies of all iterations lie, of values whose slices are stacked: the slices need no copies then.
  llvm::DenseMap<mlir::Value, Place> sharedBases;
  /// The state, an argument of the function or of a loop around, whose memory a stacked result takes.
  llvm::DenseMap<mlir::Value, mlir::BlockArgument> replaced;
  std::deque<Root> roots;
};

/// Whether `op` only renames elements of its first operand.
bool isView(mlir::Operation *op);
/// Whether `value`, or a view of it, is read by `point` or by an op after it in point's block; `except` does not count.
bool isUsedFrom(mlir::Value value, mlir::Operation *point, mlir::OpOperand *except = nullptr);
/// Whether `fresh` may be written over `old` by the op that computes it: nothing reads `old` later, and the op itself
/// reads an element no later than it writes it.
bool canReplace(mlir::Value old, mlir::Value fresh);

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_HOMEPLAN_H
