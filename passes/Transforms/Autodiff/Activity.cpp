//===- passes/Transforms/Autodiff/Activity.cpp - what lies on the way --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Forward from the wanted arguments, backward from the objective. Integers end both ways: a choice of experts
// has no gradient.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/Activity.h"

#include "passes/Analysis/Dependents.h"

using namespace mlir;

namespace moire {
namespace {

/// Marks a floating-point value; whether that is news.
bool mark(llvm::DenseSet<Value> &set, Value value) { return isFloating(value) && set.insert(value).second; }

} // namespace

Activity::Activity(Block &body, ArrayRef<Value> wanted, Value objective) {
  active = dependentsOf(body, wanted, isFloating);
  mark(useful, objective);
  propagateBackward(body);
}

void Activity::replace(Value original, Value replacement) {
  if (active.erase(original))
    active.insert(replacement);
  if (useful.erase(original))
    useful.insert(replacement);
}

void Activity::propagateBackward(Block &block) {
  for (Operation &op : llvm::reverse(block)) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      propagateBackward(repeat);
    else if (llvm::any_of(op.getResults(), [&](Value result) { return isUseful(result); }))
      for (Value read : operandsWithin(op))
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
