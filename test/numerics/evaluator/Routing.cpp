//===- test/numerics/evaluator/Routing.cpp - routing over kernels/reference ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The choice of experts, the sort by expert, and the moves of rows around the experts.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "kernels/include/Reference.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moire::evaluator {
namespace {

int32_t orderOf(Gate gate) { return gate == Gate::TopKSoftmax; }

template <typename Op> void route(Op op, Frame &f) {
  RankedTensorType logits = op.getLogits().getType();
  moire_reference_route_f64(rowsOf(logits), lastExtent(logits), lastExtent(op.getWeights().getType()),
                            orderOf(op.getGate()), op.getRenormalize(), f.in(op.getLogits()), f.out(op.getProbs()),
                            f.out(op.getWeights()), f.outInts(op.getChosen()));
}

/// The four arrays of a dispatch, from `chosen`.
template <typename Op> void dispatch(Op op, Frame &f) {
  RankedTensorType chosen = op.getChosen().getType();
  int64_t experts = op.getOffsets().getType().getDimSize(0) - 1;
  moire_reference_dispatch(rowsOf(chosen), experts, lastExtent(chosen), f.ints(op.getChosen()),
                           f.outInts(op.getOffsets()), f.outInts(op.getRows()), f.outInts(op.getSlots()),
                           f.outInts(op.getPosition()));
}

void fusedRoute(FusedRouteOp op, Frame &f) {
  route(op, f);
  dispatch(op, f);
  const int32_t *offsets = f.ints(op.getOffsets());
  Tensor &load = f.make(op.getLoad());
  for (int64_t e = 0; e < load.size(); ++e)
    load.floats[e] = static_cast<double>(offsets[e + 1] - offsets[e]) / offsets[load.size()];
}

} // namespace

bool evaluateRouting(Operation *op, Frame &f) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<RouteOp>([&](auto op) { return route(op, f), true; })
      .Case<DispatchOp>([&](auto op) { return dispatch(op, f), true; })
      .Case<FusedRouteOp>([&](auto op) { return fusedRoute(op, f), true; })
      .Case<RouteGradOp>([&](auto op) {
        RankedTensorType type = op.getDlogits().getType();
        moire_reference_route_backward_f64(rowsOf(type), lastExtent(type), lastExtent(op.getWeights().getType()),
                                           orderOf(op.getGate()), op.getRenormalize(), f.in(op.getProbs()),
                                           f.in(op.getWeights()), f.ints(op.getChosen()), f.in(op.getDweights()),
                                           f.in(op.getDprobs()), f.out(op.getDlogits()));
        return true;
      })
      .Case<GatherRowsOp>([&](auto op) {
        int64_t width = lastExtent(op.getX().getType());
        moire_reference_gather_rows_f64(op.getY().getType().getDimSize(0), width, f.ints(op.getRows()), f.in(op.getX()),
                                        width, f.out(op.getY()), width);
        return true;
      })
      .Case<GatherRowsGradOp>([&](auto op) {
        RankedTensorType type = op.getDx().getType();
        int64_t width = lastExtent(type), topK = elementsOf(op.getPosition().getType()) / rowsOf(type);
        moire_reference_gather_rows_backward_f64(rowsOf(type), topK, width, f.ints(op.getPosition()), f.in(op.getDy()),
                                                 width, f.out(op.getDx()), width);
        return true;
      })
      .Case<CombineOp>([&](auto op) {
        RankedTensorType weights = op.getWeights().getType();
        int64_t width = lastExtent(op.getX().getType());
        moire_reference_combine_f64(rowsOf(weights), lastExtent(weights), width, f.ints(op.getPosition()),
                                    f.in(op.getWeights()), f.in(op.getX()), width, f.out(op.getY()), width);
        return true;
      })
      .Case<CombineGradOp>([&](auto op) {
        RankedTensorType weights = op.getWeights().getType();
        int64_t width = lastExtent(op.getX().getType());
        moire_reference_combine_backward_f64(rowsOf(weights), lastExtent(weights), width, f.ints(op.getPosition()),
                                             f.in(op.getWeights()), f.in(op.getX()), width, f.in(op.getDy()), width,
                                             f.out(op.getDx()), width, f.out(op.getDweights()));
        return true;
      })
      .Default([](Operation *) { return false; });
}

} // namespace moire::evaluator
