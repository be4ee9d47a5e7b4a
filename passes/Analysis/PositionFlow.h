//===- passes/Analysis/PositionFlow.h - which positions a value depends on --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Composes what ops say of single results and operands (PositionalOpInterface) into what whole values depend on, from
// the tokens of a function on. What causality and isolation are proved with.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_ANALYSIS_POSITIONFLOW_H
#define MOIRE_PASSES_ANALYSIS_POSITIONFLOW_H

#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include <memory>

namespace moire {

/// The axes along which something can leak: later positions, other examples, other documents of a sequence.
enum class Axis { Time, Batch, Documents };

/// How far along the sequence a value sees: position j is made of tokens up to `every / per * j + ahead`. Streams of
/// another length than the tokens have another rate.
struct Horizon {
  int64_t every = 1, per = 1;
  int64_t ahead = 0;
};

/// What the values of one function depend on. `Reach::Group` of an op counts as `Same`: such ops are listed apart.
/// Carried values of loops are followed to a fixed point; the lattice has four steps, so the cost is linear in the IR.
class PositionFlow {
public:
  /// Follows `sources`, arguments of `function`, whose positions are their own (or `start`, for a call).
  PositionFlow(mlir::func::FuncOp function, llvm::ArrayRef<mlir::Value> sources);

  /// How `value` depends on the sources: `None` on both axes when it does not.
  Dependence of(mlir::Value value) const {
    auto known = flows.find(value);
    return known == flows.end() ? Dependence{Reach::None, Reach::None, Reach::None} : known->second;
  }

  /// How far `value` sees; of use where `of(value).time` is `Past` or less, and not `None`.
  Horizon horizon(mlir::Value value) const { return horizons.lookup(value); }

  /// Whether position t of `value` reads later positions, or an example other examples, or a document other documents.
  bool isLoose(mlir::Value value, Axis axis) const;

  /// Whether positions of `value`, taken for positions of the tokens, read later ones.
  bool seesAhead(mlir::Value value) const;

  /// How something came in: the op that lets it in, then the values through which it reaches the one asked about.
  struct Trail {
    mlir::Operation *culprit = nullptr;
    llvm::SmallVector<mlir::Value> values; ///< from the culprit's result to the value asked about
  };
  /// A shortest trail to `value`, which is loose along `axis`.
  Trail explain(mlir::Value value, Axis axis) const;

  /// Ops that mix other positions in by declaration, and that `value` depends on; in the order of the text.
  struct Exception {
    mlir::Operation *op;
    Dependence reach;
  };
  llvm::SmallVector<Exception> exceptions(mlir::Value value) const;

private:
  PositionFlow(mlir::func::FuncOp function, llvm::ArrayRef<Dependence> start, llvm::ArrayRef<Horizon> horizons,
               unsigned depth);

  void run(mlir::Block &block);
  void run(RepeatOp repeat);
  void run(mlir::func::CallOp call);
  void through(mlir::Operation *op, mlir::OpResult result);
  /// Raises what is known of `value`; whether that is news.
  bool raise(mlir::Value value, Dependence dependence, Horizon horizon);
  bool lets(mlir::OpResult result, Axis axis) const;
  /// The values that `value` is made of, one step back.
  llvm::SmallVector<mlir::Value> parents(mlir::Value value) const;

  llvm::DenseMap<mlir::Value, Dependence> flows;
  llvm::DenseMap<mlir::Value, Horizon> horizons;
  llvm::MapVector<mlir::Operation *, std::unique_ptr<PositionFlow>> calls;
  mlir::func::FuncOp function;
  unsigned depth = 0;
};

} // namespace moire

#endif // MOIRE_PASSES_ANALYSIS_POSITIONFLOW_H
