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

template <typename Op> void route(Op op, Frame &f) {
  RankedTensorType logits = op.getLogits().getType();
  moire_reference_route_f64(rowsOf(logits), lastExtent(logits), lastExtent(op.getWeights().getType()),
                            static_cast<int32_t>(op.getGate()), op.getRenormalize(), op.getScale().convertToDouble(),
                            op.getGroups(), op.getBest(), f.in(op.getLogits()), f.in(op.getBias()),
                            op.getAssigned() ? f.ints(op.getAssigned()) : nullptr, f.out(op.getProbs()),
                            f.out(op.getWeights()), f.outInts(op.getChosen()));
}

/// The four arrays of a dispatch, from `chosen`; `gates` decide who stays below `capacity` and above `threshold`.
template <typename Op> void dispatch(Op op, Value gates, Frame &f) {
  RankedTensorType chosen = op.getChosen().getType();
  int64_t experts = op.getOffsets().getType().getDimSize(0) - 1;
  moire_reference_dispatch_limited_f64(rowsOf(chosen), experts, lastExtent(chosen), op.getCapacity().value_or(-1),
                                       op.getThreshold() ? op.getThreshold()->convertToDouble() : -1,
                                       f.ints(op.getChosen()), f.in(gates), f.outInts(op.getOffsets()),
                                       f.outInts(op.getRows()), f.outInts(op.getSlots()), f.outInts(op.getPosition()));
}

void assign(AssignOp op, Frame &f) {
  ArrayRef<int64_t> shape = op.getChosen().getType().getShape();
  int64_t position = op.getPosition() ? f.ints(op.getPosition())[0] : 0;
  moire_reference_assign(shape[0], shape[1], op.getExperts(), shape[2], position,
                         op.getTokens() ? f.ints(op.getTokens()) : nullptr, f.outInts(op.getChosen()));
}

void fusedRoute(FusedRouteOp op, Frame &f) {
  route(op, f);
  dispatch(op, op.getCapacity() || op.getThreshold() ? op.getWeights() : Value(), f);
  const int32_t *offsets = f.ints(op.getOffsets());
  Tensor &load = f.make(op.getLoad());
  for (int64_t e = 0; e < load.size(); ++e)
    load.floats[e] = static_cast<double>(offsets[e + 1] - offsets[e]) / offsets[load.size()];
}

} // namespace

bool evaluateRouting(Operation *op, Frame &f) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<RouteOp>([&](auto op) { return route(op, f), true; })
      .Case<DispatchOp>([&](auto op) { return dispatch(op, op.getGates(), f), true; })
      .Case<AssignOp>([&](auto op) { return assign(op, f), true; })
      .Case<ChoiceLoadOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getY().getType().getShape();
        int64_t sequences = shape.size() == 2 ? shape[0] : 1;
        moire_reference_choice_load_f64(sequences, elementsOf(op.getChosen().getType()) / sequences, shape.back(),
                                        f.ints(op.getChosen()), f.out(op.getY()));
        return true;
      })
      .Case<SequenceBalanceLossOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getProbs().getType().getShape();
        moire_reference_sequence_balance_f64(shape[0], shape[1], shape[2], op.getFactor().convertToDouble(),
                                             f.in(op.getProbs()), f.in(op.getLoad()), f.out(op.getLoss()));
        return true;
      })
      .Case<SequenceBalanceLossGradOp>([&](auto op) {
        ArrayRef<int64_t> shape = op.getDprobs().getType().getShape();
        moire_reference_sequence_balance_backward_f64(shape[0], shape[1], shape[2], op.getFactor().convertToDouble(),
                                                      f.in(op.getDloss()), f.in(op.getLoad()), f.out(op.getDprobs()));
        return true;
      })
      .Case<FusedRouteOp>([&](auto op) { return fusedRoute(op, f), true; })
      .Case<RouteGradOp>([&](auto op) {
        RankedTensorType type = op.getDlogits().getType();
        moire_reference_route_backward_f64(rowsOf(type), lastExtent(type), lastExtent(op.getWeights().getType()),
                                           static_cast<int32_t>(op.getGate()), op.getRenormalize(),
                                           op.getScale().convertToDouble(), f.in(op.getLogits()), f.in(op.getProbs()),
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
      .Case<GroupedCombineOp>([&](auto op) {
        RankedTensorType weights = op.getWeights().getType(), w = op.getW().getType();
        int64_t rows = op.getX().getType().getDimSize(0), width = w.getDimSize(2), in = w.getDimSize(1);
        std::vector<double> sorted(rows * width);
        moire_reference_grouped_gemm_f64_f64(rows, width, in, w.getDimSize(0), f.ints(op.getOffsets()), nullptr,
                                             f.in(op.getX()), in, f.in(op.getW()), 0, sorted.data(), width);
        moire_reference_combine_f64(rowsOf(weights), lastExtent(weights), width, f.ints(op.getPosition()),
                                    f.in(op.getWeights()), sorted.data(), width, f.out(op.getY()), width);
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
