//===- passes/Conversion/Buffers/KernelRouting.cpp - routing of tokens ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Choice of experts, sorting by expert, and the movement of rows there and back, as calls of their kernels. Which
// places results may take is decided here too, for all families.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Conversion/Buffers/BufferBuilder.h"
#include "passes/Conversion/Buffers/KernelOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moire;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static OpResult resultOf(Value value) { return cast<OpResult>(value); }
static int64_t lastOf(Value value) { return typeOf(value).getShape().back(); }
static int64_t rowsOf(Value value) { return typeOf(value).getNumElements() / lastOf(value); }

static std::string versionOf(StringRef kernel, Value value) {
  Type type = typeOf(value).getElementType();
  return ("moire_" + kernel + (type.isBF16() ? "_bf16" : type.isF64() ? "_f64" : "_f32")).str();
}

/// A pointer to an operand that may be missing.
static void optional(CallBuilder &call, Value value, BufferBuilder &b) {
  if (value)
    call.pointer(b.dense(value));
  else
    call.null();
}

/// moire_route; writes probs, weights and chosen.
template <typename Op> static void callRoute(Op op, BufferBuilder &b) {
  Value logits = op.getLogits();
  CallBuilder call;
  call.extent(rowsOf(logits)).extent(lastOf(logits)).extent(lastOf(op.getWeights()));
  call.flag(int64_t(op.getGate())).flag(op.getRenormalize());
  call.real(op.getScale().convertToDouble(), typeOf(logits).getElementType());
  call.extent(op.getGroups()).extent(op.getBest()).pointer(b.dense(logits));
  optional(call, op.getBias(), b);
  optional(call, op.getAssigned(), b);
  for (unsigned result : {0u, 1u, 2u})
    call.pointer(b.denseResult(op->getResult(result)));
  call.emit(b.builder, op->getLoc(), versionOf("route", logits));
}

/// moire_dispatch, or moire_dispatch_limited where assignments may have no row; writes offsets, rows, slots and
/// position, results `first` to `first + 3` of `op`. `gates` decide who stays below its capacity and above its
/// threshold.
template <typename Op>
static void callDispatch(Op op, Value chosen, Value gates, bool nulls, unsigned first, BufferBuilder &b) {
  CallBuilder call;
  call.extent(rowsOf(chosen)).extent(typeOf(op->getResult(first)).getDimSize(0) - 1).extent(lastOf(chosen));
  bool limited = op.getCapacity() || op.getThreshold() || nulls;
  if (limited) {
    call.extent(op.getCapacity().value_or(-1));
    call.real(op.getThreshold() ? op.getThreshold()->convertToDouble() : -1,
              gates ? typeOf(gates).getElementType() : b.builder.getF32Type());
  }
  call.pointer(b.dense(chosen));
  if (limited)
    optional(call, gates, b);
  for (unsigned result = first; result < first + 4; ++result)
    call.pointer(b.denseResult(op->getResult(result)));
  std::string plain = "moire_dispatch", limit = gates ? versionOf("dispatch_limited", gates) : plain + "_limited_f32";
  call.emit(b.builder, op.getLoc(), limited ? limit : plain);
}

/// moire_assign; a balanced choice counts positions from that of the first new token.
static void callAssign(AssignOp op, BufferBuilder &b) {
  ArrayRef<int64_t> shape = typeOf(op.getChosen()).getShape();
  CallBuilder call;
  call.extent(shape[0]).extent(shape[1]).extent(op.getExperts()).extent(shape[2]);
  if (op.getPosition())
    call.index(b.position(op.getPosition()));
  else
    call.extent(0);
  optional(call, op.getTokens(), b);
  call.pointer(b.denseResult(resultOf(op.getChosen())));
  call.emit(b.builder, op.getLoc(), "moire_assign");
}

