//===- frontend/tools/moirec/Blocks.h - a model's blocks for other programs ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Programs that do not link the compiler learn here what each parameter is a
// part of.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_TOOLS_MOIREC_BLOCKS_H
#define MOIRE_FRONTEND_TOOLS_MOIREC_BLOCKS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"

namespace moire {

/// Writes the blocks of a module at the model level as JSON: `{"model": …, "blocks": [{"op", "paths", "attributes"},
/// …]}` in the order of the model, each set of parameters once. Attributes are those of the op, words for enumerations;
/// a pool of experts also has its number of `experts` and the paths of its `routers`,
/// an attention what muP multiplies its scores by, `mup_scores`.
llvm::LogicalResult writeBlocks(mlir::ModuleOp module, llvm::StringRef output);

} // namespace moire

#endif // MOIRE_FRONTEND_TOOLS_MOIREC_BLOCKS_H
