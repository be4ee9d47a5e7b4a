//===- dialect/IR/Precompiled.h - headers that are compiled once ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What nearly every source of the compiler reads. Sources include what they use all the same: this only makes it fast.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_IR_PRECOMPILED_H
#define MOIRE_DIALECT_IR_PRECOMPILED_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"

#endif // MOIRE_DIALECT_IR_PRECOMPILED_H
