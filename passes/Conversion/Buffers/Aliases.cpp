//===- passes/Conversion/Buffers/Aliases.cpp - who still reads a value ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Liveness on the tensor program, as far as writing over a value needs it.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/HomePlan.h"

using namespace mlir;
using namespace moire;

bool moire::isView(Operation *op) { return isa_and_nonnull<ReshapeOp, SliceOp, DynamicSliceOp>(op); }

/// The result that is the same memory as `use` reads: a view's, or that of a loop that hands the value through.
static Value aliasMadeBy(OpOperand &use) {
  Operation *user = use.getOwner();
  if (isView(user) && use.getOperandNumber() == 0)
    return user->getResult(0);
  if (auto repeat = dyn_cast<RepeatOp>(user)) {
    unsigned number = use.getOperandNumber();
    if (number < repeat.getNumCarried() && repeat.getYield().getValues()[number] == repeat.getCarriedArgs()[number])
      return repeat.getResult(number);
  }
  return {};
}

/// Calls `visit` with every use of `value` and of its aliases.
static void forEachUse(Value value, function_ref<void(OpOperand &)> visit) {
  SmallVector<Value> pending{value};
  while (!pending.empty()) {
    Value next = pending.pop_back_val();
    for (OpOperand &use : next.getUses()) {
      visit(use);
      if (Value alias = aliasMadeBy(use))
        pending.push_back(alias);
    }
  }
}

bool moire::isUsedFrom(Value value, Operation *point, OpOperand *except) {
  bool used = false;
  forEachUse(value, [&](OpOperand &use) {
    Operation *ancestor = point->getBlock()->findAncestorOpInBlock(*use.getOwner());
    if (&use != except && ancestor && (ancestor == point || point->isBeforeInBlock(ancestor)))
      used = true;
  });
  return used;
}

/// Whether the kernel computes each element from elements at the same place only, in one sweep per row.
static bool isPointwise(RowwiseOp op) {
  if (op->getNumResults() != 1 || op.getSummed().front())
    return false;
  for (Operation &inner : op.getBody().front())
    if (!isa<UnaryOp, UnaryGradOp, BinaryOp, ScaleOp, ClampOp, ClampGradOp, CastOp, YieldOp>(inner))
      return false;
  return true;
}

/// Whether `op` may write its result over operand number `number`.
static bool mayShare(Operation *op, unsigned result, unsigned number) {
  if (isa<CachedAttentionOp>(op)) // the caches are extended in place
    return result > 0 && number == result + 2;
  if (auto scan = dyn_cast<StatefulScanOp>(op))
    return result == 1 && op->getOperand(number) == scan.getState();
  if (auto scan = dyn_cast<StatefulSsdScanOp>(op))
    return result == 1 && op->getOperand(number) == scan.getState();
  if (isa<DocumentPositionsOp>(op))
    return result == 1 && number == 1;
  auto rowwise = dyn_cast<RowwiseOp>(op);
  if (!rowwise || !isPointwise(rowwise))
    return false;
  AffineMap map = cast<AffineMapAttr>(rowwise.getMaps()[number]).getValue();
  return map.isIdentity() && cast<ShapedType>(op->getOperand(number).getType()).getShape() ==
                                 cast<ShapedType>(op->getResult(result).getType()).getShape();
}

bool moire::canReplace(Value old, Value fresh) {
  Operation *producer = fresh.getDefiningOp();
  if (!producer || isView(producer) || isa<ConcatOp, RepeatOp>(producer) ||
      producer->getBlock() != old.getParentBlock())
    return false;
  unsigned result = cast<OpResult>(fresh).getResultNumber();
  bool allowed = true;
  forEachUse(old, [&](OpOperand &use) {
    Operation *ancestor = producer->getBlock()->findAncestorOpInBlock(*use.getOwner());
    if (!ancestor || producer->isBeforeInBlock(ancestor))
      allowed = false;
    // A later result of the same op must not read what an earlier one has written.
    if (ancestor == producer && (use.getOwner() != producer || !mayShare(producer, result, use.getOperandNumber())))
      allowed = false;
    // A view that does not start at the beginning is other memory than the result's.
    if (ancestor == producer && use.get() != old && !isa<ReshapeOp>(use.get().getDefiningOp()))
      allowed = false;
  });
  return allowed;
}
