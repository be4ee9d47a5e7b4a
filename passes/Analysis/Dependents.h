//===- passes/Analysis/Dependents.h - what is computed from given values ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Forward through a body and its loops, which are followed to a fixed point. Differentiation and its proofs ask the
// same question of different values, and must get the same answer.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_ANALYSIS_DEPENDENTS_H
#define MOIRE_PASSES_ANALYSIS_DEPENDENTS_H

#include "dialect/IR/MoireOps.h"
#include "llvm/ADT/DenseSet.h"

namespace moire {

/// Everything that `op` reads, in its regions too: what is no loop of ours must not hide a dependence.
llvm::SmallVector<mlir::Value> operandsWithin(mlir::Operation &op);

/// The `seeds` and all values of `body`, its loops included, that are computed from them. A value for which `counts` is
/// false is left out, and with it what depends on nothing else; no `counts`: all of them.
llvm::DenseSet<mlir::Value> dependentsOf(mlir::Block &body, llvm::ArrayRef<mlir::Value> seeds,
                                         llvm::function_ref<bool(mlir::Value)> counts = {});

/// Whether the elements of `value` are floating-point numbers: all others end the way of a gradient.
bool isFloating(mlir::Value value);

} // namespace moire

#endif // MOIRE_PASSES_ANALYSIS_DEPENDENTS_H
