//===- dialect/IR/TypeUtils.cpp - small questions about types ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// See the header.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"

using namespace mlir;

namespace moire {

Type elementOf(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? shaped.getElementType() : type;
}

ArrayRef<int64_t> shapeOf(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped && shaped.hasRank() ? shaped.getShape() : ArrayRef<int64_t>();
}

int64_t elementsOf(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  if (!shaped)
    return 1;
  return shaped.hasStaticShape() ? shaped.getNumElements() : 0;
}

int64_t bytesOf(Type type) {
  Type element = elementOf(type);
  if (isa<IndexType>(element))
    return 8 * elementsOf(type);
  if (!element.isIntOrFloat())
    return 0;
  return (element.getIntOrFloatBitWidth() + 7) / 8 * elementsOf(type);
}

bool isFullPrecision(Type type) { return isa<Float32Type, Float64Type>(elementOf(type)); }

Type fullType(Type type) {
  Type element = elementOf(type);
  return isa<Float64Type>(element) ? element : Float32Type::get(type.getContext());
}

RankedTensorType fullTensor(RankedTensorType type) { return RankedTensorType::get(type.getShape(), fullType(type)); }

int64_t lastExtent(Type type) {
  ArrayRef<int64_t> shape = shapeOf(type);
  return shape.empty() ? 1 : shape.back();
}

ArrayRef<int64_t> leadingExtents(Type type) {
  ArrayRef<int64_t> shape = shapeOf(type);
  return shape.empty() ? shape : shape.drop_back();
}

int64_t rowsOf(Type type) {
  int64_t rows = 1;
  for (int64_t extent : leadingExtents(type))
    rows *= extent;
  return rows;
}

RankedTensorType sliceType(RankedTensorType type) {
  if (type.getRank() == 0)
    return {};
  return RankedTensorType::get(type.getShape().drop_front(), type.getElementType());
}

RankedTensorType stackedType(int64_t count, RankedTensorType type) {
  SmallVector<int64_t> shape(1, count);
  llvm::append_range(shape, type.getShape());
  return RankedTensorType::get(shape, type.getElementType());
}

bool isSuffix(ArrayRef<int64_t> suffix, ArrayRef<int64_t> shape) {
  return suffix.size() <= shape.size() && shape.take_back(suffix.size()) == suffix;
}

} // namespace moire
