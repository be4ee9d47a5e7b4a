//===- GroupBlocks.cpp - routers over groups of sequences -------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Where no token chooses: experts take the tokens that they score highest, or all of them, or mixtures of them
// (arXiv 2310.15961). Tokens meet at one position only, so that nothing of the future is seen.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"

using namespace mlir;

namespace moire {

Value BlockBuilder::scaled(Value x, double factor) {
  if (factor == 1)
    return x;
  return ScaleOp::create(b, loc, x.getType(), x, b.getF64FloatAttr(factor)).getY();
}

void BlockBuilder::expertChoice(RouterOp op, Value x) {
  int64_t experts = op.getExperts(), group = op.getGroup();
  int64_t groups = shapeOf(x)[0] / group * shapeOf(x)[1];
  // In a group of one sequence each expert takes the one token: every token goes to every expert.
  int64_t count = op.getChoice() == Choice::Dense ? 1 : *op.getTokensPerGroup();
  Value logits = this->logits(op, x);
  Value probs = SoftmaxOp::create(b, loc, logits.getType(), logits).getY();
  Type i32 = b.getI32Type();
  auto choice = ChooseTokensOp::create(b, loc, type({experts + 1}, i32), type({experts * groups * count}, i32),
                                       type(shapeOf(logits), i32), probs, group, count);
  routings[op.getRouting()] = {scaled(probs, op.getScale().convertToDouble()),
                               choice.getOffsets(),
                               choice.getRows(),
                               choice.getPosition(),
                               Value(),
                               group};
  if (context.mode == Mode::Train)
    reportScores(op, logits, probs);
}

Value BlockBuilder::tempered(RouterOp op, Value logits) {
  if (!op.getLearnedTemperature())
    return scaled(logits, 1 / op.getTemperature().convertToDouble());
  Value t = own("temperature"); // one number, or one for each choice
  Value one = FillOp::create(b, loc, t.getType(), b.getF64FloatAttr(1));
  return binary(Binary::Mul, logits, unary(Unary::Exp, binary(Binary::Sub, one, t)));
}

void BlockBuilder::mixture(RouterOp op, Value x) {
  int64_t experts = op.getExperts(), group = op.getGroup();
  Value wide = cast(x, full());
  auto overGroup = [&](Value logits) -> Value {
    return GroupSoftmaxOp::create(b, loc, logits.getType(), logits, group).getY();
  };
  Value logits = tempered(op, this->logits(op, x));
  Value weights = overGroup(logits), emit = weights;
  if (op.getEmit() == Emit::Separate)
    emit = overGroup(tempered(op, linear(wide, own("emit.weight"), full())));
  else if (op.getEmit() == Emit::SoftmaxExperts)
    emit = SoftmaxOp::create(b, loc, logits.getType(), logits).getY();
  int64_t groups = shapeOf(x)[0] / group * shapeOf(x)[1];
  Value offsets = EvenOffsetsOp::create(b, loc, type({experts + 1}, b.getI32Type()), groups).getOffsets();
  routings[op.getRouting()] = {weights, offsets, Value(), Value(), scaled(emit, op.getScale().convertToDouble()),
                               group};
}

} // namespace moire
