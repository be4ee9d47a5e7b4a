//===- dialect/IR/RoutingOps.cpp - verifiers of routing ops --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tokens times top_k assignments, sorted by expert: who counts what.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

/// Fails unless probabilities, weights and choices fit logits (or their gradient) of type `logits`.
static LogicalResult expectChoice(Operation *op, Type logits, Type probs, Type weights, Type chosen) {
  if (shapeOf(logits).empty() || shapeOf(weights).empty())
    return op->emitOpError("expects logits and weights with a last dimension, got ") << logits << " and " << weights;
  int64_t experts = lastExtent(logits), topK = lastExtent(weights);
  if (topK < 1 || topK > experts) // route.C1
    return op->emitOpError("expects a top_k from 1 to the ") << experts << " experts, got " << topK;
  SmallVector<int64_t> perChoice = withLast(leadingExtents(logits), topK);
  if (failed(expectType(op, "probs", probs, logits)) || // route.C2
      failed(expectShape(op, "weights", weights, perChoice)) ||
      failed(expectElement(op, "weights", weights, elementOf(logits))))
    return failure();
  return expectShape(op, "chosen", chosen, perChoice); // route.C2
}

/// Fails unless the way from scores to weights has a meaning.
static LogicalResult expectGate(Operation *op, Gate gate, bool renormalize, double scale) {
  if (renormalize && gate == Gate::TopKSoftmax) // route.C3
    return op->emitOpError("expects no `renormalize` with the gate topk_softmax");
  if (!(scale > 0)) // route.C3
    return op->emitOpError("expects `scale` above 0, got ") << scale;
  return success();
}

/// Fails unless bias, groups and assigned experts, which steer the choice, fit the logits and each other.
template <typename Op> static LogicalResult expectSteering(Op op) {
  Type logits = op.getLogits().getType(), weights = op.getWeights().getType();
  int64_t experts = lastExtent(logits), groups = op.getGroups(), best = op.getBest();
  if (op.getBias()) { // route.C4
    Type bias = op.getBias().getType();
    if (failed(expectShape(op, "bias", bias, {experts}, op.getLogits())) ||
        failed(expectElement(op, "bias", bias, elementOf(logits))))
      return failure();
  }
  if (groups < 1 || experts % groups != 0) // route.C5
    return op.emitOpError("expects `groups` to divide the ") << experts << " experts, got " << groups;
  if (best < 1 || best > groups || best * (experts / groups) < lastExtent(weights)) // route.C5
    return op.emitOpError("expects `best` from 1 to the ")
           << groups << " groups, holding at least " << lastExtent(weights) << " experts, got " << best;
  if (!op.getAssigned())
    return success();
  if (op.getBias() || groups != 1) // route.C6
    return op.emitOpError("expects neither bias nor groups where the experts are assigned");
  return expectShape(op, "assigned", op.getAssigned().getType(), shapeOf(op.getChosen().getType())); // route.C6
}

LogicalResult RouteOp::verify() {
  if (failed(expectGate(*this, getGate(), getRenormalize(), getScale().convertToDouble())) ||         // route.C3
      failed(expectChoice(*this, getLogits().getType(), getProbs().getType(), getWeights().getType(), // route.C1, C2
                          getChosen().getType())))
    return failure();
  return expectSteering(*this); // route.C4, C5, C6
}

LogicalResult RouteGradOp::verify() {
  if (failed(expectGate(*this, getGate(), getRenormalize(), getScale().convertToDouble())) || // route_grad.C1
      failed(expectChoice(*this, getDlogits().getType(), getProbs().getType(), getWeights().getType(),
                          getChosen().getType())))
    return failure();
  if (getDweights() && failed(expectType(*this, "dweights", getDweights().getType(), getWeights().getType())))
    return failure(); // route_grad.C1
  if (getDprobs() && failed(expectType(*this, "dprobs", getDprobs().getType(), getProbs().getType())))
    return failure(); // route_grad.C1
  bool alone = getGate() == Gate::SigmoidTopK || getGate() == Gate::SqrtSoftplusTopK;
  if (alone != static_cast<bool>(getLogits())) // route_grad.C2
    return emitOpError("expects `logits` with gates that score each expert by itself, and only with them, not with ")
           << stringifyGate(getGate());
  if (getLogits())
    return expectType(*this, "logits", getLogits().getType(), getProbs().getType()); // route_grad.C2
  return success();
}

