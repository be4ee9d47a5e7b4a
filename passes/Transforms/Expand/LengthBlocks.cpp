//===- LengthBlocks.cpp - blocks that move positions --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions and shifts out of slices and concatenations along time. Stacking positions is a reshape: see
// BlockBuilder.cpp.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

using namespace mlir;

namespace moire {

Value BlockBuilder::shift(ShiftOp op, Value x) {
  int64_t positions = op.getPositions();
  Value zeros =
      FillOp::create(b, loc, type({shapeOf(x)[0], positions, shapeOf(x)[2]}, elementOf(x)), b.getF64FloatAttr(0));
  return concat({zeros, slice(x, 1, 0, shapeOf(x)[1] - positions)}, 1);
}

/// The features that each result reads, side by side, then one product. Of `stride` neighbours side by side, row t
/// holds the first taps of result t, row t + 1 the next ones, and so on.
Value BlockBuilder::conv1d(Conv1dOp op, Value x) {
  int64_t batch = shapeOf(x)[0], time = shapeOf(x)[1], width = widthOf(x);
  int64_t kernel = op.getKernel(), stride = op.getStride(), results = time / stride;
  int64_t before = op.getCausal() ? kernel - 1 : (kernel - 1) / 2, rows = results + (kernel - 1) / stride;
  auto zeros = [&](int64_t count) -> Value {
    return FillOp::create(b, loc, type({batch, count, width}, elementOf(x)), b.getF64FloatAttr(0));
  };
  llvm::SmallVector<Value> padded;
  if (before > 0)
    padded.push_back(zeros(before));
  int64_t after = rows * stride - before - time;
  padded.push_back(after < 0 ? slice(x, 1, 0, time + after) : x);
  if (after > 0)
    padded.push_back(zeros(after));
  Value whole = padded.size() > 1 ? concat(padded, 1) : padded.front();
  whole = reshape(whole, {batch, rows, stride * width});
  llvm::SmallVector<Value> taps;
  for (int64_t tap = 0; tap < kernel; tap += stride) {
    Value part = slice(whole, 1, tap / stride, results);
    int64_t count = std::min(stride, kernel - tap);
    taps.push_back(count < stride ? slice(part, 2, 0, count * width) : part);
  }
  return affine(taps.size() > 1 ? concat(taps, 2) : taps.front(), "", op.getBias());
}

} // namespace moire
