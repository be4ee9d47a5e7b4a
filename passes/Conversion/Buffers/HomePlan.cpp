//===- passes/Conversion/Buffers/HomePlan.cpp - where values should live ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Walks every block backwards, so that all wishes for a value are known before its producer is reached. Loops are
// planned in HomePlanLoops.cpp.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/HomePlan.h"
#include "passes/Conversion/Buffers/KernelOps.h"

using namespace mlir;
using namespace moire;

HomePlan::HomePlan(func::FuncOp function, ArrayRef<Place> argumentPlaces, ArrayRef<Place> resultPlaces) {
  Block &body = function.getBody().front();
  ValueRange results = body.getTerminator()->getOperands();
  for (auto [value, place] : llvm::zip(results, resultPlaces)) {
    if (place.root->writable && llvm::is_contained(argumentPlaces, place)) {
      auto number = llvm::find(argumentPlaces, place) - argumentPlaces.begin();
      planState(body.getArgument(number), value, place);
    } else {
      request(value, place, &body);
    }
  }
  planBlock(body);
}

Root &HomePlan::newRoot(Location loc, Type element, ArrayRef<int64_t> shape, Block *block) {
  Root &root = roots.emplace_back(loc);
  root.element = element;
  root.shape.assign(shape.begin(), shape.end());
  root.block = block;
  return root;
}

bool HomePlan::request(Value value, const Place &place, Block *block) {
  Operation *producer = value.getDefiningOp();
  if (!producer || producer->getBlock() != block || homes.contains(value))
    return false;
  if (auto reshape = dyn_cast<ReshapeOp>(producer)) {
    std::optional<Place> source = place.reshaped(cast<ShapedType>(reshape.getX().getType()).getShape());
    return source && request(reshape.getX(), *source, block);
  }
  if (isView(producer) || !canWriteTo(cast<OpResult>(value), place))
    return false;
  homes[value] = place;
  return true;
}

/// A decoding state is updated in place: either its one reader computes the new value over the old, or a loop does so
/// row by row. Otherwise the new value gets a buffer and is copied at the end.
void HomePlan::planState(BlockArgument state, Value value, const Place &place) {
  auto result = dyn_cast<OpResult>(value);
  if (!result || homes.contains(value))
    return;
  if (auto repeat = dyn_cast<RepeatOp>(result.getOwner())) {
    bool stacked = result.getResultNumber() >= repeat.getNumCarried();
    bool sliced = state.hasOneUse() && llvm::is_contained(repeat.getSlices(), state);
    if (stacked && sliced) {
      homes[value] = place;
      replaced[value] = state;
    }
  } else if (canReplace(state, value) && canWriteTo(result, place)) {
    homes[value] = place;
  }
}

void HomePlan::planBlock(Block &block) {
  for (Operation &op : llvm::reverse(block)) {
    if (auto concat = dyn_cast<ConcatOp>(op))
      planConcat(concat);
    else if (auto repeat = dyn_cast<RepeatOp>(op))
      planRepeat(repeat);
    else if (auto fused = dyn_cast<ProductRowsOp>(op))
      for (auto [result, inner] : llvm::zip_equal(fused.getResults(), fused.getYield().getValues()))
        if (const Place *wish = home(result))
          homes[inner] = Place(*wish);
  }
}

void HomePlan::planConcat(ConcatOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  if (!homes.contains(op.getResult()))
    homes[op.getResult()] = Place::whole(newRoot(op.getLoc(), type.getElementType(), type.getShape(), op->getBlock()));
  Place whole = homes[op.getResult()];
  int64_t first = 0;
  for (Value part : op.getXs()) {
    int64_t extent = cast<RankedTensorType>(part.getType()).getDimSize(op.getDim());
    request(part, whole.sliced(op.getDim(), first, extent), op->getBlock());
    first += extent;
  }
}
