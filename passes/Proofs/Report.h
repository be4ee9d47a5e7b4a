//===- passes/Proofs/Report.h - what proofs say, and where ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places in the spec, trails through it, and the record that a package keeps.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PROOFS_REPORT_H
#define MOIRE_PASSES_PROOFS_REPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"

namespace moire {

/// `file:line` of the text that `loc` comes from; empty when it comes from none.
std::string placeOf(mlir::Location loc);

/// Attaches a note at every line of the text that `values` pass through, none twice, the line of `start` left out; a
/// long trail is cut in its middle.
void attachTrail(mlir::InFlightDiagnostic &diagnostic, mlir::Location start, llvm::ArrayRef<mlir::Value> values);

/// Adds `lines` to entry `proof` of `moire.package`'s `proofs`, each line once. Modules without a package keep none.
void recordProof(mlir::ModuleOp module, llvm::StringRef proof, llvm::ArrayRef<std::string> lines);

} // namespace moire

#endif // MOIRE_PASSES_PROOFS_REPORT_H
