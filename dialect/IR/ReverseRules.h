//===- dialect/IR/ReverseRules.h - what reverse rules have in common ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small builders that the ReverseRules*.cpp files share. A cotangent may be wider than its value (gradients of
// parameters are in full precision); rules that compute narrow it, rules that only move elements let it pass.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_IR_REVERSERULES_H
#define MOIRE_DIALECT_IR_REVERSERULES_H

#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"

namespace moire {

/// The tensor type of a value of the tensor level.
mlir::RankedTensorType tensorType(mlir::Value value);

/// `value` with elements of type `element`; the value itself when it has them.
mlir::Value castElements(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, mlir::Type element);

/// The cotangent of `result` in the element type of the result, or null when it is zero.
mlir::Value narrowCotangent(mlir::OpBuilder &builder, ReverseScope &scope, mlir::OpResult result);

/// The cotangent of `result` in full precision, or null when it is zero.
mlir::Value fullCotangent(mlir::OpBuilder &builder, ReverseScope &scope, mlir::OpResult result);

/// `value` with the extents of `shape`; the value itself when it has them.
mlir::Value reshapeTo(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, llvm::ArrayRef<int64_t> shape);

/// The sum of `value` over the leading extents that `shape` lacks; the value itself when it lacks none.
mlir::Value sumTo(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, llvm::ArrayRef<int64_t> shape);

/// Refuses a cotangent of a result that only serves the reverse rule (a statistic, a saved state).
llvm::LogicalResult refuseCotangent(ReverseScope &scope, mlir::OpResult result, llvm::StringRef name);

} // namespace moire

#endif // MOIRE_DIALECT_IR_REVERSERULES_H
