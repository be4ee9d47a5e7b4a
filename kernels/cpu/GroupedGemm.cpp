//===- kernels/cpu/GroupedGemm.cpp - products expert by expert -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All tiles of all experts are one list, so that a few heavy experts keep every
// thread busy. A thread walks the list with a cursor of its own: how many tiles
// an expert has depends on the data, and nothing is allocated to write it down.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Gemm.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

#include <algorithm>

namespace moire::cpu {
namespace {

/// Tiles per thread that even out experts of unequal size.
constexpr int64_t tilesPerThread = 16;
/// Tiles are not cut narrower than this many panels: they would pack more than they multiply.
constexpr int64_t leastPanels = 4;

/// How many parts `panels` are cut into, at most `most` in each, if there shall be `wanted` parts.
int64_t cut(int64_t panels, int64_t most, int64_t wanted) {
  int64_t least = std::max<int64_t>(1, ceilDiv(panels, most));
  return std::max(least, std::min(wanted, panels / leastPanels));
}

/// Runs the tiles of all experts: parts(e) says how many expert e has, tile(e, part) makes one.
template <typename Parts, typename MakeTile>
void runTiles(const ProductEngine &engine, int64_t experts, const int32_t *offsets, Parts parts, MakeTile makeTile) {
  std::atomic<int64_t> next{0};
  parallelRegion([&](int, int) {
    ScratchFrame frame;
    TileScratch scratch = takeTileScratch(engine, frame);
    int64_t expert = 0, before = 0; // tiles of the experts before `expert`
    for (;;) {
      int64_t i = next.fetch_add(1, std::memory_order_relaxed);
      for (; expert < experts && i - before >= parts(expert); ++expert)
        before += parts(expert);
      if (expert == experts)
        return;
      Tile tile = makeTile(expert, i - before);
      if (tile.a.alongK && offsets[expert + 1] - offsets[expert] <= ProductEngine::thinRows)
        engine.runThin(tile, scratch);
      else
        engine.run(tile, scratch);
    }
  });
}

void groupedGemm(const ProductEngine &engine, int64_t rows, int64_t n, int64_t k, int64_t experts,
                 const int32_t *offsets, const Operand &a, const void *b, bool transB, void *c, int64_t ldc) {
  if (rows <= 0 || n <= 0)
    return;
  int64_t columnPanels = ceilDiv(n, engine.columnPanel);
  int64_t maxRowPanels = ProductEngine::maxRows / engine.rowPanel;
  int64_t bands = std::max(ceilDiv(rows, maxRowPanels * engine.rowPanel), std::min(rows, experts));
  int64_t wanted = regionThreads() == 1 ? 1 : ceilDiv(regionThreads() * tilesPerThread, bands);
  int64_t columnParts = cut(columnPanels, ProductEngine::maxColumns / engine.columnPanel, wanted);
  auto rowParts = [&](int64_t e) {
    return ceilDiv(ceilDiv(offsets[e + 1] - offsets[e], engine.rowPanel), maxRowPanels);
  };
  runTiles(
      engine, experts, offsets, [&](int64_t e) { return rowParts(e) * columnParts; },
      [&](int64_t e, int64_t part) {
        int64_t count = offsets[e + 1] - offsets[e], band = part % rowParts(e), column = part / rowParts(e);
        Tile tile{};
        tile.a = a;
        tile.b = {static_cast<const char *>(b) + e * k * n * engine.elementSize, transB ? k : n, nullptr, transB};
        tile.kEnd = k;
        tile.row = offsets[e] + partBegin(count, engine.rowPanel, rowParts(e), band);
        tile.rows = offsets[e] + partBegin(count, engine.rowPanel, rowParts(e), band + 1) - tile.row;
        tile.column = partBegin(n, engine.columnPanel, columnParts, column);
        tile.columns = partBegin(n, engine.columnPanel, columnParts, column + 1) - tile.column;
        tile.c = c;
        tile.ldc = ldc;
        return tile;
      });
}

/// The row kernel that follows a product, and how it finds the rows.
struct RowsDone {
  void (*call)(int64_t begin, int64_t end, void *context);
  void *context;
  int64_t pointers, slot;
};

/// Rows that a thread computes before the row kernel meets them, all columns of them: they shall still be in its
/// second-level cache, beside the packed columns and what the row kernel reads and writes.
constexpr int64_t blockBytes = int64_t(1) << 20;
/// Units of work per thread that even out unequal experts, and rows below which packing the matrix costs too much.
constexpr int64_t blocksPerThread = 8, leastRows = 96;

/// A list of blocks of rows, whole rows of one expert; whoever takes one multiplies it and runs the row kernel.
class RowBlocks {
public:
  RowBlocks(const ProductEngine &engine, int64_t rows, int64_t n, int64_t k, int64_t experts, const int32_t *offsets,
            const Operand &a, const void *b, bool transB, void *c, int64_t ldc, const RowsDone &done)
      : engine(engine), n(n), k(k), experts(experts), offsets(offsets), a(a), b(static_cast<const char *>(b)),
        transB(transB), c(c), ldc(ldc), done(done) {
    int64_t fair = ceilDiv(rows, regionThreads() * blocksPerThread);
    if (regionThreads() > 1)
      mostRows = std::min(mostRows, std::max(fair, leastRows));
    mostRows = std::max<int64_t>(1, std::min(mostRows, blockBytes / (ldc * engine.outputSize)));
    mostRows = std::max<int64_t>(engine.rowPanel, mostRows / engine.rowPanel * engine.rowPanel);
  }

