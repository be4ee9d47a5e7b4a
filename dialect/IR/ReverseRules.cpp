//===- dialect/IR/ReverseRules.cpp - what reverse rules have in common -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The builders that reverse rules share. The rules themselves stand in ReverseRules<Family>.cpp.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"

using namespace mlir;

namespace moire {

RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }

Value castElements(OpBuilder &builder, Location loc, Value value, Type element) {
  RankedTensorType type = tensorType(value);
  if (type.getElementType() == element)
    return value;
  return CastOp::create(builder, loc, type.clone(element), value);
}

Value narrowCotangent(OpBuilder &builder, ReverseScope &scope, OpResult result) {
  Value dy = scope.cotangent(result);
  return dy ? castElements(builder, result.getLoc(), dy, tensorType(result).getElementType()) : Value();
}

Value fullCotangent(OpBuilder &builder, ReverseScope &scope, OpResult result) {
  Value dy = scope.cotangent(result);
  return dy ? castElements(builder, result.getLoc(), dy, fullType(tensorType(result).getElementType())) : Value();
}

Value reshapeTo(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> shape) {
  RankedTensorType type = tensorType(value);
  return type.getShape() == shape ? value : ReshapeOp::create(builder, loc, type.clone(shape), value).getResult();
}

Value sumTo(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> shape) {
  RankedTensorType type = tensorType(value);
  if (type.getShape() == shape)
    return value;
  return ReduceLeadingOp::create(builder, loc, RankedTensorType::get(shape, fullType(type.getElementType())), value);
}

LogicalResult refuseCotangent(ReverseScope &scope, OpResult result, StringRef name) {
  if (!scope.cotangent(result))
    return success();
  return result.getOwner()->emitOpError("has no reverse rule for its result `")
         << name << "`, which the objective depends on";
}

} // namespace moire
