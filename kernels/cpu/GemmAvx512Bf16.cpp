//===- kernels/cpu/GemmAvx512Bf16.cpp - bf16 products by pairs ---------------- ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dot-product instruction multiplies pairs of bf16 along k and adds both
// into a float: twice the rate of widened products. Other types are as in
// AVX-512.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GemmTile.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

struct PairProduct {
  using Source = uint16_t;
  using Unit = uint32_t;
  using Sum = float;
  static constexpr int rows = 14, vectors = 2;
  static constexpr bool tiles = false;
  MOIRE_INLINE __m512 multiplyAdd(const Unit *a, __m512 b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(int(*a)), (__m512bh)b);
  }
  MOIRE_INLINE __m512 multiplyAddVectors(__m512 a, __m512 b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
};

} // namespace MOIRE_ISA_NAMESPACE

ProductEngines avx512Bf16Products() {
  ProductEngines engines = avx512Products();
  engines.bf16f32 = TileProduct<PairProduct, float>::engine();
  engines.bf16bf16 = TileProduct<PairProduct, uint16_t>::engine();
  return engines;
}

} // namespace moire::cpu
