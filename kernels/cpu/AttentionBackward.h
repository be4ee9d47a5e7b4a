//===- kernels/cpu/AttentionBackward.h - gradients of attention --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For a block of query rows and one of keys, with P recomputed from the saved log-sum-exp (arXiv 2205.14135, appendix
// B):
//   P = exp(scale Q K^T - lse);  dS = scale P (dO V^T - delta), delta = <out, dO>;
//   dV += P^T dO;  dK += dS^T Q;  dQ += dS K;   d sink = -sum over rows of exp(sink - lse) delta.
// A soft cap puts its derivative into dS. Pairs of tiles that do not see each other, as those of two documents, are
// left out. One pass over all pairs of blocks computes the five products, one task for each key/value head. Where that
// is too few tasks, or dQ of a head too large to be held, one pass computes dK and dV with a task
// for each block of keys, a second one dQ with a task for each block of rows: seven products. The shapes alone decide.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONBACKWARD_H
#define MOIRE_KERNELS_CPU_ATTENTIONBACKWARD_H

#include "kernels/cpu/AttentionScores.h"
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
  /// What a tile's first column is rounded down to: there a panel begins.
  static constexpr int64_t step = granule < width ? width : granule;
  static constexpr int64_t rowSideUnits = rowSide / pair, keySideUnits = keySide / pair;

  const AttentionGradientArguments<X, S> &s;
  int64_t group;
  int64_t units, rowUnits, columns;                ///< of a row of q and k: units, the same padded; values, padded
  int64_t valueUnits, valueRowUnits, valueColumns; ///< of a row of v and out
  bool ruled;                                      ///< whether scores are more than scaled products
  ScratchFrame frame;
  Unit *rowBuffer;                       ///< [keySide][rowUnits]
  Unit *keys, *values, *keyPanels;       ///< of the block of keys: K^T, V^T, K as right operands
  Unit *q, *dout, *qPanels, *doutPanels; ///< of the block of rows: left and right operands
  S *delta, *lse;                        ///< of the block of rows; lse times expScale
  S *scores, *dscores, *damping;         ///< [tileRows][keySide]; damping: derivative of the soft cap, or null
  Unit *weights, *dAcross, *dAlong;      ///< P across, dS across and along (AttentionFormat.h)
  S *dk, *dv;                            ///< [keySide][columns], [keySide][valueColumns]; dk also the sums of dq
  int32_t *keyRests, *rowRestBuffer;     ///< [keySide], [rowSide]
  /// Tokens of their document before and after the keys and the rows: null where nothing follows from documents.
  const int32_t *keyAges, *keysLeft, *rowAges, *rowsLeft;

