//===- dialect/IR/SsdOps.cpp - the scan of Mamba-2 ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What its operands have to do with each other, its reverse rule and its costs.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/ReverseRules.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

//===----------------------------------------------------------------------===//
// Types and checks
//===----------------------------------------------------------------------===//

namespace {

/// What the three scans have in common.
struct SsdOperands {
  Value x, dt, a, b, c, d, documents;
  int64_t chunk;
};

/// The extents of one scan.
struct SsdSizes {
  int64_t batch, time, heads, dim, groups, state, chunk;
  int64_t chunks() const { return (time + chunk - 1) / chunk; }
};

template <typename Op> SsdOperands operandsOf(Op op) {
  return {op.getX(), op.getDt(), op.getA(),         op.getB(),
          op.getC(), op.getD(),  op.getDocuments(), static_cast<int64_t>(op.getChunk())};
}

} // namespace

/// The extents that x, B and the chunk say.
static SsdSizes sizesOf(const SsdOperands &scan) {
  ArrayRef<int64_t> x = shapeOf(scan.x.getType()), b = shapeOf(scan.b.getType());
  return {x[0], x[1], x[2], x[3], b[2], b[3], scan.chunk};
}

/// Fails unless the operands agree on all extents, and these are what kernels are made for.
static LogicalResult expectSsd(Operation *op, const SsdOperands &scan) {
  Type full = fullType(scan.x.getType());
  if (failed(expectRank(op, "x", scan.x.getType(), 4)) || failed(expectRank(op, "b", scan.b.getType(), 4)))
    return failure();
  SsdSizes s = sizesOf(scan);
  if (failed(expectShape(op, "dt", scan.dt.getType(), {s.batch, s.time, s.heads}, scan.x)) ||
      failed(expectShape(op, "a", scan.a.getType(), {s.heads}, scan.x)) ||
      failed(expectShape(op, "b", scan.b.getType(), {s.batch, s.time, s.groups, s.state}, scan.x)) ||
      failed(expectType(op, "c", scan.c.getType(), scan.b.getType())) ||
      failed(expectShape(op, "d", scan.d.getType(), {s.heads}, scan.x)))
    return failure();
  for (auto [name, value] : {std::pair("dt", scan.dt), std::pair("a", scan.a), std::pair("d", scan.d)})
    if (failed(expectElement(op, name, value.getType(), full)))
      return failure();
  if (s.groups < 1 || s.heads % s.groups != 0) // ssd_scan.C2
    return op->emitOpError("expects the groups of `b` to divide the heads of `x`, got ")
           << s.groups << " and " << s.heads;
  for (auto [name, extent] : {std::pair("chunk", s.chunk), std::pair("state", s.state), std::pair("head_dim", s.dim)})
    if (extent < 1 || extent > SsdScanOp::most) // ssd_scan.C3
      return op->emitOpError("expects a ") << name << " from 1 to " << SsdScanOp::most << ", got " << extent;
  return expectDocuments(op, scan.documents, scan.x); // ssd_scan.C5
}

/// Type inference is handed operands that no check has seen. There may be documents beside the `count` others.
static LogicalResult expectTensors(ValueRange operands, unsigned count, std::optional<Location> location) {
  if (operands.size() != count && operands.size() != count + 1)
    return emitOptionalError(location, "expects ", count, " or ", count + 1, " operands, got ", operands.size());
  return success();
}

LogicalResult SsdScanOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                          DictionaryAttr attributes, OpaqueProperties properties, RegionRange,
                                          SmallVectorImpl<Type> &types) {
  if (failed(expectTensors(operands, 6, location)))
    return failure();
  auto x = dyn_cast<RankedTensorType>(operands[0].getType()), b = dyn_cast<RankedTensorType>(operands[3].getType());
  if (!x || x.getRank() != 4 || !b || b.getRank() != 4)
    return emitOptionalError(location, "expects `x` and `b` to be tensors of rank 4, got ", operands[0].getType(),
                             " and ", operands[3].getType());
  IntegerAttr chunk;
  if (properties)
    chunk = properties.as<Properties *>()->chunk;
  else if (attributes)
    chunk = attributes.getAs<IntegerAttr>("chunk");
  if (!chunk || chunk.getInt() < 1)
    return emitOptionalError(location, "expects a chunk of at least 1");
  SsdSizes s{x.getDimSize(0), x.getDimSize(1), x.getDimSize(2), x.getDimSize(3),
             b.getDimSize(2), b.getDimSize(3), chunk.getInt()};
  types.push_back(x); // ssd_scan.C4
  types.push_back(
      RankedTensorType::get({s.batch, s.chunks(), s.heads, s.state, s.dim}, fullType(Type(x)))); // ssd_scan.C4
  return success();
}

