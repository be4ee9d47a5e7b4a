//===- Mamba2Block.cpp - Mamba-2, and what Mamba layers share ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The convolution over the last tokens, RMSNorm by slices, and the layer of arXiv 2405.21060.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

using namespace mlir;

namespace moire {

Value BlockBuilder::rmsNorm(Value x, Value weight, FloatAttr eps, int64_t groups) {
  if (groups == 1)
    return RmsNormOp::create(b, loc, x, weight, eps).getY();
  // The slices become rows; the weight is multiplied after, since each slice has its own. All of it in full precision,
  // so that the result is rounded once.
  int64_t slice = widthOf(x) / groups;
  llvm::SmallVector<int64_t> shape(shapeOf(x).drop_back());
  shape.append({groups, slice});
  Value rows = cast(reshape(x, shape), full());
  Value ones = FillOp::create(b, loc, type({slice}, full()), b.getF64FloatAttr(1)).getY();
  Value y = RmsNormOp::create(b, loc, rows, ones, eps).getY();
  y = binary(Binary::Mul, y, reshape(weight, {groups, slice}));
  return reshape(cast(y, elementOf(x)), shapeOf(x));
}

Value BlockBuilder::convolve(Value x, int64_t taps) {
  auto type = x.getType();
  Padding padding = Padding::Causal;
  if (stepping()) {
    // The state holds the last inputs; with them in front nothing is missing before the beginning.
    Value window = taps > 1 ? concat({states[0], x}, 1) : x;
    if (taps > 1)
      newStates.push_back(slice(window, 1, shapeOf(window)[1] - (taps - 1), taps - 1));
    x = window;
    padding = Padding::Valid;
  }
  Value y = ConvOp::create(b, loc, type, x, own("conv.weight"), own("conv.bias"), context.documents,
                           PaddingAttr::get(b.getContext(), padding))
                .getY();
  return unary(Unary::Silu, y);
}

Value BlockBuilder::mamba2(Mamba2Op op, Value x) {
  int64_t batch = shapeOf(x)[0], time = shapeOf(x)[1], inner = op.getInner(), heads = op.getHeads();
  int64_t groups = op.getGroups(), state = op.getState(), dim = op.getHeadDim(), mixed = op.getConvolved();
  Value projected = linear(x, own("in_proj.weight"), activation());
  Value z = slice(projected, 2, 0, inner), step = slice(projected, 2, inner + mixed, heads);
  Value u = convolve(slice(projected, 2, inner, mixed), op.getConv());
  auto part = [&](int64_t offset, int64_t count, int64_t size) {
    return reshape(slice(u, 2, offset, count * size), {batch, time, count, size});
  };
  Value values = part(0, heads, dim), in = part(inner, groups, state),
        out = part(inner + groups * state, groups, state);
  Value dt = unary(Unary::Softplus, binary(Binary::Add, cast(step, full()), own("dt_bias")));
  Value a = unary(Unary::Neg, unary(Unary::Exp, own("A_log")));

  Value y;
  if (stepping()) {
    auto scan = StatefulSsdScanOp::create(b, loc, values, dt, a, in, out, own("D"), states.back(), context.documents,
                                          op.getChunk());
    y = scan.getY();
    newStates.push_back(scan.getStateOut());
  } else {
    y = SsdScanOp::create(b, loc, values, dt, a, in, out, own("D"), context.documents, op.getChunk()).getY();
  }
  y = binary(Binary::Mul, reshape(y, {batch, time, inner}), unary(Unary::Silu, z));
  if (op.getNorm())
    y = rmsNorm(y, own("norm.weight"), b.getF64FloatAttr(1e-5), groups);
  return linear(y, own("out_proj.weight"), activation());
}

} // namespace moire