public:
  explicit AttentionGradientTask(const AttentionGradientArguments<X, S> &s)
      : s(s), group(s.heads / s.kvHeads), units((s.dim + pair - 1) / pair), rowUnits(roundUp(units, 16)),
        columns(roundUp(s.dim, lanes)), valueUnits((s.valueDim + pair - 1) / pair),
        valueRowUnits(roundUp(valueUnits, 16)), valueColumns(roundUp(s.valueDim, lanes)), ruled(hasRule<S>(s)) {
    rowBuffer = frame.take<Unit>(size_t(keySide * larger(rowUnits, valueRowUnits)));
    keys = frame.take<Unit>(size_t(keySide * rowUnits));
    values = frame.take<Unit>(size_t(keySide * valueRowUnits));
    q = frame.take<Unit>(size_t(rowSide * rowUnits));
    dout = frame.take<Unit>(size_t(rowSide * valueRowUnits));
    keyPanels = frame.take<Unit>(size_t(keySideUnits * roundUp(s.dim, width)));
    qPanels = frame.take<Unit>(size_t(rowSideUnits * roundUp(s.dim, width)));
    doutPanels = frame.take<Unit>(size_t(rowSideUnits * roundUp(s.valueDim, width)));
    for (S **row : {&delta, &lse})
      *row = frame.take<S>(size_t(rowSide));
    for (S **tile : {&scores, &dscores})
      *tile = frame.take<S>(size_t(tileRows * keySide));
    damping = s.softcap > 0 ? frame.take<S>(size_t(tileRows * keySide)) : nullptr;
    for (Unit **square : {&weights, &dAcross})
      *square = frame.take<Unit>(size_t(rowSideUnits * keySide));
    dAlong = pair == 1 ? dAcross : frame.take<Unit>(size_t(rowSide * keySideUnits));
    dk = frame.take<S>(size_t(keySide * columns));
    dv = frame.take<S>(size_t(keySide * valueColumns));
    keyRests = frame.take<int32_t>(size_t(keySide));
    rowRestBuffer = frame.take<int32_t>(size_t(rowSide));
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
      storeRows(s.time, dq + head * padded * columns, s.dim, columns,
                s.dq + i * s.time * s.dqStride + (kv * group + head) * s.dim, s.dqStride);
  }

  /// dK and dV of the keys from `key` on; adds to dq ([group][padded][columns]) unless it is null.
  void runKeys(int64_t i, int64_t kv, int64_t key, S *dq, int64_t padded) {
    int64_t count = smaller(keySide, s.time - key), row = i * s.time + key;
    loadKeys(count, s.k + row * s.kStride + kv * s.dim, s.v + row * s.vStride + kv * s.valueDim, dq != nullptr);
    std::memset(dk, 0, size_t(keySide * columns) * sizeof(S));
    std::memset(dv, 0, size_t(keySide * valueColumns) * sizeof(S));
    keyAges = shifted(s.ages, row);
    keysLeft = keyAges ? keyRests : nullptr;
    if (keysLeft)
      countRests(s.ages + i * s.time, key, count, s.time, keyRests);
    // As queries see keys, so keys are seen, with both sides exchanged.
    int64_t begin = larger(key - within(s.after, keyAges), 0) / rowSide * rowSide;
    int64_t end = smaller(key + count + within(s.before, shifted(keysLeft, count - 1)), s.time);
    for (int64_t head = 0; head < group; ++head)
      for (int64_t first = begin; first < end; first += rowSide) {
        int64_t rows = smaller(rowSide, s.time - first);
        loadRows(i, kv * group + head, first, rows, true);
        weigh(kv * group + head, rows, first - key, count);
        addKeyGradients(rows, first - key, count);
        if (dq)
          addRowGradients(rows, first - key, count, dq + (head * padded + first) * columns);
      }
    storeRows(count, dk, s.dim, columns, s.dk + row * s.dkStride + kv * s.dim, s.dkStride);
    storeRows(count, dv, s.valueDim, valueColumns, s.dv + row * s.dvStride + kv * s.valueDim, s.dvStride);
  }

  /// dQ of the rows from `first` on of one head; dk serves as the sums.
  void runRows(int64_t i, int64_t head, int64_t first) {
    int64_t rows = smaller(rowSide, s.time - first), kv = head / group;
    loadRows(i, head, first, rows, false);
    std::memset(dk, 0, size_t(rowSide * columns) * sizeof(S));
    int64_t end = endSeen<S>(s, first + rows - 1, s.time, shifted(rowsLeft, rows - 1));
    for (int64_t key = firstSeen<S>(s, first, rowAges) / keySide * keySide; key < end; key += keySide) {
      int64_t count = smaller(keySide, s.time - key), row = i * s.time + key;
      loadKeys(count, s.k + row * s.kStride + kv * s.dim, s.v + row * s.vStride + kv * s.valueDim, true);
      weigh(head, rows, first - key, count);
      addRowGradients(rows, first - key, count, dk);
    }
    storeRows(rows, dk, s.dim, columns, s.dq + (i * s.time + first) * s.dqStride + head * s.dim, s.dqStride);
  }

  /// The gradient of one head's sink.
  void runSink(int64_t head) {
    S sum = 0;
    for (int64_t i = 0; i < s.batch; ++i)
      for (int64_t t = 0; t < s.time; ++t) {
        int64_t row = i * s.time + t;
        S power = (s.sinks[head] - s.lse[(i * s.heads + head) * s.time + t]) * expScale<S>, weight[lanes];
        V::store(weight, expScaled(V::broadcast(power)));
        sum -= weight[0] *
               deltaOf(s.out + row * s.outStride + head * s.valueDim, s.dout + row * s.doutStride + head * s.valueDim);
      }
    s.dsinks[head] = sum;
  }

