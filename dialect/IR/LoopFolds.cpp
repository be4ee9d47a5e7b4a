//===- dialect/IR/LoopFolds.cpp - what loops and row kernels need not carry -===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Differentiation and fusion leave values behind that nobody reads: stacked results, carried values, inputs. They are
// dropped here, because memory is planned for everything that is carried.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace moire;

/// The elements of `range` whose flag is set.
template <typename Range> static auto kept(Range &&range, ArrayRef<bool> flags) {
  SmallVector<std::decay_t<decltype(*range.begin())>> result;
  for (auto [element, flag] : llvm::zip_equal(range, flags))
    if (flag)
      result.push_back(element);
  return result;
}

/// Erases what nobody reads, last ops first, so that chains go as a whole.
static void eraseDeadOps(PatternRewriter &rewriter, Block &body) {
  SmallVector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      rewriter.eraseOp(op);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

namespace {
/// Which parts of a loop matter to anybody outside of it.
struct LiveParts {
  SmallVector<bool> carried, slices, stacked;

  explicit LiveParts(RepeatOp op)
      : carried(op.getNumCarried(), false), slices(op.getSlices().size(), false), stacked(op.getNumStacked(), false),
        loop(op) {
    Block &body = op.getBody().front();
    YieldOp yield = op.getYield();
    for (Operation &inner : body.without_terminator())
      if (!isMemoryEffectFree(&inner))
        reachOp(&inner);
    for (auto [index, result] : llvm::enumerate(op.getStackedResults()))
      if (!result.use_empty()) {
        stacked[index] = true;
        reach(yield.getOperand(carried.size() + index));
      }
    for (auto [index, result] : llvm::enumerate(op.getCarriedResults()))
      if (!result.use_empty())
        reachCarried(index);
  }

  bool everything() const {
    auto set = [](bool flag) { return flag; };
    return llvm::all_of(carried, set) && llvm::all_of(slices, set) && llvm::all_of(stacked, set);
  }

private:
  void reachCarried(unsigned index) {
    if (carried[index])
      return;
    carried[index] = true;
    reach(loop.getYield().getOperand(index));
  }
  void reach(Value value) {
    Block &body = loop.getBody().front();
    if (auto argument = dyn_cast<BlockArgument>(value); argument && argument.getOwner() == &body) {
      unsigned number = argument.getArgNumber();
      if (number < carried.size())
        reachCarried(number);
      else
        slices[number - carried.size()] = true;
      return;
    }
    Operation *owner = value.getDefiningOp() ? value.getDefiningOp() : value.getParentBlock()->getParentOp();
    if (Operation *op = body.findAncestorOpInBlock(*owner))
      reachOp(op);
  }
  void reachOp(Operation *op) {
    if (!seen.insert(op).second)
      return;
    op->walk([&](Operation *inner) { // operands of nested ops are captured from here
      for (Value operand : inner->getOperands())
        reach(operand);
    });
  }

  RepeatOp loop;
  llvm::DenseSet<Operation *> seen;
};

/// Values that no result and no effect depends on leave the loop.
struct DropDeadParts final : OpRewritePattern<RepeatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RepeatOp op, PatternRewriter &rewriter) const override {
    LiveParts live(op);
    if (live.everything())
      return rewriter.notifyMatchFailure(op, "every part is read");

    SmallVector<bool> liveResults(live.carried), liveArguments(live.carried);
    llvm::append_range(liveResults, live.stacked);
    llvm::append_range(liveArguments, live.slices);
    SmallVector<Type> types = kept(op.getResultTypes(), liveResults);
    auto loop = RepeatOp::create(rewriter, op.getLoc(), types, op.getCountAttr(), kept(op.getCarried(), live.carried),
                                 kept(op.getSlices(), live.slices), op.getReverseAttr());
    loop->setDiscardableAttrs(op->getDiscardableAttrDictionary());

    // What dies may still be used by dead ops of the body: they go on reading the value of before the loop, and are
    // erased as dead themselves. A slice has no such value: its readers are erased here, last ones first.
    Block &body = op.getBody().front();
    YieldOp yield = op.getYield();
    rewriter.modifyOpInPlace(yield, [&] { yield->setOperands(kept(yield.getOperands(), liveResults)); });
    for (unsigned number = 0; number < live.carried.size(); ++number)
      if (!live.carried[number])
        rewriter.replaceAllUsesWith(body.getArgument(number), op.getCarried()[number]);
    eraseDeadOps(rewriter, body);
    for (unsigned number = liveArguments.size(); number-- > 0;)
      if (!liveArguments[number])
        body.eraseArgument(number);
    rewriter.inlineRegionBefore(op.getBody(), loop.getBody(), loop.getBody().begin());

    unsigned next = 0;
    for (auto [result, isLive] : llvm::zip_equal(op.getResults(), liveResults))
      if (isLive)
        rewriter.replaceAllUsesWith(result, loop.getResult(next++));
    rewriter.eraseOp(op);
    return success();
  }
};

