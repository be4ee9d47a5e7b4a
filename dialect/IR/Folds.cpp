//===- dialect/IR/Folds.cpp - what is always simpler ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Folds and canonical forms of pointwise ops and shapes. Only what holds for every value stands here (a zero may lose
// its sign, no other bit changes); what is a trade-off is a pass.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace moire;

/// Whether every element of `value` is the constant `expected`.
static bool isFilledWith(Value value, double expected) {
  auto fill = value.getDefiningOp<FillOp>();
  return fill && fill.getValue().convertToDouble() == expected;
}

//===----------------------------------------------------------------------===//
// Pointwise
//===----------------------------------------------------------------------===//

OpFoldResult BinaryOp::fold(FoldAdaptor) {
  switch (getKind()) {
  case Binary::Add:
    if (isFilledWith(getB(), 0))
      return getA();
    if (isFilledWith(getA(), 0) && getA().getType() == getB().getType())
      return getB();
    return {};
  case Binary::Sub:
    return isFilledWith(getB(), 0) ? OpFoldResult(getA()) : OpFoldResult();
  case Binary::Mul:
    if (isFilledWith(getB(), 1))
      return getA();
    if (isFilledWith(getA(), 1) && getA().getType() == getB().getType())
      return getB();
    return {};
  }
  llvm_unreachable("every kind is handled");
}

OpFoldResult ScaleOp::fold(FoldAdaptor) {
  return getFactor().convertToDouble() == 1 ? OpFoldResult(getX()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Casts
//===----------------------------------------------------------------------===//

/// Whether every value of element type `from` is a value of element type `to`: bf16 in f32 in f64.
static bool isExact(Type from, Type to) {
  return elementOf(from).getIntOrFloatBitWidth() <= elementOf(to).getIntOrFloatBitWidth();
}

OpFoldResult CastOp::fold(FoldAdaptor) {
  if (getX().getType() == getY().getType())
    return getX();
  auto inner = getX().getDefiningOp<CastOp>();
  if (inner && inner.getX().getType() == getY().getType() && isExact(inner.getX().getType(), getX().getType()))
    return inner.getX();
  return {};
}

namespace {
/// A cast of an exact cast reads the source.
struct SkipExactCast final : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<CastOp>();
    if (!inner || !isExact(inner.getX().getType(), op.getX().getType()))
      return rewriter.notifyMatchFailure(op, "no cast that loses nothing before it");
    rewriter.replaceOpWithNewOp<CastOp>(op, op.getType(), inner.getX());
    return success();
  }
};

/// A constant is rounded by the compiler, in the steps that the casts would take.
struct CastConstant final : OpRewritePattern<CastOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto fill = op.getX().getDefiningOp<FillOp>();
    if (!fill)
      return rewriter.notifyMatchFailure(op, "not a cast of a constant");
    APFloat value = fill.getValue();
    bool losesInfo = false;
    auto semantics = [](Type type) -> const llvm::fltSemantics & {
      return cast<FloatType>(elementOf(type)).getFloatSemantics();
    };
    value.convert(semantics(op.getX().getType()), APFloat::rmNearestTiesToEven, &losesInfo);
    value.convert(semantics(op.getType()), APFloat::rmNearestTiesToEven, &losesInfo);
    value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    rewriter.replaceOpWithNewOp<FillOp>(op, op.getType(), rewriter.getFloatAttr(rewriter.getF64Type(), value));
    return success();
  }
};

/// Another shape of a constant is a constant.
template <typename ShapeOp> struct ReshapeConstant final : OpRewritePattern<ShapeOp> {
  using OpRewritePattern<ShapeOp>::OpRewritePattern;
  LogicalResult matchAndRewrite(ShapeOp op, PatternRewriter &rewriter) const override {
    auto fill = op.getX().template getDefiningOp<FillOp>();
    if (!fill)
      return rewriter.notifyMatchFailure(op, "not of a constant");
    rewriter.replaceOpWithNewOp<FillOp>(op, op.getType(), fill.getValueAttr());
    return success();
  }
};
} // namespace

void CastOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SkipExactCast, CastConstant>(context);
}

//===----------------------------------------------------------------------===//
// Broadcasts, sums, reshapes
//===----------------------------------------------------------------------===//

OpFoldResult BroadcastOp::fold(FoldAdaptor) {
  if (getX().getType() == getY().getType())
    return getX();
  if (auto inner = getX().getDefiningOp<BroadcastOp>()) {
    getXMutable().assign(inner.getX());
    return getY();
  }
  return {};
}

void BroadcastOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ReshapeConstant<BroadcastOp>>(context);
}

OpFoldResult ReduceLeadingOp::fold(FoldAdaptor) {
  return getX().getType() == getY().getType() ? OpFoldResult(getX()) : OpFoldResult();
}

OpFoldResult ReshapeOp::fold(FoldAdaptor) {
  if (getX().getType() == getY().getType())
    return getX();
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().assign(inner.getX());
    return getY();
  }
  return {};
}

void ReshapeOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<ReshapeConstant<ReshapeOp>>(context);
}

//===----------------------------------------------------------------------===//
// Slices and concatenations
//===----------------------------------------------------------------------===//

/// Extent of `value` along `dim`.
static int64_t extentOf(Value value, int64_t dim) { return shapeOf(value.getType())[dim]; }

OpFoldResult SliceOp::fold(FoldAdaptor) {
  if (getX().getType() == getY().getType())
    return getX();
  auto inner = getX().getDefiningOp<SliceOp>();
  if (inner && inner.getDim() == getDim()) {
    setOffset(getOffset() + inner.getOffset());
    getXMutable().assign(inner.getX());
    return getY();
  }
  return {};
}

namespace {
/// A slice that lies inside one operand of a concatenation reads that operand.
struct SliceOfConcat final : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto concat = op.getX().getDefiningOp<ConcatOp>();
    if (!concat || concat.getDim() != op.getDim())
      return rewriter.notifyMatchFailure(op, "no concatenation along the same dimension before it");
    int64_t dim = op.getDim(), offset = op.getOffset(), size = extentOf(op.getY(), dim);
    for (Value x : concat.getXs()) {
      int64_t extent = extentOf(x, dim);
      if (offset < extent) {
        if (offset + size > extent)
          break;
        rewriter.replaceOpWithNewOp<SliceOp>(op, op.getType(), x, dim, offset);
        return success();
      }
      offset -= extent;
    }
    return rewriter.notifyMatchFailure(op, "reads more than one operand of the concatenation");
  }
};

/// Nested concatenations along one dimension become one, and neighbouring slices of one tensor become one slice.
struct FlattenConcat final : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    int64_t dim = op.getDim();
    SmallVector<Value> flat;
    for (Value x : op.getXs()) {
      auto inner = x.getDefiningOp<ConcatOp>();
      if (inner && static_cast<int64_t>(inner.getDim()) == dim)
        llvm::append_range(flat, inner.getXs());
      else
        flat.push_back(x);
    }
    SmallVector<Value> merged;
    for (Value x : flat)
      if (merged.empty() || !mergeSlices(rewriter, merged.back(), x, dim))
        merged.push_back(x);
    if (merged.size() == op.getXs().size() && llvm::equal(merged, op.getXs()))
      return rewriter.notifyMatchFailure(op, "nothing nested, no neighbours");
    rewriter.replaceOpWithNewOp<ConcatOp>(op, op.getType(), merged, dim);
    return success();
  }

private:
  /// Makes `left` one slice with `right` when the two are neighbours in one tensor.
  static bool mergeSlices(PatternRewriter &rewriter, Value &left, Value right, int64_t dim) {
    auto first = left.getDefiningOp<SliceOp>(), second = right.getDefiningOp<SliceOp>();
    if (!first || !second || first.getX() != second.getX() || static_cast<int64_t>(first.getDim()) != dim ||
        static_cast<int64_t>(second.getDim()) != dim)
      return false;
    int64_t begin = first.getOffset(), size = extentOf(left, dim);
    if (begin + size != static_cast<int64_t>(second.getOffset()))
      return false;
    SmallVector<int64_t> shape(shapeOf(left.getType()));
    shape[dim] = size + extentOf(right, dim);
    auto type = RankedTensorType::get(shape, elementOf(left.getType()));
    Location loc = rewriter.getFusedLoc({first.getLoc(), second.getLoc()});
    left = SliceOp::create(rewriter, loc, type, first.getX(), dim, begin);
    return true;
  }
};
} // namespace

void SliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<SliceOfConcat, ReshapeConstant<SliceOp>>(context);
}

OpFoldResult ConcatOp::fold(FoldAdaptor) {
  return getXs().size() == 1 && getXs().front().getType() == getY().getType() ? OpFoldResult(getXs().front())
                                                                              : OpFoldResult();
}

void ConcatOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<FlattenConcat>(context);
}
