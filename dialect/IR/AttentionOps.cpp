//===- dialect/IR/AttentionOps.cpp - verifiers and inference of attention -===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention at the tensor level: whose heads meet whose, and what its variants may be.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

/// Type inference is handed operands that no check has seen: fails unless there are `least` to `most` of them, and
/// those numbered in `ranked` have rank 4.
static LogicalResult expectOperands(ValueRange operands, size_t least, size_t most, ArrayRef<unsigned> ranked,
                                    std::optional<Location> location) {
  if (operands.size() < least || operands.size() > most)
    return emitOptionalError(location, "expects ", least, " to ", most, " operands, got ", operands.size());
  for (unsigned index : ranked) {
    auto tensor = dyn_cast<RankedTensorType>(operands[index].getType());
    if (!tensor || tensor.getRank() != 4)
      return emitOptionalError(location, "expects operand #", index, " to be a tensor of rank 4, got ",
                               operands[index].getType());
  }
  return success();
}

/// What attention gives: q with the features of v.
static RankedTensorType outputType(Value q, Value v) {
  auto type = cast<RankedTensorType>(q.getType());
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = cast<RankedTensorType>(v.getType()).getDimSize(3);
  return type.clone(shape);
}

/// Fails unless k and v fit q: same batch and time, heads that share them evenly, and the dim of q for k.
static LogicalResult expectHeads(Operation *op, Value q, Value k, Value v) {
  if (failed(expectRank(op, "q", q.getType(), 4)) || failed(expectRank(op, "k", k.getType(), 4)) ||
      failed(expectRank(op, "v", v.getType(), 4)))
    return failure();
  ArrayRef<int64_t> shape = shapeOf(q.getType());
  int64_t heads = shape[2], kvHeads = shapeOf(k.getType())[2];
  if (kvHeads < 1 || heads % kvHeads != 0)
    return op->emitOpError("expects the heads of `k` to divide the heads of `q`, got ") << kvHeads << " and " << heads;
  if (failed(expectShape(op, "k", k.getType(), {shape[0], shape[1], kvHeads, shape[3]}, q)) ||
      failed(expectElement(op, "k", k.getType(), elementOf(q.getType()))) ||
      failed(expectShape(op, "v", v.getType(), {shape[0], shape[1], kvHeads, lastExtent(v.getType())}, k)))
    return failure();
  return expectElement(op, "v", v.getType(), elementOf(k.getType()));
}

/// Fails unless the window, the soft cap and the sinks are such.
template <typename Attention> static LogicalResult expectForm(Attention op) {
  int64_t window = op.getWindow().value_or(1);
  if (window < 1)
    return op.emitOpError("expects a `window` of 1 or more, got ") << window;
  if (op.getSoftcap() && !(op.getSoftcap()->convertToDouble() > 0))
    return op.emitOpError("expects `softcap` above 0, got ") << op.getSoftcap()->convertToDouble();
  return success();
}
template <typename Attention> static LogicalResult expectSinks(Attention op) {
  if (!op.getSinks())
    return success();
  Type sinks = op.getSinks().getType();
  if (failed(expectShape(op, "sinks", sinks, {shapeOf(op.getQ().getType())[2]}, op.getQ())))
    return failure();
  return expectElement(op, "sinks", sinks, fullType(op.getQ().getType()));
}

//===----------------------------------------------------------------------===//
// Whole sequences
//===----------------------------------------------------------------------===//

LogicalResult SoftmaxAttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                                   DictionaryAttr, OpaqueProperties, RegionRange,
                                                   SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 3, 5, {0, 2}, location)))
    return failure();
  auto q = cast<RankedTensorType>(operands[0].getType());
  types.push_back(outputType(operands[0], operands[2])); // softmax_attention.C2
  types.push_back(RankedTensorType::get({q.getDimSize(0), q.getDimSize(2), q.getDimSize(1)}, fullType(q)));
  return success();
}

