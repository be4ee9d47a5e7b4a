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

/// C(row + i, column + j) = sum over k in [kBegin, kEnd) of A(row + i, k) B(k, column + j), plus C if `accumulate`.
struct Tile {
  Operand a, b;
  int64_t kBegin, kEnd;
  int64_t row, rows, column, columns;
  void *c; ///< C(0, 0)
  int64_t ldc;
  bool accumulate;
};

/// Scratch memory of one thread for its tiles.
struct TileScratch {
  void *a;       ///< one panel of packed rows
  void *b;       ///< the packed columns of one tile, for one block of k
  void *partial; ///< sums between two blocks of k, if C is narrower than they are
  /// What `b` holds, when that is all of k: the next tile over the same columns need not pack it again.
  const void *packedData = nullptr;
  int64_t packedColumn = 0, packedColumns = 0, packedBegin = 0, packedEnd = 0;
};

/// The product of one combination of element types in one instruction set.
struct ProductEngine {
  /// Largest tile that `run` takes.
  static constexpr int64_t maxRows = 256, maxColumns = 512;

  int rowPanel;     ///< rows that one run of the innermost loop covers; tiles best begin at multiples of it
  int columnPanel;  ///< likewise columns
  int64_t depth;    ///< how much of k is packed at a time
  int64_t scratchA; ///< bytes of each part of TileScratch
  int64_t scratchB;
  int64_t scratchPartial; ///< 0: not needed
  int elementSize;        ///< bytes of an element of A and B
  int outputSize;         ///< bytes of an element of C
  void (*run)(const Tile &tile, TileScratch &scratch);
};

struct ProductEngines {
  ProductEngine f32f32, f64f64, bf16f32, bf16bf16;
};

/// The engines of each instruction set; to be called on a processor that has it.
ProductEngines scalarProducts();
ProductEngines avx2Products();
ProductEngines avx512Products();
ProductEngines avx512Bf16Products();

/// The engines of the set in use (Features.h).
const ProductEngines &products();

/// Takes one thread's scratch memory for `engine` out of `frame`.
TileScratch takeTileScratch(const ProductEngine &engine, ScratchFrame &frame);

/// [0, extent) cut into `parts` of nearly equal numbers of whole panels: where part `i` begins.
inline int64_t partBegin(int64_t extent, int64_t panel, int64_t parts, int64_t i) {
  int64_t panels = (extent + panel - 1) / panel;
  int64_t begin = panels * i / parts * panel;
  return begin < extent ? begin : extent;
}

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GEMM_H
