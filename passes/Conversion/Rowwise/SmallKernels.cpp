//===- passes/Conversion/Rowwise/SmallKernels.cpp - kernels of fixed form ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All of them run in parallel over columns, so that the order in which rows are added is the same for any number of
// threads.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/SmallKernels.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Conversion/Rowwise/LoopHelpers.h"

using namespace mlir;
using namespace moire::rows;

/// A private function of two indices and `buffers`, empty but for its return; the builder is moved into it.
static func::FuncOp begin(OpBuilder &builder, Location loc, StringRef name, TypeRange buffers) {
  SmallVector<Type> types(2, builder.getIndexType());
  llvm::append_range(types, buffers);
  auto function = func::FuncOp::create(builder, loc, name, builder.getFunctionType(types, {}));
  function.setPrivate();
  for (unsigned i = 2; i < types.size(); ++i)
    function.setArgAttr(i, "llvm.noalias", builder.getUnitAttr());
  builder.setInsertionPointToStart(function.addEntryBlock());
  auto end = func::ReturnOp::create(builder, loc);
  builder.setInsertionPoint(end);
  return function;
}

static Value zeroOf(OpBuilder &builder, Location loc, Type type) {
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

/// `row[c] = 0`.
static void clear(OpBuilder &builder, Location loc, Value row) {
  Value zero = zeroOf(builder, loc, cast<MemRefType>(row.getType()).getElementType());
  sweep(builder, loc, {}, {row}, [&](OpBuilder &, ValueRange) { return SmallVector<Value>{zero}; });
}

/// `total[c] += rows[0][c] + ..`, in order.
static void addRows(OpBuilder &builder, Location loc, ValueRange rows, Value total) {
  Type real = cast<MemRefType>(total.getType()).getElementType();
  sweep(builder, loc, rows, {total}, [&](OpBuilder &b, ValueRange elements) {
    Value sum = elements.back();
    for (Value element : elements.drop_back())
      sum = arith::AddFOp::create(b, loc, sum, convertScalarToDtype(b, loc, element, real, false));
    return SmallVector<Value>{sum};
  });
}

int64_t moire::rows::columnBlock(int64_t length, int64_t most) {
  for (int64_t block = most; block >= 16; block -= 16)
    if (length % block == 0)
      return block;
  return length;
}

func::FuncOp moire::rows::emitAddChunks(OpBuilder &builder, Location loc, StringRef name, int64_t chunks,
                                        int64_t length, int64_t block, Type real) {
  OpBuilder::InsertionGuard guard(builder);
  if (length == 0) {
    auto function = begin(builder, loc, name, {MemRefType::get({chunks}, real), MemRefType::get({}, real)});
    Value total = function.getArgument(3);
    memref::StoreOp::create(builder, loc, zeroOf(builder, loc, real), total);
    addRows(builder, loc, function.getArgument(2), total);
    return function;
  }
  auto function = begin(builder, loc, name, {MemRefType::get({chunks, length}, real), MemRefType::get({length}, real)});
  Value partial = function.getArgument(2), total = function.getArgument(3);
  // Several rows at once, or the total would be loaded and stored for each.
  constexpr int64_t atOnce = 8;
  Value width = arith::ConstantIndexOp::create(builder, loc, block);
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value).getResult(); };
  loop(builder, loc, function.getArgument(0), function.getArgument(1), [&](Value number) {
    Value column = arith::MulIOp::create(builder, loc, number, width);
    Value sums = rowView(builder, loc, total, {}, column, block);
    clear(builder, loc, sums);
    auto addFrom = [&](Value first, int64_t count) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < count; ++i) {
        Value row = arith::AddIOp::create(builder, loc, first, constant(i));
        rows.push_back(rowView(builder, loc, partial, {OpFoldResult(row)}, column, block));
      }
      addRows(builder, loc, rows, sums);
    };
    int64_t groups = chunks / atOnce;
    if (groups)
      loop(builder, loc, constant(0), constant(groups),
           [&](Value group) { addFrom(arith::MulIOp::create(builder, loc, group, constant(atOnce)), atOnce); });
    if (chunks % atOnce)
      addFrom(constant(groups * atOnce), chunks % atOnce);
  });
  return function;
}

func::FuncOp moire::rows::emitScatter(OpBuilder &builder, Location loc, StringRef name, MemRefType indexType,
                                      MemRefType dyType, MemRefType tableType, int64_t block) {
  OpBuilder::InsertionGuard guard(builder);
  auto function = begin(builder, loc, name, {indexType, dyType, tableType});
  Value index = function.getArgument(2), dy = function.getArgument(3), table = function.getArgument(4);
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value).getResult(); };
  loop(builder, loc, function.getArgument(0), function.getArgument(1), [&](Value number) {
    Value column = arith::MulIOp::create(builder, loc, number, constant(block));
    loop(builder, loc, constant(0), constant(tableType.getDimSize(0)),
         [&](Value row) { clear(builder, loc, rowView(builder, loc, table, {OpFoldResult(row)}, column, block)); });
    loop(builder, loc, constant(0), constant(dyType.getDimSize(0)), [&](Value i) {
      Value row = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                             memref::LoadOp::create(builder, loc, index, i));
      addRows(builder, loc, rowView(builder, loc, dy, {OpFoldResult(i)}, column, block),
              rowView(builder, loc, table, {OpFoldResult(row)}, column, block));
    });
  });
  return function;
}

func::FuncOp moire::rows::emitShares(OpBuilder &builder, Location loc, StringRef name, MemRefType offsetsType,
                                     MemRefType shareType) {
  OpBuilder::InsertionGuard guard(builder);
  auto function = begin(builder, loc, name, {offsetsType, shareType});
  Value offsets = function.getArgument(2), share = function.getArgument(3);
  int64_t experts = shareType.getDimSize(0);
  Type real = shareType.getElementType();
  Value last = arith::ConstantIndexOp::create(builder, loc, experts);
  Value all = arith::SIToFPOp::create(builder, loc, real, memref::LoadOp::create(builder, loc, offsets, last));
  Value from = rowView(builder, loc, offsets, {}, builder.getIndexAttr(0), experts);
  Value to = rowView(builder, loc, offsets, {}, builder.getIndexAttr(1), experts);
  sweep(builder, loc, {from, to}, {share}, [&](OpBuilder &b, ValueRange v) {
    Value count = arith::SIToFPOp::create(b, loc, real, arith::SubIOp::create(b, loc, v[1], v[0]));
    return SmallVector<Value>{arith::DivFOp::create(b, loc, count, all)};
  });
  return function;
}