private:
  void loadTransposed(int64_t count, const X *from, int64_t stride, int64_t dim, int64_t used, int64_t ld, Unit *to) {
    int64_t padded = roundUp(count, granule);
    for (int64_t row = 0; row < padded; ++row)
      Format::loadRow(row < count ? dim : 0, ld, from + row * stride, rowBuffer + row * ld);
    transposeRows(padded, used, rowBuffer, ld, width, to);
  }

  void loadKeys(int64_t count, const X *k, const X *v, bool panels) {
    loadTransposed(count, k, s.kStride, s.dim, units, rowUnits, keys);
    loadTransposed(count, v, s.vStride, s.valueDim, valueUnits, valueRowUnits, values);
    if (panels)
      Format::loadPanels(count, s.dim, k, s.kStride, width, keyPanels, keySideUnits);
  }

  void loadRows(int64_t i, int64_t head, int64_t first, int64_t rows, bool panels) {
    int64_t at = i * s.time + first;
    const X *from = s.q + at * s.qStride + head * s.dim, *dfrom = s.dout + at * s.doutStride + head * s.valueDim;
    const X *out = s.out + at * s.outStride + head * s.valueDim;
    const S *saved = s.lse + (i * s.heads + head) * s.time + first;
    rowAges = shifted(s.ages, at);
    rowsLeft = rowAges && s.after > 0 ? rowRestBuffer : nullptr;
    if (rowsLeft)
      countRests(s.ages + i * s.time, first, rows, s.time, rowRestBuffer);
    int64_t padded = roundUp(rows, tileRows);
    for (int64_t row = 0; row < padded; ++row) {
      bool real = row < rows;
      Format::loadRow(real ? s.dim : 0, rowUnits, from + row * s.qStride, q + row * rowUnits);
      Format::loadRow(real ? s.valueDim : 0, valueRowUnits, dfrom + row * s.doutStride, dout + row * valueRowUnits);
      delta[row] = real ? deltaOf(out + row * s.outStride, dfrom + row * s.doutStride) : S(0);
      lse[row] = real ? saved[row] * expScale<S> : S(0);
    }
    if (panels) {
      // Rows are padded with zeros up to a tile: a product down the rows takes whole tiles.
      loadPaddedPanels(rows, padded, s.dim, from, s.qStride, qPanels);
      loadPaddedPanels(rows, padded, s.valueDim, dfrom, s.doutStride, doutPanels);
    }
  }

  /// <out, dout> of one row of one head.
  S deltaOf(const X *out, const X *dout) const {
    Vec<S> sum = V::zero();
    for (int64_t d = 0; d < s.valueDim; d += lanes) {
      int64_t used = smaller(lanes, s.valueDim - d);
      sum = V::fma(loadElements<S>(out + d, used), loadElements<S>(dout + d, used), sum);
    }
    return V::sum(sum);
  }

  void loadPaddedPanels(int64_t rows, int64_t padded, int64_t dim, const X *from, int64_t stride, Unit *to) {
    Format::loadPanels(rows, dim, from, stride, width, to, rowSideUnits);
    int64_t begin = (rows + pair - 1) / pair, end = padded / pair;
    for (int64_t panel = 0; panel * width < dim; ++panel)
      std::memset(to + (panel * rowSideUnits + begin) * width, 0, size_t((end - begin) * width) * sizeof(Unit));
  }

  /// Keys of the block that rows [row, row + tileRows) see, with row 0 of the rows `ahead` of key 0 (perhaps before
  /// it): from the panel of the first to the last one. Empty where end <= begin.
  struct Seen {
    int64_t begin, end;
  };
  Seen seenBy(int64_t row, int64_t rows, int64_t ahead, int64_t count) const {
    int64_t last = smaller(row + tileRows, rows) - 1;
    return {firstSeen<S>(s, ahead + row, shifted(rowAges, row)) / step * step,
            endSeen<S>(s, ahead + last, count, shifted(rowsLeft, last))};
  }

  /// P and dS of the pair of blocks, where they see each other.
  void weigh(int64_t head, int64_t rows, int64_t ahead, int64_t count) {
    ScoreRule<S> rule = ruled ? ruleOf<S>(s, head) : ScoreRule<S>{0, 0};
    for (int64_t row = 0; row < rows; row += tileRows) {
      Seen seen = seenBy(row, rows, ahead, count);
      if (seen.end <= seen.begin)
        continue;
      int64_t begin = seen.begin, end = roundUp(seen.end, granule);
      multiplyRows<Format, false>(units, q + row * rowUnits, rowUnits, 1, keys + begin * units, units, end - begin,
                                  scores + begin, keySide, s.scale * expScale<S>);
      multiplyRows<Format, false>(valueUnits, dout + row * valueRowUnits, valueRowUnits, 1, values + begin * valueUnits,
                                  valueUnits, end - begin, dscores + begin, keySide, S(1));
      for (int64_t r = 0; r < tileRows; ++r) {
        S *line = scores + r * keySide;
        if (ruled)
          applyRule<S>(rule, line, begin, end, ahead + row + r, damping ? damping + r * keySide : nullptr);
        int64_t from = begin, own = begin;
        if (row + r < rows) {
          from = ahead + row + r - within(s.before, shifted(rowAges, row + r));
          own = larger(endSeen<S>(s, ahead + row + r, count, shifted(rowsLeft, row + r)), begin);
        }
        for (int64_t key = begin; key < from && key < end; ++key)
          line[key] = -__builtin_huge_val();
        for (int64_t key = own; key < end; ++key)
          line[key] = -__builtin_huge_val();
      }
      for (int64_t r = 0; r < tileRows; r += 2)
        if (damping)
          weighPair<true>(row + r, r, begin, end);
        else
          weighPair<false>(row + r, r, begin, end);
    }
  }

  /// Two neighbouring rows of a tile, a panel at a time.
  template <bool capped> void weighPair(int64_t row, int64_t r, int64_t begin, int64_t end) {
    Vec<S> shift[2], mean[2], scale = V::broadcast(s.scale);
    for (int k = 0; k < 2; ++k) {
      shift[k] = V::broadcast(lse[row + k]);
      mean[k] = V::broadcast(delta[row + k]);
    }
    const S *from = scores + r * keySide, *dfrom = dscores + r * keySide;
    for (int64_t key = begin; key < end; key += lanes) {
      Vec<S> p[2] = {V::load(from + key) - shift[0], V::load(from + keySide + key) - shift[1]}, d[2];
      expScaled(p);
      for (int k = 0; k < 2; ++k)
        d[k] = p[k] * scale * (V::load(dfrom + k * keySide + key) - mean[k]);
      if constexpr (capped)
        for (int k = 0; k < 2; ++k)
          d[k] = d[k] * V::load(damping + (r + k) * keySide + key);
      Format::storeAcross(weights, keySide, row, key, p[0], p[1]);
      Format::storeAcross(dAcross, keySide, row, key, d[0], d[1]);
      if (pair > 1)
        for (int k = 0; k < 2; ++k)
          Format::storeAlong(dAlong + (row + k) * keySideUnits, key, d[k]);
    }
  }

  void addKeyGradients(int64_t rows, int64_t ahead, int64_t count) {
    for (int64_t key = 0; key < count; key += tileRows) {
      // From the first to the last tile that sees one of the keys.
      int64_t last = smaller(key + tileRows, count) - 1;
      int64_t start = larger(key - ahead - within(s.after, shifted(keyAges, key)), 0) / tileRows * tileRows;
      int64_t end = roundUp(smaller(last + 1 - ahead + within(s.before, shifted(keysLeft, last)), rows), tileRows);
      if (start >= end)
        continue;
      int64_t from = start / pair, depth = (end - start) / pair;
      multiplyRows<Format, true>(depth, weights + from * keySide + key, 1, keySide, doutPanels + from * width,
                                 rowSideUnits, valueColumns, dv + key * valueColumns, valueColumns, S(1));
      multiplyRows<Format, true>(depth, dAcross + from * keySide + key, 1, keySide, qPanels + from * width,
                                 rowSideUnits, columns, dk + key * columns, columns, S(1));
    }
  }

  void addRowGradients(int64_t rows, int64_t ahead, int64_t count, S *dq) {
    for (int64_t row = 0; row < rows; row += tileRows) {
      Seen seen = seenBy(row, rows, ahead, count);
      if (seen.end > seen.begin)
        multiplyRows<Format, true>(
            (seen.end - seen.begin + pair - 1) / pair, dAlong + row * keySideUnits + seen.begin / pair, keySideUnits, 1,
            keyPanels + seen.begin / pair * width, keySideUnits, columns, dq + row * columns, columns, S(1));
    }
  }

  static void storeRows(int64_t rows, const S *from, int64_t dim, int64_t ld, X *to, int64_t stride) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t d = 0; d < dim; d += lanes)
        storeElements<S>(to + row * stride + d, V::load(from + row * ld + d), smaller(lanes, dim - d));
  }
};

template <typename Format>
void attentionBackward(const AttentionGradientArguments<typename Format::X, typename Format::S> &s) {
  using Task = AttentionGradientTask<Format>;
  if (s.sinks)
    parallelFor(s.heads, 1, [&](int64_t begin, int64_t end) {
      Task task(s);
      for (int64_t head = begin; head < end; ++head)
        task.runSink(head);
    });
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
