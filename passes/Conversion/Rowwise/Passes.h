//===- passes/Conversion/Rowwise/Passes.h - row kernels to loops and vectors //
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares and registers the passes that make kernels of `moire.rowwise`.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_PASSES_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_PASSES_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace moire {
#define GEN_PASS_DECL
#include "passes/Conversion/Rowwise/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Conversion/Rowwise/Passes.h.inc"
} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_PASSES_H
