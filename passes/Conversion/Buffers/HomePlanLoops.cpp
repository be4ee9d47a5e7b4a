//===- passes/Conversion/Buffers/HomePlanLoops.cpp - the values of loops ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Carried values live, in order of preference: in the rows of a stack that keeps them anyway; in one buffer that each
// iteration overwrites, where that is provably harmless; in two buffers used in turn. None of them copies.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/HomePlan.h"
#include "passes/Conversion/Buffers/KernelOps.h"

using namespace mlir;
using namespace moire;

static ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }
static Type elementOf(Value value) { return cast<RankedTensorType>(value.getType()).getElementType(); }

static SmallVector<int64_t> withLeading(int64_t extent, ArrayRef<int64_t> shape) {
  SmallVector<int64_t> result{extent};
  result.append(shape.begin(), shape.end());
  return result;
}

static Value stripReshapes(Value value) {
  while (auto reshape = value.getDefiningOp<ReshapeOp>())
    value = reshape.getX();
  return value;
}

static Value stackedValue(RepeatOp op, unsigned stack) { return op.getYield().getValues()[op.getNumCarried() + stack]; }

static Place shifted(Place place, int64_t elements) {
  place.offset += elements;
  return place;
}

void HomePlan::planRepeat(RepeatOp op) {
  LoopPlan &plan = loops[op];
  plan.carried.resize(op.getNumCarried());
  plan.stacks.resize(op.getNumStacked());
  for (unsigned number = 0; number < op.getNumCarried(); ++number)
    planCarried(op, number, plan);
  // Values themselves first: their slices can then share the memory.
  for (bool views : {false, true})
    for (unsigned stack = 0; stack < op.getNumStacked(); ++stack)
      if (!plan.stacks[stack].whole && isView(stackedValue(op, stack).getDefiningOp()) == views)
        planStack(op, stack, plan);
  // Nested loops add entries to `loops`, so `plan` is not used past this point.
  planBlock(op.getBody().front());
}

void HomePlan::planCarried(RepeatOp op, unsigned number, LoopPlan &plan) {
  CarriedPlan &carried = plan.carried[number];
  Value result = op.getResult(number), argument = op.getCarriedArgs()[number];
  Value yielded = op.getYield().getValues()[number];
  Block *body = &op.getBody().front();
  if (yielded == argument) {
    carried.invariant = true;
    homes.erase(result);
    return;
  }
  for (unsigned stack = 0; stack < op.getNumStacked(); ++stack) {
    Value kept = stripReshapes(stackedValue(op, stack));
    if ((kept == argument || kept == yielded) && !plan.stacks[stack].whole &&
        !homes.contains(op.getStackedResults()[stack]))
      return planInStack(op, number, stack, plan);
  }
  if (canReplace(argument, yielded) && !homes.contains(yielded)) {
    Place place;
    if (const Place *wished = home(result); wished && wished->isDense())
      place = *wished;
    else
      place = Place::whole(newRoot(op.getLoc(), elementOf(result), shapeOf(result), op->getBlock()));
    if (request(yielded, place, body)) {
      homes[result] = place;
      carried.initial = carried.current = carried.next = carried.final = place;
      return requestInitial(op, number, place, /*overwritten=*/true);
    }
  }
  homes.erase(result);
  Place pair = Place::whole(newRoot(op.getLoc(), elementOf(result), withLeading(2, shapeOf(result)), op->getBlock()));
  Term parity{op, LoopIndex::Parity, {}, 0};
  carried.initial = pair.row(0);
  carried.current = pair.row(parity);
  carried.next = shifted(pair.row(parity, /*backwards=*/true), pair.strides.front());
  carried.final = pair.row(op.getCount() % 2);
  request(yielded, carried.next, body);
  requestInitial(op, number, carried.initial, /*overwritten=*/true);
}

/// The stack has one row more: iteration i reads row i and writes row i + 1 (in reverse, the other way round).
void HomePlan::planInStack(RepeatOp op, unsigned number, unsigned stack, LoopPlan &plan) {
  CarriedPlan &carried = plan.carried[number];
  Value result = op.getResult(number), argument = op.getCarriedArgs()[number];
  int64_t count = op.getCount();
  homes.erase(result);
  Place rows =
      Place::whole(newRoot(op.getLoc(), elementOf(result), withLeading(count + 1, shapeOf(result)), op->getBlock()));
  Place lower = rows.row(Term{op, LoopIndex::Row, {}, 0});
  Place upper = shifted(lower, rows.strides.front());
  bool reverse = op.getReverse();
  carried.initial = rows.row(reverse ? count : 0);
  carried.final = rows.row(reverse ? 0 : count);
  carried.current = reverse ? upper : lower;
  carried.next = reverse ? lower : upper;
  bool keepsArgument = stripReshapes(stackedValue(op, stack)) == argument;
  int64_t first = keepsArgument == reverse ? 1 : 0;
  StackPlan &kept = plan.stacks[stack];
  kept.whole = *rows.sliced(0, first, count).reshaped(shapeOf(op.getStackedResults()[stack]));
  kept.row = kept.whole.row(Term{op, LoopIndex::Row, {}, 0});
  request(op.getYield().getValues()[number], carried.next, &op.getBody().front());
  requestInitial(op, number, carried.initial, /*overwritten=*/false);
}