LogicalResult AssignOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getChosen().getType());
  bool hash = getChoice() == Choice::Hash;
  if (shape.size() != 3 || getChoice() == Choice::Token) // assign.C4
    return emitOpError("expects `chosen` of rank 3 and the choice hash or balanced, got ")
           << getChosen().getType() << " and " << stringifyChoice(getChoice());
  int64_t experts = getExperts();
  if (shape[2] < 1 || shape[2] > experts) // assign.C1
    return emitOpError("expects a top_k from 1 to the ") << experts << " experts, got " << shape[2];
  if (hash != static_cast<bool>(getTokens())) // assign.C2
    return emitOpError("expects tokens with the choice hash, and only with it");
  if (hash && failed(expectShape(*this, "tokens", getTokens().getType(), shape.drop_back()))) // assign.C2
    return failure();
  if (getPosition() && (hash || !shapeOf(getPosition().getType()).empty())) // assign.C3
    return emitOpError("expects a scalar `position` with the choice balanced only, got ") << getPosition().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Sorting
//===----------------------------------------------------------------------===//

/// Fails unless the four arrays of a dispatch fit `chosen`.
static LogicalResult expectDispatch(Operation *op, Type chosen, Type offsets, Type rows, Type slots, Type position) {
  int64_t assignments = elementsOf(chosen);
  if (failed(expectRank(op, "offsets", offsets, 1)))
    return failure();
  if (shapeOf(offsets)[0] < 2)
    return op->emitOpError("expects `offsets` with experts + 1 entries, got ") << shapeOf(offsets)[0];
  if (failed(expectShape(op, "rows", rows, {assignments})) || failed(expectShape(op, "slots", slots, {assignments})))
    return failure();
  return expectShape(op, "position", position, shapeOf(chosen));
}

LogicalResult DispatchOp::verify() {
  if (failed(expectDispatch(*this, getChosen().getType(), getOffsets().getType(), getRows().getType(),
                            getSlots().getType(), getPosition().getType()))) // dispatch.C1
    return failure();
  if ((getCapacity() || getThreshold()) != static_cast<bool>(getGates()) || (getCapacity() && *getCapacity() < 1) ||
      (getThreshold() && !(getThreshold()->convertToDouble() > 0))) // dispatch.C2
    return emitOpError("expects gates together with a capacity of 1 or more or a threshold above 0");
  return getGates() ? expectShape(*this, "gates", getGates().getType(), shapeOf(getChosen().getType()), getChosen())
                    : success(); // dispatch.C2
}

LogicalResult GatherRowsOp::verify() {
  Type x = getX().getType(), rows = getRows().getType(), y = getY().getType();
  if (failed(expectRank(*this, "rows", rows, 1)) || // gather_rows.C1
      failed(expectShape(*this, "y", y, {shapeOf(rows)[0], lastExtent(x)}, getRows())) ||
      failed(expectElement(*this, "y", y, elementOf(x))))
    return failure();
  Type position = getPosition().getType(); // gather_rows.C2
  return expectShape(*this, "position", position, withLast(leadingExtents(x), lastExtent(position)), getX());
}

LogicalResult GatherRowsGradOp::verify() {
  Type dy = getDy().getType(), dx = getDx().getType(), position = getPosition().getType();
  if (failed(expectRank(*this, "dy", dy, 2)) ||
      failed(expectElement(*this, "dx", dx, elementOf(dy)))) // gather_rows_grad.C1
    return failure();
  return expectShape(*this, "dx", dx, withLast(leadingExtents(position), lastExtent(dy)), // gather_rows_grad.C1
                     getPosition());
}

