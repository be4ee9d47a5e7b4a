//===- passes/Transforms/Rowwise/RowGroups.cpp - which ops share a kernel ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Merging is legal when the ops can run over one domain, every value that passes between them is read by the row that
// is being computed, and no op outside the kernel stands between them.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Rowwise/RowGroups.h"
#include "dialect/IR/TypeUtils.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace moire;

/// Follows free ops from one read to what is read in the end.
static void resolve(const RowRead &read, ArrayRef<int64_t> domain, SmallVectorImpl<RowRead> &reads) {
  Operation *producer = read.value.getDefiningOp();
  SmallVector<RowRead> behind;
  if (!isFree(producer) || !readThrough(producer, read, domain, behind)) {
    reads.push_back(read);
    return;
  }
  for (const RowRead &next : behind)
    resolve(next, domain, reads);
}

SmallVector<RowRead> RowGroups::resolvedReads(Operation *op, ArrayRef<int64_t> domain) {
  SmallVector<RowRead> reads;
  for (const RowRead &read : readsOf(op, domain))
    resolve(read, domain, reads);
  return reads;
}

RowGroups::RowGroups(Block &block, unsigned maxInputs) : block(block), maxInputs(maxInputs) {
  for (auto [number, op] : llvm::enumerate(block)) {
    order[&op] = number;
    dependsOn[&op] = dependencies(&op);
    if (isFree(&op))
      continue;
    SmallVector<Domain, 2> domains = domainsOf(&op);
    if (domains.empty())
      continue;
    groups.push_back(std::make_unique<RowGroup>(RowGroup{{&op}, std::move(domains)}));
    memberOf[&op] = groups.back().get();
  }
  mergeProducers();
  mergeSiblings();
  llvm::erase_if(groups, [](const std::unique_ptr<RowGroup> &group) { return group->ops.empty(); });
  // Constants and repetitions that someone outside the kernels reads are kernels too.
  for (Operation &op : block) {
    if (!isFree(&op) || isa<SliceOp>(op) || !isReadFromMemory(&op))
      continue;
    groups.push_back(std::make_unique<RowGroup>(RowGroup{{&op}, domainsOf(&op)}));
    memberOf[&op] = groups.back().get();
  }
}

/// Ops of the block that `op` (or an op inside it) reads, free ops skipped.
SmallVector<Operation *> RowGroups::dependencies(Operation *op) const {
  llvm::SetVector<Operation *> found;
  SmallVector<Value> work;
  op->walk([&](Operation *inner) { llvm::append_range(work, inner->getOperands()); });
  while (!work.empty()) {
    Operation *producer = work.pop_back_val().getDefiningOp();
    if (!producer || producer->getBlock() != &block)
      continue;
    if (isFree(producer))
      llvm::append_range(work, producer->getOperands());
    else
      found.insert(producer);
  }
  return found.takeVector();
}

/// Whether `read` gives the row of its value that belongs to the row being computed.
static bool isSameRow(const RowRead &read, ArrayRef<int64_t> domain) {
  return read.map.isIdentity() && read.map.getNumResults() == domain.size();
}

bool RowGroups::isNeededOutside(Value value, const RowGroup &group) const {
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    if (user->getBlock() == &block && isFree(user))
      return isNeededOutside(user->getResult(0), group);
    return memberOf.lookup(user) != &group;
  });
}

bool RowGroups::isReadFromMemory(Operation *freeOp) const {
  Value value = freeOp->getResult(0);
  auto reads = [&](Operation *op, ArrayRef<int64_t> domain) {
    return llvm::any_of(resolvedReads(op, domain), [&](const RowRead &read) { return read.value == value; });
  };
  return llvm::any_of(value.getUsers(), [&](Operation *user) {
    if (const RowGroup *group = memberOf.lookup(user))
      return reads(user, group->domain());
    if (user->getBlock() != &block || !isFree(user))
      return true;
    // A slice outside kernels is a view of memory; anything else free becomes a kernel itself.
    return isReadFromMemory(user) && (isa<SliceOp>(user) || reads(user, domainsOf(user).front()));
  });
}

//===----------------------------------------------------------------------===//
// Legality
//===----------------------------------------------------------------------===//

bool RowGroups::edgesFit(RowGroup *a, RowGroup *b, ArrayRef<int64_t> domain) const {
  auto fits = [&](RowGroup *producers, RowGroup *consumers) {
    return llvm::all_of(consumers->ops, [&](Operation *op) {
      return llvm::all_of(resolvedReads(op, domain), [&](const RowRead &read) {
        auto result = dyn_cast<OpResult>(read.value);
        if (!result || memberOf.lookup(result.getOwner()) != producers)
          return true;
        return isSameRow(read, domain) && !isSummed(result.getOwner(), result.getResultNumber());
      });
    });
  };
  return fits(a, b) && fits(b, a);
}

