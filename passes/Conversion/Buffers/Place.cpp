//===- passes/Conversion/Buffers/Place.cpp - where a value lives ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic on strided windows.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/Place.h"

using namespace mlir;
using namespace moire;

int64_t moire::elementCount(ArrayRef<int64_t> extents) {
  int64_t count = 1;
  for (int64_t extent : extents)
    count *= extent;
  return count;
}

bool Place::operator==(const Place &other) const {
  if (root != other.root || offset != other.offset || terms != other.terms || shape != other.shape)
    return false;
  for (auto [extent, mine, its] : llvm::zip(shape, strides, other.strides))
    if (extent != 1 && mine != its)
      return false;
  return true;
}

int64_t Place::elements() const { return elementCount(shape); }

bool Place::hasDenseRows(int64_t row) const {
  int64_t expected = 1;
  for (int64_t dim = rank() - 1; dim >= rank() - row; --dim) {
    if (shape[dim] != 1 && strides[dim] != expected)
      return false;
    expected *= shape[dim];
  }
  return true;
}

std::optional<int64_t> Place::rowStride(int64_t row) const {
  if (row > rank() || !hasDenseRows(row))
    return std::nullopt;
  std::optional<int64_t> stride;
  int64_t expected = 0;
  for (int64_t dim = rank() - row - 1; dim >= 0; --dim) {
    if (shape[dim] == 1)
      continue;
    if (!stride)
      expected = *(stride = strides[dim]);
    else if (strides[dim] != expected)
      return std::nullopt;
    expected *= shape[dim];
  }
  return stride ? *stride : elementCount(ArrayRef<int64_t>(shape).take_back(row));
}

Place Place::whole(Root &root) {
  Place place;
  place.root = &root;
  place.shape = root.shape;
  place.strides.resize(root.shape.size());
  int64_t stride = 1;
  for (int64_t dim = place.rank() - 1; dim >= 0; --dim) {
    place.strides[dim] = stride;
    stride *= place.shape[dim];
  }
  return place;
}

std::optional<Place> Place::reshaped(ArrayRef<int64_t> extents) const {
  // Runs of old and new dimensions with equal products are matched; the old ones of a run must have one stride.
  Place result = *this;
  result.shape.assign(extents.begin(), extents.end());
  result.strides.assign(extents.size(), 1);
  SmallVector<int64_t> oldShape, oldStrides;
  for (auto [extent, stride] : llvm::zip(shape, strides))
    if (extent != 1) {
      oldShape.push_back(extent);
      oldStrides.push_back(stride);
    }
  size_t from = 0, to = 0;
  while (from < oldShape.size()) {
    while (to < extents.size() && extents[to] == 1)
      ++to;
    size_t fromEnd = from + 1, toEnd = to + 1;
    int64_t fromCount = oldShape[from], toCount = extents[to];
    while (fromCount != toCount) {
      if (fromCount < toCount)
        fromCount *= oldShape[fromEnd++];
      else
        toCount *= extents[toEnd++];
    }
    for (size_t dim = from; dim + 1 < fromEnd; ++dim)
      if (oldStrides[dim] != oldStrides[dim + 1] * oldShape[dim + 1])
        return std::nullopt;
    int64_t stride = oldStrides[fromEnd - 1];
    for (size_t dim = toEnd; dim-- > to;) {
      result.strides[dim] = stride;
      stride *= extents[dim];
    }
    from = fromEnd;
    to = toEnd;
  }
  return result;
}

Place Place::sliced(int64_t dim, int64_t first, int64_t count) const {
  Place result = *this;
  result.offset += first * strides[dim];
  result.shape[dim] = count;
  return result;
}

static Place dropFirst(const Place &place) {
  Place result = place;
  result.shape.erase(result.shape.begin());
  result.strides.erase(result.strides.begin());
  return result;
}

Place Place::row(Term term, bool backwards) const {
  Place result = dropFirst(*this);
  term.stride = backwards ? -strides.front() : strides.front();
  result.terms.push_back(term);
  return result;
}

Place Place::row(int64_t number) const {
  Place result = dropFirst(*this);
  result.offset += number * strides.front();
  return result;
}
