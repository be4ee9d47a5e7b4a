//===- passes/Conversion/Rowwise/KernelEmitter.h - writer of one kernel ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The state of a kernel that is being written, shared by the sources that write its loops and its sweeps.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_KERNELEMITTER_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_KERNELEMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "passes/Conversion/Rowwise/EmitKernel.h"
#include <map>

namespace moire::rows {

/// A sweep's or a row's values so far.
using Values = llvm::DenseMap<const Node *, mlir::Value>;

/// Writes one kernel from its plan.
class KernelEmitter {
public:
  KernelEmitter(mlir::OpBuilder &builder, mlir::Location loc, const KernelPlan &plan)
      : builder(builder), loc(loc), plan(plan), form(plan.form) {}

  mlir::func::FuncOp emit(llvm::StringRef name, llvm::ArrayRef<mlir::Value> arguments);

private:
  void emitSteps(mlir::Value begin, mlir::Value end);
  void emitStep(mlir::Value step);
  void emitRow(llvm::ArrayRef<mlir::Value> domainIndex);
  void emitChunk(mlir::Value number);
  void clearSums();
  void emitSweep(const Sweep &sweep);
  void emitNumber(const NumberStore &store);

  llvm::SmallVector<mlir::OpFoldResult> leadingIndex(const Access &access);
  mlir::Value isInside(const Access &access);
  mlir::Value inputRow(const Node *load);
  mlir::Value nextPart(const Node *load);
  mlir::Value rowAt(const Place &place, int64_t length);
  mlir::Value zeroRow(mlir::MemRefType view);
  mlir::Value number(const Node *node);
  mlir::Value loadNumber(const Node *node);
  mlir::Value applyFn(mlir::OpBuilder &b, Fn fn, mlir::ValueRange operands);
  mlir::Value toReal(mlir::OpBuilder &b, mlir::Value value);
  mlir::Value fromReal(mlir::OpBuilder &b, mlir::Value value, mlir::Type element);
  mlir::Value constantReal(double value);
  mlir::Value constantIndex(int64_t value);
  mlir::Value asIndex(mlir::Value integer) {
    return mlir::arith::IndexCastOp::create(builder, loc, builder.getIndexType(), integer);
  }

  mlir::OpBuilder &builder;
  mlir::Location loc;
  const KernelPlan &plan;
  const KernelForm &form;
  mlir::func::FuncOp function;
  llvm::SmallVector<mlir::Value> inputs, outputs, rowBuffers;
  llvm::DenseMap<const Node *, mlir::Value> reductionCells;
  std::map<double, mlir::Value> reals;
  llvm::DenseMap<int64_t, mlir::Value> indices;
  // Of the row that is being written:
  llvm::SmallVector<mlir::Value> index;
  mlir::Value chunk;
  Values numbers, loadedRows;
};

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_KERNELEMITTER_H
