//===- passes/Pipelines/EntryPoints.h - what a package exports --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Adds to an LLVM module of internal functions what callers from outside see.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_ENTRYPOINTS_H
#define MOIRE_PASSES_PIPELINES_ENTRYPOINTS_H

#include "passes/Pipelines/PackageInfo.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace moire {

/// Writes wrappers around a package's functions: they find every pointer in the runtime's buffers.
class EntryWriter {
public:
  EntryWriter(llvm::Module &module, const PackageInfo &info);

  /// The entry points of runtime/abi.h, in the order of `moire_package`.
  llvm::Expected<std::vector<llvm::Function *>> writeAll();
  /// Bytes that the wrappers need of the arena, all entry points considered.
  int64_t arenaBytes() const { return arena; }

private:
  /// Buffers of `moire_buffers`, by position.
  enum Buffer { Params, Grads, Moment1, Moment2, Compute, Arena, State };

  using Pointers = llvm::StringMap<llvm::Value *>;

  llvm::Function *begin(llvm::StringRef name, llvm::ArrayRef<llvm::Type *> arguments);
  llvm::Function *missing(llvm::StringRef name, llvm::ArrayRef<llvm::Type *> arguments);
  llvm::Value *buffer(Buffer which);
  llvm::Value *at(llvm::Value *base, int64_t bytes);
  /// Memory of the arena behind what `function` itself uses.
  llvm::Value *scratch(const FunctionInfo &function, int64_t bytes);
  llvm::Value *local(llvm::Type *type, llvm::Value *value = nullptr);
  /// Calls `function` with pointers into the runtime's buffers; inputs, results and metrics are the given ones.
  llvm::Expected<llvm::Value *> call(const FunctionInfo &function, llvm::ArrayRef<llvm::Value *> inputs,
                                     llvm::function_ref<llvm::Value *(const ArgumentInfo &)> outputs,
                                     const Pointers &named);
  void narrow(llvm::Value *from, llvm::Value *to, int64_t count);
  int64_t fullBytes() const { return info.full64 ? 8 : 4; }
  llvm::Type *fullType() { return info.full64 ? b.getDoubleTy() : b.getFloatTy(); }
  llvm::Value *toFull(llvm::Value *number) { return info.full64 ? number : b.CreateFPTrunc(number, fullType()); }
  llvm::Value *toDouble(llvm::Value *number) { return info.full64 ? number : b.CreateFPExt(number, b.getDoubleTy()); }

  llvm::Expected<llvm::Function *> writeTrain();
  llvm::Expected<llvm::Function *> writeEval();
  llvm::Expected<llvm::Function *> writeStep(llvm::StringRef name);
  llvm::Expected<llvm::Function *> writeAccumulate();
  llvm::Expected<llvm::Function *> writeOptimizer();
  llvm::Expected<llvm::Function *> writeRefresh();

  llvm::Module &module;
  const PackageInfo &info;
  llvm::IRBuilder<> b;
  llvm::Function *current = nullptr;
  llvm::Value *seed = nullptr, *position = nullptr; ///< of the function being written
  int64_t arena = 0, used = 0;
};

/// `moire_get_package` and the tables that it hands out.
llvm::Error addPackage(llvm::Module &module, const PackageInfo &info);

/// For modules that are no model: per function `f` a `void moire_call_f(void **buffers, void *arena)`, buffers in the
/// order of the function's arguments, an `int64_t moire_arena_f`, and a `char moire_signature_f[]`, JSON that
/// says what each buffer is.
llvm::Error addPlainCalls(llvm::Module &module, const PackageInfo &info);

} // namespace moire

#endif // MOIRE_PASSES_PIPELINES_ENTRYPOINTS_H
