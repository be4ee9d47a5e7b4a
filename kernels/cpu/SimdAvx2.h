//===- kernels/cpu/SimdAvx2.h - vectors of AVX2 ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by Simd.h only. Partial bf16 rows go through a small array, because
// AVX2 masks no loads of 16-bit elements.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SIMDAVX2_H
#define MOIRE_KERNELS_CPU_SIMDAVX2_H

#include <immintrin.h>

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <> struct Simd<float> {
  using Vector = __m256;
  static constexpr int lanes = 8;

  MOIRE_INLINE __m256i first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  MOIRE_INLINE Vector load(const float *p) { return _mm256_loadu_ps(p); }
  MOIRE_INLINE void store(float *p, Vector v) { _mm256_storeu_ps(p, v); }
  MOIRE_INLINE Vector loadFirst(const float *p, int64_t n) { return _mm256_maskload_ps(p, first(n)); }
  MOIRE_INLINE void storeFirst(float *p, Vector v, int64_t n) { _mm256_maskstore_ps(p, first(n), v); }
  MOIRE_INLINE Vector broadcast(float x) { return _mm256_set1_ps(x); }
  MOIRE_INLINE Vector zero() { return _mm256_setzero_ps(); }
  MOIRE_INLINE Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_ps(a, b, c); }
  MOIRE_INLINE Vector max(Vector a, Vector b) { return _mm256_max_ps(a, b); }
  MOIRE_INLINE Vector min(Vector a, Vector b) { return _mm256_min_ps(a, b); }
  MOIRE_INLINE float sum(Vector v) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
  }
  MOIRE_INLINE float maximum(Vector v) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
  }

  MOIRE_INLINE Vector widen(__m128i bits) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  MOIRE_INLINE __m128i narrow(Vector v) {
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
  }
  MOIRE_INLINE Vector loadBf16(const uint16_t *p) {
    return widen(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
  }
  MOIRE_INLINE Vector loadBf16First(const uint16_t *p, int64_t n) {
    uint16_t row[8] = {};
    for (int64_t i = 0; i < n; ++i)
      row[i] = p[i];
    return loadBf16(row);
  }
  MOIRE_INLINE void storeBf16(uint16_t *p, Vector v) { _mm_storeu_si128(reinterpret_cast<__m128i *>(p), narrow(v)); }
  MOIRE_INLINE void storeBf16First(uint16_t *p, Vector v, int64_t n) {
    uint16_t row[8];
    storeBf16(row, v);
    for (int64_t i = 0; i < n; ++i)
      p[i] = row[i];
  }
};

template <> struct Simd<double> {
  using Vector = __m256d;
  static constexpr int lanes = 4;

  MOIRE_INLINE __m256i first(int64_t n) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  MOIRE_INLINE Vector load(const double *p) { return _mm256_loadu_pd(p); }
  MOIRE_INLINE void store(double *p, Vector v) { _mm256_storeu_pd(p, v); }
  MOIRE_INLINE Vector loadFirst(const double *p, int64_t n) { return _mm256_maskload_pd(p, first(n)); }
  MOIRE_INLINE void storeFirst(double *p, Vector v, int64_t n) { _mm256_maskstore_pd(p, first(n), v); }
  MOIRE_INLINE Vector broadcast(double x) { return _mm256_set1_pd(x); }
  MOIRE_INLINE Vector zero() { return _mm256_setzero_pd(); }
  MOIRE_INLINE Vector fma(Vector a, Vector b, Vector c) { return _mm256_fmadd_pd(a, b, c); }
  MOIRE_INLINE Vector max(Vector a, Vector b) { return _mm256_max_pd(a, b); }
  MOIRE_INLINE Vector min(Vector a, Vector b) { return _mm256_min_pd(a, b); }
  MOIRE_INLINE double sum(Vector v) {
    __m128d half = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(half, _mm_unpackhi_pd(half, half)));
  }
  MOIRE_INLINE double maximum(Vector v) {
    __m128d half = _mm_max_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_max_sd(half, _mm_unpackhi_pd(half, half)));
  }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SIMDAVX2_H
