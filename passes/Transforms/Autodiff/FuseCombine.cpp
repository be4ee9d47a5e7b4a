//===- passes/Transforms/Autodiff/FuseCombine.cpp - the way out of experts ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Joins the experts' last product and the weighted sum of its rows, so that reverse mode sees them as one.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Autodiff/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_FUSECOMBINEPASS
#include "passes/Transforms/Autodiff/Passes.h.inc"

namespace {

/// Why `combine` cannot be joined with what computes its rows; empty when it can.
std::string whyNot(CombineOp combine) {
  Operation *producer = combine.getX().getDefiningOp();
  auto product = dyn_cast_or_null<GroupedLinearOp>(producer);
  if (!product)
    return llvm::formatv("the experts' outputs are those of `{0}`, not of a product",
                         producer ? producer->getName().getStringRef() : "an argument");
  if (!product->hasOneUse())
    return "others read the experts' outputs too";
  if (product.getRows() || product.getTranspose())
    return "the product gathers its rows or has transposed matrices";
  if (elementOf(product.getY().getType()) != elementOf(product.getX().getType()))
    return "the product is of another type than its factors";
  auto dispatch = combine.getPosition().getDefiningOp<DispatchOp>();
  if (!dispatch)
    return "no `moire.dispatch` says which gate belongs to a row";
  if (dispatch.getOffsets() != product.getOffsets())
    return "the product's rows are sorted by another dispatch";
  return "";
}

struct FuseCombine final : impl::FuseCombinePassBase<FuseCombine> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<CombineOp> combines;
    getOperation()->walk([&](CombineOp combine) { combines.push_back(combine); });
    for (CombineOp combine : combines)
      fuse(rewriter, combine);
  }

private:
  void fuse(IRRewriter &rewriter, CombineOp combine) {
    auto options = remark::RemarkOpts::name("combine").category(getArgument());
    std::string reason = whyNot(combine);
    if (!reason.empty()) {
      remark::missed(combine.getLoc(), options) << "the experts' outputs are kept: " + reason;
      return;
    }
    auto product = combine.getX().getDefiningOp<GroupedLinearOp>();
    auto dispatch = combine.getPosition().getDefiningOp<DispatchOp>();
    rewriter.setInsertionPoint(combine);
    Location loc = rewriter.getFusedLoc({product.getLoc(), combine.getLoc()});
    auto fused = rewriter.replaceOpWithNewOp<GroupedCombineOp>(
        combine, combine.getY().getType(), product.getX(), product.getW(), product.getOffsets(), dispatch.getRows(),
        dispatch.getSlots(), combine.getWeights(), combine.getPosition());
    fused->setLoc(loc);
    rewriter.eraseOp(product);
    remark::passed(loc, options) << "the experts' last product and the sum of its rows are one op";
  }
};

} // namespace
} // namespace moire
