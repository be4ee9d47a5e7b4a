//===- passes/Conversion/Buffers/ArenaLayout.h - offsets by liveness --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packs intervals of time and bytes into one arena. Knows nothing of IR.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_ARENALAYOUT_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_ARENALAYOUT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace moire {

/// One buffer: alive from `first` to `last`, both included.
struct Lifetime {
  int64_t first = 0, last = 0;
  int64_t bytes = 0;  ///< multiple of the alignment
  int64_t offset = 0; ///< the answer

  bool overlapsInTime(const Lifetime &other) const { return first <= other.last && other.first <= last; }
};

/// Chooses offsets; returns the size of the arena. With `reuse` off no two buffers share bytes.
int64_t layOutArena(llvm::MutableArrayRef<Lifetime> buffers, bool reuse);

/// Whether two buffers alive at the same time share bytes; a check on layOutArena that shares no code with it.
bool hasConflict(llvm::ArrayRef<Lifetime> buffers);

/// The moment at which most bytes are alive, and how many.
std::pair<int64_t, int64_t> peakMoment(llvm::ArrayRef<Lifetime> buffers);

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_ARENALAYOUT_H
