//===- dialect/IR/ReverseRulesRow.cpp - rules of row ops and losses ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vector-Jacobian products of ops that normalise, look up or reduce one row at a time. Each hands the work to one
// `_grad` op, which reads the statistics that the forward op has left.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"

using namespace mlir;
using namespace moire;

LogicalResult RmsNormOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "rstd")))
    return failure();
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  auto grad = RmsNormGradOp::create(builder, getLoc(), getX().getType(), getWeight().getType(), dy, getX(), getWeight(),
                                    getRstd());
  if (scope.wanted(getX()))
    scope.accumulate(getX(), grad.getDx());
  if (scope.wanted(getWeight()))
    scope.accumulate(getWeight(), grad.getDweight());
  return success();
}

LogicalResult LayerNormOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "mean")) ||
      failed(refuseCotangent(scope, getOperation()->getResult(2), "rstd")))
    return failure();
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  auto grad = LayerNormGradOp::create(builder, getLoc(), getX().getType(), getWeight().getType(), getBias().getType(),
                                      dy, getX(), getWeight(), getMean(), getRstd());
  if (scope.wanted(getX()))
    scope.accumulate(getX(), grad.getDx());
  if (scope.wanted(getWeight()))
    scope.accumulate(getWeight(), grad.getDweight());
  if (scope.wanted(getBias()))
    scope.accumulate(getBias(), grad.getDbias());
  return success();
}

LogicalResult LookupOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = scope.cotangent(getY());
  scope.accumulate(getTable(),
                   LookupGradOp::create(builder, getLoc(), fullTensor(tensorType(getTable())), getIndex(), dy));
  return success();
}

LogicalResult TileOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulate(getX(), FoldOp::create(builder, getLoc(), scope.cotangent(getY()), getCopies()));
  return success();
}

LogicalResult FoldOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulate(getX(), TileOp::create(builder, getLoc(), scope.cotangent(getY()), getCopies()));
  return success();
}

LogicalResult RopeOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (scope.wanted(getCos()) || scope.wanted(getSin()))
    return emitOpError("has no reverse rule for its tables");
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  scope.accumulate(getX(), RopeOp::create(builder, getLoc(), getX().getType(), dy, getCos(), getSin(), !getInverse()));
  return success();
}

LogicalResult SoftmaxOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulate(getX(), SoftmaxGradOp::create(builder, getLoc(), getX().getType(), getY(), scope.cotangent(getY())));
  return success();
}

LogicalResult CrossEntropyOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "lse")))
    return failure();
  scope.accumulate(getLogits(), CrossEntropyGradOp::create(builder, getLoc(), getLogits().getType(), getLogits(),
                                                           getTargets(), getLse(), scope.cotangent(getNll())));
  return success();
}

LogicalResult ZLossOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "lse")))
    return failure();
  scope.accumulate(getLogits(), ZLossGradOp::create(builder, getLoc(), getLogits().getType(), getLogits(), getLse(),
                                                    scope.cotangent(getLoss()), getCoefficient(), getTokens()));
  return success();
}
