//===- passes/Conversion/Buffers/KernelProducts.cpp - matrix products -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Linear maps, plain and grouped by expert, as calls of gemm, grouped_gemm and grouped_gemm_weight.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "passes/Conversion/Buffers/KernelOps.h"

using namespace mlir;
using namespace moire;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static std::string nameOf(Type type) { return type.isBF16() ? "bf16" : type.isF64() ? "f64" : "f32"; }

/// "moire_gemm_bf16_f32", or failure when no such version exists.
static FailureOr<std::string> versionOf(Operation *op, StringRef kernel, Value a, Value b, Value c,
                                        ArrayRef<StringRef> versions) {
  std::string suffix = nameOf(typeOf(a).getElementType()) + "_" + nameOf(typeOf(c).getElementType());
  if (typeOf(a).getElementType() != typeOf(b).getElementType() || !llvm::is_contained(versions, suffix)) {
    InFlightDiagnostic diag = op->emitOpError("has no kernel for factors ")
                              << typeOf(a).getElementType() << " and " << typeOf(b).getElementType();
    diag << " with a result of " << typeOf(c).getElementType();
    return failure();
  }
  return ("moire_" + kernel + "_" + suffix).str();
}

static int64_t rowsOf(Value value) { return typeOf(value).getNumElements() / typeOf(value).getShape().back(); }

/// Adds the bias over what the product has written. `moire-split-bias` leaves this to other row kernels when it can.
static void addBias(LinearOp op, BufferBuilder &b) {
  RankedTensorType y = typeOf(op.getY());
  Place place = b.place(op.getY());
  if (place.rank() == 1) // a single row is a domain of one
    place = *place.reshaped({1, place.shape.front()});
  ArrayRef<int64_t> domain = ArrayRef<int64_t>(place.shape).drop_back();
  MLIRContext *context = op.getContext();
  AffineMap each = AffineMap::getMultiDimIdentityMap(domain.size(), context);
  AffineMap same = AffineMap::get(domain.size(), 0, context);
  Value sum = b.memref(op.getLoc(), place), bias = b.dense(op.getBias());
  auto kernel =
      RowwiseOp::create(b.builder, op.getLoc(), TypeRange(), domain, b.builder.getAffineMapArrayAttr({each, same}),
                        ArrayRef<bool>{false}, ValueRange{sum, bias}, sum);
  OpBuilder::InsertionGuard guard(b.builder);
  Block *body = b.builder.createBlock(&kernel.getBody());
  auto row = RankedTensorType::get(y.getShape().take_back(), y.getElementType());
  Value line = body->addArgument(row, op.getLoc());
  Value added = body->addArgument(op.getBias().getType(), op.getLoc());
  Value result = BinaryOp::create(b.builder, op.getLoc(), row, line, added, Binary::Add);
  YieldOp::create(b.builder, op.getLoc(), result);
}

static LogicalResult emitLinear(LinearOp op, BufferBuilder &b) {
  FailureOr<std::string> callee =
      versionOf(op, "gemm", op.getX(), op.getW(), op.getY(), {"f32_f32", "f64_f64", "bf16_f32", "bf16_bf16"});
  if (failed(callee))
    return failure();
  int64_t in = typeOf(op.getX()).getShape().back(), out = typeOf(op.getY()).getShape().back();
  Rows x = b.rows(op.getX()), w = b.rows(op.getW()), y = b.rowsResult(cast<OpResult>(op.getY()));
  CallBuilder call;
  call.extent(rowsOf(op.getX())).extent(out).extent(in).rows(x).flag(0).rows(w).flag(op.getTranspose());
  call.rows(y).flag(0).emit(b.builder, op.getLoc(), *callee);
  if (op.getBias())
    addBias(op, b);
  return success();
}

