//===- BlockBuilder.cpp - one block, in tensor-level ops --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The blocks that work position by position, and the small vocabulary that all blocks are written in. Attention
// and Mamba are in MixingBlocks.cpp, mixtures in MixtureBlocks.cpp.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using llvm::StringRef;

namespace moire {

BlockBuilder::BlockBuilder(OpBuilder &builder, const ExpansionContext &context, Operation *op,
                           llvm::function_ref<Value(StringRef, StringRef)> parameter, ArrayRef<Value> states,
                           Routings &routings)
    : b(builder), context(context), op(op), loc(op->getLoc()), parameter(parameter), states(states),
      routings(routings) {}

FailureOr<Value> BlockBuilder::expand(ArrayRef<Value> operands) {
  return llvm::TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](EmbedOp block) { return embed(block, operands[0]); })
      .Case([&](LearnedPositionsOp block) { return positions(block, operands[0]); })
      .Case([&](NormOp block) {
        Value y = norm(block, operands[0]);
        reportSizes(y);
        return y;
      })
      .Case([&](SinusoidalPositionsOp) { return sinusoids(operands[0]); })
      .Case([&](AttentionOp block) { return attention(block, operands[0]); })
      .Case([&](LatentAttentionOp block) { return latentAttention(block, operands[0]); })
      .Case([&](DenseOp block) { return affine(operands[0], "", block.getBias()); })
      .Case([&](MlpOp block) { return mlp(block, operands[0]); })
      .Case([&](SwigluOp block) { return swiglu(block, operands[0]); })
      .Case([&](RouterOp block) { return router(block, operands[0], block.getTokens() ? operands[1] : Value()); })
      .Case([&](ExpertsOp block) { return experts(block, operands[0], routings.at(block.getRouting())); })
      .Case([&](MambaOp block) { return mamba(block, operands[0]); })
      .Case([&](Mamba2Op block) { return mamba2(block, operands[0]); })
      .Case([&](Conv1dOp block) { return conv1d(block, operands[0]); })
      .Case([&](ShiftOp block) { return shift(block, operands[0]); })
      .Case([&](StackOp block) { return reshape(operands[0], shapeOf(block.getY())); })
      .Case([&](UnstackOp block) { return reshape(operands[0], shapeOf(block.getY())); })
      .Case([&](ConcatOp block) { return concat(operands, block.getDim()); })
      .Case([&](HeadOp block) { return head(block, operands[0]); })
      .Case([&](UnaryOp block) { return unary(block.getKind(), operands[0]); })
      .Case([&](BinaryOp block) { return binary(block.getKind(), operands[0], operands[1]); })
      .Case([&](ScaleOp block) -> FailureOr<Value> {
        return ScaleOp::create(b, loc, operands[0].getType(), operands[0], block.getFactorAttr()).getY();
      })
      .Default([&](Operation *other) -> FailureOr<Value> {
        return other->emitError("the op does not belong to the model level");
      });
}

// ---- The blocks ----------------------------------------------------------------------------------------------------

Value BlockBuilder::embed(EmbedOp op, Value tokens) { return LookupOp::create(b, loc, tokens, own("weight")).getY(); }

Value BlockBuilder::positions(LearnedPositionsOp op, Value x) {
  Value table = own("weight");
  if (context.documents)
    return LookupOp::create(b, loc, context.documents, table).getY();
  if (stepping())
    table =
        DynamicSliceOp::create(b, loc, type({shapeOf(x)[1], shapeOf(x)[2]}, elementOf(table)), table, context.position)
            .getY();
  return BroadcastOp::create(b, loc, x.getType(), table).getY();
}

Value BlockBuilder::sinusoids(Value x) {
  constexpr double base = 10000;
  int64_t time = shapeOf(x)[1], width = widthOf(x), length = tableLength(time);
  auto table = type({length, width / 2}, full());
  auto tables = RotaryTableOp::create(b, loc, table, table, b.getF64FloatAttr(base), /*scaling=*/{}, /*factor=*/{},
                                      /*original=*/{}, /*fast=*/b.getF64FloatAttr(32),
                                      /*slow=*/b.getF64FloatAttr(1), /*exact=*/{});
  // Sines and cosines take turns.
  auto column = [&](Value values) { return reshape(values, {length, width / 2, 1}); };
  Value rows = reshape(concat({column(tables.getSin()), column(tables.getCos())}, 2), {length, width});
  if (context.documents)
    return LookupOp::create(b, loc, context.documents, cast(rows, elementOf(x))).getY();
  rows = cast(positionRows(rows, time), elementOf(x));
  return BroadcastOp::create(b, loc, x.getType(), rows).getY();
}

Value BlockBuilder::norm(NormOp op, Value x) {
  if (op.getKind() == NormKind::Rms)
    return rmsNorm(x, own("weight"), op.getEpsAttr(), op.getGroups());
  // The tensor-level op always adds a bias; without one it adds zero, which fusion folds away.
  Value bias =
      op.getBias() ? own("bias") : FillOp::create(b, loc, type({widthOf(x)}, full()), b.getF64FloatAttr(0)).getY();
  return LayerNormOp::create(b, loc, x, own("weight"), bias, op.getEpsAttr()).getY();
}

