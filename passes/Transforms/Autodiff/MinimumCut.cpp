//===- passes/Transforms/Autodiff/MinimumCut.cpp - cheapest set of nodes -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Graphs here have a few hundred nodes, the values of one layer, so plain breadth-first augmentation is enough.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/MinimumCut.h"

#include "llvm/ADT/BitVector.h"

#include <algorithm>

namespace moire {

unsigned MinimumCut::addNode(int64_t cost) {
  unsigned node = (arcsOf.size() - 2) / 2;
  arcsOf.resize(arcsOf.size() + 2);
  addArc(into(node), outOf(node), cost);
  return node;
}

void MinimumCut::addArc(unsigned from, unsigned to, int64_t capacity) {
  arcsOf[from].push_back(arcs.size());
  arcs.push_back({to, capacity});
  arcsOf[to].push_back(arcs.size());
  arcs.push_back({from, 0});
}

bool MinimumCut::augment() {
  llvm::SmallVector<int64_t> arrival(arcsOf.size(), -1); // the arc that reached a node first
  llvm::SmallVector<unsigned> queue{source};
  for (unsigned head = 0; head < queue.size() && arrival[sink] < 0; ++head)
    for (unsigned arc : arcsOf[queue[head]]) {
      unsigned to = arcs[arc].to;
      if (arcs[arc].capacity == 0 || arrival[to] >= 0 || to == source)
        continue;
      arrival[to] = arc;
      queue.push_back(to);
    }
  if (arrival[sink] < 0)
    return false;
  int64_t flow = infinite;
  for (unsigned node = sink; node != source; node = arcs[arrival[node] ^ 1].to)
    flow = std::min(flow, arcs[arrival[node]].capacity);
  for (unsigned node = sink; node != source; node = arcs[arrival[node] ^ 1].to) {
    arcs[arrival[node]].capacity -= flow;
    arcs[arrival[node] ^ 1].capacity += flow;
  }
  return true;
}

llvm::SmallVector<unsigned> MinimumCut::solve() {
  while (augment())
    ;
  // Nodes from which the sink can still be reached; the cut leads into them.
  llvm::BitVector near(arcsOf.size());
  llvm::SmallVector<unsigned> queue{sink};
  near.set(sink);
  for (unsigned head = 0; head < queue.size(); ++head)
    for (unsigned arc : arcsOf[queue[head]]) {
      unsigned from = arcs[arc].to; // the partner of `arc` leads from there to here
      if (arcs[arc ^ 1].capacity == 0 || near.test(from))
        continue;
      near.set(from);
      queue.push_back(from);
    }
  llvm::SmallVector<unsigned> cut;
  for (unsigned node = 0; into(node) < arcsOf.size(); ++node)
    if (near.test(outOf(node)) && !near.test(into(node)))
      cut.push_back(node);
  return cut;
}

} // namespace moire
