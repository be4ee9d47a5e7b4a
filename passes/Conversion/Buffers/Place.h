//===- passes/Conversion/Buffers/Place.h - where a value lives --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A place is a strided window into a root buffer. Reshapes, slices and the rows of a stack are arithmetic on places, so
// they cost nothing; a place becomes a memref only where an op needs one.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_PLACE_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_PLACE_H

#include "mlir/IR/Block.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include <optional>

namespace moire {

/// Memory that is addressed from its first element, row-major: an argument, a constant, or a local buffer.
struct Root {
  enum class Kind { Argument, Local, Constant };
  Kind kind = Kind::Local;
  mlir::Type element;
  llvm::SmallVector<int64_t> shape;
  mlir::Block *block = nullptr; ///< of the tensor program: where a local buffer is allocated
  bool writable = true;         ///< false for arguments that are only read, and constants
  mlir::Value memref;           ///< null until emitted
  mlir::Location loc;

  explicit Root(mlir::Location loc) : loc(loc) {}
  mlir::MemRefType type() const { return mlir::MemRefType::get(shape, element); }
};

/// Which number of a loop a run-time offset is a multiple of.
enum class LoopIndex {
  Row,   ///< the row of stacked values: i, or count - 1 - i in reverse
  Parity ///< i mod 2
};

/// A run-time part of an offset: `stride` elements times an index of a loop, or times a value of the emitted program.
struct Term {
  mlir::Operation *loop = nullptr; ///< the `moire.repeat` of the tensor program, or null
  LoopIndex index = LoopIndex::Row;
  mlir::Value value; ///< of type index, when loop is null
  int64_t stride = 0;

  bool operator==(const Term &other) const = default;
};

/// A strided window into a root. Strides and offsets count elements.
struct Place {
  Root *root = nullptr;
  int64_t offset = 0;
  llvm::SmallVector<Term, 2> terms;
  llvm::SmallVector<int64_t> shape;
  llvm::SmallVector<int64_t> strides;

  explicit operator bool() const { return root != nullptr; }
  /// Whether both are the same elements of the same memory under the same extents.
  bool operator==(const Place &other) const;

  int64_t rank() const { return shape.size(); }
  int64_t elements() const;
  /// Whether elements lie row-major without gaps.
  bool isDense() const { return hasDenseRows(rank()); }
  /// Whether the last `row` dimensions lie row-major without gaps.
  bool hasDenseRows(int64_t row) const;
  /// The one stride between consecutive rows of the last `row` dimensions, with all leading dimensions flattened; none
  /// when the rows have gaps or no single stride walks the leading dimensions.
  std::optional<int64_t> rowStride(int64_t row) const;

  /// All of a root.
  static Place whole(Root &root);
  /// The same elements under other extents, when strides can express it.
  std::optional<Place> reshaped(llvm::ArrayRef<int64_t> extents) const;
  /// `count` entries of dimension `dim` from `first` on.
  Place sliced(int64_t dim, int64_t first, int64_t count) const;
  /// Row `term` of the first dimension; the term's stride is set here, to minus the row's when `backwards`.
  Place row(Term term, bool backwards = false) const;
  /// Row `number` of the first dimension.
  Place row(int64_t number) const;
};

/// Product of extents.
int64_t elementCount(llvm::ArrayRef<int64_t> extents);

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_PLACE_H
