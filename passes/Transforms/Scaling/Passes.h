//===- passes/Transforms/Scaling/Passes.h - how parameters start and learn ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares and registers the passes of muP and of relative learning rates.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_SCALING_PASSES_H
#define MOIRE_PASSES_TRANSFORMS_SCALING_PASSES_H

#include "dialect/IR/MoireOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace moire {
#define GEN_PASS_DECL
#include "passes/Transforms/Scaling/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Transforms/Scaling/Passes.h.inc"
} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_SCALING_PASSES_H
