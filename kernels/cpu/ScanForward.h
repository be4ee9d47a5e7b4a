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

/// One panel of channels over the tokens of one chunk.
template <typename X, typename S> struct ScanPanelRun {
  int64_t tokens, channels, padded;
  const X *u;
  int64_t uStride;
  const S *dt;
  int64_t dense; ///< stride of dt and y
  Vec<S> d;
  const S *decay, *b, *c; ///< [padded][lanes], [tokens][padded], [tokens][padded]
  S *h;                   ///< [padded][lanes]
  S *partial;             ///< [tokens][lanes]: y so far, when the states take more than one block
  X *y;
  int64_t nextInput, nextDense; ///< from a row of this run to the same row of the next one, in u and in dt and y

  /// States [from, from + block).
  template <int block> inline void run(int64_t from) const {
    constexpr int64_t lanes = Simd<S>::lanes;
    bool first = from == 0, last = from + block == padded;
    Vec<S> state[block];
    MOIRE_UNROLL
    for (int n = 0; n < block; ++n)
      state[n] = Simd<S>::load(h + (from + n) * lanes);
    const S *panel = decay + from * lanes, *bRow = b + from, *cRow = c + from;
    for (int64_t t = 0; t < tokens; ++t, bRow += padded, cRow += padded) {
      if (last) {
        __builtin_prefetch(u + t * uStride + nextInput, 0, 3);
        __builtin_prefetch(dt + t * dense + nextDense, 0, 3);
        __builtin_prefetch(y + t * dense + nextDense, 1, 3);
      }
      Vec<S> step = loadElements<S>(dt + t * dense, channels), input = loadElements<S>(u + t * uStride, channels);
      Vec<S> gain = step * input;
      Vec<S> sums[2] = {first ? d * input : Simd<S>::load(partial + t * lanes), Simd<S>::zero()};
      MOIRE_UNROLL
      for (int n = 0; n < block; n += scanInterleave) {
        Vec<S> factor[scanInterleave];
        MOIRE_UNROLL
        for (int k = 0; k < scanInterleave; ++k)
          factor[k] = step * Simd<S>::load(panel + (n + k) * lanes);
        expScaled<scanInterleave>(factor);
        MOIRE_UNROLL
        for (int k = 0; k < scanInterleave; ++k) {
          state[n + k] = Simd<S>::fma(factor[k], state[n + k], gain * Simd<S>::broadcast(bRow[n + k]));
          sums[k & 1] = Simd<S>::fma(Simd<S>::broadcast(cRow[n + k]), state[n + k], sums[k & 1]);
        }
      }
      if (last)
        storeElements<S>(y + t * dense, sums[0] + sums[1], channels);
      else
        Simd<S>::store(partial + t * lanes, sums[0] + sums[1]);
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

/// The channels [begin, end) of batch row i.
template <typename X, typename S>
inline void scanTask(const ScanArguments<X, S> &s, int64_t i, int64_t begin, int64_t end) {
  constexpr int64_t lanes = Simd<S>::lanes;
  int64_t padded = paddedState(s.state), panels = (end - begin + lanes - 1) / lanes, panelSize = padded * lanes;
  int64_t chunks = (s.time + MOIRE_SCAN_CHUNK - 1) / MOIRE_SCAN_CHUNK;
  ScratchFrame frame;
  S *decay = frame.take<S>(size_t(panels * panelSize)), *h = frame.take<S>(size_t(panels * panelSize));
  S *b = frame.take<S>(size_t(MOIRE_SCAN_CHUNK * padded)), *c = frame.take<S>(size_t(MOIRE_SCAN_CHUNK * padded));
  S *partial = frame.take<S>(size_t(MOIRE_SCAN_CHUNK * lanes));
  for (int64_t p = 0; p < panels; ++p) {
    int64_t channel = begin + p * lanes, used = smaller(lanes, end - channel);
    loadPanel<S>(s.state, used, s.a + channel * s.state, expScale<S>, decay + p * panelSize);
    if (s.initial)
      loadPanel<S>(s.state, used, s.initial + (i * s.channels + channel) * s.state, S(1), h + p * panelSize);
    else
      std::memset(h + p * panelSize, 0, size_t(panelSize) * sizeof(S));
  }
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    int64_t t = chunk * MOIRE_SCAN_CHUNK, tokens = smaller(MOIRE_SCAN_CHUNK, s.time - t), row = i * s.time + t;
    loadStateRows(tokens, s.state, s.b + row * s.bStride, s.bStride, b);
    loadStateRows(tokens, s.state, s.c + row * s.cStride, s.cStride, c);
    for (int64_t p = 0; p < panels; ++p) {
      int64_t channel = begin + p * lanes, used = smaller(lanes, end - channel);
      if (s.states)
        storePanel(s.state, used, h + p * panelSize,
                   s.states + ((i * chunks + chunk) * s.channels + channel) * s.state);
      int64_t dense = row * s.channels + channel;
      ScanPanelRun<X, S>{tokens,
                         used,
                         padded,
                         s.u + row * s.uStride + channel,
                         s.uStride,
                         s.dt + dense,
                         s.channels,
                         loadElements<S>(s.d + channel, used),
                         decay + p * panelSize,
                         b,
                         c,
                         h + p * panelSize,
                         partial,
                         s.y + dense,
                         p + 1 < panels ? lanes : MOIRE_SCAN_CHUNK * s.uStride - (panels - 1) * lanes,
                         p + 1 < panels ? lanes : MOIRE_SCAN_CHUNK * s.channels - (panels - 1) * lanes}
          .runAll();
    }
  }
  if (s.finalState)
    for (int64_t p = 0; p < panels; ++p) {
      int64_t channel = begin + p * lanes;
      storePanel(s.state, smaller(lanes, end - channel), h + p * panelSize,
                 s.finalState + (i * s.channels + channel) * s.state);
    }
}

template <typename X, typename S> void scanForward(const ScanArguments<X, S> &s) {
  int64_t tasks = (s.channels + scanTaskChannels - 1) / scanTaskChannels;
  parallelFor(s.batch * tasks, 1, [&](int64_t from, int64_t to) {
    for (int64_t task = from; task < to; ++task) {
      int64_t begin = task % tasks * scanTaskChannels;
      scanTask(s, task / tasks, begin, smaller(begin + scanTaskChannels, s.channels));
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANFORWARD_H
