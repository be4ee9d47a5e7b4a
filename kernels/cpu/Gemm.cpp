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

#include <algorithm>

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
    return avx512Bf16Products();
  case Isa::Amx:
    return amxProducts();
  }
#endif
  return scalarProducts();
}

/// Tiles per thread below which one late thread would cost too much.
constexpr int64_t tilesPerThread = 2;
/// Tiles are not cut smaller than this many panels: moving them would cost more than multiplying.
constexpr int64_t leastRowPanels = 8, leastColumnPanels = 4;
/// Tiles that need a panel before it is packed for all of them: a wait of all threads for each other has its price, and
/// a tile that packs for itself does so from what was fetched while the last one was multiplied.
constexpr int64_t leastUsers = 4;
/// Columns of a tile, if the blocks of k are several: B, its successor and C then share the second-level cache.
constexpr int64_t deepColumns = 256;

/// An operand that all threads pack together before its tiles begin, because several tiles need each part.
class SharedPanels {
public:
  /// Bytes that are packed at a time; one thread may have to hold them all.
  static constexpr int64_t capacity = int64_t(12) << 20;

  /// Plans panels for `extent` rows or columns from `first`.
  void plan(const Operand &from, int64_t first, int64_t extent, int64_t k, int64_t panel, int64_t panelBytes,
            int64_t depth, void (*packer)(const Operand &, int64_t, int64_t, int64_t, int64_t, void *)) {
    operand = &from;
    this->first = first;
    this->extent = extent;
    this->k = k;
    this->depth = depth;
    pack = packer;
    groupExtent = panel * PackedOperand::panelsPerGroup;
    groupBytes = panelBytes * PackedOperand::panelsPerGroup;
    result.groups = groups;
    result.groupsPerBlock = ceilDiv(extent, groupExtent);
    result.panelStride = panelBytes;
  }

  /// Jobs that packing consists of; 0 if nothing was planned.
  int64_t jobs() const { return operand ? result.groupsPerBlock * ceilDiv(k, depth) : 0; }

  void run(int64_t job, ScratchFrame &frame) {
    int64_t begin = job / result.groupsPerBlock * depth, at = job % result.groupsPerBlock * groupExtent;
    void *memory = frame.take<unsigned char>(size_t(groupBytes));
    pack(*operand, first + at, std::min(groupExtent, extent - at), begin, std::min(depth, k - begin), memory);
    groups[job] = memory;
  }

  /// Bytes of the panels of `extent` rows or columns.
  static int64_t bytes(int64_t extent, int64_t k, int64_t panel, int64_t panelBytes, int64_t depth) {
    return ceilDiv(extent, panel * PackedOperand::panelsPerGroup) * PackedOperand::panelsPerGroup * panelBytes *
           ceilDiv(k, depth);
  }

  PackedOperand result;

private:
  // Enough for panels of 4 KiB and more, the smallest there are.
  static constexpr int64_t maxGroups = capacity / (4096 * PackedOperand::panelsPerGroup);
  const Operand *operand = nullptr;
  int64_t first = 0, extent = 0, k = 0, depth = 0, groupExtent = 0, groupBytes = 0;
  void (*pack)(const Operand &, int64_t, int64_t, int64_t, int64_t, void *) = nullptr;
  const void *groups[maxGroups];
};

/// How C is cut.
struct Parts {
  int64_t rows, columns;
};

Parts cut(const ProductEngine &engine, int64_t m, int64_t n, int64_t k, int64_t threads) {
  int64_t rowPanels = ceilDiv(m, engine.rowPanel), columnPanels = ceilDiv(n, engine.columnPanel);
  int64_t maxColumns = k > engine.depth ? deepColumns : ProductEngine::maxColumns;
  Parts parts{ceilDiv(rowPanels, ProductEngine::maxRows / engine.rowPanel),
              ceilDiv(columnPanels, std::max<int64_t>(1, maxColumns / engine.columnPanel))};
  int64_t wanted = threads == 1 ? 1 : threads * tilesPerThread;
  if (parts.rows * parts.columns < wanted)
    parts.rows = std::max(parts.rows, std::min(ceilDiv(wanted, parts.columns), rowPanels / leastRowPanels));
  if (parts.rows * parts.columns < wanted)
    parts.columns = std::max(parts.columns, std::min(ceilDiv(wanted, parts.rows), columnPanels / leastColumnPanels));
  return parts;
}

