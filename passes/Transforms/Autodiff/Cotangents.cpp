//===- passes/Transforms/Autodiff/Cotangents.cpp - sums of gradients ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums are built one addition at a time, in the order in which gradients arrive.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/Cotangents.h"

#include "dialect/IR/ReverseRules.h"

using namespace mlir;

namespace moire {
namespace {

/// The wider of two element types.
Type wider(Type a, Type b) { return a.getIntOrFloatBitWidth() >= b.getIntOrFloatBitWidth() ? a : b; }

Value sum(OpBuilder &builder, Location loc, Value a, Value b) {
  Type element = wider(tensorType(a).getElementType(), tensorType(b).getElementType());
  a = castElements(builder, loc, a, element);
  b = castElements(builder, loc, b, element);
  return BinaryOp::create(builder, loc, a.getType(), a, b, Binary::Add);
}

Value zeros(OpBuilder &builder, Location loc, RankedTensorType like, int64_t dim, int64_t extent) {
  SmallVector<int64_t> shape(like.getShape());
  shape[dim] = extent;
  return FillOp::create(builder, loc, like.clone(shape), llvm::APFloat(0.0));
}

} // namespace

int64_t Cotangents::Slice::end() const { return offset + tensorType(gradient).getDimSize(dim); }

SmallVector<Value> Cotangents::values() const {
  return llvm::map_to_vector(sums, [](const auto &entry) { return entry.first; });
}

void Cotangents::add(OpBuilder &builder, Value value, Value gradient) {
  assert(tensorType(value).getShape() == tensorType(gradient).getShape() && "a cotangent has its value's shape");
  Value &whole = sums[value].whole;
  whole = whole ? sum(builder, gradient.getLoc(), whole, gradient) : gradient;
}

void Cotangents::addSlice(OpBuilder &builder, Value value, Value gradient, int64_t dim, int64_t offset) {
  if (tensorType(value).getShape() == tensorType(gradient).getShape())
    return add(builder, value, gradient);
  // The same slice twice is one slice: its gradients add up at their own size.
  for (Slice &slice : sums[value].slices)
    if (slice.dim == dim && slice.offset == offset &&
        tensorType(slice.gradient).getShape() == tensorType(gradient).getShape()) {
      slice.gradient = sum(builder, gradient.getLoc(), slice.gradient, gradient);
      return;
    }
  sums[value].slices.push_back({gradient, dim, offset});
}

Value Cotangents::concatenate(OpBuilder &builder, Value value, SmallVector<Slice> &slices) {
  int64_t dim = slices.front().dim, extent = tensorType(value).getDimSize(dim), end = 0;
  Location loc = slices.front().gradient.getLoc();
  // No two slices agree in all three: addSlice has merged those.
  llvm::sort(slices, [](const Slice &a, const Slice &b) {
    return std::tuple(a.offset, a.dim, a.end()) < std::tuple(b.offset, b.dim, b.end());
  });
  SmallVector<Slice> chosen, left;
  Type element = tensorType(slices.front().gradient).getElementType();
  for (const Slice &slice : slices) {
    bool fits = slice.dim == dim && slice.offset >= end;
    (fits ? chosen : left).push_back(slice);
    if (!fits)
      continue;
    end = slice.end();
    element = wider(element, tensorType(slice.gradient).getElementType());
  }
  RankedTensorType type = tensorType(value).clone(element);
  SmallVector<Value> parts;
  end = 0;
  for (const Slice &slice : chosen) {
    if (slice.offset > end)
      parts.push_back(zeros(builder, loc, type, dim, slice.offset - end));
    parts.push_back(castElements(builder, loc, slice.gradient, element));
    end = slice.end();
  }
  if (end < extent)
    parts.push_back(zeros(builder, loc, type, dim, extent - end));
  slices = left;
  return ConcatOp::create(builder, loc, type, parts, dim);
}

Value Cotangents::get(OpBuilder &builder, Value value) {
  auto found = sums.find(value);
  if (found == sums.end())
    return {};
  Sum &entry = found->second;
  while (!entry.slices.empty()) {
    Value whole = concatenate(builder, value, entry.slices);
    entry.whole = entry.whole ? sum(builder, whole.getLoc(), entry.whole, whole) : whole;
  }
  return entry.whole;
}

} // namespace moire
