//===- kernels/cpu/GemmTile.h - one tile of a product ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tile is cut along k into blocks. The block of B is packed once and stays
// in the second-level cache; a panel of A at a time is packed into the first
// level and meets all of it.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMMTILE_H
#define MOIRE_KERNELS_CPU_GEMMTILE_H

#include "kernels/cpu/GemmThin.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// A block of an operand that will be packed soon, in pieces of Fetches::bytes.
class Walk {
public:
  Walk() = default;
  /// `count` values from `begin` of each of `lines` lines from `first`; `size` is that of a value.
  __attribute__((always_inline))
  Walk(const Operand &operand, int64_t size, int64_t first, int64_t lines, int64_t begin, int64_t count)
      : operand(&operand), next(first), end(lines > 0 ? first + lines : first), offset(begin * size),
        length(count * size), stride(operand.stride * size) {}

  /// The panels from `first` on of a packed operand, `length` bytes of each.
  __attribute__((always_inline))
  Walk(const PackedOperand &packed, int64_t block, int64_t first, int64_t panels, int64_t length)
      : packed(&packed), next(first), end(first + panels), offset(block), length(length) {}

  /// The next piece, or `otherwise`. The last piece of a line may reach beyond it: fetching never fails.
  __attribute__((always_inline)) const char *step(const void *otherwise) {
    if (next == end)
      return static_cast<const char *>(otherwise);
    const char *piece;
    if (packed) {
      piece = static_cast<const char *>(packed->panel(offset, next)) + done;
    } else {
      int64_t position = operand->index ? operand->index[next] : next;
      piece = static_cast<const char *>(operand->data) + position * stride + offset + done;
    }
    done += Fetches::bytes;
    if (done + 256 > length) { // a short rest comes soon enough by itself

      done = 0;
      ++next;
    }
    return piece;
  }

private:
  const Operand *operand = nullptr;
  const PackedOperand *packed = nullptr;
  int64_t next = 0, end = 0, offset = 0, length = 0, stride = 0, done = 0;
};

template <typename Product> constexpr int columnsOf() {
  if constexpr (Product::tiles)
    return Product::columns;
  else
    return Product::vectors * Simd<typename Product::Sum>::lanes;
}

