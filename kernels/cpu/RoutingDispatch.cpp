//===- kernels/cpu/RoutingDispatch.cpp - sorting assignments by expert -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stable counting sort, and the copy of rows, which need no arithmetic. Each
// thread counts a range of assignments, learns from the counts of the
// threads before it where its own begin, and places them. A stable sort has one result, so the ranges may
// depend on the number of threads.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

#include <algorithm>
#include <cstring>

using namespace moire::cpu;

namespace {

/// Below this many assignments one thread sorts faster than two begin to.
constexpr int64_t serialAssignments = 8192;
constexpr int mostThreads = 256;

template <typename X>
void gatherRows(int64_t count, int64_t width, const int32_t *rows, const X *x, int64_t ldx, X *y, int64_t ldy) {
  parallelFor(count, 1 + 16384 / (width + 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      std::memcpy(y + r * ldy, x + rows[r] * ldx, size_t(width) * sizeof(X));
  });
}

/// Puts the `limit` assignments of the largest gates first among [begin, end), ties to the lower assignment, in the
/// order of their numbers.
template <typename S> void keepLargest(int32_t *begin, int32_t *end, int64_t limit, const S *gates) {
  auto first = [&](int32_t x, int32_t y) {
    // A gate that is no number comes last, so that this is an order in any case.
    bool xIsNumber = gates[x] == gates[x], yIsNumber = gates[y] == gates[y];
    if (!xIsNumber || !yIsNumber)
      return xIsNumber != yIsNumber ? xIsNumber : x < y;
    return gates[x] > gates[y] || (gates[x] == gates[y] && x < y);
  };
  std::nth_element(begin, begin + limit, end, first);
  std::sort(begin, begin + limit);
}

/// A stable counting sort into `slots`, which then lose what is above the limit, expert by expert.
template <typename S> class LimitedDispatch {
public:
  LimitedDispatch(int64_t tokens, int64_t experts, int64_t topK, int64_t limit, S threshold, const int32_t *chosen,
                  const S *gates, int32_t *offsets, int32_t *rows, int32_t *slots, int32_t *position)
      : assignments(tokens * topK), experts(experts), topK(topK), limit(limit), threshold(threshold), chosen(chosen),
        gates(gates), offsets(offsets), rows(rows), slots(slots), position(position) {}

  void run() {
    parallelRegion([&](int thread, int threads) { runThread(thread, threads); },
                   assignments < serialAssignments ? 1 : INT64_MAX);
  }

private:
  void runThread(int thread, int threads) {
    int64_t begin = assignments * thread / threads, end = assignments * (thread + 1) / threads;
    ScratchFrame frame;
    int32_t *next = frame.take<int32_t>(size_t(experts)), *starts = frame.take<int32_t>(size_t(experts) + 1);
    int32_t *count = counts[thread] = frame.take<int32_t>(size_t(experts));
    std::memset(count, 0, size_t(experts) * sizeof(int32_t));
    for (int64_t a = begin; a < end; ++a)
      if (hasRow(a))
        ++count[chosen[a]];
    regionBarrier();
    int32_t start = 0;
    for (int64_t e = 0; e < experts; ++e) {
      starts[e] = start;
      for (int other = 0; other < threads; ++other) {
        if (other == thread)
          next[e] = start;
        start += counts[other][e];
      }
    }
    starts[experts] = start;
    for (int64_t a = begin; a < end; ++a) {
      position[a] = -1;
      if (hasRow(a))
        slots[next[chosen[a]]++] = int32_t(a);
    }
    regionBarrier();
    int32_t kept = 0;
    for (int64_t e = 0; e < experts; ++e) {
      int32_t stay = staying(starts, e);
      if (e % threads == thread)
        place(starts[e], starts[e + 1], kept, stay);
      kept += stay;
    }
    regionBarrier();
    if (thread == 0)
      finish(starts);
  }

  /// Whether assignment a is one of an expert, with a gate above the threshold.
  bool hasRow(int64_t a) const { return chosen[a] < experts && !(threshold >= 0 && gates[a] <= threshold); }

  /// How many assignments of expert e stay.
  int32_t staying(const int32_t *starts, int64_t e) const {
    int32_t count = starts[e + 1] - starts[e];
    return limit >= 0 && count > limit ? int32_t(limit) : count;
  }

  /// Rows `row` to `row + stay` are those of the slots [begin, end) of one expert that stay.
  void place(int32_t begin, int32_t end, int32_t row, int32_t stay) const {
    if (stay < end - begin)
      keepLargest(slots + begin, slots + end, limit, gates);
    for (int32_t i = 0; i < stay; ++i) {
      rows[row + i] = int32_t(slots[begin + i] / topK);
      position[slots[begin + i]] = row + i;
    }
  }

  /// Slots move together; what is behind the last row is 0.
  void finish(const int32_t *starts) const {
    int32_t kept = 0;
    for (int64_t e = 0; e < experts; ++e) {
      int32_t stay = staying(starts, e);
      std::memmove(slots + kept, slots + starts[e], size_t(stay) * sizeof(int32_t));
      offsets[e] = kept;
      kept += stay;
    }
    offsets[experts] = kept;
    std::memset(rows + kept, 0, size_t(assignments - kept) * sizeof(int32_t));
    std::memset(slots + kept, 0, size_t(assignments - kept) * sizeof(int32_t));
  }

  int64_t assignments, experts, topK, limit;
  S threshold;
  const int32_t *chosen;
  const S *gates;
  int32_t *offsets, *rows, *slots, *position;
  int32_t *counts[mostThreads];
};

} // namespace