/// moire_choice_load, over everything or over each sequence.
static void callChoiceLoad(ChoiceLoadOp op, BufferBuilder &b) {
  ArrayRef<int64_t> shape = typeOf(op.getY()).getShape();
  int64_t sequences = shape.size() == 2 ? shape[0] : 1;
  CallBuilder call;
  call.extent(sequences).extent(typeOf(op.getChosen()).getNumElements() / sequences).extent(shape.back());
  call.pointer(b.dense(op.getChosen())).pointer(b.denseResult(resultOf(op.getY())));
  call.emit(b.builder, op.getLoc(), versionOf("choice_load", op.getY()));
}

/// moire_sequence_balance and its reverse, which have the same arguments: `first` is the probabilities or dloss.
template <typename Op>
static void callSequenceBalance(Op op, Value probs, Value first, Value result, StringRef kernel, BufferBuilder &b) {
  ArrayRef<int64_t> shape = typeOf(probs).getShape();
  CallBuilder call;
  call.extent(shape[0]).extent(shape[1]).extent(shape[2]);
  call.real(op.getFactor().convertToDouble(), typeOf(probs).getElementType());
  call.pointer(b.dense(first)).pointer(b.dense(op.getLoad())).pointer(b.denseResult(resultOf(result)));
  call.emit(b.builder, op.getLoc(), versionOf(kernel, probs));
}

/// `load[e] = (offsets[e + 1] - offsets[e]) / offsets[experts]`: too small for threads.
static void emitLoad(Location loc, Value offsets, OpResult load, BufferBuilder &b) {
  int64_t experts = typeOf(load).getDimSize(0);
  Type element = typeOf(load).getElementType();
  Value from = b.dense(offsets), to = b.memref(loc, b.placeResult(load));
  OpBuilder &builder = b.builder;
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value).getResult(); };
  Value zero = constant(0), one = constant(1), end = constant(experts);
  Value all = memref::LoadOp::create(builder, loc, from, end);
  Value total = arith::SIToFPOp::create(builder, loc, element, all);
  auto loop = scf::ForOp::create(builder, loc, zero, end, one);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value expert = loop.getInductionVar();
  Value next = arith::AddIOp::create(builder, loc, expert, one);
  Value first = memref::LoadOp::create(builder, loc, from, expert);
  Value last = memref::LoadOp::create(builder, loc, from, next);
  Value count = arith::SubIOp::create(builder, loc, last, first);
  Value share = arith::SIToFPOp::create(builder, loc, element, count);
  share = arith::DivFOp::create(builder, loc, share, total);
  memref::StoreOp::create(builder, loc, share, to, expert);
}

static LogicalResult emitRouteGrad(RouteGradOp op, BufferBuilder &b) {
  CallBuilder call;
  call.extent(rowsOf(op.getProbs())).extent(lastOf(op.getProbs())).extent(lastOf(op.getWeights()));
  call.flag(int64_t(op.getGate())).flag(op.getRenormalize());
  call.real(op.getScale().convertToDouble(), typeOf(op.getProbs()).getElementType());
  optional(call, op.getLogits(), b);
  for (Value value : {op.getProbs(), op.getWeights(), op.getChosen()})
    call.pointer(b.dense(value));
  for (Value value : {op.getDweights(), op.getDprobs()})
    optional(call, value, b);
  call.pointer(b.denseResult(resultOf(op.getDlogits())));
  call.emit(b.builder, op.getLoc(), versionOf("route_backward", op.getProbs()));
  return success();
}

static LogicalResult emitGather(GatherRowsOp op, BufferBuilder &b) {
  CallBuilder call;
  call.extent(typeOf(op.getY()).getDimSize(0)).extent(lastOf(op.getY())).pointer(b.dense(op.getRows()));
  call.rows(b.rows(op.getX())).rows(b.rowsResult(resultOf(op.getY())));
  call.emit(b.builder, op.getLoc(), versionOf("gather_rows", op.getX()));
  return success();
}

