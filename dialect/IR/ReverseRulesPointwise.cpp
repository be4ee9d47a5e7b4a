//===- dialect/IR/ReverseRulesPointwise.cpp - rules of pointwise ops ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vector-Jacobian products of functions of single elements, and of ops that move elements: shapes, slices, casts.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"

using namespace mlir;
using namespace moire;

LogicalResult UnaryOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  Value dx = getKind() == Unary::Neg
                 ? UnaryOp::create(builder, getLoc(), dy.getType(), dy, Unary::Neg).getResult()
                 : UnaryGradOp::create(builder, getLoc(), getX().getType(), getX(), dy, getKind()).getResult();
  scope.accumulate(getX(), dx);
  return success();
}

namespace {

/// Gradient of the second operand of a binary op: the full-size gradient summed to the shape of b.
void accumulateSecond(OpBuilder &builder, ReverseScope &scope, BinaryOp op, Value gradient) {
  Value sum = sumTo(builder, op.getLoc(), gradient, tensorType(op.getB()).getShape());
  // A sum over rows is in full precision already, and stays so for a parameter; else b's own type serves.
  if (sum == gradient)
    sum = castElements(builder, op.getLoc(), sum, tensorType(op.getB()).getElementType());
  if (op.getKind() == Binary::Sub)
    sum = UnaryOp::create(builder, op.getLoc(), sum.getType(), sum, Unary::Neg);
  scope.accumulate(op.getB(), sum);
}

Value multiply(OpBuilder &builder, Location loc, Value a, Value b) {
  return BinaryOp::create(builder, loc, a.getType(), a, b, Binary::Mul);
}

} // namespace

LogicalResult BinaryOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  OpResult y = getOperation()->getResult(0);
  if (getKind() != Binary::Mul) {
    if (scope.wanted(getA()))
      scope.accumulate(getA(), scope.cotangent(y));
    if (scope.wanted(getB()))
      accumulateSecond(builder, scope, *this, scope.cotangent(y));
    return success();
  }
  if (scope.wanted(getA()))
    scope.accumulate(getA(), multiply(builder, getLoc(), narrowCotangent(builder, scope, y), getB()));
  if (scope.wanted(getB())) {
    // What is summed over rows into full precision is also multiplied there.
    bool summed = getB().getType() != getA().getType() && isFullPrecision(getB().getType());
    Value dy = summed ? fullCotangent(builder, scope, y) : narrowCotangent(builder, scope, y);
    Value a = castElements(builder, getLoc(), getA(), tensorType(dy).getElementType());
    accumulateSecond(builder, scope, *this, multiply(builder, getLoc(), dy, a));
  }
  return success();
}

LogicalResult ScaleOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = scope.cotangent(getY());
  scope.accumulate(getX(), ScaleOp::create(builder, getLoc(), dy.getType(), dy, getFactor()));
  return success();
}

LogicalResult ClampOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  scope.accumulate(getX(),
                   ClampGradOp::create(builder, getLoc(), getX().getType(), getX(), dy, getLowAttr(), getHighAttr()));
  return success();
}

LogicalResult CastOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = scope.cotangent(getY());
  scope.accumulate(getX(), castElements(builder, getLoc(), dy, tensorType(getX()).getElementType()));
  return success();
}

LogicalResult BroadcastOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulate(getX(), sumTo(builder, getLoc(), scope.cotangent(getY()), tensorType(getX()).getShape()));
  return success();
}

LogicalResult ReduceLeadingOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Type element = tensorType(getX()).getElementType();
  Value dy = castElements(builder, getLoc(), scope.cotangent(getY()), element);
  if (dy.getType() != getX().getType())
    dy = BroadcastOp::create(builder, getLoc(), getX().getType(), dy);
  scope.accumulate(getX(), dy);
  return success();
}

LogicalResult ReshapeOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulate(getX(), reshapeTo(builder, getLoc(), scope.cotangent(getY()), tensorType(getX()).getShape()));
  return success();
}

LogicalResult SliceOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  scope.accumulateSlice(getX(), scope.cotangent(getY()), getDim(), getOffset());
  return success();
}

LogicalResult ConcatOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = scope.cotangent(getY());
  int64_t offset = 0;
  for (Value x : getXs()) {
    RankedTensorType type = tensorType(x);
    if (scope.wanted(x))
      scope.accumulate(
          x, SliceOp::create(builder, getLoc(), type.clone(tensorType(dy).getElementType()), dy, getDim(), offset));
    offset += type.getDimSize(getDim());
  }
  return success();
}
