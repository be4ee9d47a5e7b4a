//===- kernels/cpu/GemmAmx.cpp - bf16 products in AMX ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tile registers of the processor. Other types, and products of a few rows,
// are as in AVX-512 BF16.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GemmTile.h"
#include "kernels/cpu/GemmTiles.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

struct HardwareTiles {
  /// Every tile has 16 rows of 64 bytes. The configuration belongs to the thread until end().
  MOIRE_INLINE void begin() {
    alignas(64) struct {
      uint8_t palette = 1, startRow = 0, reserved[14] = {};
      uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } configuration;
    _tile_loadconfig(&configuration);
  }
  MOIRE_INLINE void end() { _tile_release(); }
  template <int T> MOIRE_INLINE void zero() { _tile_zero(T); }
  template <int T> MOIRE_INLINE void load(const void *p, int64_t stride) { _tile_loadd(T, p, stride); }
  template <int T> MOIRE_INLINE void store(void *p, int64_t stride) { _tile_stored(T, p, stride); }
  template <int Sum, int A, int B> MOIRE_INLINE void multiplyAdd() { _tile_dpbf16ps(Sum, A, B); }
  MOIRE_INLINE __m512 multiplyAddVectors(__m512 a, __m512 b, __m512 sum) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
};

} // namespace MOIRE_ISA_NAMESPACE

ProductEngines amxProducts() {
  ProductEngines engines = avx512Bf16Products();
  engines.bf16f32 = TileProduct<TilePairProduct<HardwareTiles>, float>::engine();
  engines.bf16bf16 = TileProduct<TilePairProduct<HardwareTiles>, uint16_t>::engine();
  return engines;
}

} // namespace moire::cpu
