//===- ParameterUses.h - what reads a parameter -----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows parameters from the functions' arguments into loops.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_SCALING_PARAMETERUSES_H
#define MOIRE_PASSES_TRANSFORMS_SCALING_PARAMETERUSES_H

#include "dialect/IR/MoireOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace moire {

/// The operands through which one parameter is read, in all functions, in order. Casts and the slices of loops are
/// looked through.
using ParameterUses = llvm::SmallVector<mlir::OpOperand *>;

/// Uses of every parameter of the module, in the order of declaration; tensor level.
llvm::MapVector<ParamOp, ParameterUses> usesOfParameters(mlir::ModuleOp module);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_SCALING_PARAMETERUSES_H
