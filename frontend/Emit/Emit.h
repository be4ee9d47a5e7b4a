//===- frontend/Emit/Emit.h - from a resolved model to IR ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Model-level IR, one op per layer application. Cannot fail on what Sema made.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_EMIT_EMIT_H
#define MOIRE_FRONTEND_EMIT_EMIT_H

#include "frontend/Sema/Sema.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace moire {

/// Emits a module with one `moire.model`. Locations are ranges in the text, named after the variable that an op's
/// result was assigned to, with the chain of calls for ops of blocks.
mlir::OwningOpRef<mlir::ModuleOp> emitModel(const sema::Resolved &resolved, llvm::SourceMgr &sources,
                                            mlir::MLIRContext &context);
/// The same of a model that this one is compared with, without what the train section says of parameters.
mlir::OwningOpRef<mlir::ModuleOp> emitOther(const sema::ResolvedModel &other, llvm::SourceMgr &sources,
                                            mlir::MLIRContext &context);

} // namespace moire

#endif // MOIRE_FRONTEND_EMIT_EMIT_H