static LogicalResult emitGatherGrad(GatherRowsGradOp op, BufferBuilder &b) {
  CallBuilder call;
  call.extent(rowsOf(op.getPosition())).extent(lastOf(op.getPosition())).extent(lastOf(op.getDx()));
  call.pointer(b.dense(op.getPosition())).rows(b.rows(op.getDy())).rows(b.rowsResult(resultOf(op.getDx())));
  call.emit(b.builder, op.getLoc(), versionOf("gather_rows_backward", op.getDy()));
  return success();
}

static LogicalResult emitCombine(CombineOp op, BufferBuilder &b) {
  CallBuilder call;
  call.extent(rowsOf(op.getPosition())).extent(lastOf(op.getPosition())).extent(lastOf(op.getX()));
  call.pointer(b.dense(op.getPosition())).pointer(b.dense(op.getWeights()));
  call.rows(b.rows(op.getX())).rows(b.rowsResult(resultOf(op.getY())));
  call.emit(b.builder, op.getLoc(), versionOf("combine", op.getX()));
  return success();
}

/// The product into rows that nobody else sees, and their sums. Kernels of their own: to add rows where the product
/// leaves them would take turns among threads, and sums in an order that depends on them.
static LogicalResult emitGroupedCombine(GroupedCombineOp op, BufferBuilder &b) {
  RankedTensorType x = typeOf(op.getX()), w = typeOf(op.getW());
  int64_t rows = x.getDimSize(0), out = w.getDimSize(2);
  Rows sorted{b.memref(op.getLoc(), b.scratch(op.getLoc(), x.getElementType(), {rows, out})), out};
  FailureOr<std::string> callee = groupedProduct(op, op.getX(), op.getW(), op.getY());
  if (failed(callee))
    return failure();
  CallBuilder product;
  product.extent(rows).extent(out).extent(x.getDimSize(1)).extent(w.getDimSize(0)).pointer(b.dense(op.getOffsets()));
  product.null().rows(b.rows(op.getX())).pointer(b.dense(op.getW())).flag(0).rows(sorted);
  product.emit(b.builder, op.getLoc(), *callee);
  CallBuilder sum;
  sum.extent(rowsOf(op.getPosition())).extent(lastOf(op.getPosition())).extent(out);
  sum.pointer(b.dense(op.getPosition())).pointer(b.dense(op.getWeights()));
  sum.rows(sorted).rows(b.rowsResult(resultOf(op.getY())));
  sum.emit(b.builder, op.getLoc(), versionOf("combine", op.getX()));
  return success();
}

static LogicalResult emitCombineGrad(CombineGradOp op, BufferBuilder &b) {
  CallBuilder call;
  call.extent(rowsOf(op.getPosition())).extent(lastOf(op.getPosition())).extent(lastOf(op.getX()));
  call.pointer(b.dense(op.getPosition())).pointer(b.dense(op.getWeights()));
  call.rows(b.rows(op.getX())).rows(b.rows(op.getDy()));
  if (op.getDx().use_empty())
    call.null().extent(0);
  else
    call.rows(b.rowsResult(resultOf(op.getDx())));
  if (op.getDweights().use_empty())
    call.null();
  else
    call.pointer(b.denseResult(resultOf(op.getDweights())));
  call.emit(b.builder, op.getLoc(), versionOf("combine_backward", op.getX()));
  return success();
}

