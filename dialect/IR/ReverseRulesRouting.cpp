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

LogicalResult RouteOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulate(getLogits(), RouteGradOp::create(builder, getLoc(), getLogits().getType(), getProbs(), getWeights(),
                                                    getChosen(), scope.cotangent(getWeights()),
                                                    scope.cotangent(getProbs()), getGate(), getRenormalize()));
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

LogicalResult BalanceLossOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (scope.wanted(getProbs()))
    scope.accumulate(getProbs(), BalanceLossGradOp::create(builder, getLoc(), getProbs().getType(),
                                                           scope.cotangent(getLoss()), getLoad(), getFactor()));
  return success();
}
