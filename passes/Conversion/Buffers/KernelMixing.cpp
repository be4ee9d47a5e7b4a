//===- passes/Conversion/Buffers/KernelMixing.cpp - attention and scans -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention over sequences and caches, and the selective scan, as calls of their kernels.
//===----------------------------------------------------------------------===//
#include "kernels/include/Kernels.h"
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "passes/Conversion/Buffers/KernelOps.h"

using namespace mlir;
using namespace moire;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static OpResult resultOf(Value value) { return cast<OpResult>(value); }

/// "moire_attention_bf16" for activations of that type.
static std::string versionOf(StringRef kernel, Value activation) {
  Type type = typeOf(activation).getElementType();
  return ("moire_" + kernel + (type.isBF16() ? "_bf16" : type.isF64() ? "_f64" : "_f32")).str();
}

/// What every attention is told of its heads: how many, and their features.
template <typename Attention> static void addHeads(CallBuilder &call, Attention op) {
  ArrayRef<int64_t> q = typeOf(op.getQ()).getShape(), v = typeOf(op.getV()).getShape();
  call.extent(q[2]).extent(v[2]).extent(q[3]).extent(v[3]);
}

/// The positions of tokens in their documents, or null.
template <typename Op> static void addDocuments(CallBuilder &call, Op op, BufferBuilder &b) {
  if (op.getDocuments())
    call.pointer(b.dense(op.getDocuments()));
  else
    call.null();
}

/// Its window, scores, sinks and documents.
template <typename Attention> static void addForm(CallBuilder &call, Attention op, BufferBuilder &b) {
  Type element = typeOf(op.getQ()).getElementType();
  call.extent(op.getWindow().value_or(0)).flag(op.getAlibi()).real(op.getScale().convertToDouble(), element);
  call.real(op.getSoftcap() ? op.getSoftcap()->convertToDouble() : 0, element);
  if (op.getSinks())
    call.pointer(b.dense(op.getSinks()));
  else
    call.null();
  addDocuments(call, op, b);
}

/// What the kernels over whole sequences begin with.
template <typename Attention> static void beginAttention(CallBuilder &call, Attention op, BufferBuilder &b) {
  call.extent(typeOf(op.getQ()).getDimSize(0)).extent(typeOf(op.getQ()).getDimSize(1));
  addHeads(call, op);
  call.flag(!op.getBidirectional());
  addForm(call, op, b);
  for (Value value : {op.getQ(), op.getK(), op.getV()})
    call.rows(b.rows(value, headRowRank));
}

static LogicalResult emitAttention(SoftmaxAttentionOp op, BufferBuilder &b) {
  CallBuilder call;
  beginAttention(call, op, b);
  call.rows(b.rowsResult(resultOf(op.getY()), headRowRank)).pointer(b.denseResult(resultOf(op.getLse())));
  call.emit(b.builder, op.getLoc(), versionOf("attention", op.getQ()));
  return success();
}

static LogicalResult emitAttentionGrad(SoftmaxAttentionGradOp op, BufferBuilder &b) {
  CallBuilder call;
  beginAttention(call, op, b);
  call.rows(b.rows(op.getY(), headRowRank)).pointer(b.dense(op.getLse())).rows(b.rows(op.getDy(), headRowRank));
  for (Value value : {op.getDq(), op.getDk(), op.getDv()})
    call.rows(b.rowsResult(resultOf(value), headRowRank));
  if (op.getDsinks())
    call.pointer(b.denseResult(resultOf(op.getDsinks())));
  else
    call.null();
  call.emit(b.builder, op.getLoc(), versionOf("attention_backward", op.getQ()));
  return success();
}

/// A result that the kernel keeps in the memory of an operand: moves the operand there when it is elsewhere.
static Value updateInPlace(Value operand, Value result, BufferBuilder &b) {
  const Place *home = b.homePlan().home(result);
  Place target = home ? *home : b.scratch(result.getLoc(), typeOf(result).getElementType(), typeOf(result).getShape());
  b.copy(result.getLoc(), b.place(operand), target, "a cache is extended in place, and its old value is not free");
  b.setPlace(result, target);
  return b.memref(result.getLoc(), target);
}

static LogicalResult emitCachedAttention(CachedAttentionOp op, BufferBuilder &b) {
  CallBuilder call;
  call.extent(typeOf(op.getQ()).getDimSize(1)).index(b.position(op.getPosition()));
  call.extent(typeOf(op.getKCache()).getDimSize(0));
  addHeads(call, op);
  addForm(call, op, b);
  for (Value value : {op.getQ(), op.getK(), op.getV()})
    call.rows(b.rows(value, headRowRank));
  call.pointer(updateInPlace(op.getKCache(), op.getKOut(), b)).pointer(updateInPlace(op.getVCache(), op.getVOut(), b));
  call.rows(b.rowsResult(resultOf(op.getY()), headRowRank));
  call.emit(b.builder, op.getLoc(), versionOf("attention_cached", op.getQ()));
  return success();
}

