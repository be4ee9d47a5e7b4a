//===- kernels/cpu/VectorMath.h - elements and functions on vectors ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What scans, attention and routing add to Simd.h: loads and stores by element
// type, so that one template serves f32, bf16 and f64, and an exponential that
// is cheap enough to stand in an inner loop.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_VECTORMATH_H
#define MOIRE_KERNELS_CPU_VECTORMATH_H

#include "kernels/cpu/Simd.h"

#include <cstdint>
#include <cstring>
#include <type_traits>

/// Before a loop with a constant count of at most 32 whose arrays are to live in registers.
#if defined(__clang__)
#define MOIRE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MOIRE_UNROLL _Pragma("GCC unroll 32")
#endif

// In the namespace of the including source's instruction set: see kernels/CMakeLists.txt.
namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <typename S> using Vec = typename Simd<S>::Vector;

typedef int32_t FloatBits __attribute__((vector_size(Simd<float>::lanes * 4)));
typedef int64_t DoubleBits __attribute__((vector_size(Simd<double>::lanes * 8)));

/// The bits of one vector read as another type of the same size.
template <typename To, typename From> MOIRE_INLINE To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

/// Reads all lanes; elements of uint16_t are bf16 and become float.
template <typename S, typename X> MOIRE_INLINE Vec<S> loadElements(const X *from) {
  if constexpr (std::is_same_v<X, uint16_t>)
    return Simd<float>::loadBf16(from);
  else
    return Simd<S>::load(from);
}

/// Reads the first `count` elements, 0 <= count <= lanes; the other lanes are zero.
template <typename S, typename X> MOIRE_INLINE Vec<S> loadElements(const X *from, int64_t count) {
  if (count == Simd<S>::lanes)
    return loadElements<S>(from);
  if constexpr (std::is_same_v<X, uint16_t>)
    return Simd<float>::loadBf16First(from, count);
  else
    return Simd<S>::loadFirst(from, count);
}

/// Writes all lanes, rounding where the elements are bf16.
template <typename S, typename X> MOIRE_INLINE void storeElements(X *to, Vec<S> value) {
  if constexpr (std::is_same_v<X, uint16_t>)
    Simd<float>::storeBf16(to, value);
  else
    Simd<S>::store(to, value);
}

/// Writes the first `count` lanes, 0 <= count <= lanes.
template <typename S, typename X> MOIRE_INLINE void storeElements(X *to, Vec<S> value, int64_t count) {
  if (count == Simd<S>::lanes)
    return storeElements<S>(to, value);
  if constexpr (std::is_same_v<X, uint16_t>)
    Simd<float>::storeBf16First(to, value, count);
  else
    Simd<S>::storeFirst(to, value, count);
}

/// One element as S.
template <typename S, typename X> MOIRE_INLINE S loadElement(X element) {
  if constexpr (std::is_same_v<X, uint16_t>)
    return bf16ToFloat(element);
  else
    return element;
}

/// One element from S.
template <typename X, typename S> MOIRE_INLINE X toElement(S value) {
  if constexpr (std::is_same_v<X, uint16_t>)
    return floatToBf16(value);
  else
    return value;
}

/// The smaller of two counts; std::min would be an inline function shared between instruction sets.
MOIRE_INLINE int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

/// The natural logarithm; std::log would be an inline function shared between instruction sets.
MOIRE_INLINE float logOf(float x) { return __builtin_logf(x); }
MOIRE_INLINE double logOf(double x) { return __builtin_log(x); }

/// exp(x) = expScaled(x * expScale<S>): a kernel folds the factor into something it multiplies with anyway.
template <typename S> inline constexpr S expScale = std::is_same_v<S, float> ? S(1.44269504088896340736) : S(1);