LogicalResult SsdScanOp::verify() { return expectSsd(*this, operandsOf(*this)); } // ssd_scan.C1

LogicalResult SsdScanGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                              DictionaryAttr, OpaqueProperties, RegionRange,
                                              SmallVectorImpl<Type> &types) {
  if (failed(expectTensors(operands, 8, location)))
    return failure();
  for (Value operand : operands.slice(1, 6)) // ssd_scan_grad.C2
    types.push_back(operand.getType());
  return success();
}

LogicalResult SsdScanGradOp::verify() { // ssd_scan_grad.C1
  SsdOperands scan = operandsOf(*this);
  if (failed(expectSsd(*this, scan)))
    return failure();
  SsdSizes s = sizesOf(scan);
  Type states = getStates().getType();
  if (failed(expectType(*this, "dy", getDy().getType(), getX().getType())) ||
      failed(expectShape(*this, "states", states, {s.batch, s.chunks(), s.heads, s.state, s.dim}, getX())))
    return failure();
  return expectElement(*this, "states", states, fullType(getX().getType()));
}

LogicalResult StatefulSsdScanOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                                  DictionaryAttr, OpaqueProperties, RegionRange,
                                                  SmallVectorImpl<Type> &types) {
  if (failed(expectTensors(operands, 7, location)))
    return failure();
  types.push_back(operands[0].getType()); // stateful_ssd_scan.C2
  types.push_back(operands[6].getType()); // stateful_ssd_scan.C2
  return success();
}

LogicalResult StatefulSsdScanOp::verify() { // stateful_ssd_scan.C1
  SsdOperands scan = operandsOf(*this);
  if (failed(expectSsd(*this, scan)))
    return failure();
  SsdSizes s = sizesOf(scan);
  Type state = getState().getType();
  if (failed(expectShape(*this, "state", state, {s.batch, s.heads, s.state, s.dim}, getX())))
    return failure();
  return expectElement(*this, "state", state, fullType(getX().getType()));
}

//===----------------------------------------------------------------------===//
// Reverse rule
//===----------------------------------------------------------------------===//

LogicalResult SsdScanOp::buildReverse(OpBuilder &builder, ReverseScope &scope) {
  if (failed(refuseCotangent(scope, getOperation()->getResult(1), "states")))
    return failure();
  Value dy = narrowCotangent(builder, scope, getOperation()->getResult(0));
  auto grad = SsdScanGradOp::create(builder, getLoc(), dy, getX(), getDt(), getA(), getB(), getC(), getD(), getStates(),
                                    getDocuments(), getChunk());
  for (auto [gradient, operand] : llvm::zip_first(grad.getResults(), getOperands())) // documents have none
    if (scope.wanted(operand))
      scope.accumulate(operand, gradient);
  return success();
}

//===----------------------------------------------------------------------===//
// Costs: the products of the chunked algorithm
//===----------------------------------------------------------------------===//

/// `perHead` and `perGroup` operations a token, and all operands and results once.
static Cost ssdCost(Operation *op, const SsdSizes &s, double perHead, double perGroup) {
  Cost cost{double(s.batch * s.time) * (double(s.heads) * perHead + double(s.groups) * perGroup), 0, 0};
  for (Type type : op->getOperandTypes())
    cost.bytesRead += bytesOf(type);
  for (Type type : op->getResultTypes())
    cost.bytesWritten += bytesOf(type);
  return cost;
}

/// Through the state two products of state x head_dim; within the chunk, of which a token sees half, one of head_dim,
/// and for the group one of state.
static Cost forwardCost(Operation *op, const SsdOperands &scan) {
  SsdSizes s = sizesOf(scan);
  double seen = double(std::min(s.chunk, s.time)), state = double(s.state), dim = double(s.dim);
  return ssdCost(op, s, 4 * state * dim + seen * dim + 2 * dim, seen * state);
}

Cost SsdScanOp::getCost() { return forwardCost(*this, operandsOf(*this)); }
Cost StatefulSsdScanOp::getCost() { return forwardCost(*this, operandsOf(*this)); }
// Four products through the two states, two within the chunk; for the group the scores again, and two for B and C.
Cost SsdScanGradOp::getCost() {
  SsdSizes s = sizesOf(operandsOf(*this));
  double seen = double(std::min(s.chunk, s.time)), state = double(s.state), dim = double(s.dim);
  return ssdCost(*this, s, 8 * state * dim + 2 * seen * dim + 4 * dim, 3 * seen * state);
}
