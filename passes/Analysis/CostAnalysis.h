//===- passes/Analysis/CostAnalysis.h - the bill ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parameters, operations and bytes of the very module that is compiled. Operations are counted on tensors and noted
// on the functions, where they survive lowering; bytes are known once memory is planned.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_ANALYSIS_COSTANALYSIS_H
#define MOIRE_PASSES_ANALYSIS_COSTANALYSIS_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace moire {

/// What one call of `function`, on tensors, costs; loops count as often as they run.
Cost costOf(mlir::func::FuncOp function);

/// Notes on every function of tensors what a call costs: `moire.forward_flops` while the function still has its
/// objective, `moire.flops` otherwise; and on every expert parameter how many of its elements one token passes through
/// (`moire.active_elements`), derived from the grouped products that read it.
void noteCosts(mlir::ModuleOp module);

/// The bill as JSON, from the notes, the parameters and the planned arenas:
/// `{"parameters":{"total","active","by_role"},"flops_per_token":{"forward","training"},"bytes":{..},"layers":{..},
/// "proofs":{..}}`;
/// parameters of each layer, all copies of a loop's together; of each proof done, what it found worth telling.
/// `arenaBytes` is what the package asks for. Bytes are those of training: `peak` is all that the runtime allocates
/// then; `activations` is what is alive of the arena at its busiest moment.
std::string costJson(mlir::ModuleOp module, int64_t arenaBytes);

} // namespace moire

#endif // MOIRE_PASSES_ANALYSIS_COSTANALYSIS_H
