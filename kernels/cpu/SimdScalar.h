//===- kernels/cpu/SimdScalar.h - vectors without an instruction set -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by Simd.h only. Vectors of 16 bytes that the compiler maps to what
// every processor of the target has, or to plain scalars.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SIMDSCALAR_H
#define MOIRE_KERNELS_CPU_SIMDSCALAR_H

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// What Simd<float> and Simd<double> have in common.
template <typename T, typename V> struct SimdScalar {
  using Vector = V;
  static constexpr int lanes = sizeof(V) / sizeof(T);

  MOIRE_INLINE Vector load(const T *p) {
    Vector v;
    std::memcpy(&v, p, sizeof(v));
    return v;
  }
  MOIRE_INLINE void store(T *p, Vector v) { std::memcpy(p, &v, sizeof(v)); }
  MOIRE_INLINE Vector loadFirst(const T *p, int64_t n) {
    Vector v{};
    for (int i = 0; i < lanes; ++i)
      if (i < n)
        v[i] = p[i];
    return v;
  }
  MOIRE_INLINE void storeFirst(T *p, Vector v, int64_t n) {
    for (int i = 0; i < lanes; ++i)
      if (i < n)
        p[i] = v[i];
  }
  MOIRE_INLINE Vector broadcast(T x) { return x - Vector{}; }
  MOIRE_INLINE Vector zero() { return Vector{}; }
  MOIRE_INLINE Vector fma(Vector a, Vector b, Vector c) { return a * b + c; }
  MOIRE_INLINE Vector max(Vector a, Vector b) {
    for (int i = 0; i < lanes; ++i)
      b[i] = a[i] > b[i] ? a[i] : b[i];
    return b;
  }
  MOIRE_INLINE Vector min(Vector a, Vector b) {
    for (int i = 0; i < lanes; ++i)
      b[i] = a[i] < b[i] ? a[i] : b[i];
    return b;
  }
  MOIRE_INLINE T sum(Vector v) {
    T total = v[0];
    for (int i = 1; i < lanes; ++i)
      total += v[i];
    return total;
  }
  MOIRE_INLINE T maximum(Vector v) {
    T most = v[0];
    for (int i = 1; i < lanes; ++i)
      most = v[i] > most ? v[i] : most;
    return most;
  }
};

typedef float Float4 __attribute__((vector_size(16)));
typedef double Double2 __attribute__((vector_size(16)));

template <> struct Simd<float> : SimdScalar<float, Float4> {
  MOIRE_INLINE Vector loadBf16(const uint16_t *p) { return loadBf16First(p, lanes); }
  MOIRE_INLINE Vector loadBf16First(const uint16_t *p, int64_t n) {
    Vector v{};
    for (int i = 0; i < lanes; ++i)
      if (i < n)
        v[i] = bf16ToFloat(p[i]);
    return v;
  }
  MOIRE_INLINE void storeBf16(uint16_t *p, Vector v) { storeBf16First(p, v, lanes); }
  MOIRE_INLINE void storeBf16First(uint16_t *p, Vector v, int64_t n) {
    for (int i = 0; i < lanes; ++i)
      if (i < n)
        p[i] = floatToBf16(v[i]);
  }
};

template <> struct Simd<double> : SimdScalar<double, Double2> {};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SIMDSCALAR_H
