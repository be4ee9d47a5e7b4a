//===- frontend/tools/moirec/Backend.h - what lies behind the model level --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one place where the driver meets the pipelines.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_TOOLS_MOIREC_BACKEND_H
#define MOIRE_FRONTEND_TOOLS_MOIREC_BACKEND_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include <string>
#include <vector>

namespace moire {

/// Where compilation can stop, in order. The first two concern a spec only.
enum class Stage { Ast, Spec, Blocks, Model, Tensor, Fused, Linalg, Llvm, Assembly, Package };

/// What the command line says about code generation.
struct BackendOptions {
  std::string target = "cpu";
  std::string precision = "f32";       ///< f32, bf16 or f64
  std::string features = "native";     ///< of the processor
  std::vector<std::string> skipProofs; ///< proofs to leave out
  bool fuseRouting = true;             ///< join the ops around experts
  bool recompute = false;              ///< compute layers again rather than keep them
  bool probe = false;                  ///< report activations
};

/// Adds the dialects and extensions that IR of any level may need.
void registerBackendDialects(mlir::DialectRegistry &registry);

/// Takes a module of any level on to `stage` and writes it to `output` (`-` for standard output; packages need a file).
/// Errors are diagnostics of the module's context.
llvm::LogicalResult compile(mlir::ModuleOp module, Stage stage, const BackendOptions &options, llvm::StringRef output);

/// Extents of the parameters of a module at the model level, and sizes of heads: name and extents. Takes the module on.
llvm::FailureOr<std::vector<std::pair<std::string, std::vector<int64_t>>>> extentsOf(mlir::ModuleOp module);

/// Writes the bill of a module of any level as JSON.
llvm::LogicalResult writeCost(mlir::ModuleOp module, const BackendOptions &options, llvm::StringRef output);

/// Writes a text to a file by way of a temporary one, or to standard output for `-`.
llvm::LogicalResult writeText(llvm::StringRef text, llvm::StringRef output, mlir::Location loc);

} // namespace moire

#endif // MOIRE_FRONTEND_TOOLS_MOIREC_BACKEND_H
