//===- kernels/cpu/AttentionFormat.h - operands of attention's products ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The products of attention read units: one value, or, where the processor multiplies
// bf16 pairs, two neighbours along the summed dimension. A format says how
// rows of activations and of probabilities become units:
//   rows    [row][units]: the left operand, pairs along the row
//   panels  [columns / panelWidth][units][panelWidth]: the right operand, pairs down the columns
//   across  [row / pair][column]: a left operand that is read transposed, pairs down the columns
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONFORMAT_H
#define MOIRE_KERNELS_CPU_ATTENTIONFORMAT_H

#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

MOIRE_INLINE int64_t roundUp(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

/// Units of one value of S; bf16 elements are widened.
template <typename XType, typename SType> struct DirectFormat {
  using X = XType;
  using S = SType;
  using Unit = SType;
  static constexpr int pair = 1;

  MOIRE_INLINE Vec<S> multiplyAdd(Unit a, const Unit *b, Vec<S> sum) {
    return Simd<S>::fma(Simd<S>::broadcast(a), Simd<S>::load(b), sum);
  }

  /// One row of `count` elements as units, with zeros up to `padded`, a multiple of the lanes.
  static inline void loadRow(int64_t count, int64_t padded, const X *from, Unit *to) {
    constexpr int64_t lanes = Simd<S>::lanes;
    for (int64_t i = 0; i < padded; i += lanes) {
      int64_t used = count - i < 0 ? 0 : smaller(lanes, count - i);
      Simd<S>::store(to + i, loadElements<S>(from + i, used));
    }
  }

  /// Packs rows (pairs down the columns: none here) into panels.
  static inline void loadPanels(int64_t rows, int64_t count, const X *from, int64_t stride, int64_t panelWidth,
                                Unit *to, int64_t panelUnits) {
    constexpr int64_t lanes = Simd<S>::lanes;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < count; i += panelWidth)
        for (int64_t k = 0; k < panelWidth; k += lanes) {
          int64_t left = count - i - k, used = left < 0 ? 0 : smaller(lanes, left);
          Simd<S>::store(to + (i / panelWidth * panelUnits + r) * panelWidth + k,
                         loadElements<S>(from + r * stride + i + k, used));
        }
  }

  /// Stores a vector of row values as units along the row.
  MOIRE_INLINE void storeAlong(Unit *row, int64_t column, Vec<S> value) { Simd<S>::store(row + column, value); }
  /// Stores two neighbouring rows, the first of even number, as units down the columns.
  MOIRE_INLINE void storeAcross(Unit *base, int64_t ld, int64_t row, int64_t column, Vec<S> even, Vec<S> odd) {
    Simd<S>::store(base + row * ld + column, even);
    Simd<S>::store(base + (row + 1) * ld + column, odd);
  }
};

#if defined(__AVX512BF16__)
/// Units of two bf16, multiplied and added to a float by one instruction.
struct PairFormat {
  using X = uint16_t;
  using S = float;
  using Unit = uint32_t;
  static constexpr int pair = 2;

