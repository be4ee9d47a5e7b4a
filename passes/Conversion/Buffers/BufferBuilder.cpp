//===- passes/Conversion/Buffers/BufferBuilder.cpp - ops on buffers ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places become memrefs by one reinterpret_cast of their root; copies become row kernels, so that they run on all
// threads.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace moire;

CallBuilder &CallBuilder::pointer(Value memref) {
  signature += 'b';
  buffers.push_back(memref);
  return *this;
}

CallBuilder &CallBuilder::null() {
  signature += '0';
  return *this;
}

CallBuilder &CallBuilder::extent(int64_t value) {
  signature += 'i';
  integers.push_back(value);
  return *this;
}

CallBuilder &CallBuilder::flag(int64_t value) {
  signature += 't';
  integers.push_back(value);
  return *this;
}

CallBuilder &CallBuilder::real(double value, Type full) {
  signature += full.isF64() ? 'd' : 'f';
  floats.push_back(value);
  return *this;
}

CallBuilder &CallBuilder::index(Value value) {
  signature += 'p';
  scalars.push_back(value);
  return *this;
}

void CallBuilder::emit(OpBuilder &builder, Location loc, StringRef callee) {
  KernelCallOp::create(builder, loc, callee, signature, buffers, scalars, integers, floats,
                       /*then=*/FlatSymbolRefAttr(), /*thenBuffers=*/ValueRange());
}

const Place &BufferBuilder::placeResult(OpResult result) {
  if (const Place *home = plan.home(result))
    return places[result] = *home;
  auto type = cast<RankedTensorType>(result.getType());
  return places[result] = scratch(result.getLoc(), type.getElementType(), type.getShape());
}

Place BufferBuilder::scratch(Location loc, Type element, ArrayRef<int64_t> shape) {
  return Place::whole(plan.newRoot(loc, element, shape, current));
}

Value BufferBuilder::rootMemref(Root &root) {
  if (root.memref)
    return root.memref;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(twins[root.block]);
  return root.memref = memref::AllocOp::create(builder, root.loc, root.type());
}

Value BufferBuilder::offsetOf(Location loc, const Place &place) {
  Value sum = arith::ConstantIndexOp::create(builder, loc, place.offset);
  for (const Term &term : place.terms) {
    Value index = term.loop ? loopIndices[{term.loop, unsigned(term.index)}] : term.value;
    Value stride = arith::ConstantIndexOp::create(builder, loc, term.stride);
    Value part = arith::MulIOp::create(builder, loc, index, stride);
    sum = arith::AddIOp::create(builder, loc, sum, part);
  }
  return sum;
}

Value BufferBuilder::memref(Location loc, const Place &place) {
  Value root = rootMemref(*place.root);
  SmallVector<int64_t> strides = place.strides;
  // Strides of one-element dimensions are arbitrary: choose those that a dense buffer would have.
  for (int64_t dim = place.rank() - 1; dim >= 0; --dim)
    if (place.shape[dim] == 1)
      strides[dim] = dim + 1 < place.rank() ? strides[dim + 1] * place.shape[dim + 1] : 1;
  bool fixed = place.terms.empty();
  bool identity = fixed && place.offset == 0 && place.isDense();
  if (identity && place.root->shape == place.shape)
    return root;
  SmallVector<OpFoldResult> sizeValues = getAsIndexOpFoldResult(builder.getContext(), place.shape);
  SmallVector<OpFoldResult> strideValues = getAsIndexOpFoldResult(builder.getContext(), strides);
  MemRefType type = MemRefType::get(place.shape, place.root->element);
  if (!identity)
    type = MemRefType::get(
        place.shape, place.root->element,
        StridedLayoutAttr::get(builder.getContext(), fixed ? place.offset : ShapedType::kDynamic, strides));
  OpFoldResult offset = fixed ? OpFoldResult(builder.getIndexAttr(place.offset)) : OpFoldResult(offsetOf(loc, place));
  return memref::ReinterpretCastOp::create(builder, loc, type, root, offset, sizeValues, strideValues);
}

Value BufferBuilder::dense(Value value) {
  Location loc = value.getLoc();
  const Place &from = place(value);
  if (from.isDense())
    return memref(loc, from);
  Place packed = scratch(loc, from.root->element, from.shape);
  copy(loc, from, packed, "its reader wants it without gaps");
  return memref(loc, packed);
}

Rows BufferBuilder::rows(Value value, int64_t row) {
  if (std::optional<int64_t> stride = place(value).rowStride(row))
    return {memref(value.getLoc(), place(value)), *stride};
  Value packed = dense(value);
  return {packed, elementCount(ArrayRef<int64_t>(place(value).shape).take_back(row))};
}

Value BufferBuilder::denseRows(Value value, int64_t row) {
  return place(value).hasDenseRows(row) ? memref(value.getLoc(), place(value)) : dense(value);
}

Value BufferBuilder::denseResult(OpResult result) { return memref(result.getLoc(), placeResult(result)); }

Rows BufferBuilder::rowsResult(OpResult result, int64_t row) {
  const Place &place = placeResult(result);
  return {memref(result.getLoc(), place), *place.rowStride(row)};
}

Value BufferBuilder::position(Value value) {
  Location loc = value.getLoc();
  Value number = memref::LoadOp::create(builder, loc, memref(loc, place(value)), ValueRange{});
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), number);
}

void BufferBuilder::copy(Location loc, const Place &from, const Place &to, StringRef why) {
  if (from == to)
    return;
  remark::missed(loc, remark::RemarkOpts::name("copy").category("moire-bufferize"))
      << "copied " << llvm::formatv("{0} elements: {1}", from.elements(), why).str();
  Value source = memref(loc, from), target = memref(loc, to);
  bool small = from.elements() < 1024 && from.isDense() && to.isDense();
  if (small || from.rank() == 0) {
    memref::CopyOp::create(builder, loc, source, target);
    return;
  }
  // Columns of one element have gaps between them: then an element is a row.
  int64_t row = from.hasDenseRows(1) && to.hasDenseRows(1) ? 1 : 0;
  if (from.rank() == row) { // one row: nothing to divide among threads
    memref::CopyOp::create(builder, loc, source, target);
    return;
  }
  ArrayRef<int64_t> domain = ArrayRef<int64_t>(from.shape).drop_back(row);
  AffineMap map = AffineMap::getMultiDimIdentityMap(domain.size(), builder.getContext());
  auto rowwise = RowwiseOp::create(builder, loc, TypeRange(), domain, builder.getAffineMapArrayAttr(map),
                                   ArrayRef<bool>{false}, source, target);
  OpBuilder::InsertionGuard guard(builder);
  Block *body = builder.createBlock(&rowwise.getBody());
  Value line =
      body->addArgument(RankedTensorType::get(ArrayRef<int64_t>(from.shape).take_back(row), from.root->element), loc);
  YieldOp::create(builder, loc, line);
}
