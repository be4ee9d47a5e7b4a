//===- passes/Pipelines/PackageInfo.h - what a package says of itself -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All that the tables and entry points need, read off a module at the LLVM level before the marks are stripped for
// translation.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_PACKAGEINFO_H
#define MOIRE_PASSES_PIPELINES_PACKAGEINFO_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringMap.h"
#include <string>
#include <vector>

namespace moire {

/// What a function of the module does with one of its pointers.
enum class ArgumentRole { Input, Seed, Position, Parameter, Gradient, Metric, State, Result, Named, Arena };

struct ArgumentInfo {
  ArgumentRole role = ArgumentRole::Input;
  mlir::Type element;
  llvm::SmallVector<int64_t> shape;
  int64_t number =
      0; ///< of an input or result; first element of a parameter, gradient or metric; first byte of a state
  bool narrow = false;            ///< a parameter's bf16 copy
  std::string kind;               ///< of a metric; the memory's name (`moire.abi`) of a named argument
  std::vector<std::string> paths; ///< of a metric, one per copy

  int64_t elements() const;
  int64_t bytes() const;
};

struct FunctionInfo {
  std::string name;
  std::vector<ArgumentInfo> arguments;
  int64_t arenaBytes = 0;
};

struct ParameterInfo {
  std::string name, role;
  std::vector<std::string> paths;
  std::vector<int64_t> shape; ///< of one instance
  int64_t offset = 0, computeOffset = -1;
  int32_t init = 0;
  double initA = 0, initB = 0, learningRate = 1, decay = 1, signRate = 0;
  double rateStart = 1, rateEnd = 1, multiplier = 1;
};

struct PackageInfo {
  std::string model, spec, specHash, trainJson, costJson, precision, features;
  int64_t batch = 0, context = 0, vocab = 0, prefillTokens = 0, decodeContext = 0;
  int64_t parameterElements = 0, trainedElements = 0, computeElements = 0, stateBytes = 0, metricFloats = 0;
  bool full64 = false; ///< parameters, gradients, moments and metrics are f64
  std::vector<ParameterInfo> parameters;
  std::vector<FunctionInfo> functions;

  const FunctionInfo *function(llvm::StringRef name) const;
};

/// Reads a module at the LLVM level. Fails with an error when its functions do not say what their pointers are.
llvm::FailureOr<PackageInfo> readPackageInfo(mlir::ModuleOp module);

} // namespace moire

#endif // MOIRE_PASSES_PIPELINES_PACKAGEINFO_H
