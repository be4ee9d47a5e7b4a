//===- kernels/cpu/GemmEmulated.cpp - tile registers without the hardware --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tile registers as arrays, so that the packing and the loops of the tile
// product are tested on processors that have none. For tests only.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GemmTile.h"
#include "kernels/cpu/GemmTiles.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

struct EmulatedTiles {
  static uint32_t (*registers())[16][16] {
    static thread_local uint32_t all[8][16][16];
    return all;
  }
  /// Poison, so that a tile that was never set is noticed.
  static void begin() { std::memset(registers(), 0xff, sizeof(uint32_t[8][16][16])); }
  static void end() { begin(); }
  template <int T> static void zero() { std::memset(registers()[T], 0, sizeof(uint32_t[16][16])); }
  template <int T> static void load(const void *p, int64_t stride) {
    for (int r = 0; r < 16; ++r)
      std::memcpy(registers()[T][r], static_cast<const char *>(p) + r * stride, 64);
  }
  template <int T> static void store(void *p, int64_t stride) {
    for (int r = 0; r < 16; ++r)
      std::memcpy(static_cast<char *>(p) + r * stride, registers()[T][r], 64);
  }
  template <int Sum, int A, int B> static void multiplyAdd() {
    auto *tiles = registers();
    for (int r = 0; r < 16; ++r)
      for (int c = 0; c < 16; ++c) {
        float sum;
        std::memcpy(&sum, &tiles[Sum][r][c], sizeof(sum));
        for (int u = 0; u < 16; ++u) {
          uint32_t a = tiles[A][r][u], b = tiles[B][u][c];
          sum += bf16ToFloat(uint16_t(a)) * bf16ToFloat(uint16_t(b));
          sum += bf16ToFloat(uint16_t(a >> 16)) * bf16ToFloat(uint16_t(b >> 16));
        }
        std::memcpy(&tiles[Sum][r][c], &sum, sizeof(sum));
      }
  }
  static Simd<float>::Vector multiplyAddVectors(Simd<float>::Vector a, Simd<float>::Vector b, Simd<float>::Vector sum) {
    for (int i = 0; i < Simd<float>::lanes; ++i) {
      float af = a[i], bf = b[i];
      uint32_t x, y;
      std::memcpy(&x, &af, sizeof(x));
      std::memcpy(&y, &bf, sizeof(y));
      sum[i] += bf16ToFloat(uint16_t(x)) * bf16ToFloat(uint16_t(y));
      sum[i] += bf16ToFloat(uint16_t(x >> 16)) * bf16ToFloat(uint16_t(y >> 16));
    }
    return sum;
  }
};

} // namespace MOIRE_ISA_NAMESPACE

ProductEngines emulatedProducts() {
  ProductEngines engines = scalarProducts();
  engines.bf16f32 = TileProduct<TilePairProduct<EmulatedTiles>, float>::engine();
  engines.bf16bf16 = TileProduct<TilePairProduct<EmulatedTiles>, uint16_t>::engine();
  return engines;
}

} // namespace moire::cpu
