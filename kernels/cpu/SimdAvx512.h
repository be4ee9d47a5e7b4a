//===- kernels/cpu/SimdAvx512.h - vectors of AVX-512 -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by Simd.h only. Rounding to bf16 is done on integers, because the
// instruction for it flushes subnormal numbers to zero.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SIMDAVX512_H
#define MOIRE_KERNELS_CPU_SIMDAVX512_H

#include <immintrin.h>

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <> struct Simd<float> {
  using Vector = __m512;
  static constexpr int lanes = 16;

  MOIRE_INLINE __mmask16 first(int64_t n) { return __mmask16((uint32_t(1) << n) - 1); }
  MOIRE_INLINE Vector load(const float *p) { return _mm512_loadu_ps(p); }
  MOIRE_INLINE void store(float *p, Vector v) { _mm512_storeu_ps(p, v); }
  MOIRE_INLINE Vector loadFirst(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
  MOIRE_INLINE void storeFirst(float *p, Vector v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
  MOIRE_INLINE Vector broadcast(float x) { return _mm512_set1_ps(x); }
  MOIRE_INLINE Vector zero() { return _mm512_setzero_ps(); }
  MOIRE_INLINE Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  MOIRE_INLINE Vector max(Vector a, Vector b) { return _mm512_max_ps(a, b); }
  MOIRE_INLINE Vector min(Vector a, Vector b) { return _mm512_min_ps(a, b); }
  MOIRE_INLINE float sum(Vector v) { return _mm512_reduce_add_ps(v); }
  MOIRE_INLINE float maximum(Vector v) { return _mm512_reduce_max_ps(v); }

  MOIRE_INLINE Vector widen(__m256i bits) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  MOIRE_INLINE __m256i narrow(Vector v) {
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
  }
  MOIRE_INLINE Vector loadBf16(const uint16_t *p) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
  }
  MOIRE_INLINE Vector loadBf16First(const uint16_t *p, int64_t n) {
    return widen(_mm256_maskz_loadu_epi16(first(n), p));
  }
  MOIRE_INLINE void storeBf16(uint16_t *p, Vector v) { _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), narrow(v)); }
  MOIRE_INLINE void storeBf16First(uint16_t *p, Vector v, int64_t n) {
    _mm256_mask_storeu_epi16(p, first(n), narrow(v));
  }
};

template <> struct Simd<double> {
  using Vector = __m512d;
  static constexpr int lanes = 8;

  MOIRE_INLINE __mmask8 first(int64_t n) { return __mmask8((uint32_t(1) << n) - 1); }
  MOIRE_INLINE Vector load(const double *p) { return _mm512_loadu_pd(p); }
  MOIRE_INLINE void store(double *p, Vector v) { _mm512_storeu_pd(p, v); }
  MOIRE_INLINE Vector loadFirst(const double *p, int64_t n) { return _mm512_maskz_loadu_pd(first(n), p); }
  MOIRE_INLINE void storeFirst(double *p, Vector v, int64_t n) { _mm512_mask_storeu_pd(p, first(n), v); }
  MOIRE_INLINE Vector broadcast(double x) { return _mm512_set1_pd(x); }
  MOIRE_INLINE Vector zero() { return _mm512_setzero_pd(); }
  MOIRE_INLINE Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_pd(a, b, c); }
  MOIRE_INLINE Vector max(Vector a, Vector b) { return _mm512_max_pd(a, b); }
  MOIRE_INLINE Vector min(Vector a, Vector b) { return _mm512_min_pd(a, b); }
  MOIRE_INLINE double sum(Vector v) { return _mm512_reduce_add_pd(v); }
  MOIRE_INLINE double maximum(Vector v) { return _mm512_reduce_max_pd(v); }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SIMDAVX512_H