LogicalResult SoftmaxAttentionOp::verify() {
  if (failed(expectHeads(*this, getQ(), getK(), getV())) || // softmax_attention.C1
      failed(expectForm(*this)))                            // softmax_attention.C3
    return failure();
  if (failed(expectSinks(*this))) // softmax_attention.C4
    return failure();
  return expectDocuments(*this, getDocuments(), getQ()); // softmax_attention.C5
}

LogicalResult SoftmaxAttentionGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> location,
                                                       ValueRange operands, DictionaryAttr, OpaqueProperties,
                                                       RegionRange, SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 6, 8, {}, location)))
    return failure();
  for (unsigned source : {1, 2, 3}) // softmax_attention_grad.C2
    types.push_back(operands[source].getType());
  // Sinks come before documents, and are no integers.
  if (operands.size() > 6 &&
      !isa<IntegerType>(getElementTypeOrSelf(operands[6].getType()))) // softmax_attention_grad.C2
    types.push_back(operands[6].getType());
  return success();
}

LogicalResult SoftmaxAttentionGradOp::verify() {
  if (failed(expectHeads(*this, getQ(), getK(), getV())) || failed(expectForm(*this)) || failed(expectSinks(*this)) ||
      failed(expectDocuments(*this, getDocuments(), getQ()))) // softmax_attention_grad.C1
    return failure();
  ArrayRef<int64_t> q = shapeOf(getQ().getType());
  Type y = outputType(getQ(), getV());
  if (failed(expectType(*this, "dy", getDy().getType(), y)) || // softmax_attention_grad.C1
      failed(expectType(*this, "y", getY().getType(), y)) ||
      failed(expectShape(*this, "lse", getLse().getType(), {q[0], q[2], q[1]}, getQ())))
    return failure();
  return expectElement(*this, "lse", getLse().getType(), fullType(getQ().getType())); // softmax_attention_grad.C1
}

//===----------------------------------------------------------------------===//
// New tokens over a cache
//===----------------------------------------------------------------------===//

LogicalResult CachedAttentionOp::inferReturnTypes(MLIRContext *, std::optional<Location> location, ValueRange operands,
                                                  DictionaryAttr, OpaqueProperties, RegionRange,
                                                  SmallVectorImpl<Type> &types) {
  if (failed(expectOperands(operands, 6, 8, {0, 2}, location)))
    return failure();
  types.push_back(outputType(operands[0], operands[2])); // cached_attention.C2
  for (unsigned source : {3, 4})                         // cached_attention.C2
    types.push_back(operands[source].getType());
  return success();
}

LogicalResult CachedAttentionOp::verify() {
  if (failed(expectHeads(*this, getQ(), getK(), getV()))) // cached_attention.C1
    return failure();
  ArrayRef<int64_t> k = shapeOf(getK().getType());
  if (k[0] != 1) // cached_attention.C1
    return emitOpError("expects a batch of 1, got ") << k[0];
  if (failed(expectRank(*this, "k_cache", getKCache().getType(), 3))) // cached_attention.C1
    return failure();
  int64_t capacity = shapeOf(getKCache().getType())[0], valueDim = lastExtent(getV().getType());
  if (failed(expectShape(*this, "k_cache", getKCache().getType(), {capacity, k[2], k[3]}, getK())) ||
      failed(expectElement(*this, "k_cache", getKCache().getType(), elementOf(getK().getType()))) ||
      failed(expectShape(*this, "v_cache", getVCache().getType(), {capacity, k[2], valueDim}, getV())) ||
      failed(expectElement(*this, "v_cache", getVCache().getType(), elementOf(getV().getType()))))
    return failure();
  if (capacity < k[1]) // cached_attention.C1
    return emitOpError("expects caches with room for the ") << k[1] << " new tokens, got " << capacity;
  if (failed(expectForm(*this)) || failed(expectSinks(*this)) ||
      failed(expectDocuments(*this, getDocuments(), getQ()))) // cached_attention.C3
    return failure();
  return expectShape(*this, "position", getPosition().getType(), {}); // cached_attention.C1
}
