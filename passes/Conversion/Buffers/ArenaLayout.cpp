//===- passes/Conversion/Buffers/ArenaLayout.cpp - offsets by liveness ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Largest buffers first, each into the smallest gap between the buffers that are alive with it. Good within a few
// percent of the lower bound for training steps, whose large buffers nest like brackets.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/ArenaLayout.h"
#include "llvm/ADT/STLExtras.h"
#include <map>

using namespace moire;

int64_t moire::layOutArena(llvm::MutableArrayRef<Lifetime> buffers, bool reuse) {
  int64_t size = 0;
  if (!reuse) {
    for (Lifetime &buffer : buffers) {
      buffer.offset = size;
      size += buffer.bytes;
    }
    return size;
  }
  llvm::SmallVector<Lifetime *> order, placed;
  for (Lifetime &buffer : buffers)
    order.push_back(&buffer);
  llvm::sort(order, [](Lifetime *a, Lifetime *b) { return std::pair(-a->bytes, a) < std::pair(-b->bytes, b); });
  for (Lifetime *buffer : order) {
    // `placed` is kept sorted by offset, so one sweep over the neighbours in time finds every gap.
    int64_t end = 0, best = -1, bestGap = 0;
    for (Lifetime *other : placed) {
      if (!buffer->overlapsInTime(*other))
        continue;
      int64_t gap = other->offset - end;
      if (gap >= buffer->bytes && (best < 0 || gap < bestGap)) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, other->offset + other->bytes);
    }
    buffer->offset = best < 0 ? end : best;
    size = std::max(size, buffer->offset + buffer->bytes);
    auto at = llvm::upper_bound(placed, buffer, [](Lifetime *a, Lifetime *b) { return a->offset < b->offset; });
    placed.insert(at, buffer);
  }
  return size;
}

bool moire::hasConflict(llvm::ArrayRef<Lifetime> buffers) {
  for (size_t i = 0; i < buffers.size(); ++i)
    for (size_t j = i + 1; j < buffers.size(); ++j) {
      const Lifetime &a = buffers[i], &b = buffers[j];
      bool apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      if (!apart && !(a.last < b.first || b.last < a.first))
        return true;
    }
  return false;
}

std::pair<int64_t, int64_t> moire::peakMoment(llvm::ArrayRef<Lifetime> buffers) {
  std::map<int64_t, int64_t> changes;
  for (const Lifetime &buffer : buffers) {
    changes[buffer.first] += buffer.bytes;
    changes[buffer.last + 1] -= buffer.bytes;
  }
  int64_t alive = 0;
  std::pair<int64_t, int64_t> peak{0, 0};
  for (auto [moment, change] : changes) {
    alive += change;
    if (alive > peak.second)
      peak = {moment, alive};
  }
  return peak;
}
