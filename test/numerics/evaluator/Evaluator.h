//===- test/numerics/evaluator/Evaluator.h - the oracle of the tensor level ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs functions of the tensor level op by op, in double precision, over the plain loops of kernels/reference and of
// its own. Slow and obvious: what everything compiled is compared with.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_NUMERICS_EVALUATOR_EVALUATOR_H
#define MOIRE_TEST_NUMERICS_EVALUATOR_EVALUATOR_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "test/numerics/evaluator/Frame.h"

namespace moire::evaluator {

/// The results of `function` for `inputs`, one per argument. Fails, with a diagnostic at the op, on an op that
/// does not belong to the tensor level or is no `moire.rowwise` over tensors.
llvm::FailureOr<std::vector<Tensor>> evaluate(mlir::func::FuncOp function, llvm::ArrayRef<Tensor> inputs);

/// The families of ops. Each returns false when the op is none of its own.
bool evaluatePointwise(mlir::Operation *op, Frame &frame);
bool evaluateRow(mlir::Operation *op, Frame &frame);
bool evaluateLoss(mlir::Operation *op, Frame &frame);
bool evaluateMixing(mlir::Operation *op, Frame &frame);
bool evaluateRouting(mlir::Operation *op, Frame &frame);
bool evaluateGroups(mlir::Operation *op, Frame &frame);

} // namespace moire::evaluator

#endif // MOIRE_TEST_NUMERICS_EVALUATOR_EVALUATOR_H
