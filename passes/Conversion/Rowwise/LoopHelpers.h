//===- passes/Conversion/Rowwise/LoopHelpers.h - loops, views, sweeps -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The few shapes of upstream IR that row kernels are made of.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_LOOPHELPERS_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_LOOPHELPERS_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace moire::rows {

/// `scf.for` from `begin` to `end` by one; `body` writes what it does, given the induction variable.
void loop(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value begin, mlir::Value end,
          llvm::function_ref<void(mlir::Value)> body);

/// Columns [offset, offset + length) of the row of `buffer` at a leading index, as a 1-D view.
mlir::Value rowView(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value buffer,
                    llvm::ArrayRef<mlir::OpFoldResult> leading, mlir::OpFoldResult offset, int64_t length);

/// A 1-D `linalg.generic` on buffers: rows of equal length, and among `written` cells of rank 0 that are reduced into.
/// `body` gets an element of each of `read` then `written`, and returns the new elements of `written`. A row of `read`
/// that it does not use is only fetched into the cache.
void sweep(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange read, mlir::ValueRange written,
           llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::OpBuilder &, mlir::ValueRange)> body);

/// A map result `di` or `di + constant` as dimension and constant.
std::pair<unsigned, int64_t> shiftedDim(mlir::AffineExpr expr);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_LOOPHELPERS_H
