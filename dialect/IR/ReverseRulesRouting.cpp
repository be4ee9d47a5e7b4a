//===- dialect/IR/ReverseRulesRouting.cpp - rules of routing ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vector-Jacobian products of the choice of experts and of the moves of rows around them. Which experts were chosen,
// and how many tokens each got, is constant for the gradient.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"

using namespace mlir;
using namespace moire;

/// Each expert's share of the choices less the mean share: what the sign rule balances.
static Value excessLoad(OpBuilder &builder, Location loc, Value chosen, RankedTensorType bias) {
  Value load = ChoiceLoadOp::create(builder, loc, bias, chosen);
  Value mean = FillOp::create(builder, loc, bias, llvm::APFloat(1.0 / static_cast<double>(bias.getNumElements())));
  return BinaryOp::create(builder, loc, bias, load, mean, Binary::Sub);
}

LogicalResult RouteOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dweights = scope.cotangent(getWeights()), dprobs = scope.cotangent(getProbs());
  bool alone = getGate() == Gate::SigmoidTopK || getGate() == Gate::SqrtSoftplusTopK;
  if (scope.wanted(getLogits()))
    scope.accumulate(getLogits(), RouteGradOp::create(builder, getLoc(), getLogits().getType(), getProbs(),
                                                      getWeights(), getChosen(), alone ? getLogits() : Value(),
                                                      dweights, dprobs, getGate(), getRenormalize(), getScale()));
  if (getBias() && scope.wanted(getBias()))
    scope.accumulate(getBias(), excessLoad(builder, getLoc(), getChosen(), tensorType(getBias())));
  return success();
}

LogicalResult GatherRowsOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  scope.accumulate(getX(), GatherRowsGradOp::create(builder, getLoc(), getX().getType(), dy, getPosition()));
  return success();
}

LogicalResult CombineOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = castElements(builder, getLoc(), scope.cotangent(getY()), tensorType(getX()).getElementType());
  auto grad = CombineGradOp::create(builder, getLoc(), getX().getType(), getWeights().getType(), dy, getX(),
                                    getWeights(), getPosition());
  if (scope.wanted(getX()))
    scope.accumulate(getX(), grad.getDx());
  if (scope.wanted(getWeights()))
    scope.accumulate(getWeights(), grad.getDweights());
  return success();
}

/// Rows of one number: the gates of tokens as rows that can be gathered, and the other way round.
static Value asColumn(OpBuilder &builder, Location loc, Value value) {
  SmallVector<int64_t> shape(tensorType(value).getShape());
  shape.push_back(1);
  return reshapeTo(builder, loc, value, shape);
}

LogicalResult GroupedCombineOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Location loc = getLoc();
  RankedTensorType x = tensorType(getX()), w = tensorType(getW()), weights = tensorType(getWeights());
  int64_t rows = x.getDimSize(0);
  Value dy = castElements(builder, loc, scope.cotangent(getY()), x.getElementType()), none;
  Value sorted = GatherRowsOp::create(builder, loc, x.clone({rows, w.getDimSize(2)}), dy, getRows(), getPosition());
  Value at = asColumn(builder, loc, getPosition());
  Value gates, da;
  if (scope.wanted(getX()) || scope.wanted(getWeights()))
    da = GroupedLinearOp::create(builder, loc, x, sorted, getW(), getOffsets(), /*rows=*/none, /*position=*/none,
                                 /*transpose=*/true);
  if (scope.wanted(getX()) || scope.wanted(getW())) {
    Value column = GatherRowsOp::create(builder, loc, weights.clone({rows, 1}), asColumn(builder, loc, getWeights()),
                                        getSlots(), at);
    gates = reshapeTo(builder, loc, column, {rows});
  }
  if (scope.wanted(getWeights())) {
    Value dots = asColumn(builder, loc, DotRowsOp::create(builder, loc, da, getX()));
    Value back = GatherRowsGradOp::create(builder, loc, tensorType(asColumn(builder, loc, getWeights())), dots, at);
    scope.accumulate(getWeights(), reshapeTo(builder, loc, back, weights.getShape()));
  }
  if (scope.wanted(getX()))
    scope.accumulate(getX(), ScaleRowsOp::create(builder, loc, da, gates));
  if (scope.wanted(getW())) {
    Value weighted = ScaleRowsOp::create(builder, loc, getX(), gates);
    scope.accumulate(getW(), GroupedLinearGradWeightOp::create(builder, loc, fullTensor(w), weighted, sorted,
                                                               getOffsets(), /*x_rows=*/none, /*dy_rows=*/none));
  }
  return success();
}

LogicalResult BalanceLossOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (scope.wanted(getProbs()))
    scope.accumulate(getProbs(), BalanceLossGradOp::create(builder, getLoc(), getProbs().getType(),
                                                           scope.cotangent(getLoss()), getLoad(), getFactor()));
  return success();
}

LogicalResult SequenceBalanceLossOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (scope.wanted(getProbs()))
    scope.accumulate(getProbs(), SequenceBalanceLossGradOp::create(builder, getLoc(), getProbs().getType(),
                                                                   scope.cotangent(getLoss()), getLoad(), getFactor()));
  return success();
}
