//===- passes/Transforms/Autodiff/SavedValues.cpp - what a reverse loop reads -===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which values to stack is a minimum cut: between what cannot be computed again (products, attention, carried values)
// and what the reverse body reads, cut the fewest bytes; all behind the cut is computed again. Where two cuts cost the
// same the one nearer to the reader wins, so that nothing is computed twice for nothing.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/SavedValues.h"

#include "dialect/IR/ReverseRules.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Autodiff/MinimumCut.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moire {
namespace {

/// Moves of elements that can as well be views: stacking one costs a copy that stacking its source does not.
bool isView(Operation *op) { return isa<SliceOp, ReshapeOp>(op); }

bool isConstant(Operation *op) { return op->getNumOperands() == 0 && op->getNumRegions() == 0; }

/// Ops that cost no more than about reading their operands again, or than writing and reading their results; or any,
/// where memory is dearer than time.
bool isCheap(Operation *op, Recompute recompute) {
  if (recompute.iterations)
    return op->getNumRegions() == 0 && isMemoryEffectFree(op);
  if (auto product = dyn_cast<LinearOp>(op))
    return lastExtent(product.getX().getType()) <= recompute.contraction;
  if (!recompute.pointwise)
    return false;
  if (isView(op) || isa<GatherRowsOp, ConvOp>(op))
    return true;
  auto row = dyn_cast<RowOpInterface>(op);
  if (!row)
    return false;
  for (unsigned result = 0; result < op->getNumResults(); ++result)
    if (row.isResultSummed(result))
      return false;
  return true;
}

/// Decides and rewrites for one pair of loops.
class SavedValues {
public:
  SavedValues(RepeatOp forward, Block &block, SmallVector<Value> &slices, Activity &activity, Recompute recompute)
      : forward(forward), block(block), slices(slices), activity(activity), recompute(recompute) {}

  RepeatOp run() {
    for (Operation &op : block)
      visitReads(op, [&](OpOperand &read) { needed.insert(read.get()); });
    choose();
    rewrite();
    stack();
    return forward;
  }

private:
  bool isInside(Value value) { return value.getParentBlock() == &forward.getBody().front(); }
  bool isSlice(Value value) {
    auto argument = dyn_cast<BlockArgument>(value);
    return argument && argument.getArgNumber() >= forward.getNumCarried();
  }
  bool canRecompute(Operation *op) { return op && (isConstant(op) || isCheap(op, recompute)); }

  /// Reads of the forward body by `op` and what is nested in it.
  template <typename Function> void visitReads(Operation &op, Function function) {
    op.walk([&](Operation *nested) {
      for (OpOperand &operand : nested->getOpOperands())
        if (isInside(operand.get()))
          function(operand);
    });
  }

  /// The node of `value` in the graph, made with all that it can be computed from.
  unsigned nodeOf(Value value) {
    auto [entry, isNew] = nodes.try_emplace(value, 0);
    if (!isNew)
      return entry->second;
    Operation *op = value.getDefiningOp();
    // Bytes decide; a unit more or less breaks ties.
    int64_t cost = 2 * bytesOf(value.getType()) + (op && isView(op) ? 1 : 0);
    unsigned node = graph.addNode(cost);
    nodes[value] = node;
    if (isSlice(value))
      return node; // read again for nothing
    if (!canRecompute(op)) {
      graph.markSource(node);
      return node;
    }
    for (Value operand : op->getOperands())
      if (isInside(operand))
        graph.addEdge(nodeOf(operand), node);
    return node;
  }

  void choose() {
    for (Value value : needed)
      graph.markSink(nodeOf(value));
    llvm::SmallVector<unsigned> cut = graph.solve();
    for (auto [value, node] : nodes)
      if (llvm::is_contained(cut, node))
        saved.insert(value);
  }

  /// Lets every op of the reverse body read what is available there.
  void rewrite() {
    OpBuilder builder(forward.getContext());
    for (Operation &op : llvm::make_early_inc_range(block)) {
      builder.setInsertionPoint(&op);
      visitReads(op, [&](OpOperand &read) { read.set(available(builder, read.get())); });
    }
  }

