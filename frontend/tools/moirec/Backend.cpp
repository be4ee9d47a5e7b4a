//===- frontend/tools/moirec/Backend.cpp - the door to the pipelines -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints the model level itself and hands everything later to the pipelines.
//===----------------------------------------------------------------------===//
#include "frontend/tools/moirec/Backend.h"
#include "dialect/IR/MoireOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"
#ifdef MOIRE_HAS_Pipelines
#include "passes/Pipelines/Compile.h"
#include "passes/Transforms/Scaling/BaseShapes.h"
#endif

using namespace mlir;

namespace moire {

LogicalResult writeText(llvm::StringRef text, llvm::StringRef output, Location loc) {
  if (output == "-") {
    llvm::outs() << text;
    llvm::outs().flush();
    if (!llvm::outs().has_error())
      return success();
    llvm::outs().clear_error();
    return emitError(loc) << "cannot write to standard output";
  }
  // Beside the target and then renamed, so that a failure leaves no half of a file.
  llvm::Error error = llvm::writeToOutput(output, [&](llvm::raw_ostream &os) {
    os << text;
    return llvm::Error::success();
  });
  if (!error)
    return success();
  return emitError(loc) << "cannot write `" << output << "`: " << llvm::toString(std::move(error));
}

#ifdef MOIRE_HAS_Pipelines

static Level levelOf(Stage stage) {
  switch (stage) {
  case Stage::Tensor:
    return Level::Tensor;
  case Stage::Fused:
    return Level::Fused;
  case Stage::Linalg:
    return Level::Linalg;
  case Stage::Llvm:
    return Level::LLVM;
  case Stage::Assembly:
    return Level::Assembly;
  case Stage::Package:
    return Level::Package;
  default:
    return Level::Model;
  }
}

static CompileOptions optionsFor(const BackendOptions &options) {
  CompileOptions result;
  result.precision = options.precision;
  result.features = options.features;
  result.skipProofs = options.skipProofs;
  result.fuseRouting = options.fuseRouting;
  result.probe = options.probe;
  result.recompute = options.recompute;
  return result;
}

void registerBackendDialects(DialectRegistry &registry) { registerCompilerDialects(registry); }

LogicalResult compile(ModuleOp module, Stage stage, const BackendOptions &options, llvm::StringRef output) {
  if (stage == Stage::Package)
    return compileToPackage(module, output, optionsFor(options));
  FailureOr<std::string> text = compileToText(module, levelOf(stage), optionsFor(options));
  if (failed(text))
    return failure();
  return writeText(*text, output, module.getLoc());
}

llvm::FailureOr<std::vector<NamedExtents>> extentsOf(ModuleOp module) { return expandForExtents(module); }

LogicalResult writeCost(ModuleOp module, const BackendOptions &options, llvm::StringRef output) {
  FailureOr<std::string> text = costOf(module, optionsFor(options));
  if (failed(text))
    return failure();
  return writeText(llvm::StringRef(*text).rtrim().str() + "\n", output, module.getLoc());
}

#else // the front end by itself: stops at the model level

void registerBackendDialects(DialectRegistry &registry) { registry.insert<MoireDialect>(); }

LogicalResult compile(ModuleOp module, Stage stage, const BackendOptions &, llvm::StringRef output) {
  if (stage != Stage::Model)
    return emitError(module.getLoc()) << "this build of the compiler stops at the model level";
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, OpPrintingFlags());
  os << '\n';
  return writeText(text, output, module.getLoc());
}

llvm::FailureOr<std::vector<std::pair<std::string, std::vector<int64_t>>>> extentsOf(ModuleOp module) {
  return emitError(module.getLoc()) << "this build of the compiler knows no parameters, which `scaling` needs";
}

LogicalResult writeCost(ModuleOp module, const BackendOptions &, llvm::StringRef) {
  return emitError(module.getLoc()) << "this build of the compiler stops at the model level";
}

#endif

} // namespace moire
