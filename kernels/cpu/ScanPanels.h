//===- kernels/cpu/ScanPanels.h - channels side by side in vectors -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A scan works on panels: `lanes` channels in one vector, one vector for each
// state number, so that a state of 16 fills 16 registers. The number of states is
// padded to a multiple of `statePad` with a = b = c = 0, which leaves h at 0.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SCANPANELS_H
#define MOIRE_KERNELS_CPU_SCANPANELS_H

#include "kernels/cpu/VectorMath.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

inline constexpr int64_t statePad = 4;

MOIRE_INLINE int64_t paddedState(int64_t state) { return (state + statePad - 1) / statePad * statePad; }

/// panel[n][lane] = factor * rows[lane][n]; rows are dense with `state` values, `channels` <= lanes of them exist.
template <typename S> inline void loadPanel(int64_t state, int64_t channels, const S *rows, S factor, S *panel) {
  constexpr int64_t lanes = Simd<S>::lanes;
  std::memset(panel, 0, size_t(paddedState(state) * lanes) * sizeof(S));
  for (int64_t lane = 0; lane < channels; ++lane)
    for (int64_t n = 0; n < state; ++n)
      panel[n * lanes + lane] = factor * rows[lane * state + n];
}

/// rows[lane][n] = panel[n][lane].
template <typename S> inline void storePanel(int64_t state, int64_t channels, const S *panel, S *rows) {
  for (int64_t lane = 0; lane < channels; ++lane)
    for (int64_t n = 0; n < state; ++n)
      rows[lane * state + n] = panel[n * Simd<S>::lanes + lane];
}

/// Copies `tokens` rows of b or c as S into rows of paddedState(state) values.
template <typename X, typename S>
inline void loadStateRows(int64_t tokens, int64_t state, const X *from, int64_t stride, S *to) {
  constexpr int64_t lanes = Simd<S>::lanes;
  int64_t padded = paddedState(state);
  for (int64_t t = 0; t < tokens; ++t, from += stride, to += padded) {
    int64_t n = 0;
    for (; n + lanes <= state; n += lanes)
      Simd<S>::store(to + n, loadElements<S>(from + n));
    for (; n < state; ++n)
      to[n] = loadElement<S>(from[n]);
    for (; n < padded; ++n)
      to[n] = 0;
  }
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANPANELS_H
