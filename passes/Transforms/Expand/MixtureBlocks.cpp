//===- MixtureBlocks.cpp - routers and their experts ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The blocks that choose experts and apply them, with the losses and loads that routers report while training.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

using namespace mlir;
using llvm::StringRef;

namespace moire {

// ---- Routers -------------------------------------------------------------------------------------------------------

Value BlockBuilder::router(RouterOp op, Value x, Value tokens) {
  if (op.getChoice() == Choice::Mixture)
    return mixture(op, x), Value();
  if (op.getChoice() == Choice::Expert || op.getChoice() == Choice::Dense)
    return expertChoice(op, x), Value();
  int64_t experts = op.getExperts(), topK = op.getTopK();
  llvm::SmallVector<int64_t> chosenShape(shapeOf(x));
  chosenShape.back() = topK;
  Type i32 = b.getI32Type();
  auto weightsType = type(chosenShape, full()), chosenType = type(chosenShape, i32);

  Value logits, probs, weights, chosen, assigned;
  if (op.getChoice() != Choice::Token) {
    bool counts = op.getChoice() == Choice::Balanced && stepping();
    assigned = AssignOp::create(b, loc, chosenType, tokens, counts ? context.position : Value(), op.getChoiceAttr(),
                                op.getExpertsAttr())
                   .getChosen();
  }
  if (op.getChoice() == Choice::Hash) {
    chosen = assigned;
    weights = FillOp::create(b, loc, weightsType, b.getF64FloatAttr(op.getScale().convertToDouble() / double(topK)));
  } else {
    logits = this->logits(op, x);
    Value bias = op.getBiasRate().isZero() ? Value() : own("bias");
    auto route =
        RouteOp::create(b, loc, logits.getType(), weightsType, chosenType, logits, bias, assigned, op.getGateAttr(),
                        op.getRenormalizeAttr(), op.getScaleAttr(), op.getGroupsAttr(), op.getTopGroupsAttr());
    probs = route.getProbs(), weights = route.getWeights(), chosen = route.getChosen();
  }

  // A capacity is a limit of training: in a model that is used, no token's experts depend on the tokens after it.
  std::optional<int64_t> limit = context.mode == Mode::Train ? op.getRowLimit() : std::nullopt;
  auto rowType = type({shapeOf(x)[0] * shapeOf(x)[1] * topK}, i32);
  // A score times experts, held against the threshold; weights are scores times scale.
  double threshold = op.getThreshold().convertToDouble() * op.getScale().convertToDouble() / double(experts);
  auto dispatch = DispatchOp::create(
      b, loc, type({experts + 1}, i32), rowType, rowType, chosenType, chosen,
      limit || threshold > 0 ? weights : Value(), limit ? b.getI64IntegerAttr(*limit) : IntegerAttr(),
      threshold > 0 ? b.getF64FloatAttr(threshold) : FloatAttr(), op.getNulls() > 0 ? b.getUnitAttr() : UnitAttr());
  routings[op.getRouting()] = {weights, dispatch.getOffsets(), dispatch.getRows(), dispatch.getPosition()};
  if (context.mode == Mode::Train)
    reportRouter(op, logits, probs, chosen, dispatch);
  return Value();
}

Value BlockBuilder::logits(RouterOp op, Value x) {
  Value product = linear(cast(x, full()), own("weight"), full());
  return scores = op.getLogitBias() ? binary(Binary::Add, product, own("logit_bias")) : product;
}

Value BlockBuilder::mutualInformation(Value probs, double coefficient) {
  auto scalar = type({}, full());
  double share = 1 / double(shapeOf(probs)[0] * shapeOf(probs)[1]);
  auto sum = [&](Value x, RankedTensorType to) -> Value { return ReduceLeadingOp::create(b, loc, to, x).getY(); };
  // Keeps the logarithm of a share that underflows finite; the published code adds as much.
  Value little = FillOp::create(b, loc, scalar, b.getF64FloatAttr(1e-8));
  auto weighted = [&](Value p) { return binary(Binary::Mul, p, unary(Unary::Log, binary(Binary::Add, p, little))); };
  Value mean = scaled(sum(probs, type({shapeOf(probs)[2]}, full())), share);
  Value ofMean = sum(weighted(mean), scalar), ofEach = scaled(sum(weighted(probs), scalar), share);
  return scaled(binary(Binary::Sub, ofMean, ofEach), coefficient);
}

void BlockBuilder::reportRouter(RouterOp op, Value logits, Value probs, Value chosen, DispatchOp dispatch) {
  int64_t choices = op.getChoices(), topK = op.getTopK();
  auto scalar = type({}, full()), perChoice = type({choices}, full());
  // What was dropped counts as chosen, and so do null choices and what is not above the threshold.
  bool partial = op.getCapacity() || op.getNulls() > 0 || dispatch.getThreshold();
  Value load = partial ? ChoiceLoadOp::create(b, loc, perChoice, chosen).getY()
                       : ExpertLoadOp::create(b, loc, perChoice, dispatch.getOffsets()).getY();
  double balance = op.getBalance().convertToDouble(), sequence = op.getSequenceBalance().convertToDouble();
  if (balance > 0) // counts over tokens sum to top_k, loads to 1
    metrics.push_back(
        BalanceLossOp::create(b, loc, scalar, probs, load, b.getF64FloatAttr(balance * choices * topK)).getLoss());
  if (sequence > 0) {
    Value loads = ChoiceLoadOp::create(b, loc, type({shapeOf(chosen)[0], choices}, full()), chosen);
    metrics.push_back(
        SequenceBalanceLossOp::create(b, loc, scalar, probs, loads, b.getF64FloatAttr(sequence * choices)).getLoss());
  }
  reportScores(op, logits, probs);
  metrics.push_back(load);
  if (dispatch.getThreshold())
    metrics.push_back(expertsPerToken(chosen, dispatch));
}

Value BlockBuilder::expertsPerToken(Value chosen, DispatchOp dispatch) {
  // Each assignment that has a row adds a one to its token.
  auto ones = [&](ArrayRef<int64_t> shape) -> Value {
    return FillOp::create(b, loc, type(shape, full()), b.getF64FloatAttr(1));
  };
  ArrayRef<int64_t> shape = shapeOf(chosen);
  Value counts = CombineOp::create(b, loc, type({shape[0], shape[1], 1}, full()),
                                   ones({shapeOf(dispatch.getRows())[0], 1}), ones(shape), dispatch.getPosition());
  Value sum = ReduceLeadingOp::create(b, loc, type({}, full()), counts);
  return scaled(sum, 1 / double(shape[0] * shape[1]));
}

void BlockBuilder::reportScores(RouterOp op, Value logits, Value probs) {
  double z = op.getZ().convertToDouble(), information = op.getMutualInformation().convertToDouble();
  auto scalar = type({}, full());
  if (z > 0) {
    int64_t tokens = shapeOf(logits)[0] * shapeOf(logits)[1];
    auto loss = ZLossOp::create(b, loc, logits, b.getF64FloatAttr(z), b.getI64IntegerAttr(tokens));
    metrics.push_back(ReduceLeadingOp::create(b, loc, scalar, loss.getLoss()).getY());
  }
  if (information > 0)
    metrics.push_back(mutualInformation(probs, information));
}

static void reportLosses(RouterOp router, llvm::SmallVector<Metric> &metrics) {
  auto under = [&](StringRef path) { return router.getNested() ? path.rsplit('.').first : path; };
  auto report = [&](StringRef name, StringRef kind) {
    Metric metric{(under(router.getPath()) + "." + name).str(), {}, kind.str()};
    for (Attribute path : router.getPaths())
      metric.paths.push_back((under(cast<StringAttr>(path).getValue()) + "." + name).str());
    metrics.push_back(std::move(metric));
  };
  if (!router.getBalance().isZero())
    report("balance_loss", "aux_loss");
  if (!router.getSequenceBalance().isZero())
    report("sequence_balance_loss", "aux_loss");
  if (!router.getZ().isZero())
    report("z_loss", "aux_loss");
  if (!router.getMutualInformation().isZero())
    report("mutual_information_loss", "aux_loss");
  if (router.getChoice() != Choice::Expert && router.getChoice() != Choice::Mixture &&
      router.getChoice() != Choice::Dense) // whose loads are equal
    report("load", "load");
  if (!router.getThreshold().isZero())
    report("active", "active");
}

llvm::SmallVector<Metric> BlockBuilder::metricsOf(Operation *op, const ExpansionContext &context) {
  llvm::SmallVector<Metric> metrics;
  if (auto router = dyn_cast<RouterOp>(op))
    reportLosses(router, metrics);
  if (context.probe)
    reportProbe(op, metrics);
  return metrics;
}

// ---- Experts -------------------------------------------------------------------------------------------------------

Value BlockBuilder::grouped(Value x, StringRef name, bool bias, Value offsets) {
  int64_t rows = shapeOf(x)[0];
  auto product = [&](Value input, Value w, Type element) {
    return GroupedLinearOp::create(b, loc, type({rows, shapeOf(w)[2]}, element), input, w, offsets, /*rows=*/Value(),
                                   /*position=*/Value(), /*transpose=*/false)
        .getY();
  };
  Value y = product(x, own((name + ".weight").str()), activation());
  if (!bias)
    return y;
  // Each row takes the vector of its expert: a product of ones with matrices of one row, in full precision.
  Value vectors = own((name + ".bias").str());
  Value ones = FillOp::create(b, loc, type({rows, 1}, full()), b.getF64FloatAttr(1));
  Value spread = product(ones, reshape(vectors, {shapeOf(vectors)[0], 1, shapeOf(vectors)[1]}), full());
  return binary(Binary::Add, y, spread);
}

Value BlockBuilder::experts(ExpertsOp op, Value x, const Routing &routing) {
  Value inner = op.getLatent() > 0 ? affine(x, "latent.down", /*bias=*/false) : x;
  auto routed = op.getRouting().getType();
  int64_t groups = routed.getBatch() / routing.group * routed.getTime(), width = widthOf(inner);
  int64_t rows = routing.emit ? routed.getExperts() * groups : shapeOf(routing.rows)[0];
  auto rowsType = type({rows, width}, elementOf(inner));
  Value gathered = routing.emit ? MixOp::create(b, loc, rowsType, routing.weights, inner, routing.group).getM()
                                : GatherRowsOp::create(b, loc, rowsType, inner, routing.rows, routing.position).getY();
  FeedForward form{op.getGated(), op.getActivation(), op.getLimit(), op.getAlpha().convertToDouble(),
                   op.getOffset().convertToDouble()};
  StringRef first = op.getGated() ? "gate_up" : "up";
  Value inside = middle(form, grouped(gathered, first, op.getBias(), routing.offsets));
  reportSizes(inside, routing.offsets);
  Value outside = grouped(inside, "down", op.getBias(), routing.offsets);
  auto result = type(shapeOf(inner), activation());
  Value y = routing.emit ? UnmixOp::create(b, loc, result, routing.emit, outside, routing.group).getX()
                         : CombineOp::create(b, loc, result, outside, routing.weights, routing.position).getY();
  if (op.getLatent() > 0)
    y = affine(y, "latent.up", /*bias=*/false);
  return op.getSharedHidden() > 0 ? binary(Binary::Add, y, sharedExpert(op, x)) : y;
}

Value BlockBuilder::sharedExpert(ExpertsOp op, Value x) {
  FeedForward form{op.getSharedGated(), op.getSharedActivation(), op.getSharedLimit(),
                   op.getSharedAlpha().convertToDouble(), op.getSharedOffset().convertToDouble()};
  StringRef first = op.getSharedGated() ? "shared.gate_up" : "shared.up";
  Value hidden = middle(form, affine(x, first, op.getSharedBias()));
  reportSizes(hidden);
  Value y = affine(hidden, "shared.down", op.getSharedBias());
  if (!op.getSharedGate())
    return y;
  Value open = unary(Unary::Sigmoid, linear(cast(x, full()), own("shared_gate.weight"), full()));
  // One number per token, for all features: a product with a row of ones.
  Value ones = FillOp::create(b, loc, type({1, widthOf(y)}, activation()), b.getF64FloatAttr(1));
  return binary(Binary::Mul, y, linear(cast(open, activation()), ones, activation()));
}

} // namespace moire
