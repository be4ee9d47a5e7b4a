//===- dialect/IR/RowOps.cpp - verifiers and inference of row ops --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything here works on the last dimension and takes any leading ones. A single row is the case without leading
// extents, so that one check serves tensors and the bodies of row kernels.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace moire;

/// One full-precision value per row of `rows`; null when that is no ranked tensor with a last dimension.
static Type perRow(Type rows) {
  auto tensor = dyn_cast<RankedTensorType>(rows);
  if (!tensor || tensor.getRank() == 0)
    return {};
  return RankedTensorType::get(leadingExtents(tensor), fullType(tensor));
}

/// Appends `inferred`, or says at `location` why there is nothing to infer from `source`.
static LogicalResult inferAs(SmallVectorImpl<Type> &types, Type inferred, std::optional<Location> location,
                             Type source) {
  if (!inferred)
    return emitOptionalError(location, "expects a ranked tensor with a last dimension, got ", source);
  types.push_back(inferred);
  return success();
}

/// Type inference is handed operands that no check has seen: too few of them is a report, not a crash.
static LogicalResult expectOperands(ValueRange operands, size_t count, std::optional<Location> location) {
  if (operands.size() == count)
    return success();
  return emitOptionalError(location, "expects ", count, " operands, got ", operands.size());
}

/// Fails unless `name` is one value per feature of x, in the full precision that belongs to x.
static LogicalResult expectFeatureVector(Operation *op, StringRef name, Value vector, Value x) {
  if (failed(expectShape(op, name, vector.getType(), {lastExtent(x.getType())}, x)))
    return failure();
  return expectElement(op, name, vector.getType(), fullType(x.getType()));
}

/// Fails unless x has a last dimension to work on.
static LogicalResult expectFeatures(Operation *op, StringRef name, Value x) {
  if (!shapeOf(x.getType()).empty())
    return success();
  return op->emitOpError("expects `") << name << "` with a last dimension, got " << x.getType();
}

static LogicalResult expectPositive(Operation *op, StringRef name, const APFloat &attribute) {
  double value = attribute.convertToDouble();
  if (value > 0)
    return success();
  return op->emitOpError("expects `") << name << "` above 0, got " << value;
}

//===----------------------------------------------------------------------===//
// Normalisation
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                          DictionaryAttr, OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 2, location)))
    return failure();
  Type x = operands[0].getType();
  types.push_back(x);                            // rms_norm.C3
  return inferAs(types, perRow(x), location, x); // rms_norm.C3
}

LogicalResult RmsNormOp::verify() {
  if (failed(expectFeatureVector(*this, "weight", getWeight(), getX()))) // rms_norm.C1
    return failure();
  return expectPositive(*this, "eps", getEps()); // rms_norm.C2
}

LogicalResult RmsNormGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                              DictionaryAttr, OpaqueProperties, RegionRange,
                                              SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 4, location)))
    return failure();
  types.push_back(operands[1].getType()); // rms_norm_grad.C2
  types.push_back(operands[2].getType()); // rms_norm_grad.C2
  return success();
}

LogicalResult RmsNormGradOp::verify() {
  Type x = getX().getType();
  if (failed(expectFeatures(*this, "x", getX())) || // rms_norm_grad.C1
      failed(expectFeatureVector(*this, "weight", getWeight(), getX())) ||
      failed(expectType(*this, "dy", getDy().getType(), x)) ||
      failed(expectType(*this, "rstd", getRstd().getType(), perRow(x))))
    return failure();
  return success();
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                            DictionaryAttr, OpaqueProperties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 3, location)))
    return failure();
  Type x = operands[0].getType();
  types.push_back(x); // layer_norm.C3
  if (failed(inferAs(types, perRow(x), location, x)))
    return failure();
  types.push_back(types.back());
  return success();
}

