//===- dialect/IR/Costs.cpp - what each op costs -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one source of every bill. A multiply-add is two operations; a comparison, a change of type and a transcendental
// function of one number are one, zero and one. Bytes: operands read once, results written once, unless an op reads
// only a part of an operand or moves nothing at all.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"

using namespace mlir;
using namespace moire;

/// `flops`, and the bytes of all operands and results.
static Cost whole(Operation *op, double flops) {
  Cost cost{flops, 0, 0};
  for (Type type : op->getOperandTypes())
    cost.bytesRead += bytesOf(type);
  for (Type type : op->getResultTypes())
    cost.bytesWritten += bytesOf(type);
  return cost;
}

/// `flops`, and reading as many bytes as are written: what ops cost that pick a part of their operand.
static Cost part(Operation *op, double flops) {
  Cost cost = whole(op, flops);
  cost.bytesRead = cost.bytesWritten;
  return cost;
}

static double elements(Value value) { return elementsOf(value.getType()); }
static double rows(Value value) { return rowsOf(value.getType()); }
static double extent(Value value, unsigned dim) { return shapeOf(value.getType())[dim]; }
static double width(Value value) { return lastExtent(value.getType()); }

//===----------------------------------------------------------------------===//
// Pointwise and shapes
//===----------------------------------------------------------------------===//

/// Operations per element of a function and of its derivative times a cotangent.
static std::pair<double, double> perElement(Unary kind) {
  switch (kind) {
  case Unary::Neg:
    return {1, 1};
  case Unary::Exp:
    return {1, 2}; // exp(x) dy
  case Unary::Log:
    return {1, 1}; // dy / x
  case Unary::Relu:
    return {1, 1};
  case Unary::Relu2:
    return {2, 3}; // 2 max(x, 0) dy
  case Unary::Gelu:
    return {5, 9}; // x (1 + erf(c x)) / 2; the derivative adds a Gaussian
  case Unary::Silu:
    return {4, 8}; // x s with s = 1 / (1 + exp(-x)); dy s (1 + x (1 - s))
  case Unary::Sigmoid:
    return {3, 6}; // dy s (1 - s)
  case Unary::Softplus:
    return {4, 4}; // max(x, 0) + log1p(exp(-|x|)); dy s
  case Unary::Tanh:
    return {1, 4}; // dy (1 - t t)
  }
  llvm_unreachable("every function has a cost");
}

Cost UnaryOp::getCost() { return whole(*this, elements(getX()) * perElement(getKind()).first); }
Cost UnaryGradOp::getCost() { return whole(*this, elements(getX()) * perElement(getKind()).second); }
Cost BinaryOp::getCost() { return whole(*this, elements(getA())); }
Cost ScaleOp::getCost() { return whole(*this, elements(getX())); }
/// A comparison for each bound.
static double bounds(std::optional<llvm::APFloat> low, std::optional<llvm::APFloat> high) {
  return double(low.has_value()) + double(high.has_value());
}
Cost ClampOp::getCost() { return whole(*this, elements(getX()) * bounds(getLow(), getHigh())); }
Cost ClampGradOp::getCost() { return whole(*this, elements(getX()) * bounds(getLow(), getHigh())); }
Cost CastOp::getCost() { return whole(*this, 0); }
Cost BroadcastOp::getCost() { return whole(*this, 0); }
Cost ReduceLeadingOp::getCost() { return whole(*this, elements(getX()) - elements(getY())); }
Cost FillOp::getCost() { return whole(*this, 0); }
Cost ReshapeOp::getCost() { return {}; } // another name for the same memory
Cost SliceOp::getCost() { return part(*this, 0); }
Cost ConcatOp::getCost() { return whole(*this, 0); }
Cost DynamicSliceOp::getCost() { return part(*this, 0); }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

