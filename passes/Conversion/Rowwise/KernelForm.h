//===- passes/Conversion/Rowwise/KernelForm.h - buffers as a kernel sees them //
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The domain and the buffers of a `moire.rowwise`, brought to a form with few dimensions: neighbouring domain
// dimensions that every buffer walks in one stride become one, and rows that are too short to fill vectors are joined.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_KERNELFORM_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_KERNELFORM_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include <optional>

namespace moire::rows {

/// How a kernel reads or writes one buffer: `map` gives the leading index from the domain index.
struct Access {
  mlir::Value buffer;
  mlir::AffineMap map;

  mlir::MemRefType type() const { return llvm::cast<mlir::MemRefType>(buffer.getType()); }
  /// Rank of one row.
  int64_t rowRank() const { return type().getRank() - map.getNumResults(); }
};

/// Domain and accesses of one kernel.
struct KernelForm {
  llvm::SmallVector<int64_t> domain;
  llvm::SmallVector<Access> inputs, outputs;
  llvm::SmallVector<bool> summed;
  std::optional<int64_t> rowLength; ///< set when rows were joined: the length of the joined rows

  /// Number of rows.
  int64_t rows() const;
  /// Bytes that one row reads and writes; at least 1.
  int64_t bytesPerRow() const;
};

/// Reads the form of `op`, whose operands are buffers, and simplifies it; views are created by `builder`.
/// Fails when a buffer's last dimension is not contiguous. With `mayJoin` several short rows may become one.
llvm::FailureOr<KernelForm> makeKernelForm(mlir::OpBuilder &builder, RowwiseOp op, bool mayJoin = true);

/// The type a kernel's argument has for a buffer of `type`: the same layout without its offset.
mlir::MemRefType argumentType(mlir::MemRefType type);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_KERNELFORM_H
