//===- kernels/cpu/ScanForward.h - the selective scan ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//   h[n] <- exp(dt a[n]) h[n] + dt u b[n];   y = sum_n c[n] h[n] + d u
//
// A task is one batch row and `scanTaskChannels` channels. It goes chunk by chunk; inside a
// chunk, panel by panel (ScanPanels.h) with 8 states in registers. Per vector of elements that
// is 9 multiplications or fused additions (6 of them the exponential's) and 4 cheaper operations, so a core that
// starts one 512-bit multiplication each cycle cannot exceed 16 elements in 9 cycles.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SCANFORWARD_H
#define MOIRE_KERNELS_CPU_SCANFORWARD_H

#include "kernels/cpu/ScanPanels.h"
#include "kernels/cpu/ScanTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

inline constexpr int64_t scanTaskChannels = 64;

/// States in registers at a time, and exponentials computed side by side. 16 states would do with one pass over the
/// tokens, but leave too few registers to interleave: measured, two passes of 8 are a quarter faster.
inline constexpr int scanBlock = 8, scanInterleave = 4;
static_assert(scanBlock % scanInterleave == 0 && statePad == scanInterleave);

/// One panel of channels over the tokens of one chunk, packed as [tokens][lanes].
template <typename S> struct ScanPanelRun {
  int64_t tokens, padded;
  const S *dt, *gain;     ///< gain = dt u
  const S *decay, *b, *c; ///< [padded][lanes], [tokens][padded], [tokens][padded]
  S *h, *y;               ///< [padded][lanes]; y, to which the states' part is added
  PrefetchWalk *next;

  /// States [from, from + block).
  template <int block> inline void run(int64_t from) const {
    constexpr int64_t lanes = Simd<S>::lanes;
    Vec<S> state[block];
    MOIRE_UNROLL
    for (int n = 0; n < block; ++n)
      state[n] = Simd<S>::load(h + (from + n) * lanes);
    const S *panel = decay + from * lanes, *bRow = b + from, *cRow = c + from;
    for (int64_t t = 0; t < tokens; ++t, bRow += padded, cRow += padded) {
      next->step();
      Vec<S> step = Simd<S>::load(dt + t * lanes), input = Simd<S>::load(gain + t * lanes);
      Vec<S> sums[2] = {Simd<S>::load(y + t * lanes), Simd<S>::zero()};
      MOIRE_UNROLL
      for (int n = 0; n < block; n += scanInterleave) {
        Vec<S> factor[scanInterleave];
        MOIRE_UNROLL
        for (int k = 0; k < scanInterleave; ++k)
          factor[k] = step * Simd<S>::load(panel + (n + k) * lanes);
        expScaled<scanInterleave>(factor);
        MOIRE_UNROLL
        for (int k = 0; k < scanInterleave; ++k) {
          state[n + k] = Simd<S>::fma(factor[k], state[n + k], input * Simd<S>::broadcast(bRow[n + k]));
          sums[k & 1] = Simd<S>::fma(Simd<S>::broadcast(cRow[n + k]), state[n + k], sums[k & 1]);
        }
      }
      Simd<S>::store(y + t * lanes, sums[0] + sums[1]);
    }
    MOIRE_UNROLL
    for (int n = 0; n < block; ++n)
      Simd<S>::store(h + (from + n) * lanes, state[n]);
  }

  inline void runAll() const {
    int64_t n = 0;
    for (; n + scanBlock <= padded; n += scanBlock)
      run<scanBlock>(n);
    if (n < padded)
      run<statePad>(n);
  }
};

