//===- passes/Conversion/Buffers/KernelSsd.cpp - the scan of Mamba-2 --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scan, its reverse and its stateful form as calls of their kernels.
//===----------------------------------------------------------------------===//
#include "kernels/include/Kernels.h"
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "passes/Conversion/Buffers/KernelOps.h"

using namespace mlir;
using namespace moire;

static_assert(MOIRE_SSD_MOST == SsdScanOp::most, "the verifier lets through what the kernels are made for");

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static OpResult resultOf(Value value) { return cast<OpResult>(value); }

/// "moire_ssd_scan_bf16" for activations of that type.
static std::string versionOf(StringRef kernel, Value activation) {
  Type type = typeOf(activation).getElementType();
  return ("moire_" + kernel + (type.isBF16() ? "_bf16" : type.isF64() ? "_f64" : "_f32")).str();
}

/// Extents and operands that all of them begin with: x, dt, a, B, C, d, documents.
template <typename Scan> static void begin(CallBuilder &call, Scan op, BufferBuilder &b) {
  ArrayRef<int64_t> x = typeOf(op.getX()).getShape(), in = typeOf(op.getB()).getShape();
  for (int64_t extent : {x[0], x[1], x[2], x[3], in[2], in[3], static_cast<int64_t>(op.getChunk())})
    call.extent(extent);
  call.rows(b.rows(op.getX(), headRowRank)).pointer(b.dense(op.getDt())).pointer(b.dense(op.getA()));
  call.rows(b.rows(op.getB(), headRowRank)).rows(b.rows(op.getC(), headRowRank)).pointer(b.dense(op.getD()));
  if (op.getDocuments())
    call.pointer(b.dense(op.getDocuments()));
  else
    call.null();
}

static LogicalResult emitScan(SsdScanOp op, BufferBuilder &b) {
  CallBuilder call;
  begin(call, op, b);
  call.null().pointer(b.denseResult(resultOf(op.getY()))).null();
  if (op.getStates().use_empty())
    call.null();
  else
    call.pointer(b.denseResult(resultOf(op.getStates())));
  call.emit(b.builder, op.getLoc(), versionOf("ssd_scan", op.getX()));
  return success();
}

static LogicalResult emitStatefulScan(StatefulSsdScanOp op, BufferBuilder &b) {
  CallBuilder call;
  begin(call, op, b);
  call.pointer(b.dense(op.getState())).pointer(b.denseResult(resultOf(op.getY())));
  call.pointer(b.denseResult(resultOf(op.getStateOut()))).null();
  call.emit(b.builder, op.getLoc(), versionOf("ssd_scan", op.getX()));
  return success();
}

static LogicalResult emitScanGrad(SsdScanGradOp op, BufferBuilder &b) {
  ArrayRef<int64_t> x = typeOf(op.getX()).getShape(), in = typeOf(op.getB()).getShape();
  int64_t workspace = moire_ssd_backward_workspace(x[0], x[1], x[2], in[2], in[3]);
  Place scratch = b.scratch(op.getLoc(), typeOf(op.getDt()).getElementType(), workspace);
  CallBuilder call;
  begin(call, op, b);
  call.pointer(b.dense(op.getStates())).pointer(b.dense(op.getDy()));
  call.rows(b.rowsResult(resultOf(op.getDx()), headRowRank)).pointer(b.denseResult(resultOf(op.getDdt())));
  call.pointer(b.denseResult(resultOf(op.getDa())));
  for (Value value : {op.getDb(), op.getDc()})
    call.rows(b.rowsResult(resultOf(value), headRowRank));
  call.pointer(b.denseResult(resultOf(op.getDd()))).pointer(b.memref(op.getLoc(), scratch));
  call.emit(b.builder, op.getLoc(), versionOf("ssd_scan_backward", op.getX()));
  return success();
}

std::optional<LogicalResult> moire::emitSsd(Operation *op, BufferBuilder &builder) {
  if (auto scan = dyn_cast<SsdScanOp>(op))
    return emitScan(scan, builder);
  if (auto scan = dyn_cast<StatefulSsdScanOp>(op))
    return emitStatefulScan(scan, builder);
  if (auto gradient = dyn_cast<SsdScanGradOp>(op))
    return emitScanGrad(gradient, builder);
  return std::nullopt;
}
