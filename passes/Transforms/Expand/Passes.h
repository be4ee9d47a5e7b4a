//===- passes/Transforms/Expand/Passes.h - model level to tensor level ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares and registers the pass that expands blocks.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_EXPAND_PASSES_H
#define MOIRE_PASSES_TRANSFORMS_EXPAND_PASSES_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace moire {
#define GEN_PASS_DECL
#include "passes/Transforms/Expand/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Transforms/Expand/Passes.h.inc"
} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_EXPAND_PASSES_H