template <typename Product, typename Out> struct TileProduct {
  using Source = typename Product::Source;
  using Unit = typename Product::Unit;
  using Sum = typename Product::Sum;
  static constexpr int perUnit = Packing<Source, Unit>::perUnit;
  static constexpr int lanes = Simd<Sum>::lanes;
  static constexpr bool tiles = Product::tiles;
  static constexpr int rowPanel = Product::rows, columnPanel = columnsOf<Product>();
  static constexpr bool narrow = sizeof(Out) < sizeof(Sum);

  /// Between the panels of one block; a little more than their size, so that equal places of several panels do not fall
  /// into the same sets of the cache.
  static constexpr int64_t strideA = rowPanel * rowUnits;
  static constexpr int64_t strideB = columnPanel * depthUnits + 128 / sizeof(Unit);

  static ProductEngine engine() {
    ProductEngine e{};
    e.rowPanel = rowPanel;
    e.columnPanel = columnPanel;
    e.depth = depthUnits * perUnit;
    e.panelA = strideA * sizeof(Unit);
    e.panelB = strideB * sizeof(Unit);
    e.scratchA = (ProductEngine::maxRows / rowPanel + 1) * strideA * sizeof(Unit);
    e.scratchB = (ProductEngine::maxColumns / columnPanel + 1) * strideB * sizeof(Unit);
    e.scratchPartial = narrow ? ProductEngine::maxRows * ProductEngine::maxColumns * sizeof(Sum) : 0;
    e.elementSize = sizeof(Source);
    e.outputSize = sizeof(Out);
    e.run = run;
    e.runThin = ThinProduct<Product, Out>::run;
    e.packA = packA;
    e.packB = packB;
    return e;
  }

  /// For lines across k only; those along k are packed when their panel's turn comes.
  static void packA(const Operand &a, int64_t first, int64_t extent, int64_t begin, int64_t count, void *to) {
    Unit *panels = static_cast<Unit *>(to);
    if constexpr (tiles) {
      alignas(64) Unit panel[depthUnits * rowPanel];
      for (int64_t i = 0; i < extent; i += rowPanel, panels += strideA) {
        packPanels<Source, Unit, rowPanel>(a, first + i, extent - i < rowPanel ? extent - i : rowPanel, begin, count,
                                           panel, 0);
        turnPanel<Unit, rowPanel>(panel, padPanel<rowPanel>(panel, count), panels, rowUnits);
      }
    } else {
      packPanels<Source, Unit, rowPanel>(a, first, extent, begin, count, panels, strideA);
    }
  }
  static void packB(const Operand &b, int64_t first, int64_t extent, int64_t begin, int64_t count, void *to) {
    Unit *panels = static_cast<Unit *>(to);
    packPanels<Source, Unit, columnPanel>(b, first, extent, begin, count, panels, strideB);
    if constexpr (tiles)
      for (int64_t i = 0; i < extent; i += columnPanel, panels += strideB)
        padPanel<columnPanel>(panels, count);
  }
  /// Zeros after `count` elements along k, up to whole tiles; returns the units that then are there.
  template <int width> static int64_t padPanel(Unit *panel, int64_t count) {
    int64_t units = (count + perUnit - 1) / perUnit, padded = (units + 15) / 16 * 16;
    std::memset(panel + units * width, 0, size_t((padded - units) * width) * sizeof(Unit));
    return padded;
  }

  static void run(const Tile &tile, TileScratch &scratch) {
    constexpr int64_t depth = depthUnits * perUnit;
    bool single = tile.kEnd - tile.kBegin <= depth;
    bool packed = tile.packedB.groups || (single && scratch.holds(tile));
    int64_t begin = tile.kBegin;
    if constexpr (tiles)
      Product::begin();
    do {
      int64_t count = tile.kEnd - begin < depth ? tile.kEnd - begin : depth;
      if (!packed)
        packB(tile.b, tile.column, tile.columns, begin, count, scratch.b);
      if (tile.a.alongK)
        runBlock<true>(tile, scratch, begin, count);
      else
        runBlock<false>(tile, scratch, begin, count);
      begin += count;
    } while (begin < tile.kEnd);
    if constexpr (tiles)
      Product::end();
    if (!tile.packedB.groups)
      scratch.note(tile, single);
  }

private:
  /// All of the tile's A from k = `begin` to `begin + count`, times the packed B.
  template <bool byRows>
  static void runBlock(const Tile &tile, const TileScratch &scratch, int64_t begin, int64_t count) {
    Unit *ownA = static_cast<Unit *>(scratch.a);
    const Unit *ownB = static_cast<const Unit *>(scratch.b);
    int64_t units = (count + perUnit - 1) / perUnit, block = (begin - tile.kBegin) / (depthUnits * perUnit);
    int64_t nextBegin = begin + count, nextCount = tile.kEnd - nextBegin < count ? tile.kEnd - nextBegin : count;
    bool first = begin == tile.kBegin, last = nextBegin == tile.kEnd;
    int64_t firstRow = tile.row / rowPanel, firstColumn = tile.column / columnPanel; // panels
    // What the next block will need is fetched meanwhile.
    Walk walkA, walkB;
    if (!last) {
      int64_t bytes = (nextCount + perUnit - 1) / perUnit * sizeof(Unit);
      if (tile.packedB.groups)
        walkB = Walk(tile.packedB, block + 1, firstColumn, (tile.columns + columnPanel - 1) / columnPanel,
                     bytes * columnPanel);
      else
        walkB = walk(tile.b, tile.column, tile.columns, nextBegin, nextCount);
      if (!byRows && tile.packedA.groups)
        walkA = Walk(tile.packedA, block + 1, firstRow, (tile.rows + rowPanel - 1) / rowPanel, bytes * rowPanel);
      else if (!byRows)
        walkA = walk(tile.a, tile.row, tile.rows, nextBegin, nextCount);
    }
    if (!byRows && !tile.packedA.groups)
      packA(tile.a, tile.row, tile.rows, begin, count, ownA);
    for (int64_t i = 0; i < tile.rows; i += rowPanel) {
      int64_t rows = tile.rows - i < rowPanel ? tile.rows - i : rowPanel, nextRow = i + rows;
      const Unit *a = ownA;
      if (byRows) {
        packRows<Source, Unit>(tile.a, tile.row + i, rows, begin, count, ownA, rowUnits);
        if constexpr (tiles)
          for (int64_t r = 0; r < rows; ++r)
            padPanel<1>(ownA + r * rowUnits, count);
        if (nextRow < tile.rows)
          walkA = walk(tile.a, tile.row + nextRow, tile.rows - nextRow < rowPanel ? tile.rows - nextRow : rowPanel,
                       begin, count);
        else if (!last)
          walkA = walk(tile.a, tile.row, tile.rows < rowPanel ? tile.rows : rowPanel, nextBegin, nextCount);
      } else if (tile.packedA.groups) {
        a = static_cast<const Unit *>(tile.packedA.panel(block, firstRow + i / rowPanel));
      } else {
        a = ownA + i / rowPanel * strideA;
      }
      for (int64_t j = 0; j < tile.columns; j += columnPanel) {
        int64_t columns = tile.columns - j < columnPanel ? tile.columns - j : columnPanel, number = j / columnPanel;
        const Unit *b = tile.packedB.groups ? static_cast<const Unit *>(tile.packedB.panel(block, firstColumn + number))
                                            : ownB + number * strideB;
        auto to = destination(tile, scratch, i, j, first, last);
        Fetches fetches;
        for (int piece = 0; piece < 4; piece += 2) {
          fetches.pieces[piece] = walkA.step(b);
          fetches.pieces[piece + 1] = walkB.step(b);
        }
        if constexpr (tiles)
          Product::multiply(rows, units, a, b, to, columns, fetches);
        else if (Product::vectors > 1 && columns <= lanes)
          multiplyRows<Product, Out, 1, byRows>(rows, units, a, b, to, columns, fetches);
        else
          multiplyRows<Product, Out, Product::vectors, byRows>(rows, units, a, b, to, columns, fetches);
      }
    }
  }

  /// The part of an operand that belongs to `extent` rows (or columns) from `first` and `count` k from `begin`.
  MOIRE_INLINE Walk walk(const Operand &operand, int64_t first, int64_t extent, int64_t begin, int64_t count) {
    if (count <= 0)
      return {};
    return operand.alongK ? Walk(operand, sizeof(Source), first, extent, begin, count)
                          : Walk(operand, sizeof(Source), begin, count, first, extent);
  }

  static Destination<Sum, Out> destination(const Tile &tile, const TileScratch &scratch, int64_t i, int64_t j,
                                           bool first, bool last) {
    Destination<Sum, Out> to{};
    Out *c = static_cast<Out *>(tile.c) + (tile.row + i) * tile.ldc + tile.column + j;
    if constexpr (!narrow) {
      to.sums = c;
      to.sumsStride = tile.ldc;
      to.addend = first && !tile.accumulate ? nullptr : c;
      to.addendStride = tile.ldc;
    } else {
      to.sums = static_cast<Sum *>(scratch.partial) + i * ProductEngine::maxColumns + j;
      to.sumsStride = ProductEngine::maxColumns;
      to.addend = first ? nullptr : to.sums;
      to.addendStride = to.sumsStride;
      to.out = last ? c : nullptr;
      to.outStride = tile.ldc;
      to.addOut = last && tile.accumulate;
    }
    return to;
  }
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMMTILE_H