std::optional<LogicalResult> moire::emitRouting(Operation *op, BufferBuilder &b) {
  return llvm::TypeSwitch<Operation *, std::optional<LogicalResult>>(op)
      .Case([&](RouteOp route) {
        callRoute(route, b);
        return success();
      })
      .Case([&](DispatchOp dispatch) {
        callDispatch(dispatch, dispatch.getChosen(), dispatch.getGates(), dispatch.getNulls(), /*first=*/0, b);
        return success();
      })
      .Case([&](AssignOp assign) {
        callAssign(assign, b);
        return success();
      })
      .Case([&](ChoiceLoadOp load) {
        callChoiceLoad(load, b);
        return success();
      })
      .Case([&](SequenceBalanceLossOp loss) {
        callSequenceBalance(loss, loss.getProbs(), loss.getProbs(), loss.getLoss(), "sequence_balance", b);
        return success();
      })
      .Case([&](SequenceBalanceLossGradOp gradient) {
        callSequenceBalance(gradient, gradient.getDprobs(), gradient.getDloss(), gradient.getDprobs(),
                            "sequence_balance_backward", b);
        return success();
      })
      .Case([&](FusedRouteOp route) {
        callRoute(route, b);
        callDispatch(route, route.getChosen(),
                     route.getCapacity() || route.getThreshold() ? route.getWeights() : Value(), route.getNulls() > 0,
                     /*first=*/3, b);
        if (!route.getLoad().use_empty())
          emitLoad(route.getLoc(), route.getOffsets(), resultOf(route.getLoad()), b);
        return success();
      })
      .Case([&](ExpertLoadOp load) {
        emitLoad(load.getLoc(), load.getOffsets(), resultOf(load.getY()), b);
        return success();
      })
      .Case([&](RouteGradOp gradient) { return emitRouteGrad(gradient, b); })
      .Case([&](GatherRowsOp gather) { return emitGather(gather, b); })
      .Case([&](GatherRowsGradOp gradient) { return emitGatherGrad(gradient, b); })
      .Case([&](CombineOp combine) { return emitCombine(combine, b); })
      .Case([&](GroupedCombineOp combine) { return emitGroupedCombine(combine, b); })
      .Case([&](CombineGradOp gradient) { return emitCombineGrad(gradient, b); })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<LogicalResult> moire::emitKernelOp(Operation *op, BufferBuilder &builder) {
  for (auto emit : {emitProduct, emitMixing, emitSsd, emitRouting, emitGroups})
    if (std::optional<LogicalResult> done = emit(op, builder))
      return done;
  return std::nullopt;
}

bool moire::canWriteTo(OpResult result, const Place &place) {
  Operation *op = result.getOwner();
  unsigned number = result.getResultNumber();
  if (isa<RepeatOp, ConcatOp, FillOp, ExpertLoadOp>(op))
    return true;
  if (auto fused = dyn_cast<ProductRowsOp>(op))
    return canWriteTo(cast<OpResult>(fused.getYield().getValues()[number]), place);
  if (auto rowwise = dyn_cast<RowwiseOp>(op)) {
    auto yield = cast<YieldOp>(rowwise.getBody().front().getTerminator());
    return place.hasDenseRows(cast<ShapedType>(yield.getValues()[number].getType()).getRank());
  }
  // Kernels that take a row stride for this result.
  if (isa<LinearOp, LinearGradWeightOp, GroupedLinearOp, GatherRowsOp, GatherRowsGradOp, CombineOp, GroupedCombineOp,
          MixOp, UnmixOp>(op))
    return place.rowStride(1).has_value();
  if (isa<SoftmaxAttentionOp, CachedAttentionOp, CombineGradOp>(op) && number == 0)
    return place.rowStride(isa<CombineGradOp>(op) ? 1 : headRowRank).has_value();
  if (isa<SoftmaxAttentionGradOp>(op) && number < 3) // not dsinks
    return place.rowStride(headRowRank).has_value();
  if (isa<SsdScanGradOp>(op) && (number == 0 || number == 3 || number == 4)) // dx, dB, dC
    return place.rowStride(headRowRank).has_value();
  if (isa<SelectiveScanGradOp>(op) && (number == 0 || number == 3 || number == 4)) // du, dB, dC
    return place.rowStride(1).has_value();
  // The others write densely; constants and views are not computed into anything.
  return place.isDense() && !isa<RotaryTableOp, EvenOffsetsOp, arith::ConstantOp>(op) && !isView(op);
}
