//===- ParameterDeclarations.h - the parameters that blocks own -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which parameters each block owns, with role, shape, first values and decay: the one place that says so. Walking a
// model declares them as `moire.param` symbols, stacked where a repeat has copies.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_EXPAND_PARAMETERDECLARATIONS_H
#define MOIRE_PASSES_TRANSFORMS_EXPAND_PARAMETERDECLARATIONS_H

#include "dialect/IR/MoireOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace moire {

/// Element types of one precision.
struct Precision {
  mlir::Type activation; ///< of streams and of the weights that products read: f32, bf16 or f64
  mlir::Type full;       ///< of everything delicate: f32, or f64
  /// Whether products read a copy of the weights in another type than the parameters'.
  bool hasComputeCopy() const { return activation != full; }
};

/// First values of one parameter.
struct Initial {
  Init kind = Init::Constant;
  double a = 0, b = 0;
};

/// Declares parameters of blocks as symbols of a module, each path once.
class ParameterDeclarations {
public:
  ParameterDeclarations(mlir::ModuleOp module, Precision precision, int64_t residualBlocks);

  /// Declares what `block` owns. Does nothing for ops that own nothing.
  llvm::LogicalResult declare(mlir::Operation *block);

  /// The parameters in the order of their declaration.
  llvm::ArrayRef<ParamOp> all() const { return declared; }

  /// The parameter `suffix` of `block`, declared before.
  ParamOp find(mlir::Operation *block, llvm::StringRef suffix) const;

  /// The parameters that `block` reads, its own and tied ones, in order.
  llvm::SmallVector<ParamOp> readBy(mlir::Operation *block) const;

private:
  /// One parameter of one block: `suffix` is appended to the block's paths. `product` says that a product or a lookup
  /// reads it, in the activations' type. With a `signRate` the optimizer follows the sign rule.
  llvm::LogicalResult add(mlir::Operation *block, llvm::StringRef suffix, llvm::ArrayRef<int64_t> shape, Role role,
                          Initial init, bool decays, bool product, double signRate = 0);
  /// Notes that the columns of `block`'s parameter `suffix` are of several kinds, so many of each: see
  /// moire-project-weights, which alone asks.
  void notePieces(mlir::Operation *block, llvm::StringRef suffix, llvm::ArrayRef<int64_t> pieces);
  /// The matrix and the bias of an affine map, under `name` (or directly under the block when it is empty).
  llvm::LogicalResult addLinear(mlir::Operation *block, llvm::StringRef name, int64_t in, int64_t out, Role role,
                                bool bias);
  llvm::LogicalResult addMamba(MambaOp op);
  llvm::LogicalResult addRouter(RouterOp op);
  llvm::LogicalResult addExperts(ExpertsOp op);
  llvm::LogicalResult addMamba2(Mamba2Op op);
  llvm::LogicalResult addLatentAttention(LatentAttentionOp op);

  mlir::ModuleOp module;
  Precision precision;
  int64_t residualBlocks; ///< residual branches of the whole model: the depth that output projections divide by
  llvm::SmallVector<ParamOp> declared;
  llvm::StringMap<ParamOp> byName;
};

/// Features of the stream that `value` holds.
int64_t widthOf(mlir::Value value);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_EXPAND_PARAMETERDECLARATIONS_H
