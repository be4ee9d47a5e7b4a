//===- kernels/cpu/GemmThin.h - products of a few rows ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With few rows every element of B serves a few products only, so that packing
// it would cost more than it gains: B is read in place, in long runs, as fast as
// memory gives it.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMMTHIN_H
#define MOIRE_KERNELS_CPU_GEMMTHIN_H

#include "kernels/cpu/GemmPanels.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <typename Product, typename Out> struct ThinProduct {
  using Source = typename Product::Source;
  using Unit = typename Product::Unit;
  using Sum = typename Product::Sum;
  using S = Simd<Sum>;
  using Vector = typename S::Vector;
  static constexpr int lanes = S::lanes;
  static constexpr int64_t maxRows = ProductEngine::thinRows;
  /// Columns whose sums are kept while k runs, and lines of B that are read side by side.
  static constexpr int64_t chunk = 1024, group = 8;

  /// The tile, which has at most maxRows rows and an A along k.
  static void run(const Tile &tile, TileScratch &scratch) {
    if (tile.b.alongK)
      forRows<maxRows, true>(tile, scratch);
    else
      forRows<maxRows, false>(tile, scratch);
  }

private:
  template <int R, bool dots> MOIRE_INLINE void forRows(const Tile &tile, TileScratch &scratch) {
    if (tile.rows == R) {
      if constexpr (dots)
        runDots<R>(tile);
      else
        runSums<R>(tile, static_cast<Sum *>(scratch.a));
    } else if constexpr (R > 1) {
      forRows<R - 1, dots>(tile, scratch);
    }
  }

  MOIRE_INLINE Sum widen(Source x) {
    if constexpr (sizeof(Source) == 2)
      return bf16ToFloat(x);
    else
      return x;
  }
  MOIRE_INLINE Vector loadSource(const Source *p, int64_t n) {
    if constexpr (sizeof(Source) == 2)
      return n >= lanes ? S::loadBf16(p) : S::loadBf16First(p, n);
    else
      return n >= lanes ? S::load(p) : S::loadFirst(p, n);
  }
  /// Stores the sums of n columns of row r, added to C if so wanted.
  MOIRE_INLINE void put(const Tile &tile, int64_t r, int64_t j, Vector sum, int64_t n) {
    Out *c = static_cast<Out *>(tile.c) + (tile.row + r) * tile.ldc + tile.column + j;
    if constexpr (sizeof(Out) < sizeof(Sum)) {
      if (tile.accumulate)
        sum += n >= lanes ? S::loadBf16(c) : S::loadBf16First(c, n);
      n >= lanes ? S::storeBf16(c, sum) : S::storeBf16First(c, sum, n);
    } else {
      if (tile.accumulate)
        sum += n >= lanes ? S::load(c) : S::loadFirst(c, n);
      n >= lanes ? S::store(c, sum) : S::storeFirst(c, sum, n);
    }
  }

  /// One sum. Not a vector of which one lane is stored: clang 22 stores two lanes of 16 bits if the mask is the
  /// constant 1.
  MOIRE_INLINE void putOne(const Tile &tile, int64_t r, int64_t j, Sum sum) {
    Out *c = static_cast<Out *>(tile.c) + (tile.row + r) * tile.ldc + tile.column + j;
    if constexpr (sizeof(Out) < sizeof(Sum))
      *c = floatToBf16(tile.accumulate ? sum + bf16ToFloat(*c) : sum);
    else
      *c = tile.accumulate ? sum + *c : sum;
  }

  /// B in lines across k: a few of them at a time are added to the sums of all columns.
  template <int R> static void runSums(const Tile &tile, Sum *sums) {
    const Source *a[R];
    for (int r = 0; r < R; ++r)
      a[r] = line<Source>(tile.a, tile.row + r);
    for (int64_t begin = 0; begin < tile.columns; begin += chunk) {
      int64_t columns = tile.columns - begin < chunk ? tile.columns - begin : chunk;
      std::memset(sums, 0, size_t(R * chunk) * sizeof(Sum));
      for (int64_t k = tile.kBegin; k < tile.kEnd; k += group) {
        int64_t depth = tile.kEnd - k < group ? tile.kEnd - k : group;
        Sum x[R][group];
        const Source *b[group];
        for (int64_t l = 0; l < depth; ++l) {
          b[l] = line<Source>(tile.b, k + l) + tile.column + begin;
          for (int r = 0; r < R; ++r)
            x[r][l] = widen(a[r][k + l]);
        }
        if (depth == group)
          addLines<R, group>(b, x, sums, columns);
        else
          for (int64_t l = 0; l < depth; ++l) {
            for (int r = 0; r < R; ++r)
              x[r][0] = x[r][l];
            addLines<R, 1>(b + l, x, sums, columns);
          }
      }
      for (int r = 0; r < R; ++r)
        for (int64_t j = 0; j < columns; j += lanes)
          put(tile, r, begin + j, S::load(sums + r * chunk + j), columns - j);
    }
  }

  template <int R, int L>
  MOIRE_INLINE void addLines(const Source *const *b, const Sum (*x)[group], Sum *sums, int64_t columns) {
    for (int64_t j = 0; j < columns; j += lanes) {
      Vector sum[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        sum[r] = S::load(sums + r * chunk + j);
#pragma GCC unroll 8
      for (int l = 0; l < L; ++l) {
        Vector bv = loadSource(b[l] + j, columns - j);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
          sum[r] = S::fma(S::broadcast(x[r][l]), bv, sum[r]);
      }
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        S::store(sums + r * chunk + j, sum[r]);
    }
  }

  /// B in lines along k: dot products of whole lines.
  template <int R> static void runDots(const Tile &tile) {
    constexpr int C = R <= 2 ? 4 : 2; // columns at a time
    for (int64_t j = 0; j < tile.columns; j += C)
      if (tile.columns - j >= C)
        dot<R, C>(tile, j);
      else
        for (int64_t i = j; i < tile.columns; ++i)
          dot<R, 1>(tile, i);
  }

  template <int R, int C> MOIRE_INLINE void dot(const Tile &tile, int64_t column) {
    using P = Packing<Source, Unit>;
    constexpr int step = lanes * P::perUnit;
    const Source *a[R], *b[C];
    for (int r = 0; r < R; ++r)
      a[r] = line<Source>(tile.a, tile.row + r) + tile.kBegin;
    for (int c = 0; c < C; ++c)
      b[c] = line<Source>(tile.b, tile.column + column + c) + tile.kBegin;
    Vector sum[R][C];
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c)
        sum[r][c] = S::zero();
    int64_t count = tile.kEnd - tile.kBegin, k = 0;
    for (; k + step <= count; k += step) {
      Vector bv[C];
      for (int c = 0; c < C; ++c)
        bv[c] = P::alongK(b[c] + k);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        Vector av = P::alongK(a[r] + k);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c)
          sum[r][c] = Product::multiplyAddVectors(av, bv[c], sum[r][c]);
      }
    }
    if (k < count)
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c)
          sum[r][c] = Product::multiplyAddVectors(P::alongKFirst(a[r] + k, count - k),
                                                  P::alongKFirst(b[c] + k, count - k), sum[r][c]);
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c)
        putOne(tile, r, column + c, S::sum(sum[r][c]));
  }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMMTHIN_H
