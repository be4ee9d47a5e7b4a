//===- passes/Transforms/Rowwise/CopyCheap.cpp - do again or read again -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A few additions are cheaper than a trip to memory. Where a cheap pointwise result is read by kernels that cannot be the
// one that computes it, it is computed again in them if fewer bytes move that way. Reductions and costly functions are
// never done twice.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Transforms/Rowwise/RowGroups.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace moire;

namespace {

using Reads = llvm::DenseSet<std::pair<Value, AffineMap>>;

/// One cheap result and what it takes to compute it again.
struct Copy {
  SmallVector<Operation *> ops; ///< in order; the last one gives the result
  Reads inputs;                 ///< what they read from memory
};

class Copier {
public:
  Copier(Block &block, unsigned maxInputs, llvm::DenseSet<Operation *> &candidates)
      : groups(block, maxInputs), maxInputs(maxInputs), candidates(candidates) {}

  bool run();

private:
  bool collect(Operation *op, const RowGroup &home, Copy &copy) const;
  Reads readsOf(const RowGroup &group, ArrayRef<int64_t> domain) const;
  bool copyWhereItPays(Operation *op, const RowGroup &home) const;
  bool fits(const Copy &copy, const Reads &present, const RowGroup &reader, ArrayRef<int64_t> domain) const;

  RowGroups groups;
  unsigned maxInputs;
  llvm::DenseSet<Operation *> &candidates;
};

} // namespace

/// Collects `op` and the cheap ops of its kernel that it needs; false when something dear would have to be done again.
bool Copier::collect(Operation *op, const RowGroup &home, Copy &copy) const {
  if (!isCheap(op))
    return false;
  for (const RowRead &read : RowGroups::resolvedReads(op, home.domain())) {
    Operation *producer = read.value.getDefiningOp();
    bool isHere = groups.groupOf(producer) == &home;
    if (isHere && llvm::is_contained(copy.ops, producer))
      continue;
    if (!isHere || groups.isNeededOutside(read.value, home))
      copy.inputs.insert({read.value, read.map});
    else if (!collect(producer, home, copy))
      return false;
  }
  copy.ops.push_back(op);
  return true;
}

/// What a kernel reads from memory, without what it computes.
Reads Copier::readsOf(const RowGroup &group, ArrayRef<int64_t> domain) const {
  Reads reads;
  for (Operation *op : group.ops)
    for (const RowRead &read : RowGroups::resolvedReads(op, domain))
      if (groups.groupOf(read.value.getDefiningOp()) != &group)
        reads.insert({read.value, read.map});
  return reads;
}

/// Whether `reader` can compute the result itself: it wants the row being computed, everything is there before it, and
/// it does not read too much then.
bool Copier::fits(const Copy &copy, const Reads &present, const RowGroup &reader, ArrayRef<int64_t> domain) const {
  Value result = copy.ops.back()->getResult(0);
  size_t reads = present.size() - 1;
  for (const auto &[value, map] : present)
    if (value == result && (!map.isIdentity() || map.getNumResults() != domain.size()))
      return false;
  Operation *first = reader.ops.front();
  for (const auto &[value, map] : copy.inputs) {
    reads += !present.contains({value, map});
    Operation *producer = value.getDefiningOp();
    if (producer && producer->getBlock() == first->getBlock() && !producer->isBeforeInBlock(first))
      return false;
  }
  return reads <= maxInputs && copy.ops.back()->isBeforeInBlock(first);
}

/// Writes the ops again behind the originals, for `reader` alone.
static void copyInto(const Copy &copy, const RowGroup &reader) {
  IRMapping mapping;
  OpBuilder builder(copy.ops.back()->getContext());
  builder.setInsertionPointAfter(copy.ops.back());
  for (Operation *op : copy.ops)
    builder.clone(*op, mapping);
  Value result = copy.ops.back()->getResult(0), again = mapping.lookup(result);
  for (Operation *op : reader.ops)
    op->replaceUsesOfWith(result, again);
}

bool Copier::copyWhereItPays(Operation *op, const RowGroup &home) const {
  Value result = op->getResult(0);
  Copy copy;
  if (!candidates.contains(op) || home.domain().empty() || !isCheap(op) || !groups.isNeededOutside(result, home) || !collect(op, home, copy))
    return false;
  int64_t bytes = bytesOf(result.getType()), moved = 0;
  bool everywhere = true;
  llvm::MapVector<const RowGroup *, int64_t> readers; // and bytes that each would read in its place
  for (Operation *user : result.getUsers()) {
    const RowGroup *reader = groups.groupOf(user);
    if (reader == &home || readers.contains(reader))
      continue;
    if (!reader || !llvm::is_contained(reader->domains, home.domains.front())) {
      everywhere = false;
      continue;
    }
    Reads present = readsOf(*reader, home.domain());
    if (!fits(copy, present, *reader, home.domain())) {
      everywhere = false;
      continue;
    }
    int64_t added = 0;
    for (const auto &[value, map] : copy.inputs)
      if (!present.contains({value, map}) && map.getNumResults())
        added += bytesOf(value.getType());
    readers[reader] = added;
    moved += added - bytes;
  }
  everywhere &= moved - bytes < 0; // nobody reads it then, so it need not be written
  bool copied = false;
  for (auto &[reader, added] : readers)
    if (everywhere || added < bytes) {
      copyInto(copy, *reader);
      copied = true;
    }
  return copied;
}

bool Copier::run() {
  for (const auto &group : groups.getGroups())
    for (Operation *op : group->ops)
      // A copy changes who reads what: the block must be partitioned afresh.
      if (copyWhereItPays(op, *group)) {
        candidates.erase(op);
        return true;
      }
  return false;
}

bool moire::copyCheapProducers(Block &block, unsigned maxInputs, llvm::DenseSet<Operation *> &candidates) {
  return Copier(block, maxInputs, candidates).run();
}