//===----------------------------------------------------------------------===//
// Combination
//===----------------------------------------------------------------------===//

/// Fails unless sorted rows `x`, their weights and positions, and the tokens' sums `y` belong together.
static LogicalResult expectCombination(Operation *op, StringRef sum, Value y, Value x, Value weights, Value position) {
  Type tokens = y.getType(), rows = x.getType();
  ArrayRef<int64_t> shape = shapeOf(position.getType());
  if (shape.empty() || failed(expectRank(op, "x", rows, 2)))
    return op->emitOpError("expects `position` with a last dimension of top_k, got ") << position.getType();
  if (failed(expectShape(op, "weights", weights.getType(), shape, position)) ||
      failed(expectElement(op, "weights", weights.getType(), fullType(rows))) ||
      failed(expectShape(op, sum, tokens, withLast(shape.drop_back(), lastExtent(rows)), position)))
    return failure();
  return expectElement(op, sum, tokens, elementOf(rows));
}

LogicalResult CombineOp::verify() { // combine.C1
  return expectCombination(*this, "y", getY(), getX(), getWeights(), getPosition());
}

LogicalResult GroupedCombineOp::verify() {
  Type x = getX().getType(), w = getW().getType(), y = getY().getType();
  if (failed(expectRank(*this, "x", x, 2)) || failed(expectRank(*this, "w", w, 3))) // grouped_combine.C1
    return failure();
  ArrayRef<int64_t> matrices = shapeOf(w);
  if (failed(expectShape(*this, "offsets", getOffsets().getType(), {matrices[0] + 1}, getW())) ||
      failed(expectShape(*this, "x", x, {shapeOf(x)[0], matrices[1]}, getW())) || // grouped_combine.C1
      failed(expectElement(*this, "w", w, elementOf(x))))
    return failure();
  ArrayRef<int64_t> position = shapeOf(getPosition().getType());
  if (position.empty()) // grouped_combine.C2
    return emitOpError("expects `position` with a last dimension of top_k, got ") << getPosition().getType();
  if (failed(expectShape(*this, "weights", getWeights().getType(), position, getPosition())) ||
      failed(expectElement(*this, "weights", getWeights().getType(), fullType(x))) ||
      failed(expectShape(*this, "y", y, withLast(position.drop_back(), matrices[2]), getPosition())) ||
      failed(expectElement(*this, "y", y, elementOf(x)))) // grouped_combine.C1, C2
    return failure();
  if (failed(expectShape(*this, "rows", getRows().getType(), {shapeOf(x)[0]}, getX()))) // grouped_combine.C3
    return failure();
  return expectShape(*this, "slots", getSlots().getType(), {shapeOf(x)[0]}, getX()); // grouped_combine.C3
}

LogicalResult CombineGradOp::verify() { // combine_grad.C1
  if (failed(expectCombination(*this, "dy", getDy(), getX(), getWeights(), getPosition())))
    return failure();
  if (failed(expectType(*this, "dx", getDx().getType(), getX().getType()))) // combine_grad.C2
    return failure();
  return expectType(*this, "dweights", getDweights().getType(), getWeights().getType()); // combine_grad.C2
}

//===----------------------------------------------------------------------===//
// Load and its loss
//===----------------------------------------------------------------------===//

LogicalResult ExpertLoadOp::verify() {
  Type offsets = getOffsets().getType();
  if (failed(expectRank(*this, "offsets", offsets, 1))) // expert_load.C1
    return failure();
  return expectShape(*this, "y", getY().getType(), {shapeOf(offsets)[0] - 1}, getOffsets()); // expert_load.C1
}

