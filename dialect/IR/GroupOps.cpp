//===- dialect/IR/GroupOps.cpp - verifiers of ops on groups of sequences -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Groups divide the batch; mixed tokens have a row for each expert and group.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

/// Fails unless `scores` (called `name`) are [batch, time, experts] and `group` divides the batch.
static LogicalResult expectGroups(Operation *op, StringRef name, Type scores, int64_t group) {
  if (failed(expectRank(op, name, scores, 3)))
    return failure();
  int64_t batch = shapeOf(scores)[0];
  if (group < 1 || batch % group != 0)
    return op->emitOpError("expects groups that divide the ") << batch << " sequences of the batch, got " << group;
  return success();
}

/// Number of groups of a [batch, time, ..] type that passed expectGroups.
static int64_t groupsOf(Type type, int64_t group) { return shapeOf(type)[0] / group * shapeOf(type)[1]; }

/// Fails unless weights, tokens and mixed tokens belong together.
static LogicalResult expectMixture(Operation *op, Type weights, Type x, Type m, int64_t group) {
  if (failed(expectGroups(op, "weights", weights, group)) || failed(expectRank(op, "x", x, 3)) ||
      failed(expectRank(op, "m", m, 2)))
    return failure();
  ArrayRef<int64_t> extents = leadingExtents(weights);
  if (failed(expectShape(op, "x", x, withLast(extents, lastExtent(x)))) ||
      failed(expectElement(op, "weights", weights, fullType(x))))
    return failure();
  int64_t rows = lastExtent(weights) * groupsOf(weights, group);
  if (failed(expectShape(op, "m", m, {rows, lastExtent(x)})))
    return failure();
  return expectElement(op, "m", m, elementOf(x));
}

LogicalResult GroupSoftmaxOp::verify() {
  if (failed(expectGroups(*this, "x", getX().getType(), getGroup()))) // group_softmax.C1, C2
    return failure();
  return expectType(*this, "y", getY().getType(), getX().getType()); // group_softmax.C1
}

LogicalResult GroupSoftmaxGradOp::verify() { // group_softmax_grad.C1
  if (failed(expectGroups(*this, "y", getY().getType(), getGroup())) ||
      failed(expectType(*this, "dy", getDy().getType(), getY().getType())))
    return failure();
  return expectType(*this, "dx", getDx().getType(), getY().getType());
}

LogicalResult MixOp::verify() { // mix.C1, C2, C3
  return expectMixture(*this, getWeights().getType(), getX().getType(), getM().getType(), getGroup());
}

LogicalResult UnmixOp::verify() { // unmix.C1
  return expectMixture(*this, getWeights().getType(), getX().getType(), getM().getType(), getGroup());
}

LogicalResult MixGradWeightsOp::verify() { // mix_grad_weights.C1
  return expectMixture(*this, getDweights().getType(), getX().getType(), getM().getType(), getGroup());
}

LogicalResult ChooseTokensOp::verify() {
  Type scores = getScores().getType();
  int64_t group = getGroup(), count = getCount();
  if (failed(expectGroups(*this, "scores", scores, group))) // choose_tokens.C1, C2
    return failure();
  if (count < 1 || count > group) // choose_tokens.C3
    return emitOpError("expects a count from 1 to the ") << group << " tokens of a group, got " << count;
  int64_t experts = lastExtent(scores), rows = experts * groupsOf(scores, group) * count;
  if (failed(expectShape(*this, "offsets", getOffsets().getType(), {experts + 1})) || // choose_tokens.C4
      failed(expectShape(*this, "rows", getRows().getType(), {rows})))
    return failure();
  return expectShape(*this, "position", getPosition().getType(), shapeOf(scores)); // choose_tokens.C4
}

LogicalResult EvenOffsetsOp::verify() {
  int64_t rows = getRows();
  if (failed(expect(rows >= 1, *this, "`rows` of 1 or more", rows)) || // even_offsets.C1
      failed(expectRank(*this, "offsets", getOffsets().getType(), 1)))
    return failure();
  int64_t entries = shapeOf(getOffsets().getType())[0];
  return expect(entries >= 2, *this, "`offsets` with experts + 1 entries", entries); // even_offsets.C2
}
