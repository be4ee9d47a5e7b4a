//===- dialect/IR/Verify.h - checks that verifiers share --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to dialect/IR. Each check says in its message what it expected and what it found.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_IR_VERIFY_H
#define MOIRE_DIALECT_IR_VERIFY_H

#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Operation.h"

namespace moire {

/// A shape as messages show it: `[2, 8]`.
std::string shapeText(llvm::ArrayRef<int64_t> shape);

/// `extents` with `last` appended: the shape of a result whose features change.
llvm::SmallVector<int64_t> withLast(llvm::ArrayRef<int64_t> extents, int64_t last);

/// Fails unless `type` (of the operand, result or body value called `name`) has shape `expected`. A value given as
/// `declaredAt` gets a note: the other party of a disagreement.
llvm::LogicalResult expectShape(mlir::Operation *op, llvm::StringRef name, mlir::Type type,
                                llvm::ArrayRef<int64_t> expected, mlir::Value declaredAt = {});

/// Fails unless the element type of `type` is `expected`.
llvm::LogicalResult expectElement(mlir::Operation *op, llvm::StringRef name, mlir::Type type, mlir::Type expected);

/// Fails unless `type` has the given rank.
llvm::LogicalResult expectRank(mlir::Operation *op, llvm::StringRef name, mlir::Type type, int64_t rank);

/// Fails unless `type` is `expected`.
llvm::LogicalResult expectType(mlir::Operation *op, llvm::StringRef name, mlir::Type type, mlir::Type expected);

/// Fails unless `documents`, if given, are those of the tokens of `of`: `[batch, time]`.
llvm::LogicalResult expectDocuments(mlir::Operation *op, mlir::Value documents, mlir::Value of);

/// Fails with "expects <rule>, got <value>" unless `holds`.
template <typename Value>
llvm::LogicalResult expect(bool holds, mlir::Operation *op, llvm::StringRef rule, const Value &value) {
  if (holds)
    return llvm::success();
  return op->emitOpError("expects ") << rule << ", got " << value;
}

/// The pointwise middle of a feed-forward layer.
struct LayerForm {
  bool gated;
  Unary activation;
  std::optional<llvm::APFloat> limit;
  llvm::APFloat alpha, offset;
};

/// Fails unless the numbers of a feed-forward layer fit together (swiglu.C2, C3); its attributes begin with `prefix`.
llvm::LogicalResult expectLayerForm(mlir::Operation *op, llvm::StringRef prefix, const LayerForm &form);

} // namespace moire

#endif // MOIRE_DIALECT_IR_VERIFY_H
