//===- test/numerics/evaluator/Compiled.h - functions as machine code ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles a module with the pipelines of the compiler, loads it into this process, and calls its functions on tensors:
// the other side of every comparison with the evaluator.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_NUMERICS_EVALUATOR_COMPILED_H
#define MOIRE_TEST_NUMERICS_EVALUATOR_COMPILED_H

#include "mlir/IR/BuiltinOps.h"
#include "test/numerics/evaluator/Frame.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"

#include <memory>

namespace moire::evaluator {

/// A module that has been compiled and loaded.
class Compiled {
public:
  /// Compiles a copy of `module`, which is at the tensor or fused level, for the instruction sets that `features` names
  /// ("native": what this processor has).
  static llvm::Expected<std::unique_ptr<Compiled>> create(mlir::ModuleOp module, llvm::StringRef features);
  ~Compiled();

  /// Calls a function of tensors. Elements are converted to the types of the function and back.
  std::vector<Tensor> call(llvm::StringRef name, llvm::ArrayRef<Tensor> inputs) const;
  /// Calls a function with the addresses of its buffers, without the arena; returns what it returns, if that is an i32.
  int32_t callRaw(llvm::StringRef name, std::vector<void *> buffers) const;

private:
  /// One argument of a function of buffers.
  struct Argument {
    mlir::MemRefType type;
    int64_t result = -1; ///< number of the result that it is, or -1
    bool isArena = false;
  };
  struct Function {
    std::vector<Argument> arguments;
    int64_t arenaBytes = 0;
    std::vector<std::pair<size_t, size_t>> states; ///< results that are arguments updated in place: numbers of both
  };

  Compiled() = default;
  void collectStates(mlir::ModuleOp module);
  void collectArguments(mlir::ModuleOp module);

  llvm::StringMap<Function> functions;
  void *library = nullptr;
};

} // namespace moire::evaluator

#endif // MOIRE_TEST_NUMERICS_EVALUATOR_COMPILED_H