/// Extents and operands that all scans begin with: u, dt, a, B, C, d, documents.
template <typename ScanLike> static void beginScan(CallBuilder &call, ScanLike op, BufferBuilder &b) {
  RankedTensorType u = typeOf(op.getU());
  call.extent(u.getDimSize(0)).extent(u.getDimSize(1)).extent(u.getDimSize(2)).extent(typeOf(op.getA()).getDimSize(1));
  call.rows(b.rows(op.getU())).pointer(b.dense(op.getDt())).pointer(b.dense(op.getA()));
  call.rows(b.rows(op.getB())).rows(b.rows(op.getC())).pointer(b.dense(op.getD()));
  addDocuments(call, op, b);
}

static LogicalResult emitScan(SelectiveScanOp op, BufferBuilder &b) {
  CallBuilder call;
  beginScan(call, op, b);
  call.null().pointer(b.denseResult(resultOf(op.getY()))).null();
  if (op.getStates().use_empty())
    call.null();
  else
    call.pointer(b.denseResult(resultOf(op.getStates())));
  call.emit(b.builder, op.getLoc(), versionOf("scan", op.getU()));
  return success();
}

static LogicalResult emitStatefulScan(StatefulScanOp op, BufferBuilder &b) {
  CallBuilder call;
  beginScan(call, op, b);
  call.pointer(b.dense(op.getState())).pointer(b.denseResult(resultOf(op.getY())));
  call.pointer(b.denseResult(resultOf(op.getStateOut()))).null();
  call.emit(b.builder, op.getLoc(), versionOf("scan", op.getU()));
  return success();
}

static LogicalResult emitScanGrad(SelectiveScanGradOp op, BufferBuilder &b) {
  RankedTensorType u = typeOf(op.getU());
  int64_t workspace =
      moire_scan_backward_workspace(u.getDimSize(0), u.getDimSize(1), u.getDimSize(2), typeOf(op.getA()).getDimSize(1));
  Place scratch = b.scratch(op.getLoc(), typeOf(op.getDt()).getElementType(), workspace);
  CallBuilder call;
  beginScan(call, op, b);
  call.pointer(b.dense(op.getStates())).pointer(b.dense(op.getDy())).rows(b.rowsResult(resultOf(op.getDu())));
  call.pointer(b.denseResult(resultOf(op.getDdt()))).pointer(b.denseResult(resultOf(op.getDa())));
  call.rows(b.rowsResult(resultOf(op.getDb()))).rows(b.rowsResult(resultOf(op.getDc())));
  call.pointer(b.denseResult(resultOf(op.getDd()))).pointer(b.memref(op.getLoc(), scratch));
  call.emit(b.builder, op.getLoc(), versionOf("scan_backward", op.getU()));
  return success();
}

static LogicalResult emitDocumentPositions(DocumentPositionsOp op, BufferBuilder &b) {
  ArrayRef<int64_t> tokens = typeOf(op.getTokens()).getShape();
  CallBuilder call;
  call.extent(tokens[0]).extent(tokens[1]).extent(op.getSeparator()).pointer(b.dense(op.getTokens()));
  if (op.getCount())
    call.pointer(b.dense(op.getCount()));
  else
    call.null();
  call.pointer(b.denseResult(resultOf(op.getY())));
  if (op.getNext())
    call.pointer(b.denseResult(resultOf(op.getNext())));
  else
    call.null();
  call.emit(b.builder, op.getLoc(), "moire_document_positions");
  return success();
}

std::optional<LogicalResult> moire::emitMixing(Operation *op, BufferBuilder &builder) {
  if (auto attention = dyn_cast<SoftmaxAttentionOp>(op))
    return emitAttention(attention, builder);
  if (auto gradient = dyn_cast<SoftmaxAttentionGradOp>(op))
    return emitAttentionGrad(gradient, builder);
  if (auto cached = dyn_cast<CachedAttentionOp>(op))
    return emitCachedAttention(cached, builder);
  if (auto scan = dyn_cast<SelectiveScanOp>(op))
    return emitScan(scan, builder);
  if (auto scan = dyn_cast<StatefulScanOp>(op))
    return emitStatefulScan(scan, builder);
  if (auto gradient = dyn_cast<SelectiveScanGradOp>(op))
    return emitScanGrad(gradient, builder);
  if (auto positions = dyn_cast<DocumentPositionsOp>(op))
    return emitDocumentPositions(positions, builder);
  return std::nullopt;
}
