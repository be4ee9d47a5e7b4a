//===- passes/Pipelines/SmallPasses.cpp - passes between the stages ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Noting costs, splitting biases off linear maps.
//===----------------------------------------------------------------------===//
#include "mlir/IR/PatternMatch.h"
#include "passes/Analysis/CostAnalysis.h"
#include "passes/Pipelines/Passes.h"

namespace moire {
#define GEN_PASS_DEF_NOTECOSTSPASS
#define GEN_PASS_DEF_SPLITBIASPASS
#include "passes/Pipelines/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

struct NoteCosts final : moire::impl::NoteCostsPassBase<NoteCosts> {
  void runOnOperation() override { noteCosts(getOperation()); }
};

struct SplitBias final : moire::impl::SplitBiasPassBase<SplitBias> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    getOperation().walk([&](LinearOp op) {
      if (!op.getBias())
        return;
      rewriter.setInsertionPointAfter(op);
      Value product = LinearOp::create(rewriter, op.getLoc(), op.getY().getType(), op.getX(), op.getW(), Value(),
                                       op.getTranspose());
      rewriter.replaceOpWithNewOp<BinaryOp>(op, op.getY().getType(), product, op.getBias(), Binary::Add);
    });
  }
};

} // namespace
