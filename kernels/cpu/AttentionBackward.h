//===- kernels/cpu/AttentionBackward.h - gradients of causal attention -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For a block of query rows and one of keys, with P recomputed from the saved log-sum-exp (arXiv 2205.14135, appendix
// B):
//   P = exp(scale Q K^T - lse);  dS = scale P (dO V^T - delta), delta = <out, dO>;
//   dV += P^T dO;  dK += dS^T Q;  dQ += dS K.
// One pass over all pairs of blocks computes the five products, one task for each key/value head. Where that
// is too few tasks, or dQ of a head too large to be held, one pass computes dK and dV with a task
// for each block of keys, a second one dQ with a task for each block of rows: seven products. The shapes alone decide.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONBACKWARD_H
#define MOIRE_KERNELS_CPU_ATTENTIONBACKWARD_H

#include "kernels/cpu/AttentionTable.h"
#include "kernels/cpu/AttentionTile.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Query rows and keys of a block.
inline constexpr int64_t gradientRows = 64, gradientKeys = 128;
/// Key/value heads from which one pass is taken, and the most bytes of dQ that a task of it holds.
inline constexpr int64_t onePassHeads = 4, onePassBytes = int64_t(8) << 20;

template <typename Format> class AttentionGradientTask {
  using X = typename Format::X;
  using S = typename Format::S;
  using Unit = typename Format::Unit;
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes, width = panelWidth<S>, pair = Format::pair;
  static constexpr int64_t rowSide = gradientRows, keySide = gradientKeys;
  /// What a tile's columns are rounded up to, so that tiles of the transposed matrices find them computed.
  static constexpr int64_t granule = lanes < tileRows ? tileRows : lanes;
  static constexpr int64_t rowSideUnits = rowSide / pair, keySideUnits = keySide / pair;

  const AttentionGradientArguments<X, S> &s;
  int64_t group, units, rowUnits, columns; ///< units of a row, the same padded; values of a row, padded
  ScratchFrame frame;
  Unit *rowBuffer;                       ///< [keySide][rowUnits]
  Unit *keys, *values, *keyPanels;       ///< of the block of keys: K^T, V^T, K as right operands
  Unit *q, *dout, *qPanels, *doutPanels; ///< of the block of rows: left and right operands
  S *delta, *lse;                        ///< of the block of rows; lse times expScale
  S *scores, *dscores;                   ///< [tileRows][keySide]
  Unit *weights, *dAcross, *dAlong;      ///< P across, dS across and along (AttentionFormat.h)
  S *dk, *dv;                            ///< [keySide][columns]; dk also the sums of dq

public:
  explicit AttentionGradientTask(const AttentionGradientArguments<X, S> &s)
      : s(s), group(s.heads / s.kvHeads), units((s.dim + pair - 1) / pair), rowUnits(roundUp(units, 16)),
        columns(roundUp(s.dim, lanes)) {
    int64_t padded = roundUp(s.dim, width);
    for (Unit **rows : {&rowBuffer, &keys, &values})
      *rows = frame.take<Unit>(size_t(keySide * rowUnits));
    for (Unit **rows : {&q, &dout})
      *rows = frame.take<Unit>(size_t(rowSide * rowUnits));
    keyPanels = frame.take<Unit>(size_t(keySideUnits * padded));
    for (Unit **panels : {&qPanels, &doutPanels})
      *panels = frame.take<Unit>(size_t(rowSideUnits * padded));
    for (S **row : {&delta, &lse})
      *row = frame.take<S>(size_t(rowSide));
    for (S **tile : {&scores, &dscores})
      *tile = frame.take<S>(size_t(tileRows * keySide));
    for (Unit **square : {&weights, &dAcross})
      *square = frame.take<Unit>(size_t(rowSideUnits * keySide));
    dAlong = pair == 1 ? dAcross : frame.take<Unit>(size_t(rowSide * keySideUnits));
    for (S **sums : {&dk, &dv})
      *sums = frame.take<S>(size_t(keySide * columns));
  }

  /// All gradients of one key/value head.
  void runHead(int64_t i, int64_t kv) {
    ScratchFrame local;
    int64_t padded = roundUp(s.time, tileRows);
    S *dq = local.take<S>(size_t(group * padded * columns));
    std::memset(dq, 0, size_t(group * padded * columns) * sizeof(S));
    for (int64_t key = 0; key < s.time; key += keySide)
      runKeys(i, kv, key, dq, padded);
    for (int64_t head = 0; head < group; ++head)
      storeRows(s.time, dq + head * padded * columns, s.dq + i * s.time * s.dqStride + (kv * group + head) * s.dim,
                s.dqStride);
  }

  /// dK and dV of the keys from `key` on; adds to dq ([group][padded][columns]) unless it is null.
  void runKeys(int64_t i, int64_t kv, int64_t key, S *dq, int64_t padded) {
    int64_t count = smaller(keySide, s.time - key), row = i * s.time + key;
    loadKeys(count, s.k + row * s.kStride + kv * s.dim, s.v + row * s.vStride + kv * s.dim, dq != nullptr);
    for (S *sums : {dk, dv})
      std::memset(sums, 0, size_t(keySide * columns) * sizeof(S));
    for (int64_t head = 0; head < group; ++head)
      for (int64_t first = key; first < s.time; first += rowSide) {
        int64_t rows = smaller(rowSide, s.time - first);
        loadRows(i, kv * group + head, first, rows, true);
        weigh(rows, first - key, count);
        addKeyGradients(rows, first - key, count);
        if (dq)
          addRowGradients(rows, first - key, count, dq + (head * padded + first) * columns);
      }
    storeRows(count, dk, s.dk + row * s.dkStride + kv * s.dim, s.dkStride);
    storeRows(count, dv, s.dv + row * s.dvStride + kv * s.dim, s.dvStride);
  }

  /// dQ of the rows from `first` on of one head; dk serves as the sums.
  void runRows(int64_t i, int64_t head, int64_t first) {
    int64_t rows = smaller(rowSide, s.time - first), kv = head / group;
    loadRows(i, head, first, rows, false);
    std::memset(dk, 0, size_t(rowSide * columns) * sizeof(S));
    for (int64_t key = 0; key < first + rows; key += keySide) {
      int64_t count = smaller(keySide, s.time - key), row = i * s.time + key;
      loadKeys(count, s.k + row * s.kStride + kv * s.dim, s.v + row * s.vStride + kv * s.dim, true);
      weigh(rows, first - key, count);
      addRowGradients(rows, first - key, count, dk);
    }
    storeRows(rows, dk, s.dq + (i * s.time + first) * s.dqStride + head * s.dim, s.dqStride);
  }

private:
  void loadTransposed(int64_t count, const X *from, int64_t stride, Unit *to) {
    int64_t padded = roundUp(count, granule);
    for (int64_t row = 0; row < padded; ++row)
      Format::loadRow(row < count ? s.dim : 0, rowUnits, from + row * stride, rowBuffer + row * rowUnits);
    transposeRows(padded, units, rowBuffer, rowUnits, width, to);
  }

  void loadKeys(int64_t count, const X *k, const X *v, bool panels) {
    loadTransposed(count, k, s.kStride, keys);
    loadTransposed(count, v, s.vStride, values);
    if (panels)
      Format::loadPanels(count, s.dim, k, s.kStride, width, keyPanels, keySideUnits);
  }

  void loadRows(int64_t i, int64_t head, int64_t first, int64_t rows, bool panels) {
    int64_t at = i * s.time + first;
    const X *from = s.q + at * s.qStride + head * s.dim, *dfrom = s.dout + at * s.doutStride + head * s.dim;
    const X *out = s.out + at * s.outStride + head * s.dim;
    const S *saved = s.lse + (i * s.heads + head) * s.time + first;
    int64_t padded = roundUp(rows, tileRows);
    for (int64_t row = 0; row < padded; ++row) {
      bool real = row < rows;
      Format::loadRow(real ? s.dim : 0, rowUnits, from + row * s.qStride, q + row * rowUnits);
      Format::loadRow(real ? s.dim : 0, rowUnits, dfrom + row * s.doutStride, dout + row * rowUnits);
      Vec<S> sum = V::zero();
      for (int64_t d = 0; real && d < s.dim; d += lanes) {
        int64_t used = smaller(lanes, s.dim - d);
        sum = V::fma(loadElements<S>(out + row * s.outStride + d, used),
                     loadElements<S>(dfrom + row * s.doutStride + d, used), sum);
      }
      delta[row] = V::sum(sum);
      lse[row] = real ? saved[row] * expScale<S> : S(0);
    }
    if (panels) {
      // Rows are padded with zeros up to a tile: a product down the rows takes whole tiles.
      loadPaddedPanels(rows, padded, from, s.qStride, qPanels);
      loadPaddedPanels(rows, padded, dfrom, s.doutStride, doutPanels);
    }
  }

  void loadPaddedPanels(int64_t rows, int64_t padded, const X *from, int64_t stride, Unit *to) {
    Format::loadPanels(rows, s.dim, from, stride, width, to, rowSideUnits);
    int64_t begin = (rows + pair - 1) / pair, end = padded / pair;
    for (int64_t panel = 0; panel * width < s.dim; ++panel)
      std::memset(to + (panel * rowSideUnits + begin) * width, 0, size_t((end - begin) * width) * sizeof(Unit));
  }

  /// Keys of the block that rows [row, row + tileRows) see, with row 0 of the rows `ahead` of key 0.
  static int64_t seenBy(int64_t row, int64_t rows, int64_t ahead, int64_t count) {
    return smaller(ahead + smaller(row + tileRows, rows), count);
  }

  /// P and dS of the pair of blocks.
  void weigh(int64_t rows, int64_t ahead, int64_t count) {
    for (int64_t row = 0; row < rows; row += tileRows) {
      int64_t span = roundUp(seenBy(row, rows, ahead, count), granule);
      multiplyRows<Format, false>(units, q + row * rowUnits, rowUnits, 1, keys, units, span, scores, keySide,
                                  s.scale * expScale<S>);
      multiplyRows<Format, false>(units, dout + row * rowUnits, rowUnits, 1, values, units, span, dscores, keySide,
                                  S(1));
      for (int64_t r = 0; r < tileRows; ++r) {
        int64_t own = row + r < rows ? smaller(ahead + row + r + 1, count) : 0;
        for (int64_t key = own; key < span; ++key)
          scores[r * keySide + key] = -__builtin_huge_val();
      }
      for (int64_t r = 0; r < tileRows; r += 2)
        weighPair(row + r, r, span);
    }
  }

  /// Two neighbouring rows of a tile, a panel at a time.
  void weighPair(int64_t row, int64_t r, int64_t span) {
    Vec<S> shift[2], mean[2], scale = V::broadcast(s.scale);
    for (int k = 0; k < 2; ++k) {
      shift[k] = V::broadcast(lse[row + k]);
      mean[k] = V::broadcast(delta[row + k]);
    }
    const S *from = scores + r * keySide, *dfrom = dscores + r * keySide;
    for (int64_t key = 0; key < span; key += lanes) {
      Vec<S> p[2] = {V::load(from + key) - shift[0], V::load(from + keySide + key) - shift[1]}, d[2];
      expScaled(p);
      for (int k = 0; k < 2; ++k)
        d[k] = p[k] * scale * (V::load(dfrom + k * keySide + key) - mean[k]);
      Format::storeAcross(weights, keySide, row, key, p[0], p[1]);
      Format::storeAcross(dAcross, keySide, row, key, d[0], d[1]);
      if (pair > 1)
        for (int k = 0; k < 2; ++k)
          Format::storeAlong(dAlong + (row + k) * keySideUnits, key, d[k]);
    }
  }

  void addKeyGradients(int64_t rows, int64_t ahead, int64_t count) {
    int64_t end = roundUp(rows, tileRows);
    for (int64_t key = 0; key < count; key += tileRows) {
      int64_t start = key > ahead ? (key - ahead) / tileRows * tileRows : 0; // the first tile that sees the key
      if (start >= end)
        break;
      int64_t from = start / pair, depth = (end - start) / pair;
      multiplyRows<Format, true>(depth, weights + from * keySide + key, 1, keySide, doutPanels + from * width,
                                 rowSideUnits, columns, dv + key * columns, columns, S(1));
      multiplyRows<Format, true>(depth, dAcross + from * keySide + key, 1, keySide, qPanels + from * width,
                                 rowSideUnits, columns, dk + key * columns, columns, S(1));
    }
  }

  void addRowGradients(int64_t rows, int64_t ahead, int64_t count, S *dq) {
    for (int64_t row = 0; row < rows; row += tileRows)
      multiplyRows<Format, true>((seenBy(row, rows, ahead, count) + pair - 1) / pair, dAlong + row * keySideUnits,
                                 keySideUnits, 1, keyPanels, keySideUnits, columns, dq + row * columns, columns, S(1));
  }

  void storeRows(int64_t rows, const S *from, X *to, int64_t stride) const {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t d = 0; d < s.dim; d += lanes)
        storeElements<S>(to + row * stride + d, V::load(from + row * columns + d), smaller(lanes, s.dim - d));
  }
};

