//===- dialect/IR/ReverseRulesGroups.cpp - rules of groups of sequences ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vector-Jacobian products of mixtures of tokens. Mixing and sending back are each other's transpose, and the weights
// of both have the gradient of one product.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"

using namespace mlir;
using namespace moire;

LogicalResult GroupSoftmaxOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = fullCotangent(builder, scope, getOperation()->getResult(0));
  scope.accumulate(getX(), GroupSoftmaxGradOp::create(builder, getLoc(), getX().getType(), getY(), dy, getGroup()));
  return success();
}

LogicalResult MixOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dm = narrowCotangent(builder, scope, getOperation()->getResult(0));
  if (scope.wanted(getX()))
    scope.accumulate(getX(), UnmixOp::create(builder, getLoc(), getX().getType(), getWeights(), dm, getGroup()));
  if (scope.wanted(getWeights()))
    scope.accumulate(getWeights(),
                     MixGradWeightsOp::create(builder, getLoc(), getWeights().getType(), getX(), dm, getGroup()));
  return success();
}

LogicalResult UnmixOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dx = narrowCotangent(builder, scope, getOperation()->getResult(0));
  if (scope.wanted(getM()))
    scope.accumulate(getM(), MixOp::create(builder, getLoc(), getM().getType(), getWeights(), dx, getGroup()));
  if (scope.wanted(getWeights()))
    scope.accumulate(getWeights(),
                     MixGradWeightsOp::create(builder, getLoc(), getWeights().getType(), dx, getM(), getGroup()));
  return success();
}
