//===- kernels/cpu/GemmPack.h - panels of the factors ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Brings rows of A, or columns of B, into the order in which the innermost loop
// reads them: for every step of k the `width` values of a panel side by side.
// A step is a Unit: one value, or a pair of bf16 for the dot-product
// instructions, the last completed by a zero. Places of a panel that hang over
// the edge of the matrix hold anything: what is computed from them is dropped.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMMPACK_H
#define MOIRE_KERNELS_CPU_GEMMPACK_H

#include "kernels/cpu/Gemm.h"
#include "kernels/cpu/Simd.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Line i of an operand whose elements are T.
template <typename T> MOIRE_INLINE const T *line(const Operand &operand, int64_t i) {
  int64_t position = operand.index ? operand.index[i] : i;
  return static_cast<const T *>(operand.data) + position * operand.stride;
}

/// How source elements become units. Unit types are 4 or 8 bytes wide, and as vectors all of them are Simd<Lane>.
template <typename Source, typename Unit> struct Packing;

template <typename T> struct Packing<T, T> {
  using Lane = T;
  static constexpr int perUnit = 1;
  /// Units from `n` elements along k.
  MOIRE_INLINE typename Simd<T>::Vector alongK(const T *p) { return Simd<T>::load(p); }
  MOIRE_INLINE typename Simd<T>::Vector alongKFirst(const T *p, int64_t n) { return Simd<T>::loadFirst(p, n); }
};

template <> struct Packing<uint16_t, float> {
  using Lane = float;
  static constexpr int perUnit = 1;
  MOIRE_INLINE Simd<float>::Vector alongK(const uint16_t *p) { return Simd<float>::loadBf16(p); }
  MOIRE_INLINE Simd<float>::Vector alongKFirst(const uint16_t *p, int64_t n) {
    return Simd<float>::loadBf16First(p, n);
  }
};

/// Pairs: the earlier k in the lower half.
template <> struct Packing<uint16_t, uint32_t> {
  using Lane = float;
  static constexpr int perUnit = 2;
  MOIRE_INLINE Simd<float>::Vector alongK(const uint16_t *p) {
    Simd<float>::Vector v;
    std::memcpy(&v, p, sizeof(v));
    return v;
  }
  MOIRE_INLINE Simd<float>::Vector alongKFirst(const uint16_t *p, int64_t n) {
    alignas(64) uint16_t pairs[2 * Simd<float>::lanes] = {};
    for (int64_t i = 0; i < n; ++i)
      pairs[i] = p[i];
    return alongK(pairs);
  }
};

/// v[i][j] <-> v[j][i] for `lanes` vectors, by way of memory.
template <typename T> MOIRE_INLINE void transposeInMemory(typename Simd<T>::Vector *v) {
  constexpr int lanes = Simd<T>::lanes;
  alignas(64) T from[lanes][lanes], to[lanes][lanes];
  for (int i = 0; i < lanes; ++i)
    Simd<T>::store(from[i], v[i]);
  for (int i = 0; i < lanes; ++i)
    for (int j = 0; j < lanes; ++j)
      to[i][j] = from[j][i];
  for (int i = 0; i < lanes; ++i)
    v[i] = Simd<T>::load(to[i]);
}

MOIRE_INLINE void transpose(Simd<double>::Vector *v) { transposeInMemory<double>(v); }

