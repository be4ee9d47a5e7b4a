//===- MixingBlocks.cpp - attention and Mamba ------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The blocks that mix positions, with the states they keep while decoding.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

#include <cmath>

using namespace mlir;
using llvm::StringRef;

namespace moire {

// ---- Attention -----------------------------------------------------------------------------------------------------

Value BlockBuilder::rotate(Value x, Value cos, Value sin) {
  return RopeOp::create(b, loc, x.getType(), x, cos, sin, /*inverse=*/false).getY();
}

Value BlockBuilder::attention(AttentionOp op, Value x) {
  int64_t batch = shapeOf(x)[0], time = shapeOf(x)[1];
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), dim = op.getHeadDim();
  Value qkv = affine(x, "qkv", op.getBias());
  auto part = [&](int64_t offset, int64_t count) {
    return reshape(slice(qkv, 2, offset * dim, count * dim), {batch, time, count, dim});
  };
  Value q = part(0, heads), k = part(heads, kvHeads), v = part(heads + kvHeads, kvHeads);

  if (op.getRopeBase()) {
    int64_t length = stepping() ? context.decodeContext : time;
    auto table = type({length, dim / 2}, full());
    auto tables = RotaryTableOp::create(b, loc, table, table, op.getRopeBaseAttr());
    Value cos = tables.getCos(), sin = tables.getSin();
    if (stepping()) {
      auto rows = type({time, dim / 2}, full());
      cos = DynamicSliceOp::create(b, loc, rows, cos, context.position).getY();
      sin = DynamicSliceOp::create(b, loc, rows, sin, context.position).getY();
    }
    q = rotate(q, cos, sin);
    k = rotate(k, cos, sin);
  }

  FloatAttr scale = b.getF64FloatAttr(1 / std::sqrt(double(dim)));
  Value y;
  if (stepping()) {
    auto cached = CachedAttentionOp::create(b, loc, q, k, v, states[0], states[1], context.position, scale);
    y = cached.getY();
    newStates = {cached.getKOut(), cached.getVOut()};
  } else {
    y = CausalAttentionOp::create(b, loc, q, k, v, scale).getY();
  }
  return affine(reshape(y, {batch, time, heads * dim}), "out", op.getBias());
}

// ---- Mamba ---------------------------------------------------------------------------------------------------------

Value BlockBuilder::mamba(MambaOp op, Value x) {
  int64_t inner = op.getExpand() * widthOf(x), state = op.getState(), rank = op.getDtRank(), taps = op.getConv();
  Value projected = linear(x, own("in_proj.weight"), activation());
  Value u = slice(projected, 2, 0, inner), g = slice(projected, 2, inner, inner);

  Padding padding = Padding::Causal;
  auto uType = u.getType();
  if (stepping()) {
    // The state holds the last inputs; with them in front nothing is missing before the beginning.
    Value window = taps > 1 ? concat({states[0], u}, 1) : u;
    if (taps > 1)
      newStates.push_back(slice(window, 1, shapeOf(window)[1] - (taps - 1), taps - 1));
    u = window;
    padding = Padding::Valid;
  }
  u = ConvOp::create(b, loc, uType, u, own("conv.weight"), own("conv.bias"),
                     PaddingAttr::get(b.getContext(), padding))
          .getY();
  u = unary(Unary::Silu, u);

  Value selected = linear(u, own("x_proj.weight"), activation());
  Value low = slice(selected, 2, 0, rank);
  Value in = slice(selected, 2, rank, state), out = slice(selected, 2, rank + state, state);
  Value dt = linear(low, own("dt_proj.weight"), full());
  dt = unary(Unary::Softplus, binary(Binary::Add, dt, own("dt_proj.bias")));
  Value a = unary(Unary::Neg, unary(Unary::Exp, own("A_log")));

  Value y;
  if (stepping()) {
    auto scan = StatefulScanOp::create(b, loc, u, dt, a, in, out, own("D"), states.back());
    y = scan.getY();
    newStates.push_back(scan.getStateOut());
  } else {
    y = SelectiveScanOp::create(b, loc, u, dt, a, in, out, own("D")).getY();
  }
  return linear(binary(Binary::Mul, y, unary(Unary::Silu, g)), own("out_proj.weight"), activation());
}

// ---- States --------------------------------------------------------------------------------------------------------

llvm::SmallVector<RankedTensorType> BlockBuilder::stateTypes(Operation *op, const ExpansionContext &context) {
  if (auto attention = dyn_cast<AttentionOp>(op)) {
    auto cache = RankedTensorType::get({context.decodeContext, static_cast<int64_t>(attention.getKvHeads()),
                                        static_cast<int64_t>(attention.getHeadDim())},
                                       context.precision.activation);
    return {cache, cache};
  }
  if (auto mamba = dyn_cast<MambaOp>(op)) {
    int64_t inner = mamba.getExpand() * widthOf(mamba.getX()), taps = mamba.getConv();
    llvm::SmallVector<RankedTensorType> types;
    if (taps > 1)
      types.push_back(RankedTensorType::get({1, taps - 1, inner}, context.precision.activation));
    types.push_back(RankedTensorType::get({1, inner, static_cast<int64_t>(mamba.getState())}, context.precision.full));
    return types;
  }
  return {};
}

} // namespace moire
