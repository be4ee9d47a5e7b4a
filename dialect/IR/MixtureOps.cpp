//===- dialect/IR/MixtureOps.cpp - verifiers of routers and experts ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which arguments of a mixture go together, at the model level.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"
#include <cmath>

using namespace mlir;
using namespace moire;

std::optional<int64_t> RouterOp::getTokensPerGroup() {
  double capacity = getCapacity() ? getCapacity()->convertToDouble() : 1;
  double tokens = capacity * static_cast<double>(getGroup() * getTopK()) / static_cast<double>(getExperts());
  double whole = std::round(tokens);
  if (!(whole >= 1 && whole <= static_cast<double>(getGroup()) && std::abs(tokens - whole) < 1e-9 * whole))
    return std::nullopt;
  return static_cast<int64_t>(whole);
}

std::optional<int64_t> RouterOp::getRowLimit() {
  if (!getCapacity() || getChoice() == Choice::Expert)
    return std::nullopt;
  RoutingType routing = getRouting().getType();
  double assignments = static_cast<double>(routing.getBatch() * routing.getTime() * getTopK());
  return static_cast<int64_t>(getCapacity()->convertToDouble() * assignments / static_cast<double>(getExperts()));
}

/// Fails unless the routing has the extents of the stream `x`.
static LogicalResult expectExtents(Operation *op, RoutingType routing, Value x) {
  SmallVector<int64_t> extents = {routing.getBatch(), routing.getTime()};
  ArrayRef<int64_t> stream = leadingExtents(x.getType());
  if (stream == ArrayRef<int64_t>(extents))
    return success();
  return op->emitOpError("expects a routing of ")
         << (stream.size() == 2 ? stream[0] : 0) << " x " << (stream.size() == 2 ? stream[1] : 0)
         << " tokens, as the stream has, got one of " << extents[0] << " x " << extents[1];
}

/// The numbers that may not be negative.
static LogicalResult expectCoefficients(RouterOp op) {
  std::pair<StringRef, double> numbers[] = {{"bias_rate", op.getBiasRate().convertToDouble()},
                                            {"balance", op.getBalance().convertToDouble()},
                                            {"sequence_balance", op.getSequenceBalance().convertToDouble()},
                                            {"z", op.getZ().convertToDouble()},
                                            {"mutual_information", op.getMutualInformation().convertToDouble()}};
  for (auto [name, value] : numbers)
    if (!(value >= 0)) // router.C4
      return op.emitOpError("expects `") << name << "` of 0 or more, got " << value;
  double scale = op.getScale().convertToDouble();
  if (!(scale > 0)) // router.C4
    return op.emitOpError("expects `scale` above 0, got ") << scale;
  return success();
}

/// What the choice takes away: without scores nothing is balanced.
static LogicalResult expectChoiceArguments(RouterOp op) {
  bool hash = op.getChoice() == Choice::Hash;
  if (hash != static_cast<bool>(op.getTokens())) // router.C6
    return op.emitOpError("expects `tokens` with the choice hash, and only with it");
  if (hash && failed(expectShape(op, "tokens", op.getTokens().getType(), leadingExtents(op.getX().getType()),
                                 op.getX()))) // router.C6
    return failure();
  if (op.getChoice() == Choice::Token)
    return success();
  if (!op.getBiasRate().isZero() || op.getGroups() != 1 || op.getNulls() != 0 || !op.getBalance().isZero() ||
      !op.getSequenceBalance().isZero()) // router.C7
    return op.emitOpError("expects no bias_rate, groups, nulls, balance or sequence_balance with the choice ")
           << stringifyChoice(op.getChoice());
  if (hash && op.getLogitBias()) // router.C13
    return op.emitOpError("expects no `logit_bias` with the choice hash, which has no logits");
  if (hash && (!op.getZ().isZero() || !op.getMutualInformation().isZero())) // router.C7
    return op.emitOpError("expects no z and no mutual_information with the choice hash, which has no logits");
  return success();
}

