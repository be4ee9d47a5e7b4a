//===- passes/Analysis/GradientReach.cpp - which losses teach which values --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Backward over the forward computation, before it is differentiated. A rule is asked once per result, in a block that
// belongs to nobody and is thrown away.
//===----------------------------------------------------------------------===//
#include "passes/Analysis/GradientReach.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/Diagnostics.h"
#include "passes/Analysis/Dependents.h"

using namespace mlir;
using namespace moire;

bool moire::hasConstantGates(RouteOp route) {
  return lastExtent(route.getWeights().getType()) == 1 &&
         (route.getRenormalize() || route.getGate() == Gate::TopKSoftmax);
}

namespace {

/// What a reverse rule is given when it is only asked where gradients go.
class Probe final : public ReverseScope {
public:
  Probe(Value asked, Value cotangent, const llvm::DenseSet<Value> &active, SmallVector<Value> &reached)
      : asked(asked), given(cotangent), active(active), reached(reached) {}

  Value cotangent(Value value) override { return value == asked ? given : Value(); }
  bool wanted(Value value) override { return active.contains(value); }
  void accumulate(Value value, Value gradient) override {
    auto fill = gradient.getDefiningOp<FillOp>();
    if (!(fill && fill.getValue().isZero()) && wanted(value) && !llvm::is_contained(reached, value))
      reached.push_back(value);
  }
  void accumulateSlice(Value value, Value gradient, int64_t, int64_t) override { accumulate(value, gradient); }

private:
  Value asked, given;
  const llvm::DenseSet<Value> &active;
  SmallVector<Value> &reached;
};

} // namespace

GradientReach::GradientReach(func::FuncOp function, ArrayRef<Value> terms) : count(terms.size()) {
  for (auto [number, term] : llvm::enumerate(terms))
    for (Sets *sets : {&gradients, &data}) {
      llvm::SmallBitVector &bits = (*sets)[term];
      bits.resize(count);
      bits.set(number);
    }
  active = dependentsOf(function.getBody().front(), llvm::to_vector_of<Value>(function.getArguments()), isFloating);
  run(function.getBody().front());
}

bool GradientReach::add(Sets &sets, Value to, Value from) {
  auto found = sets.find(from);
  if (found == sets.end() || to == from)
    return false;
  llvm::SmallBitVector bits = found->second; // inserting below may move what `found` points at
  llvm::SmallBitVector &known = sets[to];
  known.resize(count);
  if (!bits.test(known))
    return false;
  known |= bits;
  return true;
}

ArrayRef<Value> GradientReach::taught(OpResult result) {
  auto [entry, isNew] = asked.try_emplace(result);
  SmallVector<Value> &reached = entry->second;
  Operation *op = result.getOwner();
  auto rule = dyn_cast<DifferentiableOpInterface>(op);
  auto route = dyn_cast<RouteOp>(op);
  if (!isNew || !rule || !active.contains(result) || (route && result == route.getWeights() && hasConstantGates(route)))
    return reached;
  Block scratch;
  Value cotangent = scratch.addArgument(result.getType(), result.getLoc());
  OpBuilder builder(op->getContext()); // not by way of the block, which has no parent to ask
  builder.setInsertionPointToEnd(&scratch);
  // A rule that refuses is taken to let everything pass: differentiation will say so at the same op.
  ScopedDiagnosticHandler quiet(op->getContext(), [](Diagnostic &) { return success(); });
  Probe probe(result, cotangent, active, reached);
  if (failed(rule.buildReverse(builder, probe)))
    reached = llvm::to_vector(
        llvm::make_filter_range(op->getOperands(), [&](Value operand) { return active.contains(operand); }));
  scratch.dropAllReferences();
  return reached;
}

void GradientReach::run(Block &block) {
  for (Operation &op : llvm::reverse(block)) {
    if (auto repeat = dyn_cast<RepeatOp>(op)) {
      run(repeat);
      continue;
    }
    for (OpResult result : op.getResults()) {
      if (gradients.contains(result))
        for (Value operand : taught(result))
          add(gradients, operand, result);
      if (data.contains(result))
        for (Value operand : operandsWithin(op))
          add(data, operand, result);
    }
  }
}

void GradientReach::run(RepeatOp repeat) {
  for (Sets *sets : {&gradients, &data})
    for (auto [result, yielded] : llvm::zip_equal(repeat.getResults(), repeat.getYield().getOperands()))
      add(*sets, yielded, result);
  bool again = true;
  while (again) {
    again = false;
    run(repeat.getBody().front());
    for (Sets *sets : {&gradients, &data})
      for (auto [argument, next] : llvm::zip_first(repeat.getCarriedArgs(), repeat.getYield().getOperands()))
        again |= add(*sets, next, argument);
  }
  for (Sets *sets : {&gradients, &data})
    for (auto [operand, argument] : llvm::zip_equal(repeat->getOperands(), repeat.getBody().getArguments()))
      add(*sets, operand, argument);
}
