//===- dialect/IR/MoireInterfaces.h - what passes ask of an op --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The types that the op interfaces speak of, and the interfaces themselves.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_IR_MOIREINTERFACES_H
#define MOIRE_DIALECT_IR_MOIREINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

namespace moire {

/// What one execution of an op costs. A multiply-add counts as two operations.
struct Cost {
  double flops = 0;        ///< floating-point operations
  double bytesRead = 0;    ///< bytes of operands, each read once
  double bytesWritten = 0; ///< bytes of results, each written once

  Cost &operator+=(const Cost &other) {
    flops += other.flops;
    bytesRead += other.bytesRead;
    bytesWritten += other.bytesWritten;
    return *this;
  }
  Cost scaled(double factor) const { return {flops * factor, bytesRead * factor, bytesWritten * factor}; }
};

/// How an output position depends on input positions along one axis; ordered from least to most.
enum class Reach {
  None,  ///< not at all (a parameter, a shape)
  Same,  ///< the same position only
  Past,  ///< the same and earlier positions
  Group, ///< other positions too, because that is what the op is for: tokens mixed or competing across examples
  All,   ///< any position
};

/// Dependence of a result on an operand along the axes that can leak. `documents` is about a sequence that holds
/// several: Same says that a position reads no other document than its own, and All that it may.
struct Dependence {
  Reach time = Reach::Same;
  Reach batch = Reach::Same;
  Reach documents = Reach::Same;
};

/// What a reverse rule is given: cotangents of results, and where to put those of operands.
class ReverseScope {
public:
  virtual ~ReverseScope() = default;
  /// The cotangent of `value`, or null when it is zero.
  virtual mlir::Value cotangent(mlir::Value value) = 0;
  /// Whether the cotangent of `value` leads to something that is asked for.
  virtual bool wanted(mlir::Value value) = 0;
  /// Adds `gradient` to the cotangent of `value`. Shapes agree; the element type is that of the value or full
  /// precision.
  virtual void accumulate(mlir::Value value, mlir::Value gradient) = 0;
  /// Adds `gradient` to the part of the cotangent of `value` that begins at `offset` of dimension `dim`. Parts stay
  /// apart until somebody asks for the whole, so that those of neighbouring slices become one concatenation.
  virtual void accumulateSlice(mlir::Value value, mlir::Value gradient, int64_t dim, int64_t offset) = 0;
};

} // namespace moire

#include "dialect/IR/MoireInterfaces.h.inc"

#endif // MOIRE_DIALECT_IR_MOIREINTERFACES_H
