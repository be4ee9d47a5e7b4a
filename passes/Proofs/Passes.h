//===- passes/Proofs/Passes.h - what is proved about a model ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares and registers the proofs.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PROOFS_PASSES_H
#define MOIRE_PASSES_PROOFS_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace moire {

#define GEN_PASS_DECL
#include "passes/Proofs/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Proofs/Passes.h.inc"

} // namespace moire

#endif // MOIRE_PASSES_PROOFS_PASSES_H
