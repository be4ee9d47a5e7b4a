//===- passes/Transforms/Autodiff/Activity.cpp - what lies on the way --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Forward from the wanted arguments, backward from the objective. Integers end both ways: a choice of experts
// has no gradient.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/Activity.h"

#include "dialect/IR/TypeUtils.h"

using namespace mlir;

namespace moire {
namespace {

bool isFloating(Value value) { return isa<FloatType>(elementOf(value.getType())); }

/// Everything that an op reads, in its regions too: what is no loop of ours must not hide a dependence.
SmallVector<Value> readsOf(Operation &op) {
  SmallVector<Value> reads;
  op.walk([&](Operation *nested) { llvm::append_range(reads, nested->getOperands()); });
  return reads;
}

/// Marks a floating-point value; whether that is news.
bool mark(llvm::DenseSet<Value> &set, Value value) { return isFloating(value) && set.insert(value).second; }

} // namespace

Activity::Activity(Block &body, ArrayRef<Value> wanted, Value objective) {
  for (Value value : wanted)
    mark(active, value);
  propagateForward(body);
  mark(useful, objective);
  propagateBackward(body);
}

void Activity::replace(Value original, Value replacement) {
  if (active.erase(original))
    active.insert(replacement);
  if (useful.erase(original))
    useful.insert(replacement);
}

void Activity::propagateForward(Block &block) {
  for (Operation &op : block) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      propagateForward(repeat);
    else if (llvm::any_of(readsOf(op), [&](Value read) { return isActive(read); }))
      for (Value result : op.getResults())
        mark(active, result);
  }
}

void Activity::propagateForward(RepeatOp repeat) {
  for (auto [operand, argument] : llvm::zip_equal(repeat->getOperands(), repeat.getBody().getArguments()))
    if (isActive(operand))
      mark(active, argument);
  bool again = true;
  while (again) {
    again = false;
    propagateForward(repeat.getBody().front());
    for (auto [argument, next] : llvm::zip_first(repeat.getCarriedArgs(), repeat.getYield().getOperands()))
      if (isActive(next))
        again |= mark(active, argument);
  }
  for (auto [result, yielded] : llvm::zip_equal(repeat.getResults(), repeat.getYield().getOperands()))
    if (isActive(yielded))
      mark(active, result);
}

void Activity::propagateBackward(Block &block) {
  for (Operation &op : llvm::reverse(block)) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      propagateBackward(repeat);
    else if (llvm::any_of(op.getResults(), [&](Value result) { return isUseful(result); }))
      for (Value read : readsOf(op))
        mark(useful, read);
  }
}

void Activity::propagateBackward(RepeatOp repeat) {
  for (auto [result, yielded] : llvm::zip_equal(repeat.getResults(), repeat.getYield().getOperands()))
    if (isUseful(result))
      mark(useful, yielded);
  bool again = true;
  while (again) {
    again = false;
    propagateBackward(repeat.getBody().front());
    for (auto [argument, next] : llvm::zip_first(repeat.getCarriedArgs(), repeat.getYield().getOperands()))
      if (isUseful(argument))
        again |= mark(useful, next);
  }
  for (auto [operand, argument] : llvm::zip_equal(repeat->getOperands(), repeat.getBody().getArguments()))
    if (isUseful(argument))
      mark(useful, operand);
}

} // namespace moire