  MOIRE_INLINE Vec<S> multiplyAdd(Unit a, const Unit *b, Vec<S> sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(int(a))),
                            reinterpret_cast<__m512bh>(_mm512_loadu_si512(b)));
  }

  /// Two rows as one vector of pairs; interleaves their lower and upper halves.
  MOIRE_INLINE __m512i interleave(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
  }

  static inline void loadRow(int64_t count, int64_t padded, const X *from, Unit *to) {
    for (int64_t i = 0; i < padded * 2; i += 32) {
      int64_t left = count - i;
      __mmask32 mask = left >= 32 ? ~__mmask32(0) : left > 0 ? (__mmask32(1) << left) - 1 : 0;
      _mm512_storeu_si512(to + i / 2, _mm512_maskz_loadu_epi16(mask, from + i));
    }
  }

  static inline void loadPanels(int64_t rows, int64_t count, const X *from, int64_t stride, int64_t panelWidth,
                                Unit *to, int64_t panelUnits) {
    for (int64_t r = 0; r < rows; r += 2)
      for (int64_t i = 0; i < count; i += panelWidth)
        for (int64_t k = 0; k < panelWidth; k += 16) {
          int64_t left = count - i - k, used = left < 0 ? 0 : smaller(16, left);
          __mmask16 mask = __mmask16((1u << used) - 1);
          const X *even = from + r * stride + i + k;
          __m256i second = r + 1 < rows ? _mm256_maskz_loadu_epi16(mask, even + stride) : _mm256_setzero_si256();
          _mm512_storeu_si512(to + (i / panelWidth * panelUnits + r / 2) * panelWidth + k,
                              interleave(_mm256_maskz_loadu_epi16(mask, even), second));
        }
  }

  MOIRE_INLINE void storeAlong(Unit *row, int64_t column, Vec<S> value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(reinterpret_cast<X *>(row) + column),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
  }
  MOIRE_INLINE void storeAcross(Unit *base, int64_t ld, int64_t row, int64_t column, Vec<S> even, Vec<S> odd) {
    _mm512_storeu_si512(base + row / 2 * ld + column, interleave(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(even)),
                                                                 reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(odd))));
  }
};
#endif

#if defined(__AVX512F__)
/// Sixteen rows of sixteen 32-bit units, transposed: rows of pairs, then of quarters, then of whole quarters.
MOIRE_INLINE void transposeSixteen(const void *from, int64_t ldFrom, void *to, int64_t ldTo) {
  const int32_t *source = static_cast<const int32_t *>(from);
  int32_t *target = static_cast<int32_t *>(to);
  __m512i x[16], y[16];
  MOIRE_UNROLL
  for (int i = 0; i < 16; ++i)
    x[i] = _mm512_loadu_si512(source + i * ldFrom);
  MOIRE_UNROLL
  for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  MOIRE_UNROLL
  for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
    x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
    x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
    x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
  }
  // x[4 g + c] now holds, in quarter k, column 4 k + c of rows 4 g .. 4 g + 3.
  MOIRE_UNROLL
  for (int c = 0; c < 4; ++c) {
    __m512i low = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x88), lowOdd = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xdd);
    __m512i high = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x88);
    __m512i highOdd = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xdd);
    _mm512_storeu_si512(target + c * ldTo, _mm512_shuffle_i32x4(low, high, 0x88));
    _mm512_storeu_si512(target + (4 + c) * ldTo, _mm512_shuffle_i32x4(lowOdd, highOdd, 0x88));
    _mm512_storeu_si512(target + (8 + c) * ldTo, _mm512_shuffle_i32x4(low, high, 0xdd));
    _mm512_storeu_si512(target + (12 + c) * ldTo, _mm512_shuffle_i32x4(lowOdd, highOdd, 0xdd));
  }
}
#endif

/// Packs the transpose of rows of units into panels: panel column r is row r. The rows number a multiple of the lanes
/// and have a multiple of 16 units behind each other in memory, of which `units` are wanted.
template <typename Unit>
inline void transposeRows(int64_t rows, int64_t units, const Unit *from, int64_t ld, int64_t panelWidth, Unit *to) {
  for (int64_t r = 0; r < rows; r += panelWidth, to += units * panelWidth) {
    int64_t width = smaller(panelWidth, rows - r);
    int64_t u = 0;
#if defined(__AVX512F__)
    if constexpr (sizeof(Unit) == 4)
      for (; u + 16 <= units; u += 16)
        for (int64_t k = 0; k < width; k += 16)
          transposeSixteen(from + (r + k) * ld + u, ld, to + u * panelWidth + k, panelWidth);
#endif
    for (; u < units; ++u)
      for (int64_t k = 0; k < width; ++k)
        to[u * panelWidth + k] = from[(r + k) * ld + u];
  }
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONFORMAT_H
