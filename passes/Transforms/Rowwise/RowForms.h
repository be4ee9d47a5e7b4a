//===- passes/Transforms/Rowwise/RowForms.h - ops as row kernels ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How a tensor-level op reads and computes when it runs row by row: over which domain it can run, which row of which
// value it reads for a domain index, and what stands in the body of a `moire.rowwise` for it.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_ROWWISE_ROWFORMS_H
#define MOIRE_PASSES_TRANSFORMS_ROWWISE_ROWFORMS_H

#include "dialect/IR/MoireOps.h"
#include "mlir/IR/AffineMap.h"

namespace moire {

/// Leading extents over which an op runs.
using Domain = llvm::SmallVector<int64_t, 3>;

/// One operand row: of `value`, at the leading index that `map` gives for a domain index.
struct RowRead {
  mlir::Value value;
  mlir::AffineMap map;
};

/// Domains over which `op` can run, best first; empty when it cannot be a row kernel. Pointwise ops also run element by
/// element, which lets them join ops that have one number per row.
llvm::SmallVector<Domain, 2> domainsOf(mlir::Operation *op);

/// What `op` reads when it runs over `domain`, in the order in which `emitRow` wants the rows.
llvm::SmallVector<RowRead> readsOf(mlir::Operation *op, llvm::ArrayRef<int64_t> domain);

/// Writes the row form of `op` over `domain` and returns a row for each of its results.
llvm::SmallVector<mlir::Value> emitRow(mlir::OpBuilder &builder, mlir::Operation *op, llvm::ArrayRef<int64_t> domain,
                                       mlir::ValueRange rows);

/// Whether a result of the row form is summed over the domain.
bool isSummed(mlir::Operation *op, unsigned result);

/// Whether `op` costs nothing inside a kernel, and is written again into every kernel that reads it: a constant, a
/// repetition, a slice along the last dimension.
bool isFree(mlir::Operation *op);

/// Whether the result of `op`, which is free, can be had inside a kernel where `map` gives the rows that are read. Sets
/// `reads` to what is read instead.
bool readThrough(mlir::Operation *op, const RowRead &read, llvm::ArrayRef<int64_t> domain,
                 llvm::SmallVectorImpl<RowRead> &reads);

/// Writes the row of a free op's result, from the rows that `readThrough` asked for.
mlir::Value emitFree(mlir::OpBuilder &builder, mlir::Operation *op, const RowRead &read, mlir::ValueRange rows);

/// Type of the row that a read gives.
mlir::RankedTensorType rowType(const RowRead &read);

/// Whether `op` is pointwise arithmetic cheap enough to be done again rather than read from memory.
bool isCheap(mlir::Operation *op);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_ROWWISE_ROWFORMS_H