/// A carried value that every iteration hands on unchanged is the value of before the loop.
struct HoistUnchanged final : OpRewritePattern<RepeatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RepeatOp op, PatternRewriter &rewriter) const override {
    bool changed = false;
    for (unsigned number = 0; number < op.getNumCarried(); ++number) {
      BlockArgument argument = op.getCarriedArgs()[number];
      Value before = op.getCarried()[number], after = op.getResult(number);
      if (op.getYield().getOperand(number) != argument)
        continue;
      // The yield keeps the argument: the part is dead now, and dropped with its slot.
      bool readInside = llvm::any_of(argument.getUsers(), [&](Operation *user) { return user != op.getYield(); });
      if (!readInside && after.use_empty())
        continue;
      rewriter.replaceUsesWithIf(argument, before, [&](OpOperand &use) { return use.getOwner() != op.getYield(); });
      rewriter.replaceAllUsesWith(after, before);
      changed = true;
    }
    return success(changed);
  }
};

/// The same tensor sliced twice is sliced once; the same value stacked twice is stacked once.
struct MergeTwins final : OpRewritePattern<RepeatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RepeatOp op, PatternRewriter &rewriter) const override {
    bool changed = false;
    llvm::DenseMap<Value, Value> slices, stacked;
    for (auto [operand, argument] : llvm::zip_equal(op.getSlices(), op.getSliceArgs()))
      changed |= replaceTwin(rewriter, slices, operand, argument);
    auto yielded = op.getYield().getOperands().drop_front(op.getNumCarried());
    for (auto [value, result] : llvm::zip_equal(yielded, op.getStackedResults()))
      changed |= replaceTwin(rewriter, stacked, value, result);
    return success(changed);
  }

private:
  static bool replaceTwin(PatternRewriter &rewriter, llvm::DenseMap<Value, Value> &firsts, Value key, Value value) {
    auto [first, isNew] = firsts.try_emplace(key, value);
    if (isNew || value.use_empty())
      return false;
    rewriter.replaceAllUsesWith(value, first->second);
    return true;
  }
};
} // namespace

void RepeatOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<DropDeadParts, HoistUnchanged, MergeTwins>(context);
}

//===----------------------------------------------------------------------===//
// Row kernels
//===----------------------------------------------------------------------===//

namespace {
/// Inputs that the body does not read, or reads twice in the same way, and results that nobody reads, leave a kernel.
struct TrimRowwise final : OpRewritePattern<RowwiseOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(RowwiseOp op, PatternRewriter &rewriter) const override {
    Block &body = op.getBody().front();
    llvm::DenseMap<std::pair<Value, Attribute>, BlockArgument> firsts;
    for (auto [input, map, argument] : llvm::zip_equal(op.getInputs(), op.getMaps(), body.getArguments())) {
      auto [first, isNew] = firsts.try_emplace({input, map}, argument);
      if (!isNew && !argument.use_empty())
        rewriter.replaceAllUsesWith(argument, first->second);
    }
    // Buffers are written whether somebody reads them here or not.
    SmallVector<bool> liveResults, liveInputs;
    for (Value result : op.getResults())
      liveResults.push_back(!result.use_empty());
    YieldOp yield = op.getYield();
    bool trimResults = llvm::is_contained(liveResults, false) && llvm::is_contained(liveResults, true);
    if (trimResults) {
      rewriter.modifyOpInPlace(yield, [&] { yield->setOperands(kept(yield.getOperands(), liveResults)); });
      eraseDeadOps(rewriter, body);
    }
    for (BlockArgument argument : body.getArguments())
      liveInputs.push_back(!argument.use_empty());
    if (!trimResults && !llvm::is_contained(liveInputs, false))
      return rewriter.notifyMatchFailure(op, "every input and result is read");
    if (!trimResults)
      liveResults.assign(op.getNumResults(), true);

    SmallVector<bool> summed(op.getSummed());
    if (op.getNumResults() != 0)
      summed = kept(op.getSummed(), liveResults);
    auto kernel =
        RowwiseOp::create(rewriter, op.getLoc(), SmallVector<Type>(kept(op.getResultTypes(), liveResults)),
                          op.getDomainAttr(), rewriter.getArrayAttr(kept(op.getMaps(), liveInputs)),
                          rewriter.getDenseBoolArrayAttr(summed), kept(op.getInputs(), liveInputs), op.getOuts());
    kernel->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    for (unsigned number = liveInputs.size(); number-- > 0;)
      if (!liveInputs[number])
        body.eraseArgument(number);
    rewriter.inlineRegionBefore(op.getBody(), kernel.getBody(), kernel.getBody().begin());
    unsigned next = 0;
    for (auto [result, isLive] : llvm::zip_equal(op.getResults(), liveResults))
      if (isLive)
        rewriter.replaceAllUsesWith(result, kernel.getResult(next++));
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void RowwiseOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<TrimRowwise>(context);
}
