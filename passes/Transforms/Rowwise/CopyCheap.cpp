//===- passes/Transforms/Rowwise/CopyCheap.cpp - do again or read again -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A few additions are cheaper than a trip to memory. A kernel of nothing but cheap pointwise ops that could not join its
// readers (they are several, or something stands between) is copied into them when fewer bytes move that way.
// Reductions and costly functions are never done twice.
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

/// A kernel that might take a copy, and what that saves and costs in bytes.
struct Reader {
  llvm::SmallDenseSet<Value> values; ///< results of the producer that it reads
  bool fits = true;                  ///< reads only the row being computed
  int64_t saved = 0, added = 0;
};

} // namespace

/// What a group reads from memory over `domain`, without what its own ops compute.
static Reads readsOfGroup(const RowGroups &groups, const RowGroup &group, ArrayRef<int64_t> domain) {
  Reads reads;
  for (Operation *op : group.ops)
    for (const RowRead &read : RowGroups::resolvedReads(op, domain))
      if (groups.groupOf(read.value.getDefiningOp()) != &group)
        reads.insert({read.value, read.map});
  return reads;
}

/// Everyone who reads results of `producer` in kernels; sets `elsewhere` when others read them too.
static llvm::MapVector<const RowGroup *, Reader> readersOf(const RowGroups &groups, const RowGroup &producer,
                                                           bool &elsewhere) {
  llvm::MapVector<const RowGroup *, Reader> readers;
  for (Operation *op : producer.ops)
    for (Operation *user : op->getResult(0).getUsers()) {
      const RowGroup *group = groups.groupOf(user);
      if (group == &producer)
        continue;
      if (!group || !llvm::is_contained(group->domains, producer.domains.front())) {
        elsewhere = true;
        continue;
      }
      Reader &reader = readers[group];
      for (const RowRead &read : readsOf(user, producer.domain()))
        if (read.value == op->getResult(0)) {
          reader.fits &= read.map.isIdentity() && read.map.getNumResults() == producer.domain().size();
          if (reader.values.insert(read.value).second)
            reader.saved += bytesOf(read.value.getType());
        }
    }
  return readers;
}

/// Copies the ops of `producer` in front of themselves, for `reader` alone.
static void copyInto(const RowGroup &producer, const RowGroup &reader) {
  IRMapping mapping;
  OpBuilder builder(producer.ops.back()->getContext());
  builder.setInsertionPointAfter(producer.ops.back());
  for (Operation *op : producer.ops)
    builder.clone(*op, mapping);
  for (Operation *op : reader.ops)
    for (OpOperand &operand : op->getOpOperands())
      if (Value copy = mapping.lookupOrNull(operand.get()))
        operand.set(copy);
}

/// Whether everything in `inputs` is there before the first op of `reader`: then a copy can join it.
static bool comesFirst(const Reads &inputs, const RowGroup &reader) {
  Operation *first = reader.ops.front();
  return llvm::all_of(inputs, [&](const auto &read) {
    Operation *producer = read.first.getDefiningOp();
    return !producer || producer->getBlock() != first->getBlock() || producer->isBeforeInBlock(first);
  });
}

/// Decides for one producer; returns whether it was copied.
static bool copyProducer(const RowGroups &groups, const RowGroup &producer, unsigned maxInputs) {
  if (!llvm::all_of(producer.ops, isCheap) || producer.domain().empty())
    return false;
  bool elsewhere = false;
  auto readers = readersOf(groups, producer, elsewhere);
  Reads inputs = readsOfGroup(groups, producer, producer.domain());
  int64_t saved = 0, added = 0;
  bool allFit = !elsewhere;
  for (auto &[group, reader] : readers) {
    Reads present = readsOfGroup(groups, *group, producer.domain());
    size_t more = 0;
    for (const auto &[value, map] : inputs)
      if (!present.contains({value, map})) {
        ++more;
        if (map.getNumResults())
          reader.added += bytesOf(value.getType());
      }
    reader.fits &= present.size() + more <= maxInputs + reader.values.size() && comesFirst(inputs, *group);
    allFit &= reader.fits;
    saved += reader.saved;
    added += reader.added;
  }
  for (Operation *op : producer.ops)
    if (groups.isNeededOutside(op->getResult(0), producer))
      saved += allFit ? bytesOf(op->getResult(0).getType()) : 0;
  bool everywhere = allFit && added < saved, copied = false;
  for (auto &[group, reader] : readers)
    if (everywhere || (reader.fits && reader.added < reader.saved)) {
      copyInto(producer, *group);
      copied = true;
    }
  if (everywhere)
    for (Operation *op : llvm::reverse(producer.ops))
      if (op->use_empty())
        op->erase();
  return copied;
}

bool moire::copyCheapProducers(Block &block, unsigned maxInputs) {
  RowGroups groups(block, maxInputs);
  for (const auto &group : groups.getGroups())
    // A copy changes who reads what; look at the block afresh then.
    if (copyProducer(groups, *group, maxInputs))
      return true;
  return false;
}
