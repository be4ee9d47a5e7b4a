//===- dialect/IR/RowRules.cpp - what one row of each row op is ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Pointwise ops have no row of their own: they take the last dimension for features, as their neighbours do, and a
// fusion that wants scalars per row may treat every extent as leading.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"

using namespace mlir;
using namespace moire;

namespace {
/// Every row of the result reads the operand whole.
constexpr int64_t whole = -1;
constexpr int64_t features = 1;
constexpr int64_t scalar = 0;
} // namespace

/// The last dimension as features; a scalar has none.
static int64_t lastDimension(Value value) { return shapeOf(value.getType()).empty() ? scalar : features; }

/// An operand that is broadcast over leading extents of `outer`: whole when it is one row or one number, else a row
/// for each of the extents that it has.
static int64_t broadcastRank(Value inner, Value outer) {
  size_t rank = shapeOf(inner.getType()).size();
  if (rank == shapeOf(outer.getType()).size())
    return lastDimension(inner);
  return rank <= 1 ? whole : features;
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

int64_t UnaryOp::getOperandRowRank(unsigned) { return lastDimension(getX()); }
int64_t UnaryOp::getResultRowRank(unsigned) { return lastDimension(getY()); }

int64_t UnaryGradOp::getOperandRowRank(unsigned) { return lastDimension(getX()); }
int64_t UnaryGradOp::getResultRowRank(unsigned) { return lastDimension(getX()); }

int64_t BinaryOp::getOperandRowRank(unsigned operand) {
  return operand == 0 ? lastDimension(getA()) : broadcastRank(getB(), getA());
}
int64_t BinaryOp::getResultRowRank(unsigned) { return lastDimension(getY()); }

int64_t ScaleOp::getOperandRowRank(unsigned) { return lastDimension(getX()); }
int64_t ScaleOp::getResultRowRank(unsigned) { return lastDimension(getY()); }

int64_t ClampOp::getOperandRowRank(unsigned) { return lastDimension(getX()); }
int64_t ClampOp::getResultRowRank(unsigned) { return lastDimension(getY()); }

int64_t ClampGradOp::getOperandRowRank(unsigned) { return lastDimension(getX()); }
int64_t ClampGradOp::getResultRowRank(unsigned) { return lastDimension(getDx()); }

int64_t CastOp::getOperandRowRank(unsigned) { return lastDimension(getX()); }
int64_t CastOp::getResultRowRank(unsigned) { return lastDimension(getY()); }

int64_t BroadcastOp::getOperandRowRank(unsigned) { return broadcastRank(getX(), getY()); }
int64_t BroadcastOp::getResultRowRank(unsigned) { return lastDimension(getY()); }

int64_t ReduceLeadingOp::getOperandRowRank(unsigned) { return shapeOf(getY().getType()).size(); }
int64_t ReduceLeadingOp::getResultRowRank(unsigned) { return shapeOf(getY().getType()).size(); }
bool ReduceLeadingOp::isResultSummed(unsigned) { return true; }
bool ReduceLeadingOp::worksRowByRow() { return shapeOf(getY().getType()).size() <= 1; }

//===----------------------------------------------------------------------===//
// Parts of rows
//===----------------------------------------------------------------------===//

int64_t SliceOp::getOperandRowRank(unsigned) { return features; }
int64_t SliceOp::getResultRowRank(unsigned) { return features; }
bool SliceOp::worksRowByRow() { return getDim() + 1 == shapeOf(getX().getType()).size(); }

int64_t ConcatOp::getOperandRowRank(unsigned) { return features; }
int64_t ConcatOp::getResultRowRank(unsigned) { return features; }
bool ConcatOp::worksRowByRow() { return getDim() + 1 == shapeOf(getY().getType()).size(); }

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

int64_t RmsNormOp::getOperandRowRank(unsigned operand) { return operand == 0 ? features : whole; }
int64_t RmsNormOp::getResultRowRank(unsigned result) { return result == 0 ? features : scalar; }

int64_t RmsNormGradOp::getOperandRowRank(unsigned operand) {
  constexpr int64_t ranks[] = {features, features, whole, scalar}; // dy, x, weight, rstd
  return ranks[operand];
}
int64_t RmsNormGradOp::getResultRowRank(unsigned) { return features; }
bool RmsNormGradOp::isResultSummed(unsigned result) { return result == 1; }

int64_t LayerNormOp::getOperandRowRank(unsigned operand) { return operand == 0 ? features : whole; }
int64_t LayerNormOp::getResultRowRank(unsigned result) { return result == 0 ? features : scalar; }

int64_t LayerNormGradOp::getOperandRowRank(unsigned operand) {
  constexpr int64_t ranks[] = {features, features, whole, scalar, scalar}; // dy, x, weight, mean, rstd
  return ranks[operand];
}
int64_t LayerNormGradOp::getResultRowRank(unsigned) { return features; }
bool LayerNormGradOp::isResultSummed(unsigned result) { return result >= 1; }

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

int64_t LookupOp::getOperandRowRank(unsigned operand) { return operand == 0 ? scalar : whole; }
int64_t LookupOp::getResultRowRank(unsigned) { return features; }

int64_t TileOp::getOperandRowRank(unsigned) { return features; }
int64_t TileOp::getResultRowRank(unsigned) { return features; }

int64_t FoldOp::getOperandRowRank(unsigned) { return features; }
int64_t FoldOp::getResultRowRank(unsigned) { return features; }

int64_t RopeOp::getOperandRowRank(unsigned) { return features; } // a table row belongs to a time step
int64_t RopeOp::getResultRowRank(unsigned) { return features; }

//===----------------------------------------------------------------------===//
// Softmax and losses
//===----------------------------------------------------------------------===//

int64_t SoftmaxOp::getOperandRowRank(unsigned) { return features; }
int64_t SoftmaxOp::getResultRowRank(unsigned) { return features; }

int64_t SoftmaxGradOp::getOperandRowRank(unsigned) { return features; }
int64_t SoftmaxGradOp::getResultRowRank(unsigned) { return features; }

int64_t CrossEntropyOp::getOperandRowRank(unsigned operand) { return operand == 0 ? features : scalar; }
int64_t CrossEntropyOp::getResultRowRank(unsigned) { return scalar; }

int64_t CrossEntropyGradOp::getOperandRowRank(unsigned operand) { return operand == 0 ? features : scalar; }
int64_t CrossEntropyGradOp::getResultRowRank(unsigned) { return features; }

int64_t ZLossOp::getOperandRowRank(unsigned) { return features; }
int64_t ZLossOp::getResultRowRank(unsigned) { return scalar; }

int64_t ZLossGradOp::getOperandRowRank(unsigned operand) { return operand == 0 ? features : scalar; }
int64_t ZLossGradOp::getResultRowRank(unsigned) { return features; }

int64_t ReachesBackOp::getOperandRowRank(unsigned) { return scalar; }
int64_t ReachesBackOp::getResultRowRank(unsigned) { return scalar; }

int64_t ScaleRowsOp::getOperandRowRank(unsigned operand) { return operand == 0 ? features : scalar; }
int64_t ScaleRowsOp::getResultRowRank(unsigned) { return features; }

int64_t DotRowsOp::getOperandRowRank(unsigned) { return features; }
int64_t DotRowsOp::getResultRowRank(unsigned) { return scalar; }

int64_t CountTargetsOp::getOperandRowRank(unsigned) { return scalar; }
int64_t CountTargetsOp::getResultRowRank(unsigned) { return scalar; }