/// A few rows: only columns are cut, and long runs of B stay whole.
void multiplyThin(const ProductEngine &engine, int64_t n, const Tile &whole) {
  constexpr int64_t grain = 128;
  parallelFor(n, grain, [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    TileScratch scratch = takeTileScratch(engine, frame);
    Tile tile = whole;
    tile.column = begin;
    tile.columns = end - begin;
    engine.runThin(tile, scratch);
  });
}

} // namespace

void multiply(const ProductEngine &engine, int64_t m, int64_t n, Tile whole) {
  if (m <= 0 || n <= 0)
    return;
  if (m <= ProductEngine::thinRows && whole.a.alongK)
    return multiplyThin(engine, n, whole);
  int64_t k = whole.kEnd;
  Parts parts = cut(engine, m, n, k, regionThreads());
  // One block of k of B is kept from tile to tile; several are not, and A never is.
  int64_t bytesA = SharedPanels::bytes(m, k, engine.rowPanel, engine.panelA, engine.depth);
  int64_t bytesB = SharedPanels::bytes(n, k, engine.columnPanel, engine.panelB, engine.depth);
  bool shareB = k > engine.depth && parts.rows >= leastUsers && bytesB <= SharedPanels::capacity / 2;
  bool shareA = !whole.a.alongK && parts.columns >= leastUsers && bytesA <= SharedPanels::capacity / 2;
  SharedPanels panelsA, panelsB;
  if (shareA)
    panelsA.plan(whole.a, 0, m, k, engine.rowPanel, engine.panelA, engine.depth, engine.packA);
  if (shareB)
    panelsB.plan(whole.b, 0, n, k, engine.columnPanel, engine.panelB, engine.depth, engine.packB);
  whole.packedA = panelsA.result;
  whole.packedB = panelsB.result;
  std::atomic<int64_t> nextJob{0}, nextTile{0};
  int64_t jobsA = panelsA.jobs(), jobs = jobsA + panelsB.jobs();
  parallelRegion(
      [&](int, int) {
        ScratchFrame frame;
        TileScratch scratch = takeTileScratch(engine, frame);
        for (int64_t i; (i = nextJob.fetch_add(1, std::memory_order_relaxed)) < jobs;)
          i < jobsA ? panelsA.run(i, frame) : panelsB.run(i - jobsA, frame);
        if (jobs)
          regionBarrier();
        for (int64_t i; (i = nextTile.fetch_add(1, std::memory_order_relaxed)) < parts.rows * parts.columns;) {
          int64_t row = i % parts.rows, column = i / parts.rows;
          Tile tile = whole;
          tile.row = partBegin(m, engine.rowPanel, parts.rows, row);
          tile.rows = partBegin(m, engine.rowPanel, parts.rows, row + 1) - tile.row;
          tile.column = partBegin(n, engine.columnPanel, parts.columns, column);
          tile.columns = partBegin(n, engine.columnPanel, parts.columns, column + 1) - tile.column;
          engine.run(tile, scratch);
        }
        if (jobs)
          regionBarrier(); // nobody gives panels back that others still read
      },
      parts.rows * parts.columns);
}

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
    multiply(products().ENGINE, m, n,                                                                                  \
             {{a, lda, nullptr, !trans_a},                                                                             \
              {b, ldb, nullptr, trans_b != 0},                                                                         \
              0,                                                                                                       \
              k,                                                                                                       \
              0,                                                                                                       \
              m,                                                                                                       \
              0,                                                                                                       \
              n,                                                                                                       \
              c,                                                                                                       \
              ldc,                                                                                                     \
              accumulate != 0,                                                                                         \
              {},                                                                                                      \
              {}});                                                                                                    \
  }
MOIRE_GEMM(f32_f32, f32f32, float, float)
MOIRE_GEMM(f64_f64, f64f64, double, double)
MOIRE_GEMM(bf16_f32, bf16f32, uint16_t, float)
MOIRE_GEMM(bf16_bf16, bf16bf16, uint16_t, uint16_t)