  /// `value`, a value of the forward body, in the reverse body at the insertion point of `builder` or above it.
  Value available(OpBuilder &builder, Value value) {
    if (!isInside(value))
      return value;
    if (Value mapped = mapping.lookupOrNull(value))
      return mapped;
    if (isSlice(value))
      return addSlice(value, forward.getSlices()[cast<BlockArgument>(value).getArgNumber() - forward.getNumCarried()]);
    if (saved.contains(value))
      return addSlice(value, Value());
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      available(builder, operand);
    builder.clone(*op, mapping);
    recomputed += 1;
    return mapping.lookup(value);
  }

  /// Lets the reverse body read the slice `value` of `stack`; a null stack is one that the forward loop has yet to
  /// make.
  Value addSlice(Value value, Value stack) {
    if (!stack)
      stacks.push_back({value, static_cast<unsigned>(slices.size())});
    slices.push_back(stack);
    Value argument = block.addArgument(value.getType(), value.getLoc());
    mapping.map(value, argument);
    return argument;
  }

  /// Gives the forward loop the stacked results that it lacks.
  void stack() {
    YieldOp yield = forward.getYield();
    unsigned numCarried = forward.getNumCarried();
    SmallVector<Type> types(forward->getResultTypes());
    SmallVector<std::pair<unsigned, unsigned>> results; // slot in `slices`, result number
    int64_t bytes = 0;
    for (auto [value, slot] : stacks) {
      auto stacked = yield.getOperands().drop_front(numCarried);
      auto found = llvm::find(stacked, value);
      results.push_back({slot, numCarried + std::distance(stacked.begin(), found)});
      if (found != stacked.end())
        continue; // the loop stacks it already
      yield->insertOperands(yield.getNumOperands(), value);
      types.push_back(stackedType(forward.getCount(), tensorType(value)));
      bytes += bytesOf(value.getType());
    }
    remark(types.size() - forward.getNumResults(), bytes);
    if (types.size() > forward.getNumResults())
      replaceForward(types);
    for (auto [slot, number] : results)
      slices[slot] = forward.getResult(number);
  }

  void replaceForward(ArrayRef<Type> types) {
    OpBuilder builder(forward);
    auto longer = RepeatOp::create(builder, forward.getLoc(), types, forward.getCount(), forward.getCarried(),
                                   forward.getSlices(), forward.getReverse());
    longer->setDiscardableAttrs(forward->getDiscardableAttrDictionary());
    longer.getBody().takeBody(forward.getBody());
    for (auto [original, replacement] : llvm::zip_first(forward.getResults(), longer.getResults())) {
      activity.replace(original, replacement);
      original.replaceAllUsesWith(replacement);
    }
    // Slots that this loop's own results already fill must follow them.
    for (Value &slice : slices)
      if (slice && slice.getDefiningOp() == forward)
        slice = longer.getResult(cast<OpResult>(slice).getResultNumber());
    forward.erase();
    forward = longer;
  }

  void remark(unsigned count, int64_t bytes) {
    std::string text = llvm::formatv("the reverse loop reads {0} stacked values, {1} bytes per iteration, and "
                                     "computes {2} ops again",
                                     count, bytes, recomputed);
    remark::analysis(forward.getLoc(), remark::RemarkOpts::name("saved-values").category("moire-autodiff")) << text;
  }

  RepeatOp forward;
  Block &block;
  SmallVector<Value> &slices;
  Activity &activity;
  Recompute recompute;
  llvm::SetVector<Value> needed;
  llvm::MapVector<Value, unsigned> nodes;
  MinimumCut graph;
  llvm::DenseSet<Value> saved;
  IRMapping mapping;
  SmallVector<std::pair<Value, unsigned>> stacks; ///< values to stack, and their slots in `slices`
  unsigned recomputed = 0;
};

} // namespace

RepeatOp makeAvailable(RepeatOp forward, Block &block, SmallVector<Value> &slices, Activity &activity,
                       Recompute recompute) {
  return SavedValues(forward, block, slices, activity, recompute).run();
}

} // namespace moire