bool RowGroups::makesCycle(RowGroup *a, RowGroup *b) const {
  llvm::DenseSet<Operation *> seen;
  SmallVector<Operation *> work;
  // From what the merged kernel reads, through everything but itself, back to itself?
  auto push = [&](Operation *op) {
    for (Operation *producer : dependsOn.lookup(op))
      if (seen.insert(producer).second)
        work.push_back(producer);
  };
  auto isOurs = [&](Operation *op) {
    RowGroup *group = memberOf.lookup(op);
    return group && (group == a || group == b);
  };
  for (RowGroup *group : {a, b})
    llvm::for_each(group->ops, push);
  llvm::erase_if(work, isOurs);
  seen.clear();
  for (Operation *op : work)
    seen.insert(op);
  while (!work.empty()) {
    Operation *op = work.pop_back_val();
    if (isOurs(op))
      return true;
    // A kernel depends on everything that any of its ops reads.
    RowGroup *group = memberOf.lookup(op);
    ArrayRef<Operation *> together = group ? ArrayRef<Operation *>(group->ops) : ArrayRef<Operation *>(op);
    llvm::for_each(together, push);
  }
  return false;
}

unsigned RowGroups::countReads(RowGroup *a, RowGroup *b, ArrayRef<int64_t> domain) const {
  llvm::DenseSet<std::pair<Value, AffineMap>> distinct;
  for (RowGroup *group : {a, b})
    for (Operation *op : group->ops)
      for (const RowRead &read : resolvedReads(op, domain)) {
        RowGroup *producer = memberOf.lookup(read.value.getDefiningOp());
        if (!producer || (producer != a && producer != b))
          distinct.insert({read.value, read.map});
      }
  return distinct.size();
}

/// The reason why two groups cannot be one kernel, or nothing and the domains over which they can.
std::string RowGroups::whyNot(RowGroup *a, RowGroup *b, SmallVectorImpl<Domain> &common) {
  auto standsAlone = [](RowGroup *group) {
    return llvm::any_of(group->ops, [](Operation *op) { return isa<LookupGradOp, ExpertLoadOp>(op); });
  };
  if (standsAlone(a) || standsAlone(b))
    return "it is a kernel of its own kind";
  for (const Domain &domain : a->domains)
    if (llvm::is_contained(b->domains, domain))
      common.push_back(domain);
  if (common.empty())
    return "they run over different rows";
  llvm::erase_if(common, [&](const Domain &domain) { return !edgesFit(a, b, domain); });
  if (common.empty())
    return "the second reads other rows than the one that the first has just computed";
  llvm::erase_if(common, [&](const Domain &domain) { return countReads(a, b, domain) > maxInputs; });
  if (common.empty())
    return "together they would read more than " + std::to_string(maxInputs) + " rows";
  if (makesCycle(a, b))
    return "something outside stands between them";
  return "";
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

bool RowGroups::tryMerge(RowGroup *a, RowGroup *b, bool report) {
  SmallVector<Domain> common;
  std::string reason = whyNot(a, b, common);
  if (!reason.empty()) {
    if (report)
      declined.push_back({a->ops.back(), b->ops.front(), std::move(reason)});
    return false;
  }
  for (Operation *op : b->ops)
    memberOf[op] = a;
  llvm::append_range(a->ops, b->ops);
  llvm::sort(a->ops, [&](Operation *x, Operation *y) { return order.lookup(x) < order.lookup(y); });
  a->domains.assign(common.begin(), common.end());
  b->ops.clear();
  return true;
}

void RowGroups::mergeProducers() {
  for (Operation &op : block) {
    if (!memberOf.contains(&op))
      continue;
    for (Operation *producer : dependsOn[&op])
      if (RowGroup *group = memberOf.lookup(producer); group && group != memberOf[&op])
        tryMerge(group, memberOf[&op], /*report=*/true);
  }
}

void RowGroups::mergeSiblings() {
  // Readers of each value, by row; rows that everybody reads (weights, tables) are no reason to join.
  llvm::MapVector<Value, SmallVector<Operation *>> readers;
  for (Operation &op : block)
    if (RowGroup *group = memberOf.lookup(&op))
      for (const RowRead &read : resolvedReads(&op, group->domain()))
        if (isSameRow(read, group->domain()) && !group->domain().empty())
          readers[read.value].push_back(&op);
  for (auto &[value, ops] : readers)
    for (size_t i = 0; i < ops.size(); ++i)
      for (size_t j = i + 1; j < ops.size(); ++j)
        if (memberOf[ops[i]] != memberOf[ops[j]])
          tryMerge(memberOf[ops[i]], memberOf[ops[j]], /*report=*/false);
}