extern "C" {

#define MOIRE_DEFINE_LIMITED(SUFFIX, S)                                                                                \
  void moire_dispatch_limited_##SUFFIX(int64_t tokens, int64_t experts, int64_t top_k, int64_t limit, S threshold,     \
                                       const int32_t *chosen, const S *gates, int32_t *offsets, int32_t *rows,         \
                                       int32_t *slots, int32_t *position) {                                            \
    LimitedDispatch<S>(tokens, experts, top_k, limit, threshold, chosen, gates, offsets, rows, slots, position).run(); \
  }
MOIRE_DEFINE_LIMITED(f32, float)
MOIRE_DEFINE_LIMITED(f64, double)

void moire_dispatch(int64_t tokens, int64_t experts, int64_t top_k, const int32_t *chosen, int32_t *offsets,
                    int32_t *rows, int32_t *slots, int32_t *position) {
  int64_t assignments = tokens * top_k;
  int32_t *counts[mostThreads];
  parallelRegion(
      [&](int thread, int threads) {
        int64_t begin = assignments * thread / threads, end = assignments * (thread + 1) / threads;
        ScratchFrame frame;
        int32_t *next = frame.take<int32_t>(size_t(experts));
        int32_t *count = counts[thread] = frame.take<int32_t>(size_t(experts));
        std::memset(count, 0, size_t(experts) * sizeof(int32_t));
        for (int64_t a = begin; a < end; ++a)
          ++count[chosen[a]];
        regionBarrier();
        int32_t start = 0;
        for (int64_t e = 0; e < experts; ++e) {
          if (thread == 0)
            offsets[e] = start;
          for (int other = 0; other < threads; ++other) {
            if (other == thread)
              next[e] = start;
            start += counts[other][e];
          }
        }
        if (thread == 0)
          offsets[experts] = start;
        for (int64_t a = begin; a < end; ++a) {
          int32_t row = next[chosen[a]]++;
          rows[row] = int32_t(a / top_k);
          slots[row] = int32_t(a);
          position[a] = row;
        }
        regionBarrier(); // the counts are in the threads' own scratch memory
      },
      assignments < serialAssignments ? 1 : INT64_MAX);
}

void moire_gather_rows_f32(int64_t count, int64_t width, const int32_t *rows, const float *x, int64_t ldx, float *y,
                           int64_t ldy) {
  gatherRows(count, width, rows, x, ldx, y, ldy);
}
void moire_gather_rows_f64(int64_t count, int64_t width, const int32_t *rows, const double *x, int64_t ldx, double *y,
                           int64_t ldy) {
  gatherRows(count, width, rows, x, ldx, y, ldy);
}
void moire_gather_rows_bf16(int64_t count, int64_t width, const int32_t *rows, const uint16_t *x, int64_t ldx,
                            uint16_t *y, int64_t ldy) {
  gatherRows(count, width, rows, x, ldx, y, ldy);
}

} // extern "C"
