//===- passes/Conversion/Rowwise/SmallKernels.h - kernels of fixed form -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels that are not a body run row by row: the sum of partial rows, the scatter of a lookup's reverse, the experts'
// shares. Each writes a private function at the builder's insertion point, inside a module.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_SMALLKERNELS_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_SMALLKERNELS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moire::rows {

/// `kernel(begin, end, partial: chunks x length, total: length)`: `total[c] = sum_i partial[i, c]`, i ascending, over
/// blocks of `block` columns (block divides length). With length 0 the partial sums are single numbers.
mlir::func::FuncOp emitAddChunks(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name, int64_t chunks,
                                 int64_t length, int64_t block, mlir::Type real);

/// `kernel(begin, end, index: n, dy: n x width, table: rows x width)`: `table[v] = sum of dy[i] where index[i] = v`, i
/// ascending, over blocks of `block` columns (block divides width).
mlir::func::FuncOp emitScatter(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name,
                               mlir::MemRefType index, mlir::MemRefType dy, mlir::MemRefType table, int64_t block);

/// `kernel(begin, end, offsets: experts + 1, share: experts)`: `share[e] = (offsets[e+1] - offsets[e]) /
/// offsets[experts]`.
mlir::func::FuncOp emitShares(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name,
                              mlir::MemRefType offsets, mlir::MemRefType share);

/// The largest divisor of `length` that is at most `most`, whole cache lines if there is such a one; else `length`.
int64_t columnBlock(int64_t length, int64_t most);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_SMALLKERNELS_H
