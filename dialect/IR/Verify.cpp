//===- dialect/IR/Verify.cpp - checks that verifiers share ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// See the header.
//===----------------------------------------------------------------------===//
#include "dialect/IR/Verify.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace moire {

std::string shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  text += llvm::join(llvm::map_range(shape, [](int64_t extent) { return std::to_string(extent); }), ", ");
  return text + "]";
}

SmallVector<int64_t> withLast(ArrayRef<int64_t> extents, int64_t last) {
  SmallVector<int64_t> shape(extents);
  shape.push_back(last);
  return shape;
}

/// Points at the value whose type the failed check was measured against.
static LogicalResult withNote(InFlightDiagnostic &diag, Value declaredAt) {
  if (declaredAt)
    diag.attachNote(declaredAt.getLoc()) << "measured against this value of type " << declaredAt.getType();
  return diag;
}

LogicalResult expectShape(Operation *op, StringRef name, Type type, ArrayRef<int64_t> expected, Value declaredAt) {
  if (isa<ShapedType>(type) && shapeOf(type) == expected)
    return success();
  InFlightDiagnostic diag = op->emitOpError("expects `")
                            << name << "` of shape " << shapeText(expected) << ", got " << shapeText(shapeOf(type));
  return withNote(diag, declaredAt);
}

LogicalResult expectElement(Operation *op, StringRef name, Type type, Type expected) {
  if (elementOf(type) == expected)
    return success();
  return op->emitOpError("expects `") << name << "` with elements of " << expected << ", got " << elementOf(type);
}

LogicalResult expectRank(Operation *op, StringRef name, Type type, int64_t rank) {
  auto actual = static_cast<int64_t>(shapeOf(type).size());
  if (actual == rank)
    return success();
  return op->emitOpError("expects `") << name << "` of rank " << rank << ", got rank " << actual;
}

LogicalResult expectType(Operation *op, StringRef name, Type type, Type expected) {
  if (type == expected)
    return success();
  return op->emitOpError("expects `") << name << "` of type " << expected << ", got " << type;
}

LogicalResult expectLayerForm(Operation *op, StringRef prefix, const LayerForm &form) {
  Unary act = form.activation;
  bool known = act == Unary::Relu || act == Unary::Relu2 || act == Unary::Gelu || act == Unary::Silu ||
               (form.gated && act == Unary::Sigmoid);
  if (!known)
    return op->emitOpError("expects `") << prefix << "activation` of relu, relu2, gelu or silu, or sigmoid where it is "
                                        << "a gate, got " << stringifyUnary(act);
  double alpha = form.alpha.convertToDouble();
  if (!form.gated && (form.limit || alpha != 1 || !form.offset.isZero()))
    return op->emitOpError("expects `") << prefix << "limit`, `" << prefix << "alpha` and `" << prefix
                                        << "offset` of a gated layer only";
  if (form.limit && !(form.limit->convertToDouble() > 0))
    return op->emitOpError("expects `") << prefix << "limit` above 0, got " << form.limit->convertToDouble();
  if (!(alpha > 0) || (alpha != 1 && act != Unary::Silu))
    return op->emitOpError("expects `") << prefix << "alpha` above 0, and 1 unless the activation is silu, got "
                                        << alpha;
  return success();
}

} // namespace moire
