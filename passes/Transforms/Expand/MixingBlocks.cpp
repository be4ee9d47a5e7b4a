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

/// What Jamba adds to the mean squares of Mamba's inner norms.
static constexpr double innerNormEps = 1e-6;

Value BlockBuilder::mamba(MambaOp op, Value x) {
  int64_t inner = op.getExpand() * widthOf(x), state = op.getState(), rank = op.getDtRank(), taps = op.getConv();
  Value projected = linear(x, own("in_proj.weight"), activation());
  Value u = slice(projected, 2, 0, inner), g = slice(projected, 2, inner, inner);

  u = convolve(u, taps);

  Value selected = linear(u, own("x_proj.weight"), activation());
  Value low = slice(selected, 2, 0, rank);
  Value in = slice(selected, 2, rank, state), out = slice(selected, 2, rank + state, state);
  if (op.getInnerNorm()) {
    FloatAttr eps = b.getF64FloatAttr(innerNormEps);
    low = rmsNorm(low, own("dt_norm.weight"), eps);
    in = rmsNorm(in, own("b_norm.weight"), eps);
    out = rmsNorm(out, own("c_norm.weight"), eps);
  }
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
  if (auto mamba = dyn_cast<Mamba2Op>(op)) {
    int64_t taps = mamba.getConv();
    llvm::SmallVector<RankedTensorType> types;
    if (taps > 1)
      types.push_back(RankedTensorType::get({1, taps - 1, mamba.getConvolved()}, context.precision.activation));
    types.push_back(RankedTensorType::get(
        {1, mamba.getHeads(), static_cast<int64_t>(mamba.getState()), static_cast<int64_t>(mamba.getHeadDim())},
        context.precision.full));
    return types;
  }
  return {};
}

} // namespace moire
