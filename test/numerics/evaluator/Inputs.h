//===- test/numerics/evaluator/Inputs.h - reproducible inputs -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inputs for functions under test: a function of a seed, the number of the argument, and what the argument carries.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_NUMERICS_EVALUATOR_INPUTS_H
#define MOIRE_TEST_NUMERICS_EVALUATOR_INPUTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "test/numerics/evaluator/Frame.h"

namespace moire::evaluator {

/// Inputs of `function`. Floats are uniform in [mean - spread, mean + spread), attributes `moire.mean` (default 0) and
/// `moire.spread` (default 1); integers in [`moire.at_least`, `moire.below`), defaults 0 and 3. Floats can be
/// given one by one, as `moire.values = array<f64: ...>`.
std::vector<Tensor> makeInputs(mlir::func::FuncOp function, uint64_t seed);

} // namespace moire::evaluator

#endif // MOIRE_TEST_NUMERICS_EVALUATOR_INPUTS_H
