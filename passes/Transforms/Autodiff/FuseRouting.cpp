//===- passes/Transforms/Autodiff/FuseRouting.cpp - routing in fewer ops ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Two fusions: the choice of experts with the sort by expert, and the gather of tokens with the products that read
// the gathered rows. Both work on forward and reverse code alike.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Autodiff/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_FUSEROUTINGPASS
#include "passes/Transforms/Autodiff/Passes.h.inc"

namespace {

void passed(Operation *op, StringRef name, const Twine &text) {
  remark::passed(op->getLoc(), remark::RemarkOpts::name(name).category("moire-fuse-routing")) << text.str();
}

void missed(Operation *op, StringRef name, const Twine &text) {
  remark::missed(op->getLoc(), remark::RemarkOpts::name(name).category("moire-fuse-routing")) << text.str();
}

/// The one op of type `Op` that reads `value`, or null.
template <typename Op> Op onlyReader(Value value) {
  Op found;
  for (Operation *user : value.getUsers()) {
    auto reader = dyn_cast<Op>(user);
    if (!reader)
      continue;
    if (found)
      return Op();
    found = reader;
  }
  return found;
}

/// route + dispatch (+ expert_load) of one router become moire.fused_route.
void fuseRoute(IRRewriter &rewriter, RouteOp route) {
  DispatchOp dispatch = onlyReader<DispatchOp>(route.getChosen());
  if (!dispatch || dispatch->getBlock() != route->getBlock())
    return missed(route, "route", "router stays apart: its choice is not sorted by one op of the same block");
  int64_t experts = dispatch.getOffsets().getType().getDimSize(0) - 1;
  int64_t nulls = lastExtent(route.getLogits().getType()) - experts;
  if (dispatch.getNulls() ? nulls < 0 : nulls != 0)
    return missed(route, "route", "router stays apart: it is sorted for another number of experts");
  if (dispatch.getGates() && dispatch.getGates() != route.getWeights())
    return missed(route, "route", "router stays apart: its capacity is shared out by other gates than its own");
  auto load = onlyReader<ExpertLoadOp>(dispatch.getOffsets());

  rewriter.setInsertionPoint(route);
  Location loc = rewriter.getFusedLoc({route.getLoc(), dispatch.getLoc()});
  RankedTensorType logits = route.getLogits().getType();
  SmallVector<Type> types{route.getProbs().getType(),       route.getWeights().getType(), route.getChosen().getType(),
                          dispatch.getOffsets().getType(),  dispatch.getRows().getType(), dispatch.getSlots().getType(),
                          dispatch.getPosition().getType(), logits.clone({experts})};
  auto fused = FusedRouteOp::create(rewriter, loc, types, route.getLogits(), route.getBias(), route.getAssigned(),
                                    route.getGateAttr(), route.getRenormalizeAttr(), route.getScaleAttr(),
                                    route.getGroupsAttr(), route.getBestAttr(), dispatch.getCapacityAttr(),
                                    dispatch.getThresholdAttr(), rewriter.getI64IntegerAttr(nulls));
  ResultRange results = fused.getResults();
  if (load && load.getY().getType() == fused.getLoad().getType())
    rewriter.replaceOp(load, fused.getLoad());
  rewriter.replaceOp(dispatch, results.slice(3, 4));
  rewriter.replaceOp(route, results.take_front(3));
  passed(fused, "route", "scores, choice, histogram and permutation of a router in one op");
}

/// Whether `user`, which reads the rows that `gather` makes, can gather them itself.
bool canGather(GatherRowsOp gather, OpOperand &use) {
  if (auto product = dyn_cast<GroupedLinearOp>(use.getOwner()))
    return use.get() == product.getX() && use.getOperandNumber() == 0 && !product.getRows();
  if (auto product = dyn_cast<GroupedLinearGradWeightOp>(use.getOwner())) {
    // An operand that is read as x and as dy at once has one use for each.
    return use.getOperandNumber() == 0 ? !product.getXRows() : use.getOperandNumber() == 1 && !product.getDyRows();
  }
  return false;
}

void gatherInside(IRRewriter &rewriter, GatherRowsOp gather, OpOperand &use) {
  if (auto product = dyn_cast<GroupedLinearOp>(use.getOwner()))
    return rewriter.modifyOpInPlace(product, [&] {
      product.getXMutable().assign(gather.getX());
      product.getRowsMutable().assign(gather.getRows());
      product.getPositionMutable().assign(gather.getPosition());
    });
  auto product = cast<GroupedLinearGradWeightOp>(use.getOwner());
  bool isX = use.getOperandNumber() == 0;
  rewriter.modifyOpInPlace(product, [&] {
    (isX ? product.getXMutable() : product.getDyMutable()).assign(gather.getX());
    (isX ? product.getXRowsMutable() : product.getDyRowsMutable()).assign(gather.getRows());
  });
}

/// A gather that only grouped products read is folded into them: no gathered copy is made.
void fuseGather(IRRewriter &rewriter, GatherRowsOp gather) {
  for (OpOperand &use : gather->getUses())
    if (!canGather(gather, use))
      return missed(gather, "gather",
                    llvm::formatv("gathered rows are stored: `{0}` reads them too", use.getOwner()->getName()));
  if (gather->use_empty())
    return;
  unsigned count = 0;
  while (!gather->use_empty()) {
    gatherInside(rewriter, gather, *gather->getUses().begin());
    ++count;
  }
  passed(gather, "gather", llvm::formatv("{0} grouped products gather their rows themselves", count));
  rewriter.eraseOp(gather);
}

struct FuseRouting final : impl::FuseRoutingPassBase<FuseRouting> {
  using FuseRoutingPassBase::FuseRoutingPassBase;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<RouteOp> routes;
    SmallVector<GatherRowsOp> gathers;
    getOperation()->walk([&](Operation *op) {
      if (auto route = dyn_cast<RouteOp>(op))
        routes.push_back(route);
      else if (auto gather = dyn_cast<GatherRowsOp>(op))
        gathers.push_back(gather);
    });
    for (RouteOp route : routes)
      fuseRoute(rewriter, route);
    for (GatherRowsOp gather : gathers)
      fuseGather(rewriter, gather);
  }
};

} // namespace
} // namespace moire
