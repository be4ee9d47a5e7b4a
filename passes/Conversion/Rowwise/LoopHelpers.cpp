//===- passes/Conversion/Rowwise/LoopHelpers.cpp - loops, views, sweeps -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Builders of upstream IR, each one shape.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/LoopHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

void moire::rows::loop(OpBuilder &builder, Location loc, Value begin, Value end, function_ref<void(Value)> body) {
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(builder, loc, begin, end, one);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVar());
}

Value moire::rows::rowView(OpBuilder &builder, Location loc, Value buffer, ArrayRef<OpFoldResult> leading,
                           OpFoldResult offset, int64_t length) {
  auto type = cast<MemRefType>(buffer.getType());
  if (leading.empty() && isConstantIntValue(offset, 0) && type.getShape() == ArrayRef<int64_t>{length})
    return buffer;
  SmallVector<OpFoldResult> offsets(leading), sizes(leading.size(), builder.getIndexAttr(1)),
      strides(leading.size() + 1, builder.getIndexAttr(1));
  offsets.push_back(offset);
  sizes.push_back(builder.getIndexAttr(length));
  // The dropped dimensions have extent 1, as a row of one column has: say which stride stays.
  auto full = cast<MemRefType>(memref::SubViewOp::inferResultType(type, offsets, sizes, strides));
  auto [fullStrides, fullOffset] = full.getStridesAndOffset();
  auto layout = StridedLayoutAttr::get(builder.getContext(), fullOffset, fullStrides.back());
  auto view = MemRefType::get({length}, type.getElementType(), layout);
  return memref::SubViewOp::create(builder, loc, view, buffer, offsets, sizes, strides);
}

void moire::rows::sweep(OpBuilder &builder, Location loc, ValueRange read, ValueRange written,
                        function_ref<SmallVector<Value>(OpBuilder &, ValueRange)> body) {
  AffineMap column = builder.getMultiDimIdentityMap(1), cell = AffineMap::get(1, 0, builder.getContext());
  SmallVector<AffineMap> maps(read.size(), column);
  bool reduces = false;
  for (Value buffer : written) {
    bool isCell = cast<MemRefType>(buffer.getType()).getRank() == 0;
    reduces |= isCell;
    maps.push_back(isCell ? cell : column);
  }
  auto kind = reduces ? utils::IteratorType::reduction : utils::IteratorType::parallel;
  linalg::GenericOp::create(
      builder, loc, read, written, maps, ArrayRef<utils::IteratorType>{kind},
      [&](OpBuilder &b, Location at, ValueRange arguments) { linalg::YieldOp::create(b, at, body(b, arguments)); });
}

std::pair<unsigned, int64_t> moire::rows::shiftedDim(AffineExpr expr) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return {dim.getPosition(), 0};
  auto sum = cast<AffineBinaryOpExpr>(expr);
  return {cast<AffineDimExpr>(sum.getLHS()).getPosition(), cast<AffineConstantExpr>(sum.getRHS()).getValue()};
}