LogicalResult LayerNormOp::verify() {
  if (failed(expectFeatureVector(*this, "weight", getWeight(), getX())) || // layer_norm.C1
      failed(expectFeatureVector(*this, "bias", getBias(), getX())))
    return failure();
  return expectPositive(*this, "eps", getEps()); // layer_norm.C2
}

LogicalResult LayerNormGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                                DictionaryAttr, OpaqueProperties, RegionRange,
                                                SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 5, location)))
    return failure();
  types.push_back(operands[1].getType()); // layer_norm_grad.C2
  types.append(2, operands[2].getType()); // layer_norm_grad.C2
  return success();
}

LogicalResult LayerNormGradOp::verify() {
  Type x = getX().getType();
  if (failed(expectFeatures(*this, "x", getX())) || // layer_norm_grad.C1
      failed(expectFeatureVector(*this, "weight", getWeight(), getX())) ||
      failed(expectType(*this, "dy", getDy().getType(), x)) ||
      failed(expectType(*this, "mean", getMean().getType(), perRow(x))) ||
      failed(expectType(*this, "rstd", getRstd().getType(), perRow(x))))
    return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

LogicalResult LookupOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                         DictionaryAttr, OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 2, location)))
    return failure();
  auto index = dyn_cast<RankedTensorType>(operands[0].getType());
  auto table = dyn_cast<RankedTensorType>(operands[1].getType());
  if (!index || !table || table.getRank() != 2) // lookup.C1
    return emitOptionalError(location, "expects a table of rank 2, got ", operands[1].getType());
  types.push_back( // lookup.C2
      RankedTensorType::get(withLast(index.getShape(), table.getDimSize(1)), table.getElementType()));
  return success();
}

LogicalResult LookupGradOp::verify() {
  Type dy = getDy().getType(), table = getDtable().getType(), index = getIndex().getType();
  if (failed(expectRank(*this, "dtable", table, 2)) || // lookup_grad.C1
      failed(expectShape(*this, "dy", dy, withLast(shapeOf(index), lastExtent(table)), getIndex())))
    return failure();
  return expectElement(*this, "dtable", table, fullType(dy)); // lookup_grad.C1
}

LogicalResult RotaryTableOp::verify() {
  if (failed(expectRank(*this, "cos", getCos().getType(), 2)) || // rotary_table.C1
      failed(expectType(*this, "sin", getSin().getType(), getCos().getType())))
    return failure();
  bool stretched = getScaling() && *getScaling() != RopeScaling::Linear;
  double base = getBase().convertToDouble();
  if (!(base > (stretched ? 1 : 0))) // rotary_table.C2
    return emitOpError("expects `base` above ") << (stretched ? 1 : 0) << ", got " << base;
  if (stretched && lastExtent(getCos().getType()) < 2) // rotary_table.C2
    return emitOpError("expects more than one pair of features to scale, got ") << lastExtent(getCos().getType());
  if (getScaling().has_value() != getFactor().has_value()) // rotary_table.C3
    return emitOpError("expects `scaling` and `factor` together");
  if (getFactor() && !(getFactor()->convertToDouble() >= 1)) // rotary_table.C3
    return emitOpError("expects `factor` of 1 or more, got ") << getFactor()->convertToDouble();
  if (getOriginal().has_value() != (getScaling() == RopeScaling::Yarn)) // rotary_table.C3
    return emitOpError("expects `original` with the scaling yarn, and only there");
  int64_t original = getOriginal().value_or(1);
  if (original < 1) // rotary_table.C3
    return emitOpError("expects `original` of 1 or more, got ") << original;
  double fast = getFast().convertToDouble(), slow = getSlow().convertToDouble();
  if (getScaling() != RopeScaling::Yarn && (fast != 32 || slow != 1 || getExact())) // rotary_table.C4
    return emitOpError("expects `fast`, `slow` and `exact` with the scaling yarn only");
  if (!(slow > 0 && fast > slow)) // rotary_table.C4
    return emitOpError("expects `fast` above `slow` above 0, got ") << fast << " and " << slow;
  return success();
}