template <typename Format>
void attentionBackward(const AttentionGradientArguments<typename Format::X, typename Format::S> &s) {
  using Task = AttentionGradientTask<Format>;
  int64_t kvHeads = s.batch * s.kvHeads;
  int64_t held = s.heads / s.kvHeads * (s.time + tileRows) * (s.dim + 16) * int64_t(sizeof(typename Format::S));
  if (kvHeads >= onePassHeads && held <= onePassBytes)
    return parallelFor(kvHeads, 1, [&](int64_t begin, int64_t end) {
      Task task(s);
      for (int64_t n = begin; n < end; ++n)
        task.runHead(n / s.kvHeads, n % s.kvHeads);
    });
  int64_t keyBlocks = (s.time + gradientKeys - 1) / gradientKeys,
          rowBlocks = (s.time + gradientRows - 1) / gradientRows;
  parallelFor(kvHeads * keyBlocks, 1, [&](int64_t begin, int64_t end) {
    Task task(s);
    for (int64_t n = begin; n < end; ++n) // the first keys are seen by the most rows: they come first
      task.runKeys(n % kvHeads / s.kvHeads, n % s.kvHeads, n / kvHeads * gradientKeys, nullptr, 0);
  });
  int64_t heads = s.batch * s.heads;
  parallelFor(heads * rowBlocks, 1, [&](int64_t begin, int64_t end) {
    Task task(s);
    for (int64_t n = begin; n < end; ++n)
      task.runRows(n % heads / s.heads, n % s.heads, (rowBlocks - 1 - n / heads) * gradientRows);
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONBACKWARD_H
