//===- frontend/tools/moirec/Backend.cpp - the door to the pipelines -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints the model level itself and hands everything later to the pipelines.
//===----------------------------------------------------------------------===//
#include "frontend/tools/moirec/Backend.h"
#include "dialect/IR/MoireOps.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/ToolOutputFile.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;

namespace moire {

void registerBackendDialects(DialectRegistry &registry) { registry.insert<MoireDialect>(); }

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

static std::string print(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os, OpPrintingFlags());
  os << '\n';
  return text;
}

LogicalResult compile(ModuleOp module, Stage stage, const BackendOptions &options, llvm::StringRef output) {
  if (stage == Stage::Model)
    return writeText(print(module), output, module.getLoc());
  return emitError(module.getLoc()) << "this build of the compiler stops at the model level";
}

LogicalResult writeCost(ModuleOp module, const BackendOptions &options, llvm::StringRef output) {
  return emitError(module.getLoc()) << "this build of the compiler stops at the model level";
}

} // namespace moire
