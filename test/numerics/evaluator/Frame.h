//===- test/numerics/evaluator/Frame.h - values while evaluating --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensors of the evaluator, and the map from values of the IR to them. Floats are doubles whatever their type says;
// what an op makes is rounded once to its type.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_NUMERICS_EVALUATOR_FRAME_H
#define MOIRE_TEST_NUMERICS_EVALUATOR_FRAME_H

#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"
#include "llvm/ADT/DenseMap.h"

#include <vector>

namespace moire::evaluator {

/// A dense, row-major tensor: `floats` or `ints` hold its elements, by its type.
struct Tensor {
  mlir::RankedTensorType type;
  std::vector<double> floats;
  std::vector<int32_t> ints;

  Tensor() = default;
  /// Zeros.
  explicit Tensor(mlir::RankedTensorType type);

  bool isFloat() const { return llvm::isa<mlir::FloatType>(type.getElementType()); }
  int64_t size() const { return type.getNumElements(); }
  /// Rounds the elements to what the element type can hold (to nearest, ties to even).
  void round();
  /// `tensor<S>` number `index` of a `tensor<n x S>`.
  Tensor slice(int64_t index) const;
  /// Writes `part` as number `index`.
  void setSlice(int64_t index, const Tensor &part);
};

/// The values of one function, or of one region of it: later values replace earlier ones (iterations of a loop).
class Frame {
public:
  const Tensor &get(mlir::Value value) const;
  void set(mlir::Value value, Tensor tensor) { tensors[value] = std::move(tensor); }
  /// Makes the tensor of a result, zeros at first.
  Tensor &make(mlir::Value value);

  /// Elements of an operand; null for an optional operand that is not there.
  const double *in(mlir::Value value) const { return value ? get(value).floats.data() : nullptr; }
  const int32_t *ints(mlir::Value value) const { return value ? get(value).ints.data() : nullptr; }
  /// Elements of a result, zeros at first.
  double *out(mlir::Value value) { return make(value).floats.data(); }
  int32_t *outInts(mlir::Value value) { return make(value).ints.data(); }

private:
  llvm::DenseMap<mlir::Value, Tensor> tensors;
};

} // namespace moire::evaluator

#endif // MOIRE_TEST_NUMERICS_EVALUATOR_FRAME_H