// Square and sum 2, times rstd and weight 2; per row mean, eps, square root and reciprocal.
Cost RmsNormOp::getCost() { return whole(*this, 4 * elements(getX()) + 4 * rows(getX())); }
// xh, g, <g xh> 2, dx 3, dweight 2; per row the mean and its product with rstd.
Cost RmsNormGradOp::getCost() { return whole(*this, 9 * elements(getX()) + 2 * rows(getX())); }
// Sum 1, square of the difference and sum 3, then difference, rstd, weight, bias 4.
Cost LayerNormOp::getCost() { return whole(*this, 8 * elements(getX()) + 5 * rows(getX())); }
// xh 2, g 1, two sums 3, dx 4, dweight 2, dbias 1.
Cost LayerNormGradOp::getCost() { return whole(*this, 13 * elements(getX()) + 2 * rows(getX())); }

Cost LookupOp::getCost() {
  Cost cost = part(*this, 0); // the rows that are asked for, not the table
  cost.bytesRead += bytesOf(getIndex().getType());
  return cost;
}
Cost LookupGradOp::getCost() { return whole(*this, elements(getDy())); }
Cost RotaryTableOp::getCost() { return {0, 0, whole(*this, 0).bytesWritten}; } // computed by the compiler
Cost TileOp::getCost() { return whole(*this, 0); }
Cost FoldOp::getCost() { return whole(*this, elements(getX()) - elements(getY())); }
Cost RopeOp::getCost() { return whole(*this, 3 * elements(getX())); }

constexpr double softmaxPerElement = 5; // maximum, difference, exponential, sum, quotient

