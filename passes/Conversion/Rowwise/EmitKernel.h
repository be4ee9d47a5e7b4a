//===- passes/Conversion/Rowwise/EmitKernel.h - a kernel's function ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the plan of a row kernel to a private function: a loop over rows, and in it one 1-D `linalg.generic` per sweep.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_EMITKERNEL_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_EMITKERNEL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Conversion/Rowwise/KernelForm.h"
#include "passes/Conversion/Rowwise/RowSchedule.h"

namespace moire::rows {

/// Everything that is decided about a kernel before it is written.
struct KernelPlan {
  KernelForm form;
  RowBody body;
  RowSchedule schedule;
  mlir::Type real;           ///< f32 or f64: what values are computed in
  int64_t innerRows = 1;     ///< extent of the last domain dimension when one step of the kernel does all of it
  int64_t stepsPerChunk = 0; ///< with summed results: steps whose rows are added up before anything else; 0 without
  bool partials = false;     ///< summed results go to one row per chunk, which a second kernel adds up

  /// Steps of the row loop: rows, or groups of `innerRows` rows.
  int64_t steps() const { return form.rows() / innerRows; }
  int64_t chunks() const { return stepsPerChunk ? (steps() + stepsPerChunk - 1) / stepsPerChunk : 1; }
};

/// Writes `func.func private @name(index, index, buffers...)` at the builder's insertion point, inside a module. The
/// buffers are those of `arguments` in order (each once); outputs that are partial sums have a leading extent of
/// chunks.
mlir::func::FuncOp emitKernel(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name,
                              const KernelPlan &plan, llvm::ArrayRef<mlir::Value> arguments);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_EMITKERNEL_H