void HomePlan::requestInitial(RepeatOp op, unsigned number, const Place &place, bool overwritten) {
  OpOperand &use = op->getOpOperand(number);
  Value base = stripReshapes(use.get());
  if (overwritten && isUsedFrom(base, op, &use))
    return;
  request(use.get(), place, op->getBlock());
}

void HomePlan::planStack(RepeatOp op, unsigned stack, LoopPlan &plan) {
  StackPlan &kept = plan.stacks[stack];
  Value result = op.getStackedResults()[stack], value = stackedValue(op, stack);
  Block *body = &op.getBody().front();
  Term row{op, LoopIndex::Row, {}, 0};
  if (const Place *wished = home(result)) {
    kept.whole = *wished;
    kept.row = kept.whole.row(row);
    auto state = replaced.find(result);
    if (state == replaced.end()) {
      request(value, kept.row, body);
      return;
    }
    auto number = llvm::find(op.getSlices(), Value(state->second)) - op.getSlices().begin();
    planState(op.getSliceArgs()[number], value, kept.row);
    return;
  }
  for (unsigned other = 0; other < op.getNumStacked(); ++other)
    if (other != stack && plan.stacks[other].whole && stackedValue(op, other) == value && !replaced.contains(result)) {
      kept = plan.stacks[other];
      return;
    }
  if (isView(value.getDefiningOp()) && planSharedBase(op, stack, plan))
    return;
  kept.whole = Place::whole(newRoot(op.getLoc(), elementOf(result), shapeOf(result), op->getBlock()));
  kept.row = kept.whole.row(row);
  if (request(value, kept.row, body))
    sharedBases[value] = kept.whole;
}

/// A stacked slice costs a copy; keeping all of what it is a slice of costs none. Worth it when most of it is kept
/// anyway.
bool HomePlan::planSharedBase(RepeatOp op, unsigned stack, LoopPlan &plan) {
  SmallVector<Operation *> views;
  auto baseOf = [](Value value, SmallVectorImpl<Operation *> *chain) {
    while (isa_and_nonnull<ReshapeOp, SliceOp>(value.getDefiningOp())) {
      if (chain)
        chain->push_back(value.getDefiningOp());
      value = value.getDefiningOp()->getOperand(0);
    }
    return value;
  };
  Value base = baseOf(stackedValue(op, stack), &views);
  Block *body = &op.getBody().front();
  if (!base.getDefiningOp() || base.getDefiningOp()->getBlock() != body)
    return false;
  Place all;
  if (auto found = sharedBases.find(base); found != sharedBases.end()) {
    all = found->second;
  } else {
    int64_t kept = 0;
    for (unsigned other = 0; other < op.getNumStacked(); ++other)
      if (baseOf(stackedValue(op, other), nullptr) == base && !homes.contains(op.getStackedResults()[other]))
        kept += elementCount(shapeOf(stackedValue(op, other)));
    if (2 * kept < elementCount(shapeOf(base)) || homes.contains(base))
      return false;
    all =
        Place::whole(newRoot(op.getLoc(), elementOf(base), withLeading(op.getCount(), shapeOf(base)), op->getBlock()));
  }
  Place whole = all;
  for (Operation *view : llvm::reverse(views)) {
    if (auto slice = dyn_cast<SliceOp>(view)) {
      whole = whole.sliced(slice.getDim() + 1, slice.getOffset(), shapeOf(slice.getResult())[slice.getDim()]);
      continue;
    }
    std::optional<Place> reshaped = whole.reshaped(withLeading(op.getCount(), shapeOf(view->getResult(0))));
    if (!reshaped)
      return false;
    whole = *reshaped;
  }
  Term row{op, LoopIndex::Row, {}, 0};
  if (!sharedBases.contains(base) && !request(base, all.row(row), body))
    return false;
  sharedBases[base] = all;
  plan.stacks[stack].whole = whole;
  plan.stacks[stack].row = whole.row(row);
  return true;
}
