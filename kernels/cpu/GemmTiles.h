//===- kernels/cpu/GemmTiles.h - the innermost loop on tile registers ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tile registers hold 16 rows of 16 bf16 pairs and multiply as matrices. Four of
// them hold sums, so that each tile of A and of B serves twice. `Tiles` is the
// hardware, or an emulation of it that lets any processor test this loop.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMMTILES_H
#define MOIRE_KERNELS_CPU_GEMMTILES_H

#include "kernels/cpu/GemmPanels.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Tiles has, for tiles numbered T at compile time: zero<T>(), load<T>(p, bytes between rows), store<T>(p, bytes),
/// multiplyAdd<Sum, A, B>(), and begin() and end() around their use by a thread.
template <typename Tiles> struct TilePairProduct {
  using Source = uint16_t;
  using Unit = uint32_t;
  using Sum = float;
  static constexpr bool tiles = true;
  static constexpr int edge = 16; ///< rows, columns and units of a tile
  static constexpr int rows = 2 * edge, columns = 2 * edge;
  /// For the products of a few rows, which use vectors.
  MOIRE_INLINE Simd<float>::Vector multiplyAddVectors(Simd<float>::Vector a, Simd<float>::Vector b,
                                                      Simd<float>::Vector sum) {
    return Tiles::multiplyAddVectors(a, b, sum);
  }
  MOIRE_INLINE void begin() { Tiles::begin(); }
  MOIRE_INLINE void end() { Tiles::end(); }

  /// `a` holds rows of units, rowUnits apart, `b` a panel; both are zero from `units` to the next multiple of 16.
  template <typename Out>
  static void multiply(int64_t rows, int64_t units, const Unit *a, const Unit *b, const Destination<Sum, Out> &to,
                       int64_t columns, const Fetches &fetches) {
    alignas(64) Sum sums[TilePairProduct::rows][TilePairProduct::columns];
    if (rows > edge && columns > edge)
      multiplyTiles<true, true>(units, a, b, sums, fetches);
    else if (rows > edge)
      multiplyTiles<true, false>(units, a, b, sums, fetches);
    else if (columns > edge)
      multiplyTiles<false, true>(units, a, b, sums, fetches);
    else
      multiplyTiles<false, false>(units, a, b, sums, fetches);
    using S = Simd<Sum>;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < columns; j += S::lanes)
        put(to, r, j, S::load(sums[r] + j), columns - j, columns - j >= S::lanes);
  }

private:
  template <bool twoA, bool twoB>
  static void multiplyTiles(int64_t units, const Unit *a, const Unit *b, Sum (*sums)[TilePairProduct::columns],
                            const Fetches &fetches) {
    constexpr int64_t rowBytes = rowUnits * sizeof(Unit), panelBytes = columns * sizeof(Unit);
    Tiles::template zero<0>();
    if constexpr (twoB)
      Tiles::template zero<1>();
    if constexpr (twoA)
      Tiles::template zero<2>();
    if constexpr (twoA && twoB)
      Tiles::template zero<3>();
    for (int64_t u = 0; u < units; u += edge, a += edge, b += edge * columns) {
      for (const char *piece : fetches.pieces)
        __builtin_prefetch(piece + u / edge * 64, 0, 2);
      Tiles::template load<4>(a, rowBytes);
      Tiles::template load<6>(b, panelBytes);
      Tiles::template multiplyAdd<0, 4, 6>();
      if constexpr (twoB) {
        Tiles::template load<7>(b + edge, panelBytes);
        Tiles::template multiplyAdd<1, 4, 7>();
      }
      if constexpr (twoA) {
        Tiles::template load<5>(a + edge * rowUnits, rowBytes);
        Tiles::template multiplyAdd<2, 5, 6>();
      }
      if constexpr (twoA && twoB)
        Tiles::template multiplyAdd<3, 5, 7>();
    }
    constexpr int64_t sumBytes = columns * sizeof(Sum);
    Tiles::template store<0>(sums[0], sumBytes);
    if constexpr (twoB)
      Tiles::template store<1>(sums[0] + edge, sumBytes);
    if constexpr (twoA)
      Tiles::template store<2>(sums[edge], sumBytes);
    if constexpr (twoA && twoB)
      Tiles::template store<3>(sums[edge] + edge, sumBytes);
  }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMMTILES_H