LogicalResult ChoiceLoadOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getY().getType()), chosen = shapeOf(getChosen().getType());
  if (shape.size() == 1 || (shape.size() == 2 && !chosen.empty() && chosen[0] == shape[0]))
    return success();
  return emitOpError("expects `y` of one extent, or of two with the first of `chosen`, got ") // choice_load.C1
         << getY().getType() << " and " << getChosen().getType();
}

/// Fails unless there is a load per expert, and a scalar loss.
static LogicalResult expectBalance(Operation *op, Type probs, Type load, StringRef lossName, Type loss) {
  if (shapeOf(probs).empty())
    return op->emitOpError("expects probabilities with a last dimension, got ") << probs;
  if (failed(expectShape(op, "load", load, {lastExtent(probs)})) ||
      failed(expectElement(op, "load", load, elementOf(probs))) || failed(expectShape(op, lossName, loss, {})))
    return failure();
  return expectElement(op, lossName, loss, elementOf(probs));
}

LogicalResult BalanceLossOp::verify() { // balance_loss.C1
  return expectBalance(*this, getProbs().getType(), getLoad().getType(), "loss", getLoss().getType());
}

LogicalResult BalanceLossGradOp::verify() { // balance_loss_grad.C1
  return expectBalance(*this, getDprobs().getType(), getLoad().getType(), "dloss", getDloss().getType());
}

/// Fails unless there is a load per sequence and expert, and a scalar loss.
static LogicalResult expectSequenceBalance(Operation *op, Type probs, Type load, StringRef lossName, Type loss) {
  if (failed(expectRank(op, "probs", probs, 3)) ||
      failed(expectShape(op, "load", load, {shapeOf(probs)[0], lastExtent(probs)})) ||
      failed(expectElement(op, "load", load, elementOf(probs))) || failed(expectShape(op, lossName, loss, {})))
    return failure();
  return expectElement(op, lossName, loss, elementOf(probs));
}

LogicalResult SequenceBalanceLossOp::verify() { // sequence_balance_loss.C1
  return expectSequenceBalance(*this, getProbs().getType(), getLoad().getType(), "loss", getLoss().getType());
}

LogicalResult SequenceBalanceLossGradOp::verify() { // sequence_balance_loss_grad.C1
  return expectSequenceBalance(*this, getDprobs().getType(), getLoad().getType(), "dloss", getDloss().getType());
}

//===----------------------------------------------------------------------===//
// Fused
//===----------------------------------------------------------------------===//

LogicalResult FusedRouteOp::verify() {
  Type logits = getLogits().getType(), load = getLoad().getType(), offsets = getOffsets().getType();
  if (failed(expectGate(*this, getGate(), getRenormalize(), getScale().convertToDouble())) || // fused_route.C1
      failed(expectChoice(*this, logits, getProbs().getType(), getWeights().getType(), getChosen().getType())) ||
      failed(expectDispatch(*this, getChosen().getType(), offsets, getRows().getType(), getSlots().getType(),
                            getPosition().getType())) ||
      failed(expectSteering(*this)))
    return failure();
  if (getCapacity() && *getCapacity() < 1) // fused_route.C1
    return emitOpError("expects a capacity of 1 or more, got ") << *getCapacity();
  if (getThreshold() && !(getThreshold()->convertToDouble() > 0)) // fused_route.C1
    return emitOpError("expects a threshold above 0, got ") << getThreshold()->convertToDouble();
  int64_t experts = lastExtent(logits) - getNulls();
  if (getNulls() < 0 || experts < 1) // fused_route.C2
    return emitOpError("expects `nulls` from 0 to the logits less one, got ") << getNulls();
  if (failed(expectShape(*this, "offsets", offsets, {experts + 1}, getLogits())) || // fused_route.C1
      failed(expectShape(*this, "load", load, {experts}, getLogits())))
    return failure();
  return expectElement(*this, "load", load, elementOf(logits)); // fused_route.C1
}
