//===- MixingBlocks.cpp - Mamba, and what blocks keep ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The blocks that scan positions, and, for all blocks, the states they keep while decoding. Attention is in
// AttentionBlocks.cpp.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

#include <cmath>

using namespace mlir;
using llvm::StringRef;

namespace moire {

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
    auto scan = StatefulScanOp::create(b, loc, u, dt, a, in, out, own("D"), states.back(), context.documents);
    y = scan.getY();
    newStates.push_back(scan.getStateOut());
  } else {
    y = SelectiveScanOp::create(b, loc, u, dt, a, in, out, own("D"), context.documents).getY();
  }
  return linear(binary(Binary::Mul, y, unary(Unary::Silu, g)), own("out_proj.weight"), activation());
}

// ---- States --------------------------------------------------------------------------------------------------------

llvm::SmallVector<RankedTensorType> BlockBuilder::stateTypes(Operation *op, const ExpansionContext &context) {
  auto caches = [&](int64_t heads, int64_t dim, int64_t valueDim) -> llvm::SmallVector<RankedTensorType> {
    Type element = context.precision.activation;
    return {RankedTensorType::get({context.decodeContext, heads, dim}, element),
            RankedTensorType::get({context.decodeContext, heads, valueDim}, element)};
  };
  if (auto attention = dyn_cast<AttentionOp>(op))
    return caches(attention.getKvHeads(), attention.getHeadDim(), attention.valueSize());
  if (auto attention = dyn_cast<LatentAttentionOp>(op))
    return caches(attention.getHeads(), attention.getNopeDim() + attention.getRopeDim(), attention.getValueDim());
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
