//===- kernels/cpu/Simd.h - vectors of one instruction set -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Simd<float> and Simd<double>: the widest vectors of the instruction set that
// the including source is compiled for. Their type is the compiler's own vector
// type, so that + - * / work on it; what those do not cover is named here.
// Everything is in the namespace of the instruction set (kernels/CMakeLists.txt).
//
// Each Simd<T> has
//   Vector, lanes           the type and how many T it holds
//   load(p), store(p, v)    unaligned
//   loadFirst(p, n)         the first n lanes, 0 <= n <= lanes, zeros after; touches no memory behind them
//   storeFirst(p, v, n)     likewise
//   broadcast(x), zero()
//   fma(a, b, c)            a * b + c
//   max(a, b), min(a, b)    the second operand where one is a NaN
//   sum(v), maximum(v)      over the lanes, in a fixed order
// and Simd<float> also
//   loadBf16(p), loadBf16First(p, n), storeBf16(p, v), storeBf16First(p, v, n)   rounding as floatToBf16 does
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SIMD_H
#define MOIRE_KERNELS_CPU_SIMD_H

#include "kernels/cpu/Bf16.h"

#include <cstdint>
#include <cstring>

#define MOIRE_INLINE static inline __attribute__((always_inline))

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {
template <typename T> struct Simd;
} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include "kernels/cpu/SimdAvx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "kernels/cpu/SimdAvx2.h"
#else
#include "kernels/cpu/SimdScalar.h"
#endif

#endif // MOIRE_KERNELS_CPU_SIMD_H