/// The formulas of the op's description.
SmallVector<double> RotaryTableOp::frequencies() {
  int64_t half = lastExtent(getCos().getType());
  double base = getBase().convertToDouble(), dim = 2.0 * double(half);
  double factor = getFactor() ? getFactor()->convertToDouble() : 1;
  std::optional<RopeScaling> scaling = getScaling();
  if (scaling == RopeScaling::Ntk)
    base *= std::pow(factor, dim / (dim - 2));
  double low = 0, high = 0;
  if (scaling == RopeScaling::Yarn) {
    auto pairTurning = [&](double turns) {
      return dim * std::log(double(*getOriginal()) / (2 * M_PI * turns)) / (2 * std::log(base));
    };
    low = pairTurning(getFast().convertToDouble()), high = pairTurning(getSlow().convertToDouble());
    if (!getExact())
      low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0);
    high = std::max(std::min(high, dim - 1), low + 0.001);
  }
  SmallVector<double> result;
  for (int64_t pair = 0; pair < half; ++pair) {
    double frequency = 1 / std::pow(base, double(pair) / double(half));
    if (scaling == RopeScaling::Linear)
      frequency /= factor;
    if (scaling == RopeScaling::Yarn) {
      double stretched = std::clamp((double(pair) - low) / (high - low), 0.0, 1.0);
      frequency *= stretched / factor + 1 - stretched;
    }
    result.push_back(frequency);
  }
  return result;
}

LogicalResult TileOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                       DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
                                       SmallVectorImpl<Type> &types) {
  auto x = operands.size() == 1 ? dyn_cast<RankedTensorType>(operands[0].getType()) : RankedTensorType();
  int64_t copies = properties ? int64_t(Adaptor(operands, attributes, properties, regions).getCopies()) : 0;
  if (!x || x.getRank() == 0 || copies < 1) // tile.C1
    return emitOptionalError(location, "expects an operand with a last dimension, and 1 copy or more");
  types.push_back(x.clone(withLast(x.getShape().drop_back(), x.getShape().back() * copies))); // tile.C2
  return success();
}

LogicalResult TileOp::verify() {
  int64_t copies = getCopies();
  if (copies < 1) // tile.C1
    return emitOpError("expects 1 copy or more, got ") << copies;
  return success();
}

LogicalResult FoldOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                       DictionaryAttr attributes, OpaqueProperties properties, RegionRange regions,
                                       SmallVectorImpl<Type> &types) {
  auto x = operands.size() == 1 ? dyn_cast<RankedTensorType>(operands[0].getType()) : RankedTensorType();
  int64_t copies = properties ? int64_t(Adaptor(operands, attributes, properties, regions).getCopies()) : 0;
  if (!x || x.getRank() == 0 || copies < 1 || x.getShape().back() % copies != 0) // fold.C1
    return emitOptionalError(location, "expects an operand whose last dimension is a multiple of ", copies);
  types.push_back(x.clone(withLast(x.getShape().drop_back(), x.getShape().back() / copies))); // fold.C2
  return success();
}

LogicalResult FoldOp::verify() {
  int64_t copies = getCopies();
  if (copies < 1 || lastExtent(getX().getType()) % copies != 0) // fold.C1
    return emitOpError("expects `copies` to divide the last dimension, got ")
           << copies << " and " << lastExtent(getX().getType());
  return success();
}

