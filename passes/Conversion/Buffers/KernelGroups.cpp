//===- passes/Conversion/Buffers/KernelGroups.cpp - groups of sequences -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mixtures of tokens and the choice of tokens by experts, as calls of their kernels.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "passes/Conversion/Buffers/KernelOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moire;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static std::string versionOf(StringRef kernel, Value value) {
  Type type = typeOf(value).getElementType();
  return ("moire_" + kernel + (type.isBF16() ? "_bf16" : type.isF64() ? "_f64" : "_f32")).str();
}

/// Batch, time and experts of `scores`, and the size of a group: what all these kernels begin with.
static CallBuilder callOn(Value scores, int64_t group) {
  CallBuilder call;
  for (int64_t extent : typeOf(scores).getShape())
    call.extent(extent);
  call.extent(group);
  return call;
}

static LogicalResult emitSoftmax(GroupSoftmaxOp op, BufferBuilder &b) {
  CallBuilder call = callOn(op.getX(), op.getGroup());
  call.pointer(b.dense(op.getX())).pointer(b.denseResult(cast<OpResult>(op.getY())));
  call.emit(b.builder, op.getLoc(), versionOf("group_softmax", op.getX()));
  return success();
}

static LogicalResult emitSoftmaxGrad(GroupSoftmaxGradOp op, BufferBuilder &b) {
  CallBuilder call = callOn(op.getY(), op.getGroup());
  call.pointer(b.dense(op.getY())).pointer(b.dense(op.getDy())).pointer(b.denseResult(cast<OpResult>(op.getDx())));
  call.emit(b.builder, op.getLoc(), versionOf("group_softmax_backward", op.getY()));
  return success();
}

static LogicalResult emitMix(MixOp op, BufferBuilder &b) {
  CallBuilder call = callOn(op.getWeights(), op.getGroup());
  call.extent(typeOf(op.getX()).getShape().back()).pointer(b.dense(op.getWeights()));
  call.rows(b.rows(op.getX())).rows(b.rowsResult(cast<OpResult>(op.getM())));
  call.emit(b.builder, op.getLoc(), versionOf("mix", op.getX()));
  return success();
}

static LogicalResult emitUnmix(UnmixOp op, BufferBuilder &b) {
  CallBuilder call = callOn(op.getWeights(), op.getGroup());
  call.extent(typeOf(op.getX()).getShape().back()).pointer(b.dense(op.getWeights()));
  call.rows(b.rows(op.getM())).rows(b.rowsResult(cast<OpResult>(op.getX())));
  call.emit(b.builder, op.getLoc(), versionOf("unmix", op.getX()));
  return success();
}

static LogicalResult emitMixWeights(MixGradWeightsOp op, BufferBuilder &b) {
  CallBuilder call = callOn(op.getDweights(), op.getGroup());
  call.extent(typeOf(op.getX()).getShape().back());
  call.rows(b.rows(op.getX())).rows(b.rows(op.getM())).pointer(b.denseResult(cast<OpResult>(op.getDweights())));
  call.emit(b.builder, op.getLoc(), versionOf("mix_weights", op.getX()));
  return success();
}

static LogicalResult emitChoice(ChooseTokensOp op, BufferBuilder &b) {
  CallBuilder call = callOn(op.getScores(), op.getGroup());
  call.extent(op.getCount()).pointer(b.dense(op.getScores()));
  for (OpResult result : op->getResults())
    call.pointer(b.denseResult(result));
  call.emit(b.builder, op.getLoc(), versionOf("choose_tokens", op.getScores()));
  return success();
}

std::optional<LogicalResult> moire::emitGroups(Operation *op, BufferBuilder &b) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](GroupSoftmaxOp softmax) { return emitSoftmax(softmax, b); })
      .Case([&](GroupSoftmaxGradOp gradient) { return emitSoftmaxGrad(gradient, b); })
      .Case([&](MixOp mix) { return emitMix(mix, b); })
      .Case([&](UnmixOp unmix) { return emitUnmix(unmix, b); })
      .Case([&](MixGradWeightsOp gradient) { return emitMixWeights(gradient, b); })
      .Case([&](ChooseTokensOp choice) { return emitChoice(choice, b); })
      .Default([](Operation *) { return std::nullopt; });
}
