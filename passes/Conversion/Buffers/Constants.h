//===- passes/Conversion/Buffers/Constants.h - tables in the package --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables computed at compile time, kept once per module.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_CONSTANTS_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_CONSTANTS_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Conversion/Buffers/Place.h"
#include <deque>

namespace moire {

/// `cos(t / base^(2i/dim))` and the sines of the same angles, computed in double and rounded once.
std::pair<mlir::DenseElementsAttr, mlir::DenseElementsAttr> rotaryTables(RotaryTableOp op);

/// `e * rows` for every entry.
mlir::DenseElementsAttr evenOffsets(EvenOffsetsOp op);

/// The constants of a module: equal values share one `memref.global`.
class ConstantPool {
public:
  explicit ConstantPool(mlir::ModuleOp module) : module(module) {}
  /// The place of the constant inside `function`.
  Place place(mlir::Location loc, mlir::DenseElementsAttr value, mlir::func::FuncOp function);

private:
  mlir::ModuleOp module;
  llvm::DenseMap<mlir::Attribute, mlir::memref::GlobalOp> globals;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::Operation *>, Root *> readers;
  std::deque<Root> roots;
};

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_CONSTANTS_H
