//===- passes/Transforms/Autodiff/MinimumCut.h - cheapest set of nodes -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The cheapest set of nodes that separates sources from sinks in a small directed graph (Ford and Fulkerson's theorem,
// shortest augmenting paths).
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_MINIMUMCUT_H
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_MINIMUMCUT_H

#include "llvm/ADT/SmallVector.h"

#include <cstdint>

namespace moire {

/// A graph whose nodes have costs. Every path from a source to a sink must pass a chosen node.
class MinimumCut {
public:
  /// Adds a node that may be chosen at `cost`; returns its number.
  unsigned addNode(int64_t cost);
  void addEdge(unsigned from, unsigned to) { addArc(outOf(from), into(to), infinite); }
  void markSource(unsigned node) { addArc(source, into(node), infinite); }
  void markSink(unsigned node) { addArc(outOf(node), sink, infinite); }
  /// The chosen nodes, ascending. Of several cheapest sets the one nearest to the sinks.
  llvm::SmallVector<unsigned> solve();

private:
  struct Arc {
    unsigned to;
    int64_t capacity;
  };
  static constexpr int64_t infinite = INT64_MAX / 4;
  static constexpr unsigned source = 0, sink = 1;
  /// Every node is two, with an arc of its cost between.
  static unsigned into(unsigned node) { return 2 + 2 * node; }
  static unsigned outOf(unsigned node) { return 3 + 2 * node; }
  /// Adds an arc and its reverse; arc i and i ^ 1 belong together.
  void addArc(unsigned from, unsigned to, int64_t capacity);
  /// Sends flow along one shortest path; false when there is none.
  bool augment();

  llvm::SmallVector<Arc> arcs;
  llvm::SmallVector<llvm::SmallVector<unsigned>> arcsOf{2};
};

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_AUTODIFF_MINIMUMCUT_H
