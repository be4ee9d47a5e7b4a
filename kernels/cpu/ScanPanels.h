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

/// Rows of a chunk from one panel to the next: one more than its tokens, or all panels would fall on the same sets of
/// the cache.
inline constexpr int64_t panelRows = MOIRE_SCAN_CHUNK + 1;

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

/// Asks for rows that the next chunk needs, a few lines at each step of the computation of this one: rows of some
/// channels lie too far apart for the processor to foresee, and asking for all at once would stall.
class PrefetchWalk {
  static constexpr int64_t lineBytes = 64;
  struct Rows {
    const char *first;
    int64_t stride, lines; ///< bytes between rows, cache lines of each row
  };
  Rows arrays[5];
  int count = 0, current = 0;
  int64_t rows, perStep = 0, row = 0, line = 0;

public:
  explicit PrefetchWalk(int64_t rows) : rows(rows) {}

  /// Adds rows of `width` elements, `stride` elements apart.
  template <typename T> void add(const T *first, int64_t stride, int64_t width) {
    arrays[count++] = {reinterpret_cast<const char *>(first), stride * int64_t(sizeof(T)),
                       (width * int64_t(sizeof(T)) + lineBytes - 1) / lineBytes};
  }
  /// Says how many steps there will be.
  void spread(int64_t steps) {
    int64_t lines = 0;
    for (int i = 0; i < count; ++i)
      lines += arrays[i].lines * rows;
    perStep = (lines + steps - 1) / steps;
  }
  void step() {
    for (int64_t i = 0; i < perStep && current < count; ++i) {
      const Rows &array = arrays[current];
      __builtin_prefetch(array.first + row * array.stride + line * lineBytes, 0, 2);
      if (++line < array.lines)
        continue;
      line = 0;
      if (++row < rows)
        continue;
      row = 0;
      ++current;
    }
  }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANPANELS_H