  void run() {
    std::atomic<int64_t> next{0};
    parallelRegion([&](int, int) {
      ScratchFrame frame;
      TileScratch scratch = takeTileScratch(engine, frame);
      void *own = nullptr, **pointers = nullptr;
      if (!c) {
        own = frame.take<unsigned char>(size_t(mostRows * ldc * engine.outputSize));
        pointers = frame.take<void *>(size_t(done.pointers));
        std::copy_n(static_cast<void **>(done.context), done.pointers, pointers);
      }
      int64_t expert = 0, before = 0; // blocks of the experts before `expert`
      for (;;) {
        int64_t i = next.fetch_add(1, std::memory_order_relaxed);
        for (; expert < experts && i - before >= blocks(expert); ++expert)
          before += blocks(expert);
        if (expert == experts)
          return;
        int64_t count = offsets[expert + 1] - offsets[expert];
        int64_t begin = offsets[expert] + partBegin(count, engine.rowPanel, blocks(expert), i - before);
        int64_t end = offsets[expert] + partBegin(count, engine.rowPanel, blocks(expert), i - before + 1);
        void *rowZero = c;
        if (!c) // as a number: the rows before `begin` are nowhere
          pointers[done.slot] = rowZero =
              reinterpret_cast<void *>(reinterpret_cast<intptr_t>(own) - begin * ldc * engine.outputSize);
        multiply(expert, begin, end, rowZero, scratch);
        done.call(begin, end, c ? done.context : pointers);
      }
    });
  }

private:
  int64_t blocks(int64_t e) const { return ceilDiv(offsets[e + 1] - offsets[e], mostRows); }

  /// Tiles over the same columns one after the other: they share the packed columns.
  void multiply(int64_t e, int64_t begin, int64_t end, void *to, TileScratch &scratch) const {
    Tile tile{};
    tile.a = a;
    tile.b = {b + e * k * n * engine.elementSize, transB ? k : n, nullptr, transB};
    tile.kEnd = k;
    tile.c = to;
    tile.ldc = ldc;
    tile.row = begin;
    tile.rows = end - begin;
    tile.columns = n;
    if (offsets[e + 1] - offsets[e] <= ProductEngine::thinRows)
      return engine.runThin(tile, scratch);
    int64_t bands = ceilDiv(ceilDiv(end - begin, engine.rowPanel), ProductEngine::maxRows / engine.rowPanel);
    int64_t parts = ceilDiv(ceilDiv(n, engine.columnPanel), ProductEngine::maxColumns / engine.columnPanel);
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t band = 0; band < bands; ++band) {
        tile.row = begin + partBegin(end - begin, engine.rowPanel, bands, band);
        tile.rows = begin + partBegin(end - begin, engine.rowPanel, bands, band + 1) - tile.row;
        tile.column = partBegin(n, engine.columnPanel, parts, part);
        tile.columns = partBegin(n, engine.columnPanel, parts, part + 1) - tile.column;
        engine.run(tile, scratch);
      }
  }

