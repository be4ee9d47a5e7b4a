//===- passes/Transforms/Autodiff/Cotangents.h - sums of gradients -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cotangents of a block's values while its reverse is being built: sums that grow, of whole gradients and of
// slices. Slices wait until the whole is asked for, so that neighbours become one concatenation.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_COTANGENTS_H
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_COTANGENTS_H

#include "dialect/IR/MoireOps.h"
#include "llvm/ADT/MapVector.h"

namespace moire {

/// A map from values to the sums of what was handed over for them, in the order of first mention.
class Cotangents {
public:
  /// The cotangent of `value`, built at the builder's insertion point, or null when nothing was handed over.
  mlir::Value get(mlir::OpBuilder &builder, mlir::Value value);
  /// Adds a gradient of the whole value. Sums take the wider of two element types.
  void add(mlir::OpBuilder &builder, mlir::Value value, mlir::Value gradient);
  /// Adds a gradient of the part of `value` that begins at `offset` of `dim`.
  void addSlice(mlir::OpBuilder &builder, mlir::Value value, mlir::Value gradient, int64_t dim, int64_t offset);
  void erase(mlir::Value value) { sums.erase(value); }
  bool contains(mlir::Value value) const { return sums.contains(value); }
  /// All values that something was handed over for.
  llvm::SmallVector<mlir::Value> values() const;

private:
  struct Slice {
    mlir::Value gradient;
    int64_t dim, offset;
    int64_t end() const;
  };
  struct Sum {
    mlir::Value whole;
    llvm::SmallVector<Slice> slices;
  };
  /// Takes slices of one dimension that do not overlap out of `slices` and lays them side by side, zeros between.
  static mlir::Value concatenate(mlir::OpBuilder &builder, mlir::Value value, llvm::SmallVector<Slice> &slices);

  llvm::MapVector<mlir::Value, Sum> sums;
};

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_COTANGENTS_H
