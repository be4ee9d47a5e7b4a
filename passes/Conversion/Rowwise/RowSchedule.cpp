//===- passes/Conversion/Rowwise/RowSchedule.cpp - sweeps over a row --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stores and reductions go into the first sweep that can compute them; then every row that crosses from one level to
// a later one is weighed: again or keep.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/RowSchedule.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"

using namespace moire::rows;
using llvm::ArrayRef;
using llvm::DenseSet;
using llvm::SmallVector;

namespace {

/// Rows that cost more than this are kept rather than computed again; a load or an addition costs 1.
constexpr int64_t cheap = 6;

class Scheduler {
public:
  Scheduler(RowBody &body, ArrayRef<OutputTraits> outputs, int64_t bufferBytes, int64_t realBytes)
      : body(body), outputs(outputs), bytesLeft(bufferBytes), realBytes(realBytes) {}

  RowSchedule run();

private:
  Sweep &sweepOf(unsigned level, int64_t length);
  void placeYield(const RowValue &value, unsigned output);
  void placeReductions(Node *node);
  void weigh(Node *node, unsigned level);
  bool keep(Node *node);
  int64_t costOf(Node *node, DenseSet<Node *> &seen);

  RowBody &body;
  ArrayRef<OutputTraits> outputs;
  int64_t bytesLeft, realBytes;
  RowSchedule schedule;
  DenseSet<Node *> placed;
};

} // namespace

Sweep &Scheduler::sweepOf(unsigned level, int64_t length) {
  for (Sweep &sweep : schedule.sweeps)
    if (sweep.level == level && sweep.length == length)
      return sweep;
  return schedule.sweeps.emplace_back(Sweep{level, length, {}, {}});
}

/// Puts every reduction below `node` into a sweep.
void Scheduler::placeReductions(Node *node) {
  if (!placed.insert(node).second)
    return;
  for (Node *operand : node->operands)
    placeReductions(operand);
  if (node->isReduction()) {
    Node *reduced = node->operands.front();
    sweepOf(reduced->level, reduced->length).reductions.push_back(node);
  }
}

void Scheduler::placeYield(const RowValue &value, unsigned output) {
  for (Node *piece : value.pieces)
    placeReductions(piece);
  bool add = outputs[output].summed;
  if (value.scalar) {
    schedule.numbers.push_back({value.single(), output, add});
    return;
  }
  int64_t offset = 0;
  for (Node *piece : value.pieces) {
    sweepOf(piece->level, piece->length).stores.push_back({piece, {Place::Output, output, offset}, add});
    offset += piece->length;
  }
}

int64_t Scheduler::costOf(Node *node, DenseSet<Node *> &seen) {
  if (!node->isRow() || node->kind == NodeKind::Splat || !seen.insert(node).second)
    return 0;
  int64_t cost = 1;
  if (node->kind == NodeKind::Apply) {
    if (node->fn == Fn::Exp || node->fn == Fn::FiniteExp || node->fn == Fn::Log || node->fn == Fn::Log1p ||
        node->fn == Fn::Erfc)
      cost = 12;
    if (node->fn == Fn::Div || node->fn == Fn::Reciprocal || node->fn == Fn::Sqrt)
      cost = 5;
    for (Node *operand : node->operands)
      cost += costOf(operand, seen);
  }
  return cost;
}

/// Decides whether a row that a later sweep reads is kept, and where.
bool Scheduler::keep(Node *node) {
  if (schedule.kept.contains(node))
    return true;
  DenseSet<Node *> seen;
  int64_t cost = costOf(node, seen);
  for (Sweep &sweep : schedule.sweeps)
    for (RowStore &store : sweep.stores) {
      bool whole = store.node == node && !store.add && store.place.kind == Place::Output;
      if (whole && !outputs[store.place.index].rounded && cost > 2) {
        schedule.kept[node] = store.place;
        return true;
      }
    }
  int64_t bytes = node->length * realBytes;
  if (cost <= cheap || bytes > bytesLeft)
    return false;
  bytesLeft -= bytes;
  Place place{Place::Buffer, unsigned(schedule.buffers.size()), 0};
  schedule.buffers.push_back(node->length);
  schedule.kept[node] = place;
  sweepOf(node->level, node->length).stores.push_back({node, place, false});
  return true;
}

/// Walks what a sweep of `level` computes, down to loads and to rows of earlier levels that are kept.
void Scheduler::weigh(Node *node, unsigned level) {
  if (node->kind != NodeKind::Apply || !node->isRow())
    return;
  if (node->level < level && node->cls == NodeClass::Real && keep(node))
    return;
  for (Node *operand : node->operands)
    weigh(operand, level);
}

RowSchedule Scheduler::run() {
  for (auto [index, value] : llvm::enumerate(body.yields))
    placeYield(value, index);
  // Later levels first: what they keep becomes a store of an earlier sweep, which is weighed after that. Keeping may
  // add sweeps, so the list is walked by level, not by iterator.
  unsigned levels = 0;
  for (const Sweep &sweep : schedule.sweeps)
    levels = std::max(levels, sweep.level + 1);
  for (unsigned level = levels; level-- > 0;) {
    SmallVector<Node *> roots;
    for (const Sweep &sweep : schedule.sweeps) {
      if (sweep.level != level)
        continue;
      for (const RowStore &store : sweep.stores)
        roots.push_back(store.node);
      for (Node *reduction : sweep.reductions)
        roots.push_back(reduction->operands.front());
    }
    for (Node *root : roots)
      weigh(root, level);
  }
  SmallVector<Sweep> ordered;
  for (unsigned level = 0; level < levels; ++level)
    for (Sweep &sweep : schedule.sweeps)
      if (sweep.level == level)
        ordered.push_back(std::move(sweep));
  schedule.sweeps = std::move(ordered);
  return std::move(schedule);
}

RowSchedule moire::rows::scheduleRow(RowBody &body, ArrayRef<OutputTraits> outputs, int64_t bufferBytes,
                                     int64_t realBytes) {
  return Scheduler(body, outputs, bufferBytes, realBytes).run();
}