Value BlockBuilder::mlp(MlpOp op, Value x) {
  Value hidden = unary(op.getActivation(), affine(x, "up", op.getBias()));
  reportSizes(hidden);
  return affine(hidden, "down", op.getBias());
}

Value BlockBuilder::swiglu(SwigluOp op, Value x) {
  FeedForward form{true, op.getActivation(), op.getLimit(), op.getAlpha().convertToDouble(),
                   op.getOffset().convertToDouble()};
  Value hidden = middle(form, affine(x, "gate_up", op.getBias()));
  reportSizes(hidden);
  return affine(hidden, "down", op.getBias());
}

Value BlockBuilder::head(HeadOp op, Value x) {
  if (stepping()) // only the last of the new tokens is asked for
    x = slice(x, 1, shapeOf(x)[1] - 1, 1);
  Value logits = op.getTied() ? linear(x, parameter(*op.getTied(), "weight"), full(), /*transpose=*/true)
                              : linear(x, own("weight"), full());
  if (op.getBias())
    logits = binary(Binary::Add, logits, own("bias"));
  if (!op.getSoftcap())
    return logits;
  double cap = op.getSoftcap()->convertToDouble();
  auto scale = [&](Value value, double factor) {
    return ScaleOp::create(b, loc, value.getType(), value, b.getF64FloatAttr(factor)).getY();
  };
  return scale(unary(Unary::Tanh, scale(logits, 1 / cap)), cap);
}

// ---- The vocabulary ------------------------------------------------------------------------------------------------

Value BlockBuilder::own(StringRef suffix) {
  return parameter(op->getAttrOfType<StringAttr>("path").getValue(), suffix);
}

RankedTensorType BlockBuilder::type(ArrayRef<int64_t> shape, Type element) const {
  return RankedTensorType::get(shape, element);
}

Value BlockBuilder::linear(Value x, Value w, Type element, bool transpose) {
  llvm::SmallVector<int64_t> shape(shapeOf(x));
  shape.back() = shapeOf(w)[transpose ? 0 : 1];
  return LinearOp::create(b, loc, type(shape, element), x, w, /*bias=*/Value(), transpose).getY();
}

Value BlockBuilder::affine(Value x, StringRef name, bool bias) {
  std::string prefix = name.empty() ? "" : (name + ".").str();
  Value y = linear(x, own(prefix + "weight"), activation());
  return bias ? binary(Binary::Add, y, own(prefix + "bias")) : y;
}

Value BlockBuilder::unary(Unary kind, Value x) {
  return UnaryOp::create(b, loc, x.getType(), x, UnaryAttr::get(b.getContext(), kind)).getY();
}

Value BlockBuilder::binary(Binary kind, Value a, Value c) {
  return BinaryOp::create(b, loc, a, c, BinaryAttr::get(b.getContext(), kind)).getY();
}

Value BlockBuilder::slice(Value x, int64_t dim, int64_t offset, int64_t size) {
  llvm::SmallVector<int64_t> shape(shapeOf(x));
  shape[dim] = size;
  return SliceOp::create(b, loc, type(shape, elementOf(x)), x, b.getI64IntegerAttr(dim), b.getI64IntegerAttr(offset))
      .getY();
}

Value BlockBuilder::concat(ValueRange xs, int64_t dim) {
  llvm::SmallVector<int64_t> shape(shapeOf(xs[0]));
  shape[dim] = 0;
  for (Value x : xs)
    shape[dim] += shapeOf(x)[dim];
  return ConcatOp::create(b, loc, type(shape, elementOf(xs[0])), xs, b.getI64IntegerAttr(dim)).getY();
}

Value BlockBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  return ReshapeOp::create(b, loc, type(shape, elementOf(x)), x).getY();
}

Value BlockBuilder::cast(Value x, Type element) {
  if (elementOf(x) == element)
    return x;
  return CastOp::create(b, loc, type(shapeOf(x), element), x).getY();
}

Value BlockBuilder::shifted(Value x, double offset) {
  if (offset == 0)
    return x;
  Value number = FillOp::create(b, loc, type({}, elementOf(x)), b.getF64FloatAttr(offset));
  return binary(Binary::Add, x, number);
}

Value BlockBuilder::middle(const FeedForward &form, Value x) {
  if (!form.gated)
    return unary(form.activation, x);
  int64_t last = shapeOf(x).size() - 1, half = shapeOf(x).back() / 2;
  Value g = slice(x, last, 0, half), u = slice(x, last, half, half);
  if (form.limit) {
    double limit = form.limit->convertToDouble();
    g = ClampOp::create(b, loc, g.getType(), g, FloatAttr(), b.getF64FloatAttr(limit));
    u = ClampOp::create(b, loc, u.getType(), u, b.getF64FloatAttr(-limit), b.getF64FloatAttr(limit));
  }
  g = scaled(unary(form.activation, scaled(g, form.alpha)), 1 / form.alpha);
  return binary(Binary::Mul, g, shifted(u, form.offset));
}

} // namespace moire