/// What groups of sequences ask for, and what only they have.
static LogicalResult expectGrouping(RouterOp op) {
  bool expert = op.getChoice() == Choice::Expert, mixture = op.getChoice() == Choice::Mixture;
  int64_t group = op.getGroup(), batch = op.getRouting().getType().getBatch();
  if (group < 1 || batch % group != 0 || (group > 1) != (expert || mixture)) // router.C9
    return op.emitOpError("expects `group` to divide the batch of ")
           << batch << ", of 2 or more with the choices expert and mixture and of 1 with others, got " << group;
  if (expert && !op.getTokensPerGroup()) // router.C10
    return op.emitOpError("expects experts to take a whole number of the ")
           << group << " tokens of a group, 1 or more: capacity * group * top_k / experts";
  double temperature = op.getTemperature().convertToDouble();
  if (!(temperature > 0)) // router.C11
    return op.emitOpError("expects `temperature` above 0, got ") << temperature;
  if (!mixture && (temperature != 1 || op.getLearnedTemperature() || op.getEmit() != Emit::Same)) // router.C11
    return op.emitOpError("expects a temperature and `emit` with the choice mixture only");
  if (op.getTemperaturePerExpert() && !op.getLearnedTemperature()) // router.C11
    return op.emitOpError("expects `temperature_per_expert` with `learned_temperature` only");
  if (!expert && !mixture && op.getChoice() != Choice::Dense)
    return success();
  if (op.getGate() != Gate::SoftmaxTopK || op.getRenormalize() || (!expert && op.getCapacity())) // router.C12
    return op.emitOpError("expects the gate softmax_topk and no `renormalize`, and a capacity with the choice expert "
                          "only, with the choice ")
           << stringifyChoice(op.getChoice());
  if (mixture && (!op.getZ().isZero() || !op.getMutualInformation().isZero())) // router.C12
    return op.emitOpError("expects no z and no mutual_information with the choice mixture, whose logits are weighed "
                          "over the group");
  return success();
}

LogicalResult RouterOp::verify() {
  RoutingType routing = getRouting().getType();
  if (failed(expectExtents(*this, routing, getX()))) // router.C1
    return failure();
  int64_t experts = getExperts(), topK = getTopK(), groups = getGroups(), best = getTopGroups();
  if (routing.getExperts() != experts) // router.C1
    return emitOpError("expects a routing over ") << experts << " experts, got one over " << routing.getExperts();
  if (topK < 1 || topK > getChoices()) // router.C2
    return emitOpError("expects `top_k` from 1 to the ") << getChoices() << " choices, got " << topK;
  bool chooseFirst = getGate() == Gate::TopKSoftmax;
  if (getRenormalize() && chooseFirst) // router.C3
    return emitOpError("expects no `renormalize` with the gate topk_softmax, whose weights add up to 1 already");
  if (chooseFirst && topK == 1) // router.C3
    return emitOpError("expects `top_k` above 1 with the gate topk_softmax, got 1: the only weight would always be 1");
  if (failed(expectCoefficients(*this))) // router.C4
    return failure();
  if (groups < 1 || experts % groups != 0 || (groups > 1 && getNulls() != 0)) // router.C5
    return emitOpError("expects `groups` to divide the ") << experts << " experts, without nulls, got " << groups;
  if (best < 1 || best > groups || (groups > 1 && best * (experts / groups) < topK)) // router.C5
    return emitOpError("expects `top_groups` from 1 to the ")
           << groups << " groups, holding at least " << topK << " experts, got " << best;
  if (failed(expectChoiceArguments(*this)) || failed(expectGrouping(*this))) // router.C6, C7
    return failure();
  double threshold = getThreshold().convertToDouble();
  if (!(threshold >= 0 && threshold < double(experts))) // router.C14
    return emitOpError("expects `threshold` from 0 to below the ") << experts << " experts, got " << threshold;
  if (threshold > 0 && (getChoice() != Choice::Token || getGate() != Gate::SoftmaxTopK || getRenormalize() ||
                        getNulls() != 0)) // router.C14
    return emitOpError("expects `threshold` with the choice token and the gate softmax_topk only, without renormalize "
                       "and nulls");
  if (std::optional<int64_t> limit = getRowLimit(); limit && *limit < 1) // router.C8
    return emitOpError("expects a capacity of at least one row per expert, got ") << getCapacity()->convertToDouble();
  return success();
}

LogicalResult ExpertsOp::verify() {
  if (failed(expectShape(*this, "y", getY().getType(), shapeOf(getX().getType()), getX()))) // experts.C1
    return failure();
  if (failed(expectExtents(*this, getRouting().getType(), getX()))) // experts.C2
    return failure();
  if ((getSharedGate() || getSharedBias()) && getSharedHidden() == 0) // experts.C4
    return emitOpError("expects `shared_gate` and `shared_bias` with a shared expert only");
  LayerForm own{getGated(), getActivation(), getLimit(), getAlpha(), getOffset()};
  LayerForm shared{getSharedGated(), getSharedActivation(), getSharedLimit(), getSharedAlpha(), getSharedOffset()};
  if (failed(expectLayerForm(*this, "", own))) // experts.C3, C5
    return failure();
  return expectLayerForm(*this, "shared_", shared); // experts.C3, C5
}
