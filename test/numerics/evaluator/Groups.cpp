//===- test/numerics/evaluator/Groups.cpp - groups over kernels/reference -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mixtures of tokens and the choice of tokens by experts.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "kernels/include/Reference.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moire::evaluator {

bool evaluateGroups(Operation *op, Frame &f) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<GroupSoftmaxOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getX().getType().getShape();
        moire_reference_group_softmax_f64(shape[0], shape[1], shape[2], op.getGroup(), f.in(op.getX()),
                                          f.out(op.getY()));
        return true;
      })
      .Case<GroupSoftmaxGradOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getY().getType().getShape();
        moire_reference_group_softmax_backward_f64(shape[0], shape[1], shape[2], op.getGroup(), f.in(op.getY()),
                                                   f.in(op.getDy()), f.out(op.getDx()));
        return true;
      })
      .Case<MixOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getWeights().getType().getShape();
        int64_t width = lastExtent(op.getX().getType());
        moire_reference_mix_f64(shape[0], shape[1], shape[2], op.getGroup(), width, f.in(op.getWeights()),
                                f.in(op.getX()), width, f.out(op.getM()), width);
        return true;
      })
      .Case<UnmixOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getWeights().getType().getShape();
        int64_t width = lastExtent(op.getX().getType());
        moire_reference_unmix_f64(shape[0], shape[1], shape[2], op.getGroup(), width, f.in(op.getWeights()),
                                  f.in(op.getM()), width, f.out(op.getX()), width);
        return true;
      })
      .Case<MixGradWeightsOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getDweights().getType().getShape();
        int64_t width = lastExtent(op.getX().getType());
        moire_reference_mix_weights_f64(shape[0], shape[1], shape[2], op.getGroup(), width, f.in(op.getX()), width,
                                        f.in(op.getM()), width, f.out(op.getDweights()));
        return true;
      })
      .Case<ChooseTokensOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getScores().getType().getShape();
        moire_reference_choose_tokens_f64(shape[0], shape[1], shape[2], op.getGroup(), op.getCount(),
                                          f.in(op.getScores()), f.outInts(op.getOffsets()), f.outInts(op.getRows()),
                                          f.outInts(op.getPosition()));
        return true;
      })
      .Case<EvenOffsetsOp>([&](auto op) {
        int32_t *offsets = f.outInts(op.getOffsets());
        for (int64_t e = 0; e < op.getOffsets().getType().getNumElements(); ++e)
          offsets[e] = static_cast<int32_t>(e * op.getRows());
        return true;
      })
      .Default([](Operation *) { return false; });
}

} // namespace moire::evaluator