  const ProductEngine &engine;
  int64_t n, k, experts;
  const int32_t *offsets;
  const Operand &a;
  const char *b;
  bool transB;
  void *c;
  int64_t ldc;
  const RowsDone &done;
  int64_t mostRows = 2 * ProductEngine::maxRows;
};

void groupedGemmRows(const ProductEngine &engine, int64_t rows, int64_t n, int64_t k, int64_t experts,
                     const int32_t *offsets, const Operand &a, const void *b, bool transB, void *c, int64_t ldc,
                     const RowsDone &done) {
  if (rows > 0 && n > 0)
    RowBlocks(engine, rows, n, k, experts, offsets, a, b, transB, c, ldc, done).run();
}

void groupedGemmWeight(const ProductEngine &engine, int64_t m, int64_t n, int64_t experts, const int32_t *offsets,
                       const Operand &a, const Operand &b, void *c) {
  if (m <= 0 || n <= 0)
    return;
  int64_t rowPanels = ceilDiv(m, engine.rowPanel), columnPanels = ceilDiv(n, engine.columnPanel);
  int64_t rowParts = cut(rowPanels, ProductEngine::maxRows / engine.rowPanel, 1);
  int64_t wanted = regionThreads() == 1 ? 1 : ceilDiv(regionThreads() * tilesPerThread, experts * rowParts);
  int64_t columnParts = cut(columnPanels, ProductEngine::maxColumns / engine.columnPanel, wanted);
  runTiles(
      engine, experts, offsets, [&](int64_t) { return rowParts * columnParts; },
      [&](int64_t e, int64_t part) {
        int64_t row = part % rowParts, column = part / rowParts;
        Tile tile{};
        tile.a = a;
        tile.b = b;
        tile.kBegin = offsets[e];
        tile.kEnd = offsets[e + 1];
        tile.row = partBegin(m, engine.rowPanel, rowParts, row);
        tile.rows = partBegin(m, engine.rowPanel, rowParts, row + 1) - tile.row;
        tile.column = partBegin(n, engine.columnPanel, columnParts, column);
        tile.columns = partBegin(n, engine.columnPanel, columnParts, column + 1) - tile.column;
        tile.c = static_cast<char *>(c) + e * m * n * engine.outputSize;
        tile.ldc = n;
        return tile;
      });
}

} // namespace
} // namespace moire::cpu

#define MOIRE_GROUPED_GEMM(SUFFIX, ENGINE, X, C)                                                                       \
  extern "C" void moire_grouped_gemm_##SUFFIX(int64_t rows, int64_t n, int64_t k, int64_t experts,                     \
                                              const int32_t *offsets, const int32_t *row_index, const X *a,            \
                                              int64_t lda, const X *b, int32_t trans_b, C *c, int64_t ldc) {           \
    using namespace moire::cpu;                                                                                        \
    groupedGemm(products().ENGINE, rows, n, k, experts, offsets, {a, lda, row_index, true}, b, trans_b != 0, c, ldc);  \
  }
MOIRE_GROUPED_GEMM(f32_f32, f32f32, float, float)
MOIRE_GROUPED_GEMM(f64_f64, f64f64, double, double)
MOIRE_GROUPED_GEMM(bf16_bf16, bf16bf16, uint16_t, uint16_t)

#define MOIRE_GROUPED_GEMM_ROWS(SUFFIX, ENGINE, X, C)                                                                  \
  extern "C" void moire_grouped_gemm_rows_##SUFFIX(                                                                    \
      int64_t rows, int64_t n, int64_t k, int64_t experts, const int32_t *offsets, const int32_t *row_index,           \
      const X *a, int64_t lda, const X *b, int32_t trans_b, C *c, int64_t ldc,                                         \
      void (*rows_done)(int64_t, int64_t, void *), void *context, int64_t pointers, int64_t slot) {                    \
    using namespace moire::cpu;                                                                                        \
    groupedGemmRows(products().ENGINE, rows, n, k, experts, offsets, {a, lda, row_index, true}, b, trans_b != 0, c,    \
                    ldc, {rows_done, context, pointers, slot});                                                        \
  }
MOIRE_GROUPED_GEMM_ROWS(f32_f32, f32f32, float, float)
MOIRE_GROUPED_GEMM_ROWS(f64_f64, f64f64, double, double)
MOIRE_GROUPED_GEMM_ROWS(bf16_bf16, bf16bf16, uint16_t, uint16_t)

#define MOIRE_GROUPED_GEMM_WEIGHT(SUFFIX, ENGINE, X, C)                                                                \
  extern "C" void moire_grouped_gemm_weight_##SUFFIX(int64_t m, int64_t n, int64_t experts, const int32_t *offsets,    \
                                                     const int32_t *a_index, const X *a, int64_t lda,                  \
                                                     const int32_t *b_index, const X *b, int64_t ldb, C *c) {          \
    using namespace moire::cpu;                                                                                        \
    groupedGemmWeight(products().ENGINE, m, n, experts, offsets, {a, lda, a_index, false}, {b, ldb, b_index, false},   \
                      c);                                                                                              \
  }
MOIRE_GROUPED_GEMM_WEIGHT(f32_f32, f32f32, float, float)
MOIRE_GROUPED_GEMM_WEIGHT(f64_f64, f64f64, double, double)
MOIRE_GROUPED_GEMM_WEIGHT(bf16_f32, bf16f32, uint16_t, float)
