//===- passes/Analysis/Dependents.cpp - what is computed from given values --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A closure over the order of the ops; only the carried values of a loop can ask for another round.
//===----------------------------------------------------------------------===//
#include "passes/Analysis/Dependents.h"

#include "dialect/IR/TypeUtils.h"

using namespace mlir;
using namespace moire;

bool moire::isFloating(Value value) { return isa<FloatType>(elementOf(value.getType())); }

SmallVector<Value> moire::operandsWithin(Operation &op) {
  SmallVector<Value> reads;
  op.walk([&](Operation *nested) { llvm::append_range(reads, nested->getOperands()); });
  return reads;
}

namespace {

class Closure {
public:
  explicit Closure(llvm::function_ref<bool(Value)> counts) : counts(counts) {}

  /// Adds a value that counts; whether that is news.
  bool add(Value value) { return (!counts || counts(value)) && values.insert(value).second; }

  void run(Block &block) {
    for (Operation &op : block) {
      if (auto repeat = dyn_cast<RepeatOp>(op))
        run(repeat);
      else if (llvm::any_of(operandsWithin(op), [&](Value read) { return values.contains(read); }))
        for (Value result : op.getResults())
          add(result);
    }
  }

  llvm::DenseSet<Value> values;

private:
  void run(RepeatOp repeat) {
    for (auto [operand, argument] : llvm::zip_equal(repeat->getOperands(), repeat.getBody().getArguments()))
      if (values.contains(operand))
        add(argument);
    bool again = true;
    while (again) {
      again = false;
      run(repeat.getBody().front());
      for (auto [argument, next] : llvm::zip_first(repeat.getCarriedArgs(), repeat.getYield().getOperands()))
        if (values.contains(next))
          again |= add(argument);
    }
    for (auto [result, yielded] : llvm::zip_equal(repeat.getResults(), repeat.getYield().getOperands()))
      if (values.contains(yielded))
        add(result);
  }

  llvm::function_ref<bool(Value)> counts;
};

} // namespace

llvm::DenseSet<Value> moire::dependentsOf(Block &body, ArrayRef<Value> seeds, llvm::function_ref<bool(Value)> counts) {
  Closure closure(counts);
  for (Value seed : seeds)
    closure.add(seed);
  closure.run(body);
  return std::move(closure.values);
}