#if defined(__AVX512F__)
MOIRE_INLINE void transpose(__m512 *v) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 4) { // 4 x 4 blocks inside the quarters of each group of four vectors
    __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[i], v[i + 1])),
            b = _mm512_castps_pd(_mm512_unpackhi_ps(v[i], v[i + 1]));
    __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[i + 2], v[i + 3])),
            d = _mm512_castps_pd(_mm512_unpackhi_ps(v[i + 2], v[i + 3]));
    t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  for (int j = 0; j < 4; ++j) { // then the quarters among the groups
    __m512 a = _mm512_shuffle_f32x4(t[j], t[j + 4], 0x44), b = _mm512_shuffle_f32x4(t[j], t[j + 4], 0xee);
    __m512 c = _mm512_shuffle_f32x4(t[j + 8], t[j + 12], 0x44), d = _mm512_shuffle_f32x4(t[j + 8], t[j + 12], 0xee);
    v[j] = _mm512_shuffle_f32x4(a, c, 0x88);
    v[j + 4] = _mm512_shuffle_f32x4(a, c, 0xdd);
    v[j + 8] = _mm512_shuffle_f32x4(b, d, 0x88);
    v[j + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}
#elif defined(__AVX2__)
MOIRE_INLINE void transpose(__m256 *v) {
  __m256 t[8];
  for (int i = 0; i < 8; i += 4) {
    __m256d a = _mm256_castps_pd(_mm256_unpacklo_ps(v[i], v[i + 1])),
            b = _mm256_castps_pd(_mm256_unpackhi_ps(v[i], v[i + 1]));
    __m256d c = _mm256_castps_pd(_mm256_unpacklo_ps(v[i + 2], v[i + 3])),
            d = _mm256_castps_pd(_mm256_unpackhi_ps(v[i + 2], v[i + 3]));
    t[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
    t[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
    t[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
    t[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
  }
  for (int j = 0; j < 4; ++j) {
    v[j] = _mm256_permute2f128_ps(t[j], t[j + 4], 0x20);
    v[j + 4] = _mm256_permute2f128_ps(t[j], t[j + 4], 0x31);
  }
}
#else
MOIRE_INLINE void transpose(Simd<float>::Vector *v) { transposeInMemory<float>(v); }
#endif

/// A panel from lines along k: `rows` of at most `width` lines from `first`, and the `count` elements from `begin` of
/// each.
template <typename Source, typename Unit, int width>
static void packAlongK(const Operand &operand, int64_t first, int64_t rows, int64_t begin, int64_t count, Unit *panel) {
  using P = Packing<Source, Unit>;
  using S = Simd<typename P::Lane>;
  using Lane = typename P::Lane;
  constexpr int lanes = S::lanes, step = lanes * P::perUnit, groups = (width + lanes - 1) / lanes;
  const Source *lines[groups * lanes];
  for (int64_t r = 0; r < groups * lanes; ++r)
    lines[r] = line<Source>(operand, first + (r < rows ? r : 0)) + begin;
  for (int64_t k = 0; k < count; k += step, panel += lanes * width) {
    for (int g = 0; g < width; g += lanes) {
      typename S::Vector v[lanes];
      bool whole = count - k >= step;
      for (int i = 0; i < lanes; ++i)
        v[i] = whole ? P::alongK(lines[g + i] + k) : P::alongKFirst(lines[g + i] + k, count - k);
      transpose(v);
      auto *to = reinterpret_cast<Lane *>(panel + g);
      int64_t units = whole ? lanes : (count - k + P::perUnit - 1) / P::perUnit;
      for (int i = 0; i < lanes; ++i)
        if (i < units) {
          if (g + lanes <= width)
            S::store(to + i * width, v[i]);
          else
            S::storeFirst(to + i * width, v[i], width - g);
        }
    }
  }
}

/// The `count` elements from `begin` of `rows` lines along k, one line of units after the other, `rowStride` units
/// apart.
template <typename Source, typename Unit>
static void packRows(const Operand &operand, int64_t first, int64_t rows, int64_t begin, int64_t count, Unit *to,
                     int64_t rowStride) {
  using P = Packing<Source, Unit>;
  using S = Simd<typename P::Lane>;
  constexpr int step = S::lanes * P::perUnit;
  for (int64_t r = 0; r < rows; ++r, to += rowStride) {
    const Source *from = line<Source>(operand, first + r) + begin;
    auto *units = reinterpret_cast<typename P::Lane *>(to);
    int64_t k = 0;
    for (; k + step <= count; k += step, units += S::lanes)
      S::store(units, P::alongK(from + k));
    if (k < count)
      S::store(units, P::alongKFirst(from + k, count - k));
  }
}

/// `left` values of one line as units of a panel, or `width` if there are more.
template <typename Source, typename Unit, int width>
MOIRE_INLINE void packLine(const Source *from, int64_t left, Unit *to) {
  using P = Packing<Source, Unit>;
  using S = Simd<typename P::Lane>;
#pragma GCC unroll 4
  for (int g = 0; g < width; g += S::lanes) {
    int64_t n = left - g < 0 ? 0 : left - g;
    auto v = n >= S::lanes ? P::alongK(from + g) : P::alongKFirst(from + g, n);
    if (g + S::lanes <= width)
      S::store(to + g, v);
    else
      S::storeFirst(to + g, v, width - g);
  }
}

/// Two lines as pairs; `odd` may be null.
template <int width>
MOIRE_INLINE void packPairs(const uint16_t *even, const uint16_t *odd, int64_t left, uint32_t *to) {
#if defined(__AVX512F__)
#pragma GCC unroll 4
  for (int g = 0; g < width; g += 16) {
    int64_t n = left - g < 0 ? 0 : left - g;
    __mmask16 mask = n >= 16 ? __mmask16(0xffff) : Simd<float>::first(n);
    __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, even + g));
    __m512i high = odd ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, odd + g)) : _mm512_setzero_si512();
    __m512i pairs = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
    if (g + 16 <= width)
      _mm512_storeu_si512(to + g, pairs);
    else
      _mm512_mask_storeu_epi32(to + g, Simd<float>::first(width - g), pairs);
  }
#else
  for (int i = 0; i < width; ++i)
    to[i] = i < left ? even[i] | (odd ? uint32_t(odd[i]) << 16 : 0) : 0;
#endif
}

/// Panels, `panelStride` units apart, from lines across k: the values `first` .. `first + extent` of the `count` lines
/// from `begin`. A line is read once, for all panels: far-apart lines in small pieces would be slow to come.
template <typename Source, typename Unit, int width>
static void packAcrossK(const Operand &operand, int64_t first, int64_t extent, int64_t begin, int64_t count,
                        Unit *panels, int64_t panelStride) {
  constexpr int perUnit = Packing<Source, Unit>::perUnit;
  constexpr int64_t distance = 8 * perUnit; // lines to fetch ahead
  constexpr int64_t cacheLine = 64 / sizeof(Source);
  for (int64_t k = 0; k < count; k += perUnit, panels += width) {
    for (int l = 0; l < perUnit; ++l)
      if (k + distance + l < count) {
        const Source *next = line<Source>(operand, begin + k + distance + l) + first;
        for (int64_t i = 0; i < extent; i += cacheLine)
          __builtin_prefetch(next + i, 0, 3);
      }
    const Source *here = line<Source>(operand, begin + k) + first;
    Unit *to = panels;
    if constexpr (perUnit == 2) {
      const Source *odd = k + 1 < count ? line<Source>(operand, begin + k + 1) + first : nullptr;
      for (int64_t i = 0; i < extent; i += width, to += panelStride)
        packPairs<width>(here + i, odd ? odd + i : nullptr, extent - i, to);
    } else {
      for (int64_t i = 0; i < extent; i += width, to += panelStride)
        packLine<Source, Unit, width>(here + i, extent - i, to);
    }
  }
}

/// Panels from lines of either kind.
template <typename Source, typename Unit, int width>
MOIRE_INLINE void packPanels(const Operand &operand, int64_t first, int64_t extent, int64_t begin, int64_t count,
                             Unit *panels, int64_t panelStride) {
  if (!operand.alongK)
    return packAcrossK<Source, Unit, width>(operand, first, extent, begin, count, panels, panelStride);
  for (int64_t i = 0; i < extent; i += width, panels += panelStride) {
    int64_t rows = extent - i < width ? extent - i : width;
    packAlongK<Source, Unit, width>(operand, first + i, rows, begin, count, panels);
  }
}

/// A panel of `width` side by side, turned into lines of units along k, `rowStride` units apart. `units` is a multiple
/// of 16.
template <typename Unit, int width>
static void turnPanel(const Unit *panel, int64_t units, Unit *to, int64_t rowStride) {
  using Lane = typename Packing<uint16_t, Unit>::Lane;
  using S = Simd<Lane>;
  for (int64_t u = 0; u < units; u += S::lanes)
    for (int g = 0; g < width; g += S::lanes) {
      typename S::Vector v[S::lanes];
      for (int i = 0; i < S::lanes; ++i)
        v[i] = S::load(reinterpret_cast<const Lane *>(panel + (u + i) * width + g));
      transpose(v);
      for (int i = 0; i < S::lanes; ++i)
        S::store(reinterpret_cast<Lane *>(to + (g + i) * rowStride + u), v[i]);
    }
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMMPACK_H
