//===- test/kernels/TilesTest.cpp - the tile product, emulated -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packing and loops of the AMX product on emulated tile registers, so that they
// are tested on every processor. ProductsTest with MOIRE_ISA=amx tests the real
// registers where there are some.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Bf16.h"
#include "kernels/cpu/Gemm.h"
#include "kernels/include/Reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace {

using namespace moire::cpu;

std::vector<uint16_t> randomBf16(int64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> distribution(-0.5f, 0.5f);
  std::vector<uint16_t> all(count);
  for (uint16_t &x : all)
    x = floatToBf16(distribution(engine));
  return all;
}

TEST(Tiles, AgreeWithOracle) {
  ProductEngines engines = emulatedProducts();
  const int64_t sizes[][3] = {{9, 1, 1},    {12, 17, 31},  {16, 16, 32},  {17, 33, 65},   {33, 48, 127},
                              {64, 64, 64}, {31, 90, 513}, {70, 20, 600}, {300, 40, 530}, {40, 300, 1030}};
  for (auto &size : sizes)
    for (int form = 0; form < 8; ++form) {
      int64_t m = size[0], n = size[1], k = size[2];
      bool transA = form & 1, transB = form & 2, accumulate = form & 4;
      int64_t lda = (transA ? m : k) + form, ldb = (transB ? k : n) + 1, ldc = n + 3;
      auto a = randomBf16(lda * (transA ? k : m), 1), b = randomBf16(ldb * (transB ? n : k), 2);
      std::vector<float> wide(m * ldc, 0.25f), wideWanted = wide;
      std::vector<uint16_t> narrow(m * ldc, 0x3e80), narrowWanted = narrow;
      Tile tile{};
      tile.a = {a.data(), lda, nullptr, !transA};
      tile.b = {b.data(), ldb, nullptr, transB};
      tile.kEnd = k;
      tile.ldc = ldc;
      tile.accumulate = accumulate;
      tile.c = wide.data();
      multiply(engines.bf16f32, m, n, tile);
      tile.c = narrow.data();
      multiply(engines.bf16bf16, m, n, tile);
      moire_reference_gemm_bf16_f32(m, n, k, a.data(), lda, transA, b.data(), ldb, transB, wideWanted.data(), ldc,
                                    accumulate);
      moire_reference_gemm_bf16_bf16(m, n, k, a.data(), lda, transA, b.data(), ldb, transB, narrowWanted.data(), ldc,
                                     accumulate);
      for (int64_t i = 0; i < m * ldc; ++i) {
        double bound = 1e-7 * double(k + 3) * (0.25 * double(k) + 0.5);
        ASSERT_NEAR(wide[i], wideWanted[i], bound) << m << " " << n << " " << k << " form " << form << " at " << i;
        double exact = bf16ToFloat(narrowWanted[i]);
        ASSERT_NEAR(bf16ToFloat(narrow[i]), exact, bound + std::abs(exact) / 128)
            << m << " " << n << " " << k << " form " << form << " at " << i;
      }
    }
}

} // namespace