/// One task: the channels [begin, end) of batch row i.
template <typename X, typename S> class ScanTask {
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes, chunk = MOIRE_SCAN_CHUNK;
  const ScanArguments<X, S> &s;
  int64_t i, begin, end, padded, panels, chunks;
  ScratchFrame frame;
  S *decay, *h;     ///< [panels][padded][lanes]
  S *b, *c;         ///< [chunk][padded]
  S *dt, *gain, *y; ///< [panels][panelRows][lanes]
  S *d;             ///< [panels][lanes]

  int64_t channel(int64_t p) const { return begin + p * lanes; }
  int64_t used(int64_t p) const { return smaller(lanes, end - channel(p)); }

  void loadChunk(int64_t row, int64_t tokens) {
    loadStateRows(tokens, s.state, s.b + row * s.bStride, s.bStride, b);
    loadStateRows(tokens, s.state, s.c + row * s.cStride, s.cStride, c);
    // Token by token, because rows of channels lie together in memory.
    for (int64_t k = 0; k < tokens; ++k, ++row)
      for (int64_t p = 0; p < panels; ++p) {
        int64_t at = (p * panelRows + k) * lanes;
        Vec<S> step = loadElements<S>(s.dt + row * s.channels + channel(p), used(p));
        Vec<S> input = loadElements<S>(s.u + row * s.uStride + channel(p), used(p));
        V::store(dt + at, step);
        V::store(gain + at, step * input);
        V::store(y + at, V::load(d + p * lanes) * input);
      }
  }

  /// What the next chunk reads, and where this one's results go.
  PrefetchWalk nextRows(int64_t row, int64_t tokens, bool last) const {
    PrefetchWalk next(tokens);
    next.add(s.y + row * s.channels + begin, s.channels, end - begin);
    if (!last) {
      next.add(s.u + (row + chunk) * s.uStride + begin, s.uStride, end - begin);
      next.add(s.dt + (row + chunk) * s.channels + begin, s.channels, end - begin);
    }
    next.spread(panels * ((padded + scanBlock - 1) / scanBlock) * tokens);
    return next;
  }

  /// One panel over the tokens of a chunk: a document at a time, each but the first one from a state of zero.
  void runTokens(int64_t row, int64_t tokens, int64_t at, int64_t panel, PrefetchWalk &next) {
    for (int64_t from = 0, to = tokens; from < tokens; from = to, to = tokens) {
      if (s.ages) {
        if (s.ages[row + from] == 0)
          std::memset(h + panel, 0, size_t(padded * lanes) * sizeof(S));
        for (to = from + 1; to < tokens && s.ages[row + to] != 0;)
          ++to;
      }
      int64_t first = at + from * lanes;
      ScanPanelRun<S>{to - from,         padded,    dt + first, gain + first, decay + panel, b + from * padded,
                      c + from * padded, h + panel, y + first,  &next}
          .runAll();
    }
  }

  void runChunk(int64_t number) {
    int64_t t = number * chunk, tokens = smaller(chunk, s.time - t), row = i * s.time + t;
    loadChunk(row, tokens);
    PrefetchWalk next = nextRows(row, tokens, number + 1 == chunks);
    for (int64_t p = 0; p < panels; ++p) {
      if (s.states)
        storePanel(s.state, used(p), h + p * padded * lanes,
                   s.states + ((i * chunks + number) * s.channels + channel(p)) * s.state);
      int64_t at = p * panelRows * lanes, panel = p * padded * lanes;
      runTokens(row, tokens, at, panel, next);
    }
    for (int64_t k = 0; k < tokens; ++k, ++row)
      for (int64_t p = 0; p < panels; ++p)
        storeElements<S>(s.y + row * s.channels + channel(p), V::load(y + (p * panelRows + k) * lanes), used(p));
  }

public:
  ScanTask(const ScanArguments<X, S> &s, int64_t i, int64_t begin, int64_t end)
      : s(s), i(i), begin(begin), end(end), padded(paddedState(s.state)), panels((end - begin + lanes - 1) / lanes),
        chunks((s.time + chunk - 1) / chunk) {
    for (S **array : {&decay, &h})
      *array = frame.take<S>(size_t(panels * padded * lanes));
    for (S **array : {&b, &c})
      *array = frame.take<S>(size_t(chunk * padded));
    for (S **array : {&dt, &gain, &y})
      *array = frame.take<S>(size_t(panels * panelRows * lanes));
    d = frame.take<S>(size_t(panels * lanes));
  }

  void run() {
    for (int64_t p = 0; p < panels; ++p) {
      V::store(d + p * lanes, loadElements<S>(s.d + channel(p), used(p)));
      loadPanel<S>(s.state, used(p), s.a + channel(p) * s.state, expScale<S>, decay + p * padded * lanes);
      if (s.initial)
        loadPanel<S>(s.state, used(p), s.initial + (i * s.channels + channel(p)) * s.state, S(1),
                     h + p * padded * lanes);
      else
        std::memset(h + p * padded * lanes, 0, size_t(padded * lanes) * sizeof(S));
    }
    for (int64_t number = 0; number < chunks; ++number)
      runChunk(number);
    for (int64_t p = 0; s.finalState && p < panels; ++p)
      storePanel(s.state, used(p), h + p * padded * lanes, s.finalState + (i * s.channels + channel(p)) * s.state);
  }
};

template <typename X, typename S> void scanForward(const ScanArguments<X, S> &s) {
  int64_t tasks = (s.channels + scanTaskChannels - 1) / scanTaskChannels;
  parallelFor(s.batch * tasks, 1, [&](int64_t from, int64_t to) {
    for (int64_t task = from; task < to; ++task) {
      int64_t begin = task % tasks * scanTaskChannels;
      ScanTask<X, S>(s, task / tasks, begin, smaller(begin + scanTaskChannels, s.channels)).run();
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANFORWARD_H
