//===- passes/Pipelines/Target.h - which processor to compile for -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A processor is a set of feature bits, never a model name. What code may use is recorded in the package.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_TARGET_H
#define MOIRE_PASSES_PIPELINES_TARGET_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace moire {

/// The instruction set extensions that generated code may use.
struct TargetFeatures {
  /// In LLVM's spelling, in a fixed order; also what the package asks the processor for.
  llvm::SmallVector<std::string> names;

  bool has(llvm::StringRef name) const;
  /// Width of the widest vectors: 512, 256 or 128.
  unsigned vectorBits() const;
  /// Whether the processor rounds f32 to bf16 by itself.
  bool nativeBf16() const;
  /// "avx2,fma": as the package records it.
  std::string list() const;
};

/// `text` is `native` (what this processor has, by CPUID), a level (`baseline`, `avx2`, `avx512`, `avx512bf16`), or a
/// comma-separated list of features. Fails on a name that is none of these.
llvm::Expected<TargetFeatures> parseFeatures(llvm::StringRef text);

/// A code generator for x86-64 with these features. Fails when LLVM has no such target built in.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const TargetFeatures &features);

} // namespace moire

#endif // MOIRE_PASSES_PIPELINES_TARGET_H