LogicalResult RopeOp::verify() {
  ArrayRef<int64_t> x = shapeOf(getX().getType());
  if (x.size() != 4 && x.size() != 1) // rope.C1
    return emitOpError("expects `x` of rank 4, or of rank 1 inside a row kernel, got rank ") << x.size();
  if (x.back() % 2 != 0) // rope.C1
    return emitOpError("expects an even last dimension, got ") << x.back();
  SmallVector<int64_t> table;
  if (x.size() == 4)
    table.push_back(x[1]);
  table.push_back(x.back() / 2);
  for (auto [name, value] : {std::pair("cos", getCos()), std::pair("sin", getSin())})
    if (failed(expectShape(*this, name, value.getType(), table, getX())) || // rope.C2
        failed(expectElement(*this, name, value.getType(), fullType(getX().getType()))))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Losses
//===----------------------------------------------------------------------===//

LogicalResult CrossEntropyOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                               DictionaryAttr, OpaqueProperties, RegionRange,
                                               SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 2, location)))
    return failure();
  Type logits = operands[0].getType();
  if (failed(inferAs(types, perRow(logits), location, logits))) // cross_entropy.C1
    return failure();
  types.push_back(types.back());
  return success();
}

LogicalResult CrossEntropyOp::verify() { // cross_entropy.C1
  return expectShape(*this, "targets", getTargets().getType(), leadingExtents(getLogits().getType()), getLogits());
}

LogicalResult CrossEntropyGradOp::verify() {
  Type logits = getLogits().getType();
  if (failed(expectFeatures(*this, "logits", getLogits())) || // cross_entropy_grad.C1
      failed(expectShape(*this, "targets", getTargets().getType(), leadingExtents(logits), getLogits())) ||
      failed(expectType(*this, "lse", getLse().getType(), perRow(logits))) ||
      failed(expectType(*this, "dnll", getDnll().getType(), perRow(logits))))
    return failure();
  return expectShape(*this, "dlogits", getDlogits().getType(), shapeOf(logits), getLogits()); // cross_entropy_grad.C1
}

LogicalResult ZLossOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                        DictionaryAttr, OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 1, location)))
    return failure();
  Type logits = operands[0].getType();
  if (failed(inferAs(types, perRow(logits), location, logits))) // z_loss.C1
    return failure();
  types.push_back(types.back());
  return success();
}

/// Fails unless the number of tokens to divide by is positive.
static LogicalResult expectTokens(Operation *op, int64_t tokens) {
  if (tokens >= 1)
    return success();
  return op->emitOpError("expects `tokens` of 1 or more, got ") << tokens;
}

LogicalResult ZLossOp::verify() { return expectTokens(*this, getTokens()); } // z_loss.C2

LogicalResult ZLossGradOp::verify() {
  Type logits = getLogits().getType();
  if (failed(expectFeatures(*this, "logits", getLogits())) || // z_loss_grad.C1
      failed(expectType(*this, "lse", getLse().getType(), perRow(logits))) ||
      failed(expectType(*this, "dloss", getDloss().getType(), perRow(logits))) ||
      failed(expectType(*this, "dlogits", getDlogits().getType(), logits)))
    return failure();
  return expectTokens(*this, getTokens()); // z_loss_grad.C1
}

//===----------------------------------------------------------------------===//
// Rows and numbers
//===----------------------------------------------------------------------===//

LogicalResult ScaleRowsOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                            DictionaryAttr, OpaqueProperties, RegionRange,
                                            SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 2, location)))
    return failure();
  types.push_back(operands[0].getType());
  return success();
}

LogicalResult ScaleRowsOp::verify() { // scale_rows.C1
  if (failed(expectFeatures(*this, "x", getX())))
    return failure();
  return expectType(*this, "s", getS().getType(), perRow(getX().getType()));
}

LogicalResult DotRowsOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                          DictionaryAttr, OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 2, location)))
    return failure();
  Type a = operands[0].getType();
  return inferAs(types, perRow(a), location, a); // dot_rows.C1
}

LogicalResult DotRowsOp::verify() { // dot_rows.C1
  return expectType(*this, "b", getB().getType(), getA().getType());
}

LogicalResult CountTargetsOp::verify() { // count_targets.C1
  return expectShape(*this, "y", getY().getType(), shapeOf(getTargets().getType()), getTargets());
}
