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

/// The features that each result reads, side by side, then one product. Of `stride` neighbours side by side, a row
/// holds the last taps of a result, the row before it those before, and so on; what the first row has too much is left
/// out.
Value BlockBuilder::conv1d(Conv1dOp op, Value x) {
  int64_t batch = shapeOf(x)[0], time = shapeOf(x)[1], width = widthOf(x);
  int64_t kernel = op.getKernel(), stride = op.getStride(), results = time / stride;
  int64_t parts = (kernel + stride - 1) / stride, unread = parts * stride - kernel, rows = results + parts - 1;
  int64_t before = (op.getCausal() ? kernel - 1 : (kernel - 1) / 2) + unread, after = rows * stride - before - time;
  auto zeros = [&](int64_t count) -> Value {
    return FillOp::create(b, loc, type({batch, count, width}, elementOf(x)), b.getF64FloatAttr(0));
  };
  llvm::SmallVector<Value> padded;
  if (before > 0)
    padded.push_back(zeros(before));
  padded.push_back(after < 0 ? slice(x, 1, 0, time + after) : x);
  if (after > 0)
    padded.push_back(zeros(after));
  Value whole = padded.size() > 1 ? concat(padded, 1) : padded.front();
  whole = reshape(whole, {batch, rows, stride * width});
  llvm::SmallVector<Value> taps;
  for (int64_t part = 0; part < parts; ++part) {
    Value read = slice(whole, 1, part, results);
    taps.push_back(part == 0 && unread > 0 ? slice(read, 2, unread * width, (stride - unread) * width) : read);
  }
  return affine(taps.size() > 1 ? concat(taps, 2) : taps.front(), "", op.getBias());
}

} // namespace moire
