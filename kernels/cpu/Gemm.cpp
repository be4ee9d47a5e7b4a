//===- kernels/cpu/Gemm.cpp - plain products ------------------------------- ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Cuts C into tiles and hands them to the threads. Tiles over the same columns
// come one after the other, so that a thread can often keep its packed columns.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Gemm.h"
#include "kernels/cpu/Features.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {
namespace {

ProductEngines choose() {
#if defined(__x86_64__)
  switch (isa()) {
  case Isa::Scalar:
    break;
  case Isa::Avx2:
    return avx2Products();
  case Isa::Avx512:
    return avx512Products();
  case Isa::Avx512Bf16:
  case Isa::Amx:
    return avx512Bf16Products();
  }
#endif
  return scalarProducts();
}

/// Tiles per thread below which one late thread would cost too much.
constexpr int64_t tilesPerThread = 4;

void multiply(const ProductEngine &engine, int64_t m, int64_t n, Tile whole) {
  if (m <= 0 || n <= 0)
    return;
  int64_t wanted = regionThreads() == 1 ? 1 : regionThreads() * tilesPerThread;
  int64_t rowPanels = ceilDiv(m, engine.rowPanel), columnPanels = ceilDiv(n, engine.columnPanel);
  int64_t maxRowPanels = ProductEngine::maxRows / engine.rowPanel;
  int64_t columnParts = ceilDiv(columnPanels, ProductEngine::maxColumns / engine.columnPanel);
  int64_t rowParts = ceilDiv(rowPanels, maxRowPanels);
  if (rowParts * columnParts < wanted) {
    rowParts = ceilDiv(wanted, columnParts);
    if (rowParts > rowPanels / 4) // shorter tiles would pack more than they multiply
      rowParts = rowPanels / 4 > ceilDiv(rowPanels, maxRowPanels) ? rowPanels / 4 : ceilDiv(rowPanels, maxRowPanels);
    if (rowParts * columnParts < wanted)
      columnParts = ceilDiv(wanted, rowParts) < columnPanels ? ceilDiv(wanted, rowParts) : columnPanels;
  }
  std::atomic<int64_t> next{0};
  parallelRegion(
      [&](int, int) {
        ScratchFrame frame;
        TileScratch scratch = takeTileScratch(engine, frame);
        for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < rowParts * columnParts;) {
          int64_t row = i % rowParts, column = i / rowParts;
          Tile tile = whole;
          tile.row = partBegin(m, engine.rowPanel, rowParts, row);
          tile.rows = partBegin(m, engine.rowPanel, rowParts, row + 1) - tile.row;
          tile.column = partBegin(n, engine.columnPanel, columnParts, column);
          tile.columns = partBegin(n, engine.columnPanel, columnParts, column + 1) - tile.column;
          engine.run(tile, scratch);
        }
      },
      rowParts * columnParts);
}

} // namespace

const ProductEngines &products() {
  static const ProductEngines engines = choose();
  return engines;
}

TileScratch takeTileScratch(const ProductEngine &engine, ScratchFrame &frame) {
  TileScratch scratch{};
  scratch.a = frame.take<unsigned char>(size_t(engine.scratchA));
  scratch.b = frame.take<unsigned char>(size_t(engine.scratchB));
  scratch.partial = engine.scratchPartial ? frame.take<unsigned char>(size_t(engine.scratchPartial)) : nullptr;
  return scratch;
}

} // namespace moire::cpu

#define MOIRE_GEMM(SUFFIX, ENGINE, X, C)                                                                               \
  extern "C" void moire_gemm_##SUFFIX(int64_t m, int64_t n, int64_t k, const X *a, int64_t lda, int32_t trans_a,       \
                                      const X *b, int64_t ldb, int32_t trans_b, C *c, int64_t ldc,                     \
                                      int32_t accumulate) {                                                            \
    using namespace moire::cpu;                                                                                        \
    multiply(                                                                                                          \
        products().ENGINE, m, n,                                                                                       \
        {{a, lda, nullptr, !trans_a}, {b, ldb, nullptr, trans_b != 0}, 0, k, 0, m, 0, n, c, ldc, accumulate != 0});    \
  }
MOIRE_GEMM(f32_f32, f32f32, float, float)
MOIRE_GEMM(f64_f64, f64f64, double, double)
MOIRE_GEMM(bf16_f32, bf16f32, uint16_t, float)
MOIRE_GEMM(bf16_bf16, bf16bf16, uint16_t, uint16_t)
