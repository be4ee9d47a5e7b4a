//===- kernels/cpu/GemmPanels.h - the innermost loop ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A panel of A times a panel of B, all sums in registers. While it runs, the lines
// that the sums go to, and those that will be packed next, are fetched.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMMPANELS_H
#define MOIRE_KERNELS_CPU_GEMMPANELS_H

#include "kernels/cpu/GemmPack.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Products of T in T; R rows times V vectors in registers.
template <typename T, int R, int V> struct DirectProduct {
  using Source = T;
  using Unit = T;
  using Sum = T;
  static constexpr int rows = R, vectors = V;
  static constexpr bool tiles = false;
  MOIRE_INLINE typename Simd<T>::Vector multiplyAdd(const Unit *a, typename Simd<T>::Vector b,
                                                    typename Simd<T>::Vector sum) {
    return Simd<T>::fma(Simd<T>::broadcast(*a), b, sum);
  }
  /// Lane by lane.
  MOIRE_INLINE typename Simd<T>::Vector multiplyAddVectors(typename Simd<T>::Vector a, typename Simd<T>::Vector b,
                                                           typename Simd<T>::Vector sum) {
    return Simd<T>::fma(a, b, sum);
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

/// Units of k in a block: a panel of B then fills the first-level cache of today's processors, and that of A half.
constexpr int64_t depthUnits = 256;
/// Units between the rows of a panel of A that was packed row by row. Not a power of two: rows would meet in the cache.
constexpr int64_t rowUnits = depthUnits + 16;

/// What one run of the innermost loop brings into the second-level cache: four pieces of neighbouring cache lines.
struct Fetches {
  static constexpr int64_t every = 8, lines = depthUnits / every / 2, bytes = lines * 64;
  const char *pieces[4];
};

/// One vector of sums, of which n lanes count, or all if `whole`, to its destination.
template <typename Sum, typename Out>
MOIRE_INLINE void put(const Destination<Sum, Out> &to, int64_t row, int64_t column, typename Simd<Sum>::Vector sum,
                      int64_t n, bool whole) {
  using S = Simd<Sum>;
  if (to.addend) {
    const Sum *p = to.addend + row * to.addendStride + column;
    sum += whole ? S::load(p) : S::loadFirst(p, n);
  }
  if constexpr (sizeof(Out) < sizeof(Sum))
    if (to.out) {
      Out *p = to.out + row * to.outStride + column;
      if (to.addOut)
        sum += whole ? S::loadBf16(p) : S::loadBf16First(p, n);
      whole ? S::storeBf16(p, sum) : S::storeBf16First(p, sum, n);
      return;
    }
  Sum *p = to.sums + row * to.sumsStride + column;
  whole ? S::store(p, sum) : S::storeFirst(p, sum, n);
}

/// R rows times V vectors, of which `rows` rows and `columns` columns are wanted. `byRows` says how A was packed: by
/// packRows, or as a panel.
template <typename Product, typename Out, int R, int V, bool byRows>
__attribute__((noinline)) static void
multiplyPanels(int64_t rows, int64_t units, const typename Product::Unit *a, const typename Product::Unit *b,
               const Destination<typename Product::Sum, Out> &to, int64_t columns, const Fetches &fetches) {
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
  for (int64_t r = 0; r < rows; ++r) {
    const char *p = to.out ? reinterpret_cast<const char *>(to.out + r * to.outStride)
                           : reinterpret_cast<const char *>(to.sums + r * to.sumsStride);
    for (int64_t line = 0; line < int64_t(V * S::lanes * (to.out ? sizeof(Out) : sizeof(Sum))); line += 64)
      __builtin_prefetch(p + line, 1);
  }
  auto step = [&]() __attribute__((always_inline)) {
    typename S::Vector bv[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      bv[v] = S::load(reinterpret_cast<const Sum *>(b) + v * S::lanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        sum[r][v] = Product::multiplyAdd(a + r * (byRows ? rowUnits : 1), bv[v], sum[r][v]);
    a += byRows ? 1 : Product::rows;
    b += panel;
  };
  int64_t left = units;
  for (int half = 0; half < 2; ++half) {
    const char *fetch = fetches.pieces[2 * half], *other = fetches.pieces[2 * half + 1];
    for (int64_t i = 0; i < Fetches::lines && left >= Fetches::every; ++i, left -= Fetches::every) {
      __builtin_prefetch(fetch + i * 64, 0, 2);
      __builtin_prefetch(other + i * 64, 0, 2);
#pragma clang loop unroll(disable)
      for (int s = 0; s < Fetches::every; ++s)
        step();
    }
  }
#pragma clang loop unroll(disable)
  for (; left; --left)
    step();
  if (rows == R && columns >= V * S::lanes) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v)
        put(to, r, v * S::lanes, sum[r][v], S::lanes, true);
    return;
  }
  // At the edges through memory, in a loop: unrolled as well, this would be most of the code.
  alignas(64) Sum edge[R][V * S::lanes];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v)
      S::store(edge[r] + v * S::lanes, sum[r][v]);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < columns; j += S::lanes)
      put(to, r, j, S::load(edge[r] + j), columns - j, columns - j >= S::lanes);
}

/// Calls multiplyPanels for `rows` rows. There are instances for even numbers of them, and for few columns one alone:
/// what they compute too much is what the panel happens to hold behind its rows, and is dropped.
template <typename Product, typename Out, int V, bool byRows, int R = Product::rows>
MOIRE_INLINE void multiplyRows(int64_t rows, int64_t units, const typename Product::Unit *a,
                               const typename Product::Unit *b, const Destination<typename Product::Sum, Out> &to,
                               int64_t columns, const Fetches &fetches) {
  if constexpr (R > 2 && V == Product::vectors)
    if (rows <= R - 2)
      return multiplyRows<Product, Out, V, byRows, R - 2>(rows, units, a, b, to, columns, fetches);
  multiplyPanels<Product, Out, R, V, byRows>(rows, units, a, b, to, columns, fetches);
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMMPANELS_H
