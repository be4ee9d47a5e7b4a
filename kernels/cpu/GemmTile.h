//===- kernels/cpu/GemmTile.h - one tile of a product ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tile is cut along k into blocks. The block of B is packed once and stays
// in the second-level cache; a panel of A at a time is packed into the first
// level and meets all of it. The innermost loop keeps a panel of A times a panel
// of B in registers.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMMTILE_H
#define MOIRE_KERNELS_CPU_GEMMTILE_H

#include "kernels/cpu/GemmPack.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Products of T in T; R rows times V vectors in registers.
template <typename T, int R, int V> struct DirectProduct {
  using Source = T;
  using Unit = T;
  using Sum = T;
  static constexpr int rows = R, vectors = V;
  MOIRE_INLINE typename Simd<T>::Vector multiplyAdd(const Unit *a, typename Simd<T>::Vector b,
                                                    typename Simd<T>::Vector sum) {
    return Simd<T>::fma(Simd<T>::broadcast(*a), b, sum);
  }
};

/// Products of bf16 in float, widened while packing.
template <int R, int V> struct WidenedProduct : DirectProduct<float, R, V> { using Source = uint16_t; };

/// Where the sums of one panel times panel go: into `sums`, or converted into `out`.
template <typename Sum, typename Out> struct Destination {
  const Sum *addend; ///< added first, unless null
  int64_t addendStride;
  Sum *sums;
  int64_t sumsStride;
  Out *out; ///< unless null, takes the place of sums
  int64_t outStride;
  bool addOut; ///< whether the old values of out are added
};

template <typename Out> MOIRE_INLINE Simd<float>::Vector loadOut(const Out *p, int64_t n) {
  if constexpr (sizeof(Out) == 2)
    return n >= Simd<float>::lanes ? Simd<float>::loadBf16(p) : Simd<float>::loadBf16First(p, n);
  else
    return n >= Simd<float>::lanes ? Simd<float>::load(p) : Simd<float>::loadFirst(p, n);
}

/// R rows times V vectors, of which `columns` columns are wanted.
template <typename Product, typename Out, int R, int V>
static void multiplyPanels(int64_t units, const typename Product::Unit *a, const typename Product::Unit *b,
                           const Destination<typename Product::Sum, Out> &to, int64_t columns) {
  using Sum = typename Product::Sum;
  using S = Simd<Sum>;
  constexpr int panel = Product::vectors * S::lanes;
  typename S::Vector sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      sum[r][v] = S::zero();
  // The lines that the sums go to arrive while the loop runs.
  for (int r = 0; r < R; ++r) {
    const char *p = to.out ? reinterpret_cast<const char *>(to.out + r * to.outStride)
                           : reinterpret_cast<const char *>(to.sums + r * to.sumsStride);
    for (int64_t line = 0; line < int64_t(V * S::lanes * (to.out ? sizeof(Out) : sizeof(Sum))); line += 64)
      __builtin_prefetch(p + line, 1);
  }
#pragma clang loop unroll(disable)
  for (int64_t u = 0; u < units; ++u) {
    typename S::Vector bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      bv[v] = S::load(reinterpret_cast<const Sum *>(b) + v * S::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sum[r][v] = Product::multiplyAdd(a + r, bv[v], sum[r][v]);
    a += Product::rows;
    b += panel;
  }
  auto finish = [&](auto full) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        int64_t at = v * S::lanes, n = columns - at < 0 ? 0 : columns - at;
        bool whole = full || n >= S::lanes;
        auto x = sum[r][v];
        if (to.addend) {
          const Sum *p = to.addend + r * to.addendStride + at;
          x += whole ? S::load(p) : S::loadFirst(p, n);
        }
        if constexpr (sizeof(Out) == sizeof(Sum)) {
          Sum *p = to.sums + r * to.sumsStride + at;
          whole ? S::store(p, x) : S::storeFirst(p, x, n);
        } else if (!to.out) {
          Sum *p = to.sums + r * to.sumsStride + at;
          whole ? S::store(p, x) : S::storeFirst(p, x, n);
        } else {
          Out *p = to.out + r * to.outStride + at;
          if (to.addOut)
            x += whole ? S::loadBf16(p) : S::loadBf16First(p, n);
          whole ? S::storeBf16(p, x) : S::storeBf16First(p, x, n);
        }
      }
  };
  struct Yes {
    constexpr operator bool() const { return true; }
  };
  struct No {
    constexpr operator bool() const { return false; }
  };
  if (columns >= V * S::lanes)
    finish(Yes());
  else
    finish(No());
}

/// Calls multiplyPanels with R = rows.
template <typename Product, typename Out, int V, int R = Product::rows>
MOIRE_INLINE void multiplyRows(int64_t rows, int64_t units, const typename Product::Unit *a,
                               const typename Product::Unit *b, const Destination<typename Product::Sum, Out> &to,
                               int64_t columns) {
  if (rows == R)
    multiplyPanels<Product, Out, R, V>(units, a, b, to, columns);
  else if constexpr (R > 1)
    multiplyRows<Product, Out, V, R - 1>(rows, units, a, b, to, columns);
}

