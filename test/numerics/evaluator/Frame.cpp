//===- test/numerics/evaluator/Frame.cpp - values while evaluating ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Storage of the evaluator's tensors.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Frame.h"

#include "kernels/reference/Element.h"

#include <algorithm>

using namespace mlir;

namespace moire::evaluator {

Tensor::Tensor(RankedTensorType type) : type(type) {
  if (isFloat())
    floats.resize(type.getNumElements());
  else
    ints.resize(type.getNumElements());
}

void Tensor::round() {
  Type element = type.getElementType();
  if (element.isF32())
    for (double &x : floats)
      x = static_cast<float>(x);
  if (!element.isBF16())
    return;
  for (double &x : floats) {
    uint16_t narrow;
    reference::store(narrow, static_cast<float>(x));
    x = reference::load<float>(narrow);
  }
}

Tensor Tensor::slice(int64_t index) const {
  Tensor part(sliceType(type));
  int64_t size = part.size();
  if (isFloat())
    std::copy_n(floats.begin() + index * size, size, part.floats.begin());
  else
    std::copy_n(ints.begin() + index * size, size, part.ints.begin());
  return part;
}

void Tensor::setSlice(int64_t index, const Tensor &part) {
  std::copy(part.floats.begin(), part.floats.end(), floats.begin() + index * part.floats.size());
  std::copy(part.ints.begin(), part.ints.end(), ints.begin() + index * part.ints.size());
}

const Tensor &Frame::get(Value value) const {
  auto found = tensors.find(value);
  assert(found != tensors.end() && "values are evaluated before they are read");
  return found->second;
}

Tensor &Frame::make(Value value) {
  Tensor &tensor = tensors[value];
  tensor = Tensor(cast<RankedTensorType>(value.getType()));
  return tensor;
}

} // namespace moire::evaluator
