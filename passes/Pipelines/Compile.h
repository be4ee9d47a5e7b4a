//===- passes/Pipelines/Compile.h - from any level to any other -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the driver calls.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_COMPILE_H
#define MOIRE_PASSES_PIPELINES_COMPILE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include <string>
#include <vector>

namespace moire {

/// Where compilation can stop, and what a module can be; in order.
enum class Level { Model, Tensor, Fused, Linalg, LLVM, Assembly, Package };

struct CompileOptions {
  std::string precision = "f32";       ///< f32, bf16 or f64; counts when the module is at the model level
  std::string features = "native";     ///< see parseFeatures
  int64_t prefillTokens = 16;          ///< tokens that one call of prefill reads
  int64_t decodeContext = 0;           ///< positions that decoding has room for; 0: the model's context
  bool fuseRouting = true;             ///< join the ops around experts; without, each is a kernel of its own
  bool recompute = false;              ///< layers of a loop are computed again rather than kept for the reverse pass
  bool probe = false;                  ///< a training step reports activations as metrics
  bool noReuse = false;                ///< buffers share no memory; for finding faults
  std::vector<std::string> skipProofs; ///< of causality, gradients and precision, those not to prove
};

/// Adds the dialects and extensions that IR of any level needs.
void registerCompilerDialects(mlir::DialectRegistry &registry);

/// The level that a module is at, from what occurs in it.
Level levelOf(mlir::ModuleOp module);

/// Takes a module of any level on to `level` (at most LLVM), in place; a module past it already is left alone. Errors
/// are diagnostics.
llvm::LogicalResult lowerTo(mlir::ModuleOp module, Level level, const CompileOptions &options);

/// Takes a module of any level on to `level` and returns its text: IR up to LLVM, else assembly.
llvm::FailureOr<std::string> compileToText(mlir::ModuleOp module, Level level, const CompileOptions &options);

/// Takes a module of any level on to a shared object at `path`: a package when it holds a training step or the like,
/// else plain calls (see addPlainCalls). Written aside and renamed; on failure nothing is left.
llvm::LogicalResult compileToPackage(mlir::ModuleOp module, llvm::StringRef path, const CompileOptions &options);

/// The bill of a module of any level, as JSON; takes the module on to the level at which memory is planned.
llvm::FailureOr<std::string> costOf(mlir::ModuleOp module, const CompileOptions &options);

} // namespace moire

#endif // MOIRE_PASSES_PIPELINES_COMPILE_H
