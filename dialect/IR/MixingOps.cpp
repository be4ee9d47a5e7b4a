//===- dialect/IR/MixingOps.cpp - verifiers and inference of mixing ops --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products, convolutions and scans: who contracts with whom. Attention is in AttentionOps.cpp.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

/// Type inference is handed operands that no check has seen: report what is no ranked tensor of the given rank.
static LogicalResult expectTensor(ValueRange operands, unsigned index, int64_t rank, std::optional<Location> location) {
  if (index >= operands.size())
    return emitOptionalError(location, "expects an operand #", index, ", got ", operands.size(), " operands");
  Type type = operands[index].getType();
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (tensor && tensor.getRank() == rank)
    return success();
  return emitOptionalError(location, "expects operand #", index, " to be a tensor of rank ", rank, ", got ", type);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Fails unless the result of a product has the element type of its factors, or full precision.
static LogicalResult expectProductElement(Operation *op, Type x, Type w, Type y) {
  if (failed(expectElement(op, "w", w, elementOf(x))))
    return failure();
  if (elementOf(y) == elementOf(x) || elementOf(y) == fullType(x))
    return success();
  return op->emitOpError("expects `y` with elements of ")
         << elementOf(x) << " or " << fullType(x) << ", got " << elementOf(y);
}

/// Fails unless `in` features meet `features` of a matrix.
static LogicalResult expectContraction(Operation *op, int64_t in, int64_t features, Value w) {
  if (in == features)
    return success();
  InFlightDiagnostic diag = op->emitOpError("contracts ") << in << " features with " << features;
  diag.attachNote(w.getLoc()) << "weight declared here as " << w.getType();
  return diag;
}

LogicalResult LinearOp::verify() {
  Type x = getX().getType(), w = getW().getType(), y = getY().getType();
  if (failed(expectRank(*this, "w", w, 2))) // linear.C1
    return failure();
  if (shapeOf(x).empty()) // linear.C1
    return emitOpError("expects `x` with a last dimension, got ") << x;
  int64_t in = shapeOf(w)[getTranspose() ? 1 : 0], out = shapeOf(w)[getTranspose() ? 0 : 1];
  if (failed(expectContraction(*this, lastExtent(x), in, getW())) ||                // linear.C1
      failed(expectShape(*this, "y", y, withLast(leadingExtents(x), out), getX()))) // linear.C2
    return failure();
  if (getBias() && (failed(expectShape(*this, "bias", getBias().getType(), {out}, getW())) || // linear.C3
                    failed(expectElement(*this, "bias", getBias().getType(), fullType(x)))))
    return failure();
  return expectProductElement(*this, x, w, y); // linear.C4
}

LogicalResult LinearGradWeightOp::verify() {
  Type x = getX().getType(), dy = getDy().getType(), dw = getDw().getType();
  if (shapeOf(x).empty() || shapeOf(dy).empty()) // linear_grad_weight.C1
    return emitOpError("expects operands with a last dimension, got ") << x << " and " << dy;
  if (failed(
          expectShape(*this, "dy", dy, withLast(leadingExtents(x), lastExtent(dy)), getX())) || // linear_grad_weight.C1
      failed(expectShape(*this, "dw", dw, {lastExtent(x), lastExtent(dy)}, getX())))            // linear_grad_weight.C2
    return failure();
  return expectElement(*this, "dw", dw, fullType(x)); // linear_grad_weight.C2
}

/// Fails unless `offsets` bounds the rows of every expert.
static LogicalResult expectOffsets(Operation *op, Value offsets, int64_t experts, Value of) {
  return expectShape(op, "offsets", offsets.getType(), {experts + 1}, of);
}

LogicalResult GroupedLinearOp::verify() {
  Type x = getX().getType(), w = getW().getType(), y = getY().getType();
  if (failed(expectRank(*this, "w", w, 3)) || failed(expectRank(*this, "y", y, 2))) // grouped_linear.C2
    return failure();
  if (failed(expectOffsets(*this, getOffsets(), shapeOf(w)[0], getW()))) // grouped_linear.C1
    return failure();
  int64_t in = shapeOf(w)[getTranspose() ? 2 : 1], out = shapeOf(w)[getTranspose() ? 1 : 2];
  if (failed(expectContraction(*this, lastExtent(x), in, getW()))) // grouped_linear.C2
    return failure();
  if (!getRows() && failed(expectRank(*this, "x", x, 2))) // grouped_linear.C3
    return failure();
  if (getRows() && failed(expectRank(*this, "rows", getRows().getType(), 1))) // grouped_linear.C2
    return failure();
  int64_t rows = getRows() ? lastExtent(getRows().getType()) : rowsOf(x);
  if (failed(expectShape(*this, "y", y, {rows, out}, getRows() ? getRows() : getX()))) // grouped_linear.C2, C3
    return failure();
  if (getPosition()) { // grouped_linear.C5
    Type position = getPosition().getType();
    if (failed(expectShape(*this, "position", position, withLast(leadingExtents(x), lastExtent(position)), getX())))
      return failure();
  }
  return expectProductElement(*this, x, w, y); // grouped_linear.C4
}

LogicalResult GroupedLinearGradWeightOp::verify() {
  Type x = getX().getType(), dy = getDy().getType(), dw = getDw().getType();
  if (failed(expectRank(*this, "dw", dw, 3)) ||                            // grouped_linear_grad_weight.C2
      failed(expectOffsets(*this, getOffsets(), shapeOf(dw)[0], getDw()))) // grouped_linear_grad_weight.C1
    return failure();
  if (failed(expectShape(*this, "dw", dw, {shapeOf(dw)[0], lastExtent(x), lastExtent(dy)}, getX())) ||
      failed(expectElement(*this, "dw", dw, fullType(x)))) // grouped_linear_grad_weight.C2
    return failure();
  int64_t xRows = getXRows() ? elementsOf(getXRows().getType()) : rowsOf(x);
  int64_t dyRows = getDyRows() ? elementsOf(getDyRows().getType()) : rowsOf(dy);
  if (xRows != dyRows) // grouped_linear_grad_weight.C3
    return emitOpError("expects as many rows from `x` as from `dy`, got ") << xRows << " and " << dyRows;
  return success();
}

//===----------------------------------------------------------------------===//
// Convolution
//===----------------------------------------------------------------------===//

LogicalResult ConvOp::verify() {
  Type x = getX().getType(), w = getW().getType(), y = getY().getType();
  if (failed(expectRank(*this, "x", x, 3)) || failed(expectRank(*this, "w", w, 2))) // conv.C1
    return failure();
  ArrayRef<int64_t> in = shapeOf(x);
  int64_t taps = shapeOf(w)[0];
  if (failed(expectShape(*this, "w", w, {taps, in[2]}, getX())) || // conv.C1
      failed(expectShape(*this, "bias", getBias().getType(), {in[2]}, getX())) ||
      failed(expectElement(*this, "w", w, fullType(x))) ||
      failed(expectElement(*this, "bias", getBias().getType(), fullType(x))))
    return failure();
  int64_t time = getPadding() == Padding::Causal ? in[1] : in[1] - (taps - 1);
  if (failed(expectShape(*this, "y", y, {in[0], time, in[2]}, getX()))) // conv.C2
    return failure();
  if (failed(expectElement(*this, "y", y, elementOf(x)))) // conv.C2
    return failure();
  return expectDocuments(*this, getDocuments(), getY()); // conv.C3
}

LogicalResult ConvGradInputOp::verify() {
  Type dy = getDy().getType(), w = getW().getType();
  if (failed(expectRank(*this, "dy", dy, 3)) || failed(expectRank(*this, "w", w, 2)) || // conv_grad_input.C1
      failed(expectShape(*this, "w", w, {shapeOf(w)[0], lastExtent(dy)}, getDy())) ||
      failed(expectElement(*this, "w", w, fullType(dy))) || failed(expectDocuments(*this, getDocuments(), getDy())))
    return failure();
  return expectType(*this, "dx", getDx().getType(), dy); // conv_grad_input.C1
}

LogicalResult ConvGradWeightOp::verify() {
  Type x = getX().getType(), dw = getDw().getType(), dbias = getDbias().getType();
  if (failed(expectRank(*this, "x", x, 3)) || // conv_grad_weight.C1
      failed(expectType(*this, "dy", getDy().getType(), x)) || failed(expectRank(*this, "dw", dw, 2)) ||
      failed(expectShape(*this, "dw", dw, {shapeOf(dw)[0], lastExtent(x)}, getX())) ||
      failed(expectShape(*this, "dbias", dbias, {lastExtent(x)}, getX())) ||
      failed(expectElement(*this, "dw", dw, fullType(x))) || failed(expectDocuments(*this, getDocuments(), getX())))
    return failure();
  return expectElement(*this, "dbias", dbias, fullType(x)); // conv_grad_weight.C1
}

//===----------------------------------------------------------------------===//
// Scans
//===----------------------------------------------------------------------===//

/// What the three scans have in common.
struct ScanOperands {
  Value u, dt, a, b, c, d, documents;
};

/// Fails unless the operands of a scan agree on batch, time, channels and state.
static LogicalResult expectScan(Operation *op, const ScanOperands &scan) {
  Type u = scan.u.getType(), full = fullType(u);
  if (failed(expectRank(op, "u", u, 3)) || failed(expectRank(op, "a", scan.a.getType(), 2)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(u);
  int64_t state = shapeOf(scan.a.getType())[1];
  if (failed(expectShape(op, "dt", scan.dt.getType(), shape, scan.u)) ||
      failed(expectShape(op, "a", scan.a.getType(), {shape[2], state}, scan.u)) ||
      failed(expectShape(op, "b", scan.b.getType(), {shape[0], shape[1], state}, scan.a)) ||
      failed(expectType(op, "c", scan.c.getType(), scan.b.getType())) ||
      failed(expectShape(op, "d", scan.d.getType(), {shape[2]}, scan.u)))
    return failure();
  for (auto [name, value] : {std::pair("dt", scan.dt), std::pair("a", scan.a), std::pair("d", scan.d)})
    if (failed(expectElement(op, name, value.getType(), full)))
      return failure();
  return expectDocuments(op, scan.documents, scan.u); // selective_scan.C3
}

LogicalResult SelectiveScanOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                                DictionaryAttr, OpaqueProperties, RegionRange,
                                                SmallVectorImpl<Type> &types) {
  if (failed(expectTensor(operands, 0, 3, location)) || failed(expectTensor(operands, 2, 2, location)))
    return failure();
  auto u = cast<RankedTensorType>(operands[0].getType());
  auto a = cast<RankedTensorType>(operands[2].getType());
  types.push_back(u); // selective_scan.C2
  int64_t chunks = (u.getDimSize(1) + SelectiveScanOp::chunkTokens - 1) / SelectiveScanOp::chunkTokens;
  types.push_back( // selective_scan.C2
      RankedTensorType::get({u.getDimSize(0), chunks, u.getDimSize(2), a.getDimSize(1)}, fullType(u)));
  return success();
}

LogicalResult SelectiveScanOp::verify() { // selective_scan.C1
  return expectScan(*this, {getU(), getDt(), getA(), getB(), getC(), getD(), getDocuments()});
}

LogicalResult SelectiveScanGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                                    ValueRange operands, DictionaryAttr, OpaqueProperties, RegionRange,
                                                    SmallVectorImpl<Type> &types) {
  if (operands.size() != 8 && operands.size() != 9)
    return emitOptionalError(location, "expects 8 or 9 operands, got ", operands.size());
  for (Value operand : operands.slice(1, 6)) // selective_scan_grad.C2
    types.push_back(operand.getType());
  return success();
}

LogicalResult SelectiveScanGradOp::verify() {
  if (failed(expectScan(*this,
                        {getU(), getDt(), getA(), getB(), getC(), getD(), getDocuments()}))) // selective_scan_grad.C1
    return failure();
  ArrayRef<int64_t> u = shapeOf(getU().getType());
  int64_t chunks = (u[1] + SelectiveScanOp::chunkTokens - 1) / SelectiveScanOp::chunkTokens;
  if (failed(expectType(*this, "dy", getDy().getType(), getU().getType())) || // selective_scan_grad.C1
      failed(expectShape(*this, "states", getStates().getType(), {u[0], chunks, u[2], lastExtent(getA().getType())},
                         getU())))
    return failure();
  return expectElement(*this, "states", getStates().getType(), fullType(getU().getType())); // selective_scan_grad.C1
}

LogicalResult StatefulScanOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                               DictionaryAttr, OpaqueProperties, RegionRange,
                                               SmallVectorImpl<Type> &types) {
  if (operands.size() != 7 && operands.size() != 8)
    return emitOptionalError(location, "expects 7 or 8 operands, got ", operands.size());
  types.push_back(operands[0].getType()); // stateful_scan.C2
  types.push_back(operands[6].getType()); // stateful_scan.C2
  return success();
}

LogicalResult StatefulScanOp::verify() {
  if (failed(expectScan(*this, {getU(), getDt(), getA(), getB(), getC(), getD(), getDocuments()}))) // stateful_scan.C1
    return failure();
  ArrayRef<int64_t> u = shapeOf(getU().getType());
  Type state = getState().getType();
  if (failed(
          expectShape(*this, "state", state, {u[0], u[2], lastExtent(getA().getType())}, getU()))) // stateful_scan.C1
    return failure();
  return expectElement(*this, "state", state, fullType(getU().getType())); // stateful_scan.C1
}
