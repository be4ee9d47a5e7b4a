//===- kernels/cpu/Gemm.h - products, tile by tile -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The plain and the grouped products are lists of tiles of C. One thread
// computes a whole tile, along all of k and in the same order whatever the tile,
// so that neither the cut into tiles nor the threads show in the result. What
// depends on the instruction set is behind ProductEngine.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GEMM_H
#define MOIRE_KERNELS_CPU_GEMM_H

#include "kernels/cpu/Scratch.h"

#include <cstdint>

namespace moire::cpu {

/// A factor, seen as lines of contiguous elements that lie `stride` elements apart. A line holds either one row of A
/// (column of B) along k, or one k along the rows of A (columns of B).
struct Operand {
  const void *data;
  int64_t stride;
  const int32_t *index; ///< line i lies at index[i], or at i if null
  bool alongK;          ///< whether a line runs along k
};

/// An operand that was packed as a whole before the tiles began. Panels lie in groups, for each block of k
/// `groupsPerBlock` of them; within a group they are `panelStride` bytes apart.
struct PackedOperand {
  static constexpr int64_t panelsPerGroup = 8;

  const void *const *groups = nullptr; ///< null: not packed
  int64_t groupsPerBlock = 0;
  int64_t panelStride = 0;

  __attribute__((always_inline)) const void *panel(int64_t block, int64_t number) const {
    const void *group = groups[block * groupsPerBlock + number / panelsPerGroup];
    return static_cast<const char *>(group) + number % panelsPerGroup * panelStride;
  }
};

/// C(row + i, column + j) = sum over k in [kBegin, kEnd) of A(row + i, k) B(k, column + j), plus C if `accumulate`.
struct Tile {
  Operand a, b;
  int64_t kBegin, kEnd;
  int64_t row, rows, column, columns;
  void *c; ///< C(0, 0)
  int64_t ldc;
  bool accumulate;
  PackedOperand packedA, packedB; ///< may be given if row (column) is a multiple of the panel
};

/// Scratch memory of one thread for its tiles.
struct TileScratch {
  void *a;       ///< packed rows, for one block of k
  void *b;       ///< packed columns, likewise
  void *partial; ///< sums between two blocks of k, if C is narrower than they are
  /// The columns that `b` holds along all of k, if it does: the next tile over them need not pack them again.
  Tile held{};

  __attribute__((always_inline)) bool holds(const Tile &tile) const {
    return held.b.data && held.b.data == tile.b.data && held.column == tile.column && held.columns == tile.columns &&
           held.kBegin == tile.kBegin && held.kEnd == tile.kEnd;
  }
  __attribute__((always_inline)) void note(const Tile &tile, bool whole) {
    held = tile;
    if (!whole)
      held.b.data = nullptr;
  }
};

/// The product of one combination of element types in one instruction set.
struct ProductEngine {
  /// Largest tile that `run` takes; a little more rows than a power of two, for panels do not divide powers of two.
  static constexpr int64_t maxRows = 280, maxColumns = 512;
  static constexpr int64_t thinRows = 8;

  int rowPanel;     ///< rows that one run of the innermost loop covers; tiles best begin at multiples of it
  int columnPanel;  ///< likewise columns
  int64_t depth;    ///< how much of k is packed at a time
  int64_t panelA;   ///< bytes of a packed panel of rows, for one block of k
  int64_t panelB;   ///< likewise of columns
  int64_t scratchA; ///< bytes of each part of TileScratch
  int64_t scratchB;
  int64_t scratchPartial; ///< 0: not needed
  int elementSize;        ///< bytes of an element of A and B
  int outputSize;         ///< bytes of an element of C
  void (*run)(const Tile &tile, TileScratch &scratch);
  /// The same for a tile of at most thinRows rows whose A has lines along k, and any number of columns. The sums run in
  /// another order, so the choice between the two must depend on what is computed, never on how it is cut.
  void (*runThin)(const Tile &tile, TileScratch &scratch);
  /// Packs panels of rows of A, whose lines run across k, or of columns of B: `extent` of them from `first`, for
  /// `count` (at most `depth`) of k from `begin`.
  void (*packA)(const Operand &a, int64_t first, int64_t extent, int64_t begin, int64_t count, void *to);
  void (*packB)(const Operand &b, int64_t first, int64_t extent, int64_t begin, int64_t count, void *to);
};

struct ProductEngines {
  ProductEngine f32f32, f64f64, bf16f32, bf16bf16;
};

/// The engines of each instruction set; to be called on a processor that has it.
ProductEngines scalarProducts();
ProductEngines avx2Products();
ProductEngines avx512Products();
ProductEngines avx512Bf16Products();
ProductEngines amxProducts();
/// The loops of amxProducts on emulated tile registers; slow, for tests on any processor.
ProductEngines emulatedProducts();

/// The engines of the set in use (Features.h).
const ProductEngines &products();

/// Takes one thread's scratch memory for `engine` out of `frame`.
TileScratch takeTileScratch(const ProductEngine &engine, ScratchFrame &frame);

/// C(m, n) by all threads; `whole` has everything but the extents of C, and kBegin = 0.
void multiply(const ProductEngine &engine, int64_t m, int64_t n, Tile whole);

/// [0, extent) cut into `parts` of nearly equal numbers of whole panels: where part `i` begins.
inline int64_t partBegin(int64_t extent, int64_t panel, int64_t parts, int64_t i) {
  int64_t panels = (extent + panel - 1) / panel;
  int64_t begin = panels * i / parts * panel;
  return begin < extent ? begin : extent;
}

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMM_H
