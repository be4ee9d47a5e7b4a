//===- dialect/IR/LengthOps.cpp - verifiers of blocks that move positions --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What they ask of the time and of the features of their stream.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

/// Fails unless `extent`, the `what` of the stream, comes out even.
static LogicalResult expectDivides(Operation *op, StringRef name, int64_t divisor, StringRef what, int64_t extent) {
  if (divisor >= 1 && extent % divisor == 0)
    return success();
  return op->emitOpError("expects `") << name << "` to divide the " << extent << " " << what << ", got " << divisor;
}

LogicalResult Conv1dOp::verify() {
  if (failed(expectRank(*this, "x", getX().getType(), 3)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(getX().getType());
  int64_t stride = getStride(), kernel = getKernel(), width = getWidth();
  if (stride < 1 || kernel < stride) // conv1d.C2
    return emitOpError("expects `kernel` >= `stride` >= 1, got ") << kernel << " and " << stride;
  if (failed(expectDivides(*this, "stride", stride, "positions", shape[1]))) // conv1d.C1
    return failure();
  return expectShape(*this, "y", getY().getType(), {shape[0], shape[1] / stride, width}, getX()); // conv1d.C1
}

LogicalResult StackOp::verify() {
  if (failed(expectRank(*this, "x", getX().getType(), 3)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(getX().getType());
  int64_t factor = getFactor();
  if (failed(expectDivides(*this, "factor", factor, "positions", shape[1]))) // stack.C1
    return failure();
  return expectShape(*this, "y", getY().getType(), {shape[0], shape[1] / factor, shape[2] * factor}, getX());
}

LogicalResult UnstackOp::verify() {
  if (failed(expectRank(*this, "x", getX().getType(), 3)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(getX().getType());
  int64_t factor = getFactor();
  if (failed(expectDivides(*this, "factor", factor, "features", shape[2]))) // unstack.C1
    return failure();
  return expectShape(*this, "y", getY().getType(), {shape[0], shape[1] * factor, shape[2] / factor}, getX());
}

LogicalResult ShiftOp::verify() { // shift.C1 by the traits
  if (failed(expectRank(*this, "x", getX().getType(), 3)))
    return failure();
  int64_t time = shapeOf(getX().getType())[1], positions = getPositions();
  if (positions >= 1 && positions < time) // shift.C2
    return success();
  return emitOpError("expects `positions` from 1 to ") << time - 1 << ", got " << positions;
}
