//===- AttentionBlocks.cpp - attention and latent attention -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Projections, norms and rotations around the one attention of the tensor level.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

#include <cmath>

using namespace mlir;
using llvm::StringRef;

namespace moire {

// ---- Positions -----------------------------------------------------------------------------------------------------

Value BlockBuilder::positionRows(Value table, int64_t time) {
  if (!stepping())
    return table;
  auto rows = type({time, shapeOf(table)[1]}, elementOf(table));
  return DynamicSliceOp::create(b, loc, rows, table, context.position).getY();
}

template <typename Attention>
std::pair<Value, Value> BlockBuilder::rotaryRows(Attention op, int64_t time, int64_t size) {
  auto table = type({tableLength(time), size / 2}, full());
  auto tables = RotaryTableOp::create(b, loc, table, table, op.getRopeBaseAttr(), op.getRopeScalingAttr(),
                                      op.getRopeFactorAttr(), op.getRopeOriginalAttr(), op.getRopeFastAttr(),
                                      op.getRopeSlowAttr(), op.getRopeExactAttr());
  return {positionRows(tables.getCos(), time), positionRows(tables.getSin(), time)};
}

Value BlockBuilder::rotate(Value x, std::pair<Value, Value> rows, int64_t size, bool interleaved) {
  int64_t dim = shapeOf(x).back();
  Value turned = size == dim ? x : slice(x, 3, 0, size);
  if (interleaved) {
    llvm::SmallVector<int64_t> whole(shapeOf(turned)), pairs(whole);
    pairs.back() = size / 2;
    pairs.push_back(2);
    Value paired = reshape(turned, pairs);
    turned = reshape(concat({slice(paired, 4, 0, 1), slice(paired, 4, 1, 1)}, 3), whole);
  }
  turned = RopeOp::create(b, loc, turned.getType(), turned, rows.first, rows.second, /*inverse=*/false).getY();
  return size == dim ? turned : concat({turned, slice(x, 3, size, dim - size)}, 3);
}

/// What stretched positions multiply the scores by: see moire.attention.
template <typename Attention> static double temperature(Attention op) {
  if (op.getRopeScaling() != RopeScaling::Yarn)
    return 1;
  double root = 0.1 * std::log(op.getRopeFactor()->convertToDouble()) + 1;
  return root * root;
}

/// What scores are multiplied by: 1 / sqrt(dim), under muP sqrt(base dim) / dim (arXiv 2203.03466, definition 4.1).
static double standardScale(Operation *op, StringRef path, int64_t dim) {
  double root = std::sqrt(double(dim));
  for (auto mup : op->getParentOfType<ModuleOp>().getOps<MupOp>())
    if (auto base = mup.getBase().getAs<DenseI64ArrayAttr>(path); base && base[0] != dim)
      return std::sqrt(double(base[0])) / double(dim);
  return 1 / root;
}

// ---- Parts ---------------------------------------------------------------------------------------------------------

Value BlockBuilder::rmsNorm(Value x, StringRef suffix) {
  constexpr double eps = 1e-6;
  return RmsNormOp::create(b, loc, x, own(suffix), b.getF64FloatAttr(eps)).getY();
}

Value BlockBuilder::gateHeads(OutputGate gate, Value x, Value y) {
  llvm::SmallVector<int64_t> shape(shapeOf(y));
  if (gate == OutputGate::Element)
    return binary(Binary::Mul, y, reshape(unary(Unary::Sigmoid, affine(x, "gate", /*bias=*/false)), shape));
  int64_t dim = shape.back();
  Value open = unary(Unary::Sigmoid, linear(x, own("gate.weight"), full()));
  shape.back() = 1;
  return binary(Binary::Mul, y, TileOp::create(b, loc, reshape(open, shape), dim).getY());
}

// ---- Blocks --------------------------------------------------------------------------------------------------------

Value BlockBuilder::attention(AttentionOp op, Value x) {
  int64_t batch = shapeOf(x)[0], time = shapeOf(x)[1], heads = op.getHeads(), kvHeads = op.getKvHeads();
  int64_t dim = op.getHeadDim(), valueDim = op.valueSize();
  Value qkv = affine(x, "qkv", op.getBias());
  int64_t offset = 0;
  auto part = [&](int64_t count, int64_t size, StringRef norm) {
    Value piece = slice(qkv, 2, offset, count * size);
    offset += count * size;
    if (!norm.empty() && op.getQkNorm() == QkNorm::Full)
      piece = rmsNorm(piece, norm);
    piece = reshape(piece, {batch, time, count, size});
    return !norm.empty() && op.getQkNorm() == QkNorm::Head ? rmsNorm(piece, norm) : piece;
  };
  Value q = part(heads, dim, "q_norm.weight"), k = part(kvHeads, dim, "k_norm.weight"), v = part(kvHeads, valueDim, "");

  if (op.getRopeBase()) {
    auto rows = rotaryRows(op, time, op.rotatedSize());
    q = rotate(q, rows, op.rotatedSize(), op.getRopeInterleaved());
    k = rotate(k, rows, op.rotatedSize(), op.getRopeInterleaved());
  }
  double scale = op.getScale() ? op.getScale()->convertToDouble() : standardScale(op, op.getPath(), dim);
  FloatAttr factor = b.getF64FloatAttr(scale * temperature(op));
  Value sinks = op.getSinks() ? own("sinks") : Value(), y;
  if (stepping()) {
    auto cached =
        CachedAttentionOp::create(b, loc, q, k, v, states[0], states[1], context.position, sinks, context.documents,
                                  op.getWindowAttr(), factor, op.getSoftcapAttr(), op.getAlibiAttr());
    y = cached.getY();
    newStates = {cached.getKOut(), cached.getVOut()};
  } else {
    y = SoftmaxAttentionOp::create(b, loc, q, k, v, sinks, context.documents, op.getBidirectionalAttr(),
                                   op.getWindowAttr(), factor, op.getSoftcapAttr(), op.getAlibiAttr())
            .getY();
  }
  if (op.getGate())
    y = gateHeads(*op.getGate(), x, y);
  return affine(reshape(y, {batch, time, heads * valueDim}), "out", op.getBias());
}

Value BlockBuilder::latentAttention(LatentAttentionOp op, Value x) {
  int64_t batch = shapeOf(x)[0], time = shapeOf(x)[1], heads = op.getHeads();
  int64_t latent = op.getKvLatent(), plain = op.getNopeDim(), turned = op.getRopeDim(), valueDim = op.getValueDim();
  auto perHead = [&](Value value, int64_t size) { return reshape(value, {batch, time, heads, size}); };
  auto product = [&](Value input, StringRef name) { return affine(input, name, /*bias=*/false); };

  Value q = op.getQLatent() ? product(rmsNorm(product(x, "q_down"), "q_norm.weight"), "q_up") : product(x, "q");
  q = perHead(q, plain + turned);
  Value down = product(x, "kv_down");
  Value kv = perHead(product(rmsNorm(slice(down, 2, 0, latent), "kv_norm.weight"), "kv_up"), plain + valueDim);

  auto rows = rotaryRows(op, time, turned);
  bool pairs = op.getRopeInterleaved();
  q = concat({slice(q, 3, 0, plain), rotate(slice(q, 3, plain, turned), rows, turned, pairs)}, 3);
  Value shared = rotate(reshape(slice(down, 2, latent, turned), {batch, time, 1, turned}), rows, turned, pairs);
  Value spread = TileOp::create(b, loc, reshape(shared, {batch, time, turned}), heads).getY();
  Value k = concat({slice(kv, 3, 0, plain), perHead(spread, turned)}, 3), v = slice(kv, 3, plain, valueDim);

  FloatAttr scale = b.getF64FloatAttr(temperature(op) * standardScale(op, op.getPath(), plain + turned));
  Value y;
  if (stepping()) {
    auto cached = CachedAttentionOp::create(b, loc, q, k, v, states[0], states[1], context.position, /*sinks=*/Value(),
                                            context.documents,
                                            /*window=*/IntegerAttr(), scale, /*softcap=*/FloatAttr(),
                                            /*alibi=*/UnitAttr());
    y = cached.getY();
    newStates = {cached.getKOut(), cached.getVOut()};
  } else {
    y = SoftmaxAttentionOp::create(b, loc, q, k, v, /*sinks=*/Value(), context.documents, /*bidirectional=*/UnitAttr(),
                                   /*window=*/IntegerAttr(), scale, /*softcap=*/FloatAttr(), /*alibi=*/UnitAttr())
            .getY();
  }
  return product(reshape(y, {batch, time, heads * valueDim}), "out");
}

} // namespace moire
