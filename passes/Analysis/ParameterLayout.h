//===- passes/Analysis/ParameterLayout.h - where parameters lie -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one place that decides the offset of each parameter in the flat buffers of runtime/abi.h. Training steps,
// the optimizer and the package's tables all ask here.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_ANALYSIS_PARAMETERLAYOUT_H
#define MOIRE_PASSES_ANALYSIS_PARAMETERLAYOUT_H

#include "dialect/IR/MoireOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace moire {

/// Whether no update ever changes the parameter: its factor of the learning rate is 0. It has no gradient either.
bool isFrozen(ParamOp param);

/// Where one `moire.param` lies. A stacked parameter is one slot: its instances follow each other without gaps.
struct ParameterSlot {
  ParamOp param;
  int64_t instances = 1;        ///< copies along the leading `stack` extents, 1 when not stacked
  int64_t instanceElements = 0; ///< elements of one copy
  int64_t offset = 0;           ///< first element in params; unless frozen, in grads, moment1 and moment2 as well
  int64_t computeOffset = -1;   ///< first element in the bf16 buffer, -1 when the parameter has no bf16 copy

  int64_t elements() const { return instances * instanceElements; }
  mlir::RankedTensorType type() const { return ParamOp(param).getType(); }
  /// Extents of one copy.
  llvm::ArrayRef<int64_t> instanceShape() const { return type().getShape().drop_front(ParamOp(param).getStack()); }
};

/// Offsets of all parameters of a module, in module order but for frozen ones, which come last: what has a gradient and
/// moments is the beginning of what there is. Cheap to build, and a pure function of the module.
class ParameterLayout {
public:
  /// Every slot begins at a multiple of this many elements: 64 bytes of f32.
  static constexpr int64_t alignment = 16;

  explicit ParameterLayout(mlir::ModuleOp module);

  llvm::ArrayRef<ParameterSlot> slots() const { return all; }
  /// The slot of the parameter of that symbol name, or null.
  const ParameterSlot *lookup(llvm::StringRef name) const;
  /// The slot that a function argument with `moire.param = @name` or a result with `moire.gradient = @name` means.
  const ParameterSlot *lookup(mlir::Attribute reference) const;

  /// Elements of params, padding included.
  int64_t parameterElements() const { return elements; }
  /// Elements of grads and each moment, padding included: those of params but for frozen ones.
  int64_t trainedElements() const { return trained; }
  /// Elements of the bf16 buffer, padding included; 0 when no parameter has a copy.
  int64_t computeElements() const { return narrow; }
  /// Elements without padding: what a bill of parameters counts.
  int64_t exactElements() const { return exact; }
  /// Element type of params, grads and moments: f64 when any parameter is, else f32.
  mlir::FloatType elementType() const { return type; }

private:
  llvm::SmallVector<ParameterSlot> all;
  llvm::StringMap<unsigned> byName;
  int64_t elements = 0, trained = 0, narrow = 0, exact = 0;
  mlir::FloatType type;
};

} // namespace moire

#endif // MOIRE_PASSES_ANALYSIS_PARAMETERLAYOUT_H
