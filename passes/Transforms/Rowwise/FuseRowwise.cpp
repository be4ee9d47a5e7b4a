//===- passes/Transforms/Rowwise/FuseRowwise.cpp - row ops to row kernels ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass: partitions each block, writes a `moire.rowwise` for each group, and puts the block in order again.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Rowwise/Passes.h"
#include "passes/Transforms/Rowwise/RowGroups.h"

namespace moire {
#define GEN_PASS_DEF_FUSEROWWISEPASS
#include "passes/Transforms/Rowwise/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

/// Writes the kernel of one group.
class KernelWriter {
public:
  KernelWriter(OpBuilder &builder, const RowGroups &groups, const RowGroup &group)
      : builder(builder), groups(groups), group(group), domain(group.domain()) {}

  RowwiseOp write();

private:
  Value row(const RowRead &read);
  Value input(const RowRead &read);
  Type outputType(Value value, Type row) const;

  OpBuilder &builder;
  const RowGroups &groups;
  const RowGroup &group;
  ArrayRef<int64_t> domain;
  Block *body = nullptr;
  SmallVector<Value> inputs;
  SmallVector<Attribute> maps;
  llvm::MapVector<std::pair<Value, AffineMap>, Value> rows; // what was read already
  DenseMap<Value, Value> computed;                          // rows of the group's own results
};

class FuseRowwise : public moire::impl::FuseRowwisePassBase<FuseRowwise> {
public:
  using Base::Base;
  void runOnOperation() override;

private:
  void fuse(Block &block);
};

} // namespace

/// The block argument of a read; equal reads share one.
Value KernelWriter::input(const RowRead &read) {
  Value &known = rows[{read.value, read.map}];
  if (!known) {
    inputs.push_back(read.value);
    maps.push_back(AffineMapAttr::get(read.map));
    known = body->addArgument(rowType(read), read.value.getLoc());
  }
  return known;
}

/// The row of a read: computed in this kernel, made by a free op, or read.
Value KernelWriter::row(const RowRead &read) {
  if (Value known = computed.lookup(read.value))
    return known;
  Operation *producer = read.value.getDefiningOp();
  SmallVector<RowRead> behind;
  if (!isFree(producer) || !readThrough(producer, read, domain, behind))
    return input(read);
  SmallVector<Value> operands;
  for (const RowRead &next : behind)
    operands.push_back(row(next));
  return emitFree(builder, producer, read, operands);
}

/// Type of the kernel's result for `value`, of which the body yields `row`.
Type KernelWriter::outputType(Value value, Type row) const {
  auto result = cast<OpResult>(value);
  SmallVector<int64_t> shape;
  bool summed = isSummed(result.getOwner(), result.getResultNumber());
  if (!summed)
    llvm::append_range(shape, domain);
  llvm::append_range(shape, shapeOf(row));
  return RankedTensorType::get(shape, elementOf(value.getType()));
}

RowwiseOp KernelWriter::write() {
  SmallVector<Location> locations;
  for (Operation *op : group.ops)
    locations.push_back(op->getLoc());
  Location loc = builder.getFusedLoc(locations);
  Operation *last = group.ops.back();

  Region region;
  body = &region.emplaceBlock();
  builder.setInsertionPointToEnd(body);
  SmallVector<Value> results, yielded;
  for (Operation *op : group.ops) {
    SmallVector<Value> operands;
    for (const RowRead &read : readsOf(op, domain))
      operands.push_back(row(read));
    for (auto [result, value] : llvm::zip_equal(op->getResults(), emitRow(builder, op, domain, operands))) {
      computed[result] = value;
      if (groups.isNeededOutside(result, group)) {
        results.push_back(result);
        yielded.push_back(value);
      }
    }
  }
  YieldOp::create(builder, loc, yielded);

  SmallVector<Type> types;
  SmallVector<bool> summed;
  for (auto [result, value] : llvm::zip_equal(results, yielded)) {
    types.push_back(outputType(result, value.getType()));
    summed.push_back(isSummed(result.getDefiningOp(), cast<OpResult>(result).getResultNumber()));
  }
  builder.setInsertionPointAfter(last);
  auto kernel =
      RowwiseOp::create(builder, loc, types, domain, builder.getArrayAttr(maps), summed, inputs, ValueRange());
  kernel.getBody().takeBody(region);
  // Results of several rows that were yielded as one get their extents back.
  for (auto [result, written] : llvm::zip_equal(results, kernel.getResults())) {
    Value replacement = written;
    if (written.getType() != result.getType())
      replacement = ReshapeOp::create(builder, loc, result.getType(), written);
    result.replaceAllUsesWith(replacement);
  }
  return kernel;
}