Cost SoftmaxOp::getCost() { return whole(*this, softmaxPerElement * elements(getX())); }
Cost SoftmaxGradOp::getCost() { return whole(*this, 4 * elements(getY())); }
Cost CrossEntropyOp::getCost() { return whole(*this, 4 * elements(getLogits()) + 3 * rows(getLogits())); }
Cost CrossEntropyGradOp::getCost() { return whole(*this, 3 * elements(getLogits()) + 2 * rows(getLogits())); }
Cost ScaleRowsOp::getCost() { return whole(*this, elements(getX())); }
Cost DotRowsOp::getCost() { return whole(*this, 2 * elements(getA())); }
Cost ZLossOp::getCost() { return whole(*this, 4 * elements(getLogits()) + 4 * rows(getLogits())); }
Cost ZLossGradOp::getCost() { return whole(*this, 3 * elements(getLogits()) + 3 * rows(getLogits())); }
Cost CountTargetsOp::getCost() { return whole(*this, elements(getTargets())); }

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Cost LinearOp::getCost() {
  double products = 2 * rows(getY()) * width(getX()) * width(getY());
  return whole(*this, products + (getBias() ? elements(getY()) : 0));
}
Cost LinearGradWeightOp::getCost() { return whole(*this, 2 * rows(getX()) * width(getX()) * width(getDy())); }
Cost GroupedLinearOp::getCost() { return whole(*this, 2 * rows(getY()) * width(getX()) * width(getY())); }
Cost GroupedLinearGradWeightOp::getCost() {
  double count = getXRows() ? elements(getXRows()) : rows(getX());
  return whole(*this, 2 * count * width(getX()) * width(getDy()));
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Pairs of positions that see each other in `time` positions.
static double visiblePairs(double time, bool bidirectional, std::optional<uint64_t> window) {
  double reach = window ? std::min<double>(*window, time) : time;
  // Of the windows that end at each position, the first ones are cut short: by reach - 1, ..., 1.
  double causal = time * reach - reach * (reach - 1) / 2;
  return bidirectional ? 2 * causal - time : causal; // both directions, a position itself once
}

/// Operations on a pair of positions besides the products: score / c, tanh, times c; slope times distance, difference.
template <typename Attention> static double scoreFlops(Attention op) {
  return (op.getSoftcap() ? 3 : 0) + (op.getAlibi() ? 2 : 0);
}

/// Pairs of positions in all heads and examples.
template <typename Attention> static double allPairs(Attention op) {
  Value q = op.getQ();
  return extent(q, 0) * extent(q, 2) * visiblePairs(extent(q, 1), op.getBidirectional(), op.getWindow());
}

// Scores and their product with the values; a sink adds one exponential to the sum of each row.
Cost SoftmaxAttentionOp::getCost() {
  double perPair = 2 * width(getQ()) + 2 * width(getV()) + scoreFlops(*this);
  return whole(*this, perPair * allPairs(*this) + (getSinks() ? 2 * elements(getLse()) : 0));
}
// The scores again, dq and dk; dv and dp. A soft cap multiplies dS by 1 - t t, a sink takes exp(sink - lse) delta.
Cost SoftmaxAttentionGradOp::getCost() {
  double perPair = 6 * width(getQ()) + 4 * width(getV()) + scoreFlops(*this) + (getSoftcap() ? 3 : 0);
  return whole(*this, perPair * allPairs(*this) + (getSinks() ? 4 * elements(getLse()) : 0));
}
// A full cache, or a full window: how much of it holds tokens is known at run time only.
Cost CachedAttentionOp::getCost() {
  double capacity = extent(getKCache(), 0), keys = getWindow() ? std::min<double>(*getWindow(), capacity) : capacity;
  double rows = extent(getQ(), 1) * extent(getQ(), 2);
  double perPair = 2 * width(getQ()) + 2 * width(getV()) + scoreFlops(*this);
  Cost cost = whole(*this, perPair * rows * keys + (getSinks() ? 2 * rows : 0));
  double appended = bytesOf(getK().getType()) + bytesOf(getV().getType()); // caches are extended in place
  double cached = bytesOf(getKCache().getType()) + bytesOf(getVCache().getType());
  cost.bytesRead -= cached * (1 - keys / capacity);
  cost.bytesWritten = bytesOf(getY().getType()) + appended;
  return cost;
}

//===----------------------------------------------------------------------===//
// Documents: one comparison each. What they leave out is known at run time only, so all other bills stand as they are.
//===----------------------------------------------------------------------===//

Cost DocumentPositionsOp::getCost() { return whole(*this, elements(getTokens())); }
Cost ReachesBackOp::getCost() { return whole(*this, elements(getDocuments())); }

//===----------------------------------------------------------------------===//
// Convolution and scans
//===----------------------------------------------------------------------===//

Cost ConvOp::getCost() { return whole(*this, 2 * extent(getW(), 0) * elements(getY())); }
Cost ConvGradInputOp::getCost() { return whole(*this, 2 * extent(getW(), 0) * elements(getDy())); }
Cost ConvGradWeightOp::getCost() { return whole(*this, (2 * extent(getDw(), 0) + 1) * elements(getDy())); }

/// Nine operations for each position, channel and state, and one exponential; two for the direct path d u.
static double scanFlops(Value u, Value a) { return (9 + 1) * elements(u) * extent(a, 1) + 2 * elements(u); }

Cost SelectiveScanOp::getCost() { return whole(*this, scanFlops(getU(), getA())); }
// Recomputing h takes 5; the adjoint of h 3, dC 2, d(dt u) 2, dB 2, the decay's 2, ddt 2, da 2: 20 in all.
Cost SelectiveScanGradOp::getCost() {
  return whole(*this, 20 * elements(getU()) * extent(getA(), 1) + 6 * elements(getU()));
}
Cost StatefulScanOp::getCost() { return whole(*this, scanFlops(getU(), getA())); }

//===----------------------------------------------------------------------===//
// Routing
//===----------------------------------------------------------------------===//

/// Scores of all experts, then what the gate does to the chosen ones; choosing is comparing, counted once a logit, and
/// once more where a bias is added.
template <typename Op> static double routeFlops(Op op) {
  double perScore = softmaxPerElement;
  if (op.getGate() == Gate::SigmoidTopK || op.getGate() == Gate::SqrtSoftplusTopK) // the function, and sum and quotient
    perScore = perElement(op.getGate() == Gate::SigmoidTopK ? Unary::Sigmoid : Unary::Softplus).first + 2;
  double perWeight = op.getGate() == Gate::TopKSoftmax ? softmaxPerElement : op.getRenormalize() ? 2 : 0;
  perWeight += op.getScale().isExactlyValue(1.0) ? 0 : 1;
  return (perScore + 1 + (op.getBias() ? 1 : 0)) * elements(op.getLogits()) + perWeight * elements(op.getWeights());
}

Cost RouteOp::getCost() { return whole(*this, routeFlops(*this)); }
Cost RouteGradOp::getCost() {
  double perScore = getLogits() ? 4 + 6 : 4; // scores again, and the derivative of each
  return whole(*this, perScore * elements(getProbs()) + 4 * elements(getWeights()));
}
Cost AssignOp::getCost() { return whole(*this, 0); }
Cost DispatchOp::getCost() { return whole(*this, 0); }
Cost GatherRowsOp::getCost() {
  Cost cost = part(*this, 0);
  cost.bytesRead += bytesOf(getRows().getType());
  return cost;
}
Cost GatherRowsGradOp::getCost() { return whole(*this, elements(getDy())); }
Cost CombineOp::getCost() { return whole(*this, 2 * elements(getX())); }
Cost GroupedCombineOp::getCost() { // and the products' rows come and go once
  double sorted = rows(getX()) * width(getY());
  Cost cost = whole(*this, 2 * sorted * width(getX()) + 2 * sorted);
  double bytes = sorted * bytesOf(getX().getType()) / elements(getX());
  cost.bytesRead += bytes;
  cost.bytesWritten += bytes;
  return cost;
}
Cost CombineGradOp::getCost() { return whole(*this, 3 * elements(getX())); }
Cost ExpertLoadOp::getCost() { return whole(*this, 2 * elements(getY())); }
Cost ChoiceLoadOp::getCost() { return whole(*this, elements(getY())); }
Cost SequenceBalanceLossOp::getCost() { return whole(*this, elements(getProbs()) + 3 * elements(getLoad())); }
Cost SequenceBalanceLossGradOp::getCost() { return whole(*this, 2 * elements(getLoad())); }
Cost BalanceLossOp::getCost() { return whole(*this, elements(getProbs()) + 3 * elements(getLoad())); }
Cost BalanceLossGradOp::getCost() { return whole(*this, 2 * elements(getLoad())); }

//===----------------------------------------------------------------------===//
// Groups of sequences
//===----------------------------------------------------------------------===//

/// A product over the members of a group, once for each expert and feature.
static double mixtureFlops(Value weights, Value x) { return 2 * elements(weights) * width(x); }

Cost GroupSoftmaxOp::getCost() { return whole(*this, softmaxPerElement * elements(getX())); }
Cost GroupSoftmaxGradOp::getCost() { return whole(*this, 4 * elements(getY())); }
Cost MixOp::getCost() { return whole(*this, mixtureFlops(getWeights(), getX())); }
Cost UnmixOp::getCost() { return whole(*this, mixtureFlops(getWeights(), getX())); }
Cost MixGradWeightsOp::getCost() { return whole(*this, mixtureFlops(getDweights(), getX())); }
Cost ChooseTokensOp::getCost() { return whole(*this, elements(getScores())); } // comparing, counted once a score
Cost EvenOffsetsOp::getCost() { return {0, 0, whole(*this, 0).bytesWritten}; } // computed by the compiler

//===----------------------------------------------------------------------===//
// Fused
//===----------------------------------------------------------------------===//

Cost FusedRouteOp::getCost() {
  double load = 2 * elements(getLoad());
  return whole(*this, load + routeFlops(*this));
}

/// What a type costs to move when it lives in memory outside the kernel.
static double bytesOfAll(TypeRange types) {
  double bytes = 0;
  for (Type type : types)
    bytes += bytesOf(type);
  return bytes;
}

Cost RowwiseOp::getCost() {
  Cost cost;
  for (Operation &op : getBody().front())
    if (auto costed = dyn_cast<CostedOpInterface>(op))
      cost.flops += costed.getCost().flops;
  cost.flops *= getDomainSize();
  // Rows of the body live in registers and cache: memory sees inputs and outputs only. Sums add one add per row.
  for (auto [summed, value] : llvm::zip_equal(getSummed(), getYield().getValues()))
    if (summed)
      cost.flops += static_cast<double>(getDomainSize() - 1) * elementsOf(value.getType());
  cost.bytesRead = bytesOfAll(getInputs().getTypes());
  cost.bytesWritten = bytesOfAll(getOuts().getTypes()) + bytesOfAll(getResultTypes());
  return cost;
}