static LogicalResult emitLinearGradWeight(LinearGradWeightOp op, BufferBuilder &b) {
  FailureOr<std::string> callee =
      versionOf(op, "gemm", op.getX(), op.getDy(), op.getDw(), {"f32_f32", "f64_f64", "bf16_f32"});
  if (failed(callee))
    return failure();
  int64_t in = typeOf(op.getX()).getShape().back(), out = typeOf(op.getDy()).getShape().back();
  Rows x = b.rows(op.getX()), dy = b.rows(op.getDy()), dw = b.rowsResult(cast<OpResult>(op.getDw()));
  CallBuilder call;
  call.extent(in).extent(out).extent(rowsOf(op.getX())).rows(x).flag(1).rows(dy).flag(0).rows(dw).flag(0);
  call.emit(b.builder, op.getLoc(), *callee);
  return success();
}

/// A row map that may be absent: then row r is row r.
static void addIndex(CallBuilder &call, Value index, BufferBuilder &b) {
  if (index)
    call.pointer(b.dense(index));
  else
    call.null();
}

FailureOr<std::string> moire::groupedProduct(Operation *op, Value x, Value w, Value y, StringRef kernel) {
  return versionOf(op, kernel, x, w, y, {"f32_f32", "f64_f64", "bf16_bf16"});
}

/// Inside a `moire.product_rows` the call waits for its row kernel; a product that is not yielded is in no memory.
static LogicalResult emitGroupedLinear(GroupedLinearOp op, BufferBuilder &b) {
  auto fused = dyn_cast<ProductRowsOp>(op->getParentOp());
  FailureOr<std::string> callee =
      groupedProduct(op, op.getX(), op.getW(), op.getY(), fused ? "grouped_gemm_rows" : "grouped_gemm");
  if (failed(callee))
    return failure();
  RankedTensorType y = typeOf(op.getY());
  Rows x = b.rows(op.getX());
  CallBuilder call;
  call.extent(y.getDimSize(0)).extent(y.getDimSize(1)).extent(typeOf(op.getX()).getShape().back());
  call.extent(typeOf(op.getW()).getDimSize(0)).pointer(b.dense(op.getOffsets()));
  addIndex(call, op.getRows(), b);
  call.rows(x).pointer(b.dense(op.getW())).flag(op.getTranspose());
  if (fused && !llvm::is_contained(fused.getYield().getValues(), op.getY()))
    call.null().extent(y.getDimSize(1));
  else
    call.rows(b.rowsResult(cast<OpResult>(op.getY())));
  call.emit(b.builder, op.getLoc(), *callee);
  return success();
}

static LogicalResult emitGroupedGradWeight(GroupedLinearGradWeightOp op, BufferBuilder &b) {
  FailureOr<std::string> callee =
      versionOf(op, "grouped_gemm_weight", op.getX(), op.getDy(), op.getDw(), {"f32_f32", "f64_f64", "bf16_f32"});
  if (failed(callee))
    return failure();
  RankedTensorType dw = typeOf(op.getDw());
  CallBuilder call;
  call.extent(dw.getDimSize(1)).extent(dw.getDimSize(2)).extent(dw.getDimSize(0)).pointer(b.dense(op.getOffsets()));
  addIndex(call, op.getXRows(), b);
  call.rows(b.rows(op.getX()));
  addIndex(call, op.getDyRows(), b);
  call.rows(b.rows(op.getDy())).pointer(b.denseResult(cast<OpResult>(op.getDw())));
  call.emit(b.builder, op.getLoc(), *callee);
  return success();
}

std::optional<LogicalResult> moire::emitProduct(Operation *op, BufferBuilder &builder) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return emitLinear(linear, builder);
  if (auto gradient = dyn_cast<LinearGradWeightOp>(op))
    return emitLinearGradWeight(gradient, builder);
  if (auto grouped = dyn_cast<GroupedLinearOp>(op))
    return emitGroupedLinear(grouped, builder);
  if (auto gradient = dyn_cast<GroupedLinearGradWeightOp>(op))
    return emitGroupedGradWeight(gradient, builder);
  return std::nullopt;
}
