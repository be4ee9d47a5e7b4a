//===- kernels/cpu/AttentionTile.h - the inner product of attention ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// tileRows rows times one panel of the right operand in registers; all products
// of attention, forward and backward, go through it.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONTILE_H
#define MOIRE_KERNELS_CPU_ATTENTIONTILE_H

#include "kernels/cpu/AttentionFormat.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Rows of a tile and vectors in a panel: their product in sums, the panel and one broadcast fit the registers (32 with
/// AVX-512, else 16).
#if defined(__AVX512F__)
inline constexpr int tileRows = 8, panelVectors = 2;
#else
inline constexpr int tileRows = 4, panelVectors = 2;
#endif
template <typename S> inline constexpr int64_t panelWidth = panelVectors *Simd<S>::lanes;

/// to[r][0 .. vectors * lanes) = [add ? to : 0] + factor * sum_u a[r * aRow + u * aUnit] * b[u][..].
template <typename Format, bool add, int vectors>
MOIRE_INLINE void multiplyTile(int64_t units, const typename Format::Unit *a, int64_t aRow, int64_t aUnit,
                               const typename Format::Unit *b, typename Format::S *to, int64_t ld,
                               typename Format::S factor) {
  using S = typename Format::S;
  constexpr int64_t lanes = Simd<S>::lanes, width = panelWidth<S>;
  Vec<S> sums[tileRows][vectors];
  MOIRE_UNROLL
  for (int r = 0; r < tileRows; ++r) {
    MOIRE_UNROLL
    for (int v = 0; v < vectors; ++v)
      sums[r][v] = add ? Simd<S>::load(to + r * ld + v * lanes) : Simd<S>::zero();
  }
  for (int64_t u = 0; u < units; ++u, a += aUnit, b += width) {
    MOIRE_UNROLL
    for (int r = 0; r < tileRows; ++r) {
      MOIRE_UNROLL
      for (int v = 0; v < vectors; ++v)
        sums[r][v] = Format::multiplyAdd(a[r * aRow], b + v * lanes, sums[r][v]);
    }
  }
  MOIRE_UNROLL
  for (int r = 0; r < tileRows; ++r) {
    MOIRE_UNROLL
    for (int v = 0; v < vectors; ++v)
      Simd<S>::store(to + r * ld + v * lanes, add ? sums[r][v] : sums[r][v] * Simd<S>::broadcast(factor));
  }
}

/// The same for columns [0, columns), a multiple of the lanes, of a right operand packed in panels of `panelUnits`
/// units; `b` may point at a later unit of the first panel.
template <typename Format, bool add>
__attribute__((noinline)) void multiplyRows(int64_t units, const typename Format::Unit *a, int64_t aRow, int64_t aUnit,
                                            const typename Format::Unit *b, int64_t panelUnits, int64_t columns,
                                            typename Format::S *to, int64_t ld, typename Format::S factor) {
  using S = typename Format::S;
  constexpr int64_t width = panelWidth<S>;
  for (int64_t column = 0; column < columns; column += width, b += panelUnits * width)
    if (columns - column >= width)
      multiplyTile<Format, add, panelVectors>(units, a, aRow, aUnit, b, to + column, ld, factor);
    else
      multiplyTile<Format, add, 1>(units, a, aRow, aUnit, b, to + column, ld, factor);
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONTILE_H
