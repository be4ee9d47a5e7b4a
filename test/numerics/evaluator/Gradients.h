//===- test/numerics/evaluator/Gradients.h - gradients by differences ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compares what autodiff made of a function with differences of its objective.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_NUMERICS_EVALUATOR_GRADIENTS_H
#define MOIRE_TEST_NUMERICS_EVALUATOR_GRADIENTS_H

#include "test/numerics/evaluator/Evaluator.h"

namespace moire::evaluator {

/// How far one gradient is from differences.
struct GradientError {
  std::string name;     ///< "argument 2" or "@w"
  int64_t elements = 0; ///< compared: all of the argument
  double largest = 0;   ///< largest difference, relative to the largest element
  bool zero = false;    ///< both are zero throughout
};

/// Compares the gradients that `gradients` returns (made of `function` by moire-autodiff, and by whatever passes after)
/// with central differences of fourth order of the objective of `function`.
llvm::FailureOr<std::vector<GradientError>> compareGradients(mlir::func::FuncOp function, mlir::func::FuncOp gradients,
                                                             llvm::ArrayRef<Tensor> inputs);

/// The number of the result of `function` that is its objective, or none.
std::optional<unsigned> objectiveOf(mlir::func::FuncOp function);

} // namespace moire::evaluator

#endif // MOIRE_TEST_NUMERICS_EVALUATOR_GRADIENTS_H
