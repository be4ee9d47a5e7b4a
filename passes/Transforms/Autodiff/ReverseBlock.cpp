//===- passes/Transforms/Autodiff/ReverseBlock.cpp - a block backwards -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Only ops between a wanted argument and the objective are reversed; the rest is never looked at.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/ReverseBlock.h"

using namespace mlir;

namespace moire {

LogicalResult ReverseBlock::run(Block &block) {
  // Loops may be replaced on the way, and rules append to the block that they reverse: walk over a copy.
  SmallVector<Operation *> ops = llvm::map_to_vector(block, [](Operation &op) { return &op; });
  for (Operation *op : llvm::reverse(ops)) {
    SmallVector<Value> results(op->getResults());
    bool reached = llvm::any_of(results, [&](Value result) { return wanted(result) && cotangents.contains(result); });
    if (reached && failed(reverseOp(op)))
      return failure();
    for (Value result : results)
      cotangents.erase(result);
  }
  return success();
}

LogicalResult ReverseBlock::reverseOp(Operation *op) {
  if (auto repeat = dyn_cast<RepeatOp>(op))
    return reverseRepeat(repeat);
  if (auto differentiable = dyn_cast<DifferentiableOpInterface>(op))
    return differentiable.buildReverse(builder, *this);
  return op->emitOpError("has no reverse rule, but the objective depends on a wanted argument through it");
}

} // namespace moire
