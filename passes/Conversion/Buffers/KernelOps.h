//===- passes/Conversion/Buffers/KernelOps.h - ops that are kernels ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the kernels of kernels/include accept and write, and the calls made of them.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_KERNELOPS_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_KERNELOPS_H

#include "mlir/Support/LLVM.h"
#include "passes/Conversion/Buffers/Place.h"

namespace moire {

class BufferBuilder;

/// Attention's rows: the heads of one token lie next to each other, `heads x dim`.
constexpr int64_t headRowRank = 2;

/// Whether what computes `result` can write it to `place`: most kernels take a row stride, some want dense memory.
bool canWriteTo(mlir::OpResult result, const Place &place);

/// Emits the calls that compute `op` and gives its results their places; none when `op` is not backed by a kernel.
/// Fails, with an error, when the kernels have no version for its element types.
std::optional<llvm::LogicalResult> emitKernelOp(mlir::Operation *op, BufferBuilder &builder);

/// Name of the kernel of a product over experts, x times w into y; fails, with an error, where there is none.
llvm::FailureOr<std::string> groupedProduct(mlir::Operation *op, mlir::Value x, mlir::Value w, mlir::Value y,
                                            llvm::StringRef kernel = "grouped_gemm");

/// The families of emitKernelOp, each as that.
std::optional<llvm::LogicalResult> emitProduct(mlir::Operation *op, BufferBuilder &builder);
std::optional<llvm::LogicalResult> emitMixing(mlir::Operation *op, BufferBuilder &builder);
std::optional<llvm::LogicalResult> emitSsd(mlir::Operation *op, BufferBuilder &builder);
std::optional<llvm::LogicalResult> emitRouting(mlir::Operation *op, BufferBuilder &builder);
std::optional<llvm::LogicalResult> emitGroups(mlir::Operation *op, BufferBuilder &builder);

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_KERNELOPS_H
