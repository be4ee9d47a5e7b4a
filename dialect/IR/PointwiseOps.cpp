//===- dialect/IR/PointwiseOps.cpp - verifiers of pointwise ops and shapes -===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Also of parameters. Every check holds for whole tensors and for single rows alike.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

LogicalResult ParamOp::verify() {
  ArrayRef<int64_t> shape = shapeOf(getType());
  int64_t stack = getStack();
  if (stack < 0 || stack > static_cast<int64_t>(shape.size())) // param.C1
    return emitOpError("expects `stack` from 0 to the rank ") << shape.size() << ", got " << stack;
  int64_t copies = 1;
  for (int64_t extent : shape.take_front(stack))
    copies *= extent;
  auto paths = static_cast<int64_t>(getPaths().size());
  if (paths != copies) // param.C1
    return emitOpError("expects a path for each of ") << copies << " copies, got " << paths;
  std::pair<StringRef, APFloat> factors[] = {{"lr_factor", getLrFactor()},
                                             {"decay_factor", getDecayFactor()},
                                             {"rate_start", getRateStart()},
                                             {"rate_end", getRateEnd()}};
  for (auto &[name, factor] : factors)
    if (double value = factor.convertToDouble(); !(value >= 0)) // param.C2
      return emitOpError("expects `") << name << "` of 0 or more, got " << value;
  if (getSignRate() && !(getSignRate()->convertToDouble() > 0)) // param.C3
    return emitOpError("expects `sign_rate` above 0, got ") << getSignRate()->convertToDouble();
  if (double value = getMultiplier().convertToDouble(); !(value > 0)) // param.C4
    return emitOpError("expects `multiplier` above 0, got ") << value;
  return success();
}

/// Fails unless the shape of `inner` is the end of the shape of `outer`.
static LogicalResult expectSuffix(Operation *op, StringRef name, Value inner, Value outer) {
  ArrayRef<int64_t> shape = shapeOf(inner.getType()), whole = shapeOf(outer.getType());
  if (isSuffix(shape, whole))
    return success();
  return op->emitOpError("expects the shape of `")
         << name << "` to end " << shapeText(whole) << ", got " << shapeText(shape);
}

LogicalResult BinaryOp::inferReturnTypes(MLIRContext *, std::optional<Location>, ValueRange operands, DictionaryAttr,
                                         OpaqueProperties, RegionRange, SmallVectorImpl<Type> &types) {
  if (operands.empty())
    return failure();
  types.push_back(operands[0].getType()); // binary.C2
  return success();
}

LogicalResult BinaryOp::verify() {
  if (failed(expectSuffix(*this, "b", getB(), getA()))) // binary.C1
    return failure();
  Type a = elementOf(getA().getType()), b = elementOf(getB().getType());
  if (b != a && b != fullType(a)) // binary.C2
    return emitOpError("expects `b` with elements of ") << a << " or " << fullType(a) << ", got " << b;
  return success();
}

/// What keeps values within bounds needs one, and room between two.
template <typename Clamp> static LogicalResult expectBounds(Clamp op) {
  std::optional<llvm::APFloat> low = op.getLow(), high = op.getHigh();
  if (!low && !high)
    return op.emitOpError("expects a bound, `from` or `to`");
  if (low && high && !(low->convertToDouble() < high->convertToDouble()))
    return op.emitOpError("expects `from` below `to`, got ")
           << low->convertToDouble() << " and " << high->convertToDouble();
  return success();
}

LogicalResult ClampOp::verify() { return expectBounds(*this); }     // clamp.C1
LogicalResult ClampGradOp::verify() { return expectBounds(*this); } // clamp_grad.C1

LogicalResult BroadcastOp::verify() {
  if (failed(expectSuffix(*this, "x", getX(), getY()))) // broadcast.C1
    return failure();
  return expectElement(*this, "y", getY().getType(), elementOf(getX().getType())); // broadcast.C1
}

LogicalResult ReduceLeadingOp::verify() {
  if (failed(expectSuffix(*this, "y", getY(), getX()))) // reduce_leading.C1
    return failure();
  return expectElement(*this, "y", getY().getType(), fullType(getX().getType())); // reduce_leading.C2
}

LogicalResult ReshapeOp::verify() {
  int64_t from = elementsOf(getX().getType()), to = elementsOf(getY().getType());
  if (from != to) // reshape.C1
    return emitOpError("expects as many elements as the operand's ") << from << ", got " << to;
  return expectElement(*this, "y", getY().getType(), elementOf(getX().getType())); // reshape.C1
}

LogicalResult SliceOp::verify() {
  Type x = getX().getType(), y = getY().getType();
  ArrayRef<int64_t> from = shapeOf(x), to = shapeOf(y);
  int64_t dim = getDim(), offset = getOffset(), rank = from.size();
  if (dim < 0 || dim >= rank) // slice.C1
    return emitOpError("expects `dim` below the rank ") << rank << ", got " << dim;
  if (static_cast<int64_t>(to.size()) != rank) // slice.C2
    return emitOpError("expects a result of rank ") << rank << ", got rank " << to.size();
  if (offset < 0 || offset + to[dim] > from[dim]) // slice.C1
    return emitOpError("expects a range inside the extent ")
           << from[dim] << ", got " << offset << " to " << offset + to[dim];
  SmallVector<int64_t> expected(from);
  expected[dim] = to[dim];
  if (failed(expectShape(*this, "y", y, expected, getX()))) // slice.C2
    return failure();
  return expectElement(*this, "y", y, elementOf(x)); // slice.C2
}

LogicalResult ConcatOp::verify() {
  if (getXs().empty()) // concat.C2
    return emitOpError("expects at least one operand, got 0");
  Type first = getXs().front().getType(), y = getY().getType();
  SmallVector<int64_t> expected(shapeOf(first));
  int64_t dim = getDim(), rank = expected.size();
  if (dim < 0 || dim >= rank) // concat.C2
    return emitOpError("expects `dim` below the rank ") << rank << ", got " << dim;
  int64_t total = 0;
  for (auto [index, x] : llvm::enumerate(getXs())) {
    std::string name = "xs #" + std::to_string(index);
    ArrayRef<int64_t> shape = shapeOf(x.getType());
    expected[dim] = static_cast<int64_t>(shape.size()) == rank ? shape[dim] : expected[dim];
    if (failed(expectShape(*this, name, x.getType(), expected, getXs().front())) || // concat.C1
        failed(expectElement(*this, name, x.getType(), elementOf(y))))
      return failure();
    total += expected[dim];
  }
  expected[dim] = total;
  return expectShape(*this, "y", y, expected, getXs().front()); // concat.C1
}

LogicalResult DynamicSliceOp::verify() {
  Type x = getX().getType(), y = getY().getType();
  if (failed(expectShape(*this, "position", getPosition().getType(), {}))) // dynamic_slice.C1
    return failure();
  ArrayRef<int64_t> from = shapeOf(x), to = shapeOf(y);
  if (from.empty() || to.empty()) // dynamic_slice.C2
    return emitOpError("expects tensors with a first extent, got ") << x << " and " << y;
  SmallVector<int64_t> expected(from);
  expected.front() = std::min(to.front(), from.front());
  if (failed(expectShape(*this, "y", y, expected, getX()))) // dynamic_slice.C2
    return failure();
  return expectElement(*this, "y", y, elementOf(x)); // dynamic_slice.C2
}
