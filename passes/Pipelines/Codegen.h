//===- passes/Pipelines/Codegen.h - LLVM to machine code --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Optimises an LLVM module, prints it as assembly or object code, and links objects.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_CODEGEN_H
#define MOIRE_PASSES_PIPELINES_CODEGEN_H

#include "passes/Pipelines/Target.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

namespace llvm {
class Module;
} // namespace llvm

namespace moire {

/// Runs LLVM's usual pipeline on the module; only functions with external linkage are kept.
void optimiseModule(llvm::Module &module, llvm::TargetMachine &machine, const TargetFeatures &features);

/// The module's machine code, as assembly text or as an object file.
llvm::Expected<llvm::SmallVector<char, 0>> emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                                                           bool assembly);

/// Makes a shared object of the object code at `path`, by way of a temporary file beside it. Needs a linker: `ld.lld`
/// of the LLVM we are built with, else `ld.lld-22`, `ld.lld` or `ld` on PATH.
llvm::Error linkSharedObject(llvm::ArrayRef<char> object, llvm::StringRef path);

} // namespace moire

#endif // MOIRE_PASSES_PIPELINES_CODEGEN_H