/// Replaces `count` vectors z of float by 2^z: within 2 units in the last place, exactly 1 at 0. Below -126 it is 0
/// (AVX-512: denormal, then 0). The polynomial is 1 + f q(f), with q fitted for the least relative error on
/// [-1/2, 1/2]. Taking several vectors step by step keeps the processor's schedulers from filling with one long chain.
template <int count> MOIRE_INLINE void expScaled(Vec<float> (&z)[count]) {
  using V = Simd<float>;
  constexpr float q[] = {0x1.5bba14p-10f, 0x1.3cea88p-7f, 0x1.c6b752p-5f, 0x1.ebf9bcp-3f, 0x1.62e42ap-1f, 1.0f};
  Vec<float> p[count], f[count], whole[count];
#if defined(__AVX512F__)
  MOIRE_UNROLL
  for (int i = 0; i < count; ++i)
    whole[i] = _mm512_roundscale_ps(z[i], 8);
  MOIRE_UNROLL
  for (int i = 0; i < count; ++i)
    f[i] = z[i] - whole[i];
#else
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum. A NaN passes both bounds.
  constexpr float shift = 12582912.0f;
  Vec<float> lowest = V::broadcast(-126.0f), highest = V::broadcast(128.0f);
  MOIRE_UNROLL
  for (int i = 0; i < count; ++i) {
    Vec<float> bounded = z[i] < lowest ? lowest : z[i];
    bounded = bounded > highest ? highest : bounded;
    whole[i] = bounded + shift;
    f[i] = bounded - (whole[i] - shift);
  }
#endif
  MOIRE_UNROLL
  for (int i = 0; i < count; ++i)
    p[i] = V::fma(f[i], V::broadcast(q[0]), V::broadcast(q[1]));
  MOIRE_UNROLL
  for (int k = 2; k < 6; ++k) {
    MOIRE_UNROLL
    for (int i = 0; i < count; ++i)
      p[i] = V::fma(p[i], f[i], V::broadcast(q[k]));
  }
  MOIRE_UNROLL
  for (int i = 0; i < count; ++i) {
#if defined(__AVX512F__)
    z[i] = _mm512_scalef_ps(p[i], whole[i]);
#else
    FloatBits exponent = bitCast<FloatBits>(whole[i]) << 23;
    Vec<float> scaled = bitCast<Vec<float>>(bitCast<FloatBits>(p[i]) + exponent);
    z[i] = z[i] < lowest ? V::zero() : scaled;
#endif
  }
}

/// e^x for double: about 1 unit in the last place, with the limits of std::exp. Taylor's series after the reduction
/// x = n ln 2 + r, |r| < 0.35; 2^n goes in as two factors so that denormal results come out right.
MOIRE_INLINE Vec<double> expScaled(Vec<double> x) {
  constexpr double shift = 6755399441055744.0; // 1.5 * 2^52
  constexpr double inverse[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
  Vec<double> lowest = Simd<double>::broadcast(-746.0), highest = Simd<double>::broadcast(710.0);
  Vec<double> bounded = x < lowest ? lowest : x;
  bounded = bounded > highest ? highest : bounded;
  Vec<double> shifted = bounded * 1.44269504088896340736 + shift, whole = shifted - shift;
  Vec<double> r = Simd<double>::fma(whole, Simd<double>::broadcast(-0x1.62e42fee00000p-1), bounded);
  r = Simd<double>::fma(whole, Simd<double>::broadcast(-0x1.a39ef35793c76p-33), r);
  Vec<double> p = Simd<double>::broadcast(inverse[0]);
  for (int i = 1; i < 14; ++i)
    p = Simd<double>::fma(p, r, Simd<double>::broadcast(inverse[i]));
  DoubleBits n = bitCast<DoubleBits>(shifted) - bitCast<DoubleBits>(Simd<double>::broadcast(shift)), half = n >> 1;
  DoubleBits first = (half + 1023) << 52, second = (n - half + 1023) << 52;
  return p * bitCast<Vec<double>>(first) * bitCast<Vec<double>>(second);
}

template <int count> MOIRE_INLINE void expScaled(Vec<double> (&x)[count]) {
  MOIRE_UNROLL
  for (int i = 0; i < count; ++i)
    x[i] = expScaled(x[i]);
}

/// One vector of float.
MOIRE_INLINE Vec<float> expScaled(Vec<float> z) {
  Vec<float> one[1] = {z};
  expScaled(one);
  return one[0];
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_VECTORMATH_H
