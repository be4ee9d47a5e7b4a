//===- dialect/IR/ReverseRulesMixing.cpp - rules of products and mixers ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Vector-Jacobian products of matrix products, attention, convolution and scans. Products take both factors in the
// type of the forward product: a full-precision cotangent (of logits) is rounded once on its way in.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"

using namespace mlir;
using namespace moire;

LogicalResult LinearOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = scope.cotangent(getY());
  if (getBias() && scope.wanted(getBias())) {
    Value dbias = sumTo(builder, getLoc(), dy, tensorType(getBias()).getShape());
    scope.accumulate(getBias(), castElements(builder, getLoc(), dbias, tensorType(getBias()).getElementType()));
  }
  dy = castElements(builder, getLoc(), dy, tensorType(getX()).getElementType());
  if (scope.wanted(getX()))
    scope.accumulate(getX(), LinearOp::create(builder, getLoc(), getX().getType(), dy, getW(), /*bias=*/Value(),
                                              /*transpose=*/!getTranspose()));
  if (scope.wanted(getW())) {
    Value rows = getTranspose() ? dy : getX(), columns = getTranspose() ? getX() : dy;
    scope.accumulate(getW(),
                     LinearGradWeightOp::create(builder, getLoc(), fullTensor(tensorType(getW())), rows, columns));
  }
  return success();
}

LogicalResult GroupedLinearOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = castElements(builder, getLoc(), scope.cotangent(getY()), tensorType(getX()).getElementType());
  RankedTensorType x = tensorType(getX());
  if (scope.wanted(getX())) {
    // Gradients of the sorted rows first; a gathered token then adds up those of its own rows.
    RankedTensorType sorted = x.clone({tensorType(dy).getDimSize(0), lastExtent(x)});
    Value dx = GroupedLinearOp::create(builder, getLoc(), sorted, dy, getW(), getOffsets(), /*rows=*/Value(),
                                       /*position=*/Value(), /*transpose=*/!getTranspose());
    if (getRows()) {
      if (!getPosition())
        return emitOpError("needs `position` beside `rows` to be reversed");
      dx = GatherRowsGradOp::create(builder, getLoc(), x, dx, getPosition());
    }
    scope.accumulate(getX(), dx);
  }
  if (scope.wanted(getW())) {
    RankedTensorType type = fullTensor(tensorType(getW()));
    Value none;
    Value dw = getTranspose() ? GroupedLinearGradWeightOp::create(builder, getLoc(), type, dy, getX(), getOffsets(),
                                                                  /*x_rows=*/none, /*dy_rows=*/getRows())
                                    .getResult()
                              : GroupedLinearGradWeightOp::create(builder, getLoc(), type, getX(), dy, getOffsets(),
                                                                  /*x_rows=*/getRows(), /*dy_rows=*/none)
                                    .getResult();
    scope.accumulate(getW(), dw);
  }
  return success();
}

LogicalResult SoftmaxAttentionOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "lse")))
    return failure();
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  auto grad = SoftmaxAttentionGradOp::create(builder, getLoc(), dy, getQ(), getK(), getV(), getY(), getLse(),
                                             getSinks(), getDocuments(), getBidirectionalAttr(), getWindowAttr(),
                                             getScaleAttr(), getSoftcapAttr(), getAlibiAttr());
  for (auto [gradient, operand] : llvm::zip_first(grad.getResults(), getOperands())) // documents have none
    if (scope.wanted(operand))
      scope.accumulate(operand, gradient);
  return success();
}

LogicalResult ConvOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  if (getPadding() == Padding::Valid && dy.getType() != getX().getType()) {
    if (getDocuments())
      return emitOpError("with `valid` padding and `documents` is for decoding, and has no reverse");
    // A valid convolution is the end of a causal one: what it leaves out has a zero cotangent.
    RankedTensorType x = tensorType(getX()), y = tensorType(dy);
    RankedTensorType missing = y.clone({y.getDimSize(0), x.getDimSize(1) - y.getDimSize(1), y.getDimSize(2)});
    Value zeros = FillOp::create(builder, getLoc(), missing, llvm::APFloat(0.0));
    dy = ConcatOp::create(builder, getLoc(), x, ValueRange{zeros, dy}, /*dim=*/1);
  }
  if (scope.wanted(getX()))
    scope.accumulate(getX(), ConvGradInputOp::create(builder, getLoc(), getX().getType(), dy, getW(), getDocuments()));
  if (scope.wanted(getW()) || scope.wanted(getBias())) {
    auto grad =
        ConvGradWeightOp::create(builder, getLoc(), getW().getType(), getBias().getType(), getX(), dy, getDocuments());
    if (scope.wanted(getW()))
      scope.accumulate(getW(), grad.getDw());
    if (scope.wanted(getBias()))
      scope.accumulate(getBias(), grad.getDbias());
  }
  return success();
}

LogicalResult SelectiveScanOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "states")))
    return failure();
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  auto grad = SelectiveScanGradOp::create(builder, getLoc(), dy, getU(), getDt(), getA(), getB(), getC(), getD(),
                                          getStates(), getDocuments());
  for (auto [gradient, operand] : llvm::zip_first(grad.getResults(), getOperands())) // documents have none
    if (scope.wanted(operand))
      scope.accumulate(operand, gradient);
  return success();
}