//===----------------------------------------------------------------------===//
// Sums that leave several rows
//===----------------------------------------------------------------------===//

/// `[l.., s..] -> [s..]` with several rows left: the same sum over flattened extents, whose result is one row.
static void flattenSum(OpBuilder &builder, ReduceLeadingOp op) {
  builder.setInsertionPoint(op);
  auto from = cast<RankedTensorType>(op.getX().getType()), to = cast<RankedTensorType>(op.getY().getType());
  int64_t columns = to.getNumElements();
  Location loc = op.getLoc();
  Value flat = ReshapeOp::create(
      builder, loc, RankedTensorType::get({from.getNumElements() / columns, columns}, from.getElementType()), op.getX());
  Value sum = ReduceLeadingOp::create(builder, loc, RankedTensorType::get({columns}, to.getElementType()), flat);
  op.replaceAllUsesWith(ReshapeOp::create(builder, loc, to, sum).getResult());
  op.erase();
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

static std::string namesOf(const RowGroup &group) {
  std::string names;
  for (Operation *op : group.ops)
    ((names += names.empty() ? "" : ", ") += op->getName().stripDialect());
  return names;
}

void FuseRowwise::fuse(Block &block) {
  OpBuilder builder(&getContext());
  for (Operation &op : llvm::make_early_inc_range(block))
    if (auto sum = dyn_cast<ReduceLeadingOp>(op); sum && !sum.worksRowByRow())
      flattenSum(builder, sum);
  // A chain of cheap kernels takes a round for each.
  llvm::DenseSet<Operation *> candidates;
  for (Operation &op : block)
    candidates.insert(&op);
  while (copyCheapProducers(block, maxInputs, candidates))
    ;
  RowGroups groups(block, maxInputs);
  if (groups.getGroups().empty())
    return;
  auto options = remark::RemarkOpts::name("FuseRowwise").category(getArgument());
  for (const DeclinedMerge &merge : groups.getDeclined())
    remark::missed(merge.second->getLoc(), options) << remark::reason(
        "`{0}` and `{1}` stay apart: {2}", merge.first->getName().getStringRef().str(),
        merge.second->getName().getStringRef().str(), merge.reason);
  SmallVector<Operation *> replaced;
  for (const auto &group : groups.getGroups()) {
    RowwiseOp kernel = KernelWriter(builder, groups, *group).write();
    llvm::append_range(replaced, group->ops);
    remark::passed(kernel.getLoc(), options)
        << remark::add("one kernel over {0} rows, {1} inputs, {2} results: {3}", kernel.getDomainSize(),
                       kernel.getInputs().size(), kernel.getNumResults(), namesOf(*group));
  }
  // Kernels stand where their last op stood; what read an earlier result moves behind them.
  for (Operation *op : replaced)
    op->dropAllReferences();
  // Free ops that only kernels read are dead now; they go before what they read does.
  llvm::SmallPtrSet<Operation *, 16> gone(llvm::from_range, replaced);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (!gone.contains(&op) && op.use_empty() && isFree(&op))
      op.erase();
  for (Operation *op : llvm::reverse(replaced)) {
    op->dropAllUses();
    op->erase();
  }
  sortTopologically(&block);
}

void FuseRowwise::runOnOperation() {
  SmallVector<Block *> blocks;
  getOperation()->walk([&](Block *block) {
    if (!isa<RowwiseOp>(block->getParentOp()) && !isa<ModuleOp>(block->getParentOp()))
      blocks.push_back(block);
  });
  for (Block *block : blocks)
    fuse(*block);
}