template <typename Product, typename Out> struct TileProduct {
  using Source = typename Product::Source;
  using Unit = typename Product::Unit;
  using Sum = typename Product::Sum;
  static constexpr int perUnit = Packing<Source, Unit>::perUnit;
  static constexpr int lanes = Simd<Sum>::lanes;
  static constexpr int rowPanel = Product::rows, columnPanel = Product::vectors * lanes;
  /// Units of k in a block: a panel of B then fills the first-level cache of today's processors, and that of A half.
  static constexpr int64_t depthUnits = 256;
  static constexpr bool narrow = sizeof(Out) < sizeof(Sum);

  static ProductEngine engine() {
    ProductEngine e{};
    e.rowPanel = rowPanel;
    e.columnPanel = columnPanel;
    e.depth = depthUnits * perUnit;
    e.scratchA = (rowPanel * depthUnits + lanes) * sizeof(Unit);
    e.scratchB = ((ProductEngine::maxColumns + columnPanel) * depthUnits + lanes) * sizeof(Unit);
    e.scratchPartial = narrow ? ProductEngine::maxRows * ProductEngine::maxColumns * sizeof(Sum) : 0;
    e.elementSize = sizeof(Source);
    e.outputSize = sizeof(Out);
    e.run = run;
    return e;
  }

  static void packB(const Tile &tile, int64_t begin, int64_t count, int64_t units, Unit *to) {
    for (int64_t j = 0; j < tile.columns; j += columnPanel, to += units * columnPanel) {
      int64_t here = tile.columns - j < columnPanel ? tile.columns - j : columnPanel;
      packPanel<Source, Unit, columnPanel>(tile.b, tile.column + j, here, begin, count, to);
    }
  }

  static void run(const Tile &tile, TileScratch &scratch) {
    Unit *packedA = static_cast<Unit *>(scratch.a), *packedB = static_cast<Unit *>(scratch.b);
    constexpr int64_t depth = depthUnits * perUnit;
    bool single = tile.kEnd - tile.kBegin <= depth;
    int64_t begin = tile.kBegin;
    do {
      int64_t count = tile.kEnd - begin < depth ? tile.kEnd - begin : depth;
      int64_t units = (count + perUnit - 1) / perUnit;
      bool first = begin == tile.kBegin, last = begin + count == tile.kEnd;
      bool packed = single && scratch.packedData == tile.b.data && scratch.packedColumn == tile.column &&
                    scratch.packedColumns == tile.columns && scratch.packedBegin == tile.kBegin &&
                    scratch.packedEnd == tile.kEnd;
      if (!packed)
        packB(tile, begin, count, units, packedB);
      for (int64_t i = 0; i < tile.rows; i += rowPanel) {
        int64_t rows = tile.rows - i < rowPanel ? tile.rows - i : rowPanel;
        packPanel<Source, Unit, rowPanel>(tile.a, tile.row + i, rows, begin, count, packedA);
        const Unit *b = packedB;
        for (int64_t j = 0; j < tile.columns; j += columnPanel, b += units * columnPanel) {
          int64_t columns = tile.columns - j < columnPanel ? tile.columns - j : columnPanel;
          auto to = destination(tile, scratch, i, j, first, last);
          if (Product::vectors > 1 && columns <= lanes)
            multiplyRows<Product, Out, 1>(rows, units, packedA, b, to, columns);
          else
            multiplyRows<Product, Out, Product::vectors>(rows, units, packedA, b, to, columns);
        }
      }
      begin += count;
    } while (begin < tile.kEnd);
    scratch.packedData = single ? tile.b.data : nullptr;
    scratch.packedColumn = tile.column;
    scratch.packedColumns = tile.columns;
    scratch.packedBegin = tile.kBegin;
    scratch.packedEnd = tile.kEnd;
  }

private:
  static Destination<Sum, Out> destination(const Tile &tile, const TileScratch &scratch, int64_t i, int64_t j,
                                           bool first, bool last) {
    Destination<Sum, Out> to{};
    Out *c = static_cast<Out *>(tile.c) + (tile.row + i) * tile.ldc + tile.column + j;
    if constexpr (!narrow) {
      to.sums = c;
      to.sumsStride = tile.ldc;
      to.addend = first && !tile.accumulate ? nullptr : c;
      to.addendStride = tile.ldc;
    } else {
      to.sums = static_cast<Sum *>(scratch.partial) + i * ProductEngine::maxColumns + j;
      to.sumsStride = ProductEngine::maxColumns;
      to.addend = first ? nullptr : to.sums;
      to.addendStride = to.sumsStride;
      to.out = last ? c : nullptr;
      to.outStride = tile.ldc;
      to.addOut = last && tile.accumulate;
    }
    return to;
  }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMMTILE_H
