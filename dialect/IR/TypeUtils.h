//===- dialect/IR/TypeUtils.h - small questions about types -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What verifiers, costs and passes ask of types again and again: sizes, precision, and types made from others by
// dropping or adding extents. Nothing here asserts on the shape of its argument.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_IR_TYPEUTILS_H
#define MOIRE_DIALECT_IR_TYPEUTILS_H

#include "mlir/IR/BuiltinTypes.h"

namespace moire {

/// Bytes of one value: of all elements of a tensor or buffer, of one scalar; an index counts as 8. 0 for types
/// without a size and for dynamic shapes.
int64_t bytesOf(mlir::Type type);

/// Number of elements of a tensor or buffer (1 at rank 0 and for scalars); 0 for dynamic shapes.
int64_t elementsOf(mlir::Type type);

/// The element type of a tensor or buffer; a scalar type stays as it is.
mlir::Type elementOf(mlir::Type type);

/// Whether the element type is f32 or f64: what statistics, routing, states, losses and gradients of parameters keep.
bool isFullPrecision(mlir::Type type);

/// The full-precision companion of an element type (or of the elements of a shaped type): f64 for f64, else f32.
mlir::Type fullType(mlir::Type type);

/// A tensor of the same shape with full-precision elements.
mlir::RankedTensorType fullTensor(mlir::RankedTensorType type);

/// Extents of a tensor or buffer; empty for everything else.
llvm::ArrayRef<int64_t> shapeOf(mlir::Type type);

/// The last extent, or 1 at rank 0: the features of a row.
int64_t lastExtent(mlir::Type type);

/// All extents but the last; empty at rank 0.
llvm::ArrayRef<int64_t> leadingExtents(mlir::Type type);

/// Number of rows: the product of the leading extents (1 for a single row).
int64_t rowsOf(mlir::Type type);

/// `tensor<n x S>` gives `tensor<S>`: one slice of a stacked value. Null at rank 0.
mlir::RankedTensorType sliceType(mlir::RankedTensorType type);

/// `tensor<S>` gives `tensor<count x S>`.
mlir::RankedTensorType stackedType(int64_t count, mlir::RankedTensorType type);

/// Whether `suffix` is the end of `shape`.
bool isSuffix(llvm::ArrayRef<int64_t> suffix, llvm::ArrayRef<int64_t> shape);

} // namespace moire

#endif // MOIRE_DIALECT_IR_TYPEUTILS_H
