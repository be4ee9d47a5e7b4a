//===- passes/Transforms/Autodiff/ReverseRepeat.cpp - a loop backwards -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The reverse of `moire.repeat` is another one. Its body is built in a block of its own, first as if it could see the
// values of the forward body; then those are made available (SavedValues.h), and the loop is put around it.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"
#include "passes/Transforms/Autodiff/ReverseBlock.h"

using namespace mlir;

namespace moire {
namespace {

Value zerosOf(OpBuilder &builder, Location loc, Type type) {
  return FillOp::create(builder, loc, type, llvm::APFloat(0.0));
}

/// The pieces of a reverse loop while it is being put together. Block arguments: cotangents of carried values, sums
/// for captured values, then slices.
class ReverseLoop {
public:
  ReverseLoop(RepeatOp forward, ReverseScope &outside, OpBuilder &before, Activity &activity, Recompute recompute)
      : forward(forward), outside(outside), before(before), activity(activity), block(new Block),
        builder(before.getContext()), inside(builder, activity, recompute), recompute(recompute) {
    body.push_back(block);
    builder.setInsertionPointToEnd(block);
  }

  LogicalResult build() {
    takeCarried();
    takeStacked();
    if (failed(inside.run(forward.getBody().front())))
      return failure();
    yieldCarried();
    yieldCaptured();
    yieldSlices();
    YieldOp::create(builder, forward.getLoc(), yielded);
    forward = makeAvailable(forward, *block, slices, activity, recompute);
    handOver();
    return success();
  }

private:
  Location loc() { return forward.getLoc(); }

  /// Cotangents of the carried values come in from the iteration that ran after this one.
  void takeCarried() {
    for (unsigned k = 0; k < forward.getNumCarried(); ++k) {
      Value argument = forward.getCarriedArgs()[k], next = forward.getYield().getOperand(k);
      if (!activity.isActive(argument) || !activity.isUseful(next))
        continue;
      carriedNumbers.push_back(k);
      // The init is in the type of the value: the loop needs one type for all iterations.
      Value first = outside.cotangent(forward.getResult(k));
      carried.push_back(first ? castElements(before, loc(), first, elementOf(argument.getType()))
                              : zerosOf(before, loc(), argument.getType()));
      inside.accumulate(next, block->addArgument(argument.getType(), loc()));
    }
  }

  /// Cotangents of stacked results are sliced like the results themselves.
  void takeStacked() {
    for (unsigned k = forward.getNumCarried(); k < forward.getNumResults(); ++k) {
      Value whole = outside.cotangent(forward.getResult(k));
      if (!whole)
        continue;
      slices.push_back(whole);
      inside.accumulate(forward.getYield().getOperand(k), block->addArgument(sliceType(tensorType(whole)), loc()));
    }
  }

  void yieldCarried() {
    for (unsigned k : carriedNumbers) {
      Value argument = forward.getCarriedArgs()[k];
      Value gradient = inside.cotangent(argument);
      yielded.push_back(gradient ? castElements(builder, loc(), gradient, elementOf(argument.getType()))
                                 : zerosOf(builder, loc(), argument.getType()));
    }
  }

  /// What the body reads from above is read in every iteration: its cotangent is summed, in full precision.
  void yieldCaptured() {
    for (Value value : inside.values()) {
      if (forward.getBody().isAncestor(value.getParentRegion()) || !activity.isActive(value))
        continue;
      RankedTensorType type = fullTensor(tensorType(value));
      Value gradient = castElements(builder, loc(), inside.cotangent(value), type.getElementType());
      Value sum = block->insertArgument(carried.size(), type, loc());
      yielded.push_back(BinaryOp::create(builder, loc(), type, sum, gradient, Binary::Add));
      carried.push_back(zerosOf(before, loc(), type));
      captured.push_back(value);
    }
  }

  void yieldSlices() {
    for (auto [operand, argument] : llvm::zip_equal(forward.getSlices(), forward.getSliceArgs())) {
      Value gradient = activity.isActive(operand) ? inside.cotangent(argument) : Value();
      if (!gradient)
        continue;
      sliced.push_back(operand);
      yielded.push_back(gradient);
    }
  }

  void handOver() {
    SmallVector<Type> types = llvm::map_to_vector(carried, [](Value value) { return value.getType(); });
    for (Value value : llvm::drop_begin(yielded, carried.size()))
      types.push_back(stackedType(forward.getCount(), tensorType(value)));
    auto reverse = RepeatOp::create(before, loc(), types, forward.getCount(), carried, slices, !forward.getReverse());
    reverse.getBody().takeBody(body);
    auto results = reverse.getResults();
    for (auto [number, result] : llvm::zip_first(carriedNumbers, results))
      if (outside.wanted(forward.getCarried()[number]))
        outside.accumulate(forward.getCarried()[number], result);
    results = results.drop_front(carriedNumbers.size());
    for (auto [value, result] : llvm::zip_first(captured, results))
      outside.accumulate(value, result);
    for (auto [operand, result] : llvm::zip_equal(sliced, results.drop_front(captured.size())))
      outside.accumulate(operand, result);
  }

  RepeatOp forward;
  ReverseScope &outside;
  OpBuilder &before;
  Activity &activity;
  Region body;
  Block *block;
  OpBuilder builder;
  ReverseBlock inside;
  Recompute recompute;
  SmallVector<unsigned> carriedNumbers;
  SmallVector<Value> carried, slices, yielded; ///< operands of the reverse loop, and what its body ends in
  SmallVector<Value> captured, sliced;         ///< what the results after the carried ones are gradients of
};

} // namespace

LogicalResult ReverseBlock::reverseRepeat(RepeatOp repeat) {
  return ReverseLoop(repeat, *this, builder, activity, recompute).build();
}

} // namespace moire
