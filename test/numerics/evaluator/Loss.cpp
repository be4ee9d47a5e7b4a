//===- test/numerics/evaluator/Loss.cpp - losses and what they count ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cross-entropy, the losses of routers, and their reverse.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "llvm/ADT/TypeSwitch.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace moire::evaluator {
namespace {

double logSumExp(const double *x, int64_t width) {
  double largest = *std::max_element(x, x + width), sum = 0;
  for (int64_t i = 0; i < width; ++i)
    sum += std::exp(x[i] - largest);
  return largest + std::log(sum);
}

} // namespace

bool evaluateLoss(Operation *op, Frame &f) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<CrossEntropyOp>([&](auto op) {
        int64_t width = lastExtent(op.getLogits().getType()), rows = rowsOf(op.getLogits().getType());
        const double *logits = f.in(op.getLogits());
        const int32_t *targets = f.ints(op.getTargets());
        double *nll = f.out(op.getNll()), *lse = f.out(op.getLse());
        for (int64_t r = 0; r < rows; ++r) {
          lse[r] = logSumExp(logits + r * width, width);
          nll[r] = targets[r] < 0 ? 0 : lse[r] - logits[r * width + targets[r]];
        }
        return true;
      })
      .Case<CrossEntropyGradOp>([&](auto op) {
        int64_t width = lastExtent(op.getLogits().getType()), size = elementsOf(op.getLogits().getType());
        const double *logits = f.in(op.getLogits()), *lse = f.in(op.getLse()), *dnll = f.in(op.getDnll());
        const int32_t *targets = f.ints(op.getTargets());
        double *dlogits = f.out(op.getDlogits());
        for (int64_t i = 0; i < size; ++i) {
          int64_t r = i / width;
          double hit = i % width == targets[r] ? 1 : 0;
          dlogits[i] = targets[r] < 0 ? 0 : dnll[r] * (std::exp(logits[i] - lse[r]) - hit);
        }
        return true;
      })
      .Case<ZLossOp>([&](auto op) {
        int64_t width = lastExtent(op.getLogits().getType()), rows = rowsOf(op.getLogits().getType());
        const double *logits = f.in(op.getLogits());
        double *loss = f.out(op.getLoss()), *lse = f.out(op.getLse());
        double factor = op.getCoefficient().convertToDouble() / static_cast<double>(op.getTokens());
        for (int64_t r = 0; r < rows; ++r) {
          lse[r] = logSumExp(logits + r * width, width);
          loss[r] = factor * lse[r] * lse[r];
        }
        return true;
      })
      .Case<ZLossGradOp>([&](auto op) {
        int64_t width = lastExtent(op.getLogits().getType()), size = elementsOf(op.getLogits().getType());
        const double *logits = f.in(op.getLogits()), *lse = f.in(op.getLse()), *dloss = f.in(op.getDloss());
        double *dlogits = f.out(op.getDlogits());
        double factor = 2 * op.getCoefficient().convertToDouble() / static_cast<double>(op.getTokens());
        for (int64_t i = 0; i < size; ++i)
          dlogits[i] = dloss[i / width] * factor * lse[i / width] * std::exp(logits[i] - lse[i / width]);
        return true;
      })
      .Case<CountTargetsOp>([&](auto op) {
        const int32_t *targets = f.ints(op.getTargets());
        Tensor &y = f.make(op.getY());
        for (int64_t i = 0; i < y.size(); ++i)
          y.floats[i] = targets[i] >= 0 ? 1 : 0;
        return true;
      })
      .Case<ExpertLoadOp>([&](auto op) {
        const int32_t *offsets = f.ints(op.getOffsets());
        Tensor &y = f.make(op.getY());
        for (int64_t e = 0; e < y.size(); ++e)
          y.floats[e] = static_cast<double>(offsets[e + 1] - offsets[e]) / offsets[y.size()];
        return true;
      })
      .Case<BalanceLossOp>([&](auto op) {
        int64_t experts = lastExtent(op.getProbs().getType()), size = elementsOf(op.getProbs().getType());
        const double *probs = f.in(op.getProbs()), *load = f.in(op.getLoad());
        double factor = op.getFactor().convertToDouble() * static_cast<double>(experts) / static_cast<double>(size);
        double *loss = f.out(op.getLoss());
        for (int64_t i = 0; i < size; ++i)
          loss[0] += factor * probs[i] * load[i % experts];
        return true;
      })
      .Case<BalanceLossGradOp>([&](auto op) {
        const double *load = f.in(op.getLoad());
        double dloss = f.in(op.getDloss())[0] * op.getFactor().convertToDouble();
        Tensor &dprobs = f.make(op.getDprobs());
        int64_t experts = lastExtent(dprobs.type), tokens = rowsOf(dprobs.type);
        for (int64_t i = 0; i < dprobs.size(); ++i)
          dprobs.floats[i] = dloss * load[i % experts] / static_cast<double>(tokens);
        return true;
      })
      .Default([](Operation *) { return false; });
}

} // namespace moire::evaluator
