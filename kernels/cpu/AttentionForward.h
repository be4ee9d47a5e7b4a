//===- kernels/cpu/AttentionForward.h - attention over sequences -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a block of query rows of the heads that share one key/value head. It
// passes over blocks of keys: packs them once, and for each tile of rows computes
// scores, exponentials under the running maximum, and the weighted sum of values (the online
// softmax of arXiv 1805.02867). Keys that a tile cannot see, after it, before its window or in other documents, are not
// computed.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONFORWARD_H
#define MOIRE_KERNELS_CPU_ATTENTIONFORWARD_H

#include "kernels/cpu/AttentionScores.h"
#include "kernels/cpu/AttentionTile.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Keys packed at a time, and the most query rows of a task over all its heads. Packing costs about the time of 20
/// rows, so tasks are large; they shrink only while threads would go without.
inline constexpr int64_t forwardKeys = 128, forwardRows = 512;

/// Query rows of a task: whole tiles. Results do not depend on it, so it may depend on the number of threads.
MOIRE_INLINE int64_t forwardBlock(int64_t heads, int64_t group, int64_t queries) {
  int64_t most = roundUp(forwardRows / group + 1, tileRows), wanted = 4 * regionThreads();
  int64_t block = smaller(roundUp(queries, tileRows), most);
  while (block > 4 * tileRows && heads * ((queries + block - 1) / block) < wanted)
    block = roundUp(block / 2, tileRows);
  return block;
}

template <typename Format> class AttentionTask {
  using X = typename Format::X;
  using S = typename Format::S;
  using Unit = typename Format::Unit;
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes, width = panelWidth<S>, pair = Format::pair;
  static constexpr S lowest = -__builtin_huge_val();

  const AttentionArguments<X, S> &s;
  int64_t group, block;      ///< heads and rows of a task
  int64_t rowUnits, columns; ///< units of a row of q and k, values of a row of v, padded
  bool ruled;                ///< whether scores are more than scaled products
  ScratchFrame frame;
  Unit *q;                     ///< [group][block][rowUnits]
  S *sums;                     ///< [group][block][columns]: the weighted sums of values so far
  S *largest, *powers;         ///< [group][block]: the largest score so far, and the sum of the exponentials under it
  Unit *keyRows;               ///< [forwardKeys][rowUnits]
  Unit *keys, *values;         ///< panels of the transposed keys and of the values
  S *scores;                   ///< [tileRows][forwardKeys]
  Unit *weights;               ///< [tileRows][forwardKeys / pair]
  int32_t *restBuffer;         ///< [block]
  const int32_t *ages, *rests; ///< of the rows: null where nothing follows from documents

public:
  AttentionTask(const AttentionArguments<X, S> &s, int64_t block)
      : s(s), group(s.heads / s.kvHeads), block(block), rowUnits(roundUp((s.dim + pair - 1) / pair, 16)),
        columns(roundUp(s.valueDim, lanes)), ruled(hasRule<S>(s)) {
    int64_t rows = group * block, padded = roundUp(s.valueDim, width);
    q = frame.take<Unit>(size_t(rows * rowUnits));
    sums = frame.take<S>(size_t(rows * columns));
    largest = frame.take<S>(size_t(rows));
    powers = frame.take<S>(size_t(rows));
    keyRows = frame.take<Unit>(size_t(forwardKeys * rowUnits));
    keys = frame.take<Unit>(size_t(forwardKeys * rowUnits));
    values = frame.take<Unit>(size_t(forwardKeys / pair * padded));
    scores = frame.take<S>(size_t(tileRows * forwardKeys));
    weights = frame.take<Unit>(size_t(tileRows * forwardKeys / pair));
    restBuffer = frame.take<int32_t>(size_t(block));
  }

  /// Rows [first, first + rows) of sequence i and of the heads of key/value head kv.
  void run(int64_t i, int64_t kv, int64_t first, int64_t rows) {
    int64_t length = s.position + s.queries;
    readDocuments(i, first, rows);
    const X *k = s.k + i * length * s.kStride + kv * s.dim, *v = s.v + i * length * s.vStride + kv * s.valueDim;
    for (int64_t head = 0; head < group; ++head)
      start(head, kv * group + head, s.q + (i * s.queries + first) * s.qStride + (kv * group + head) * s.dim, rows);
    // Blocks of keys begin at multiples of their size, so that a row adds up the same sums whatever task it is in.
    int64_t top = s.position + first, end = endSeen<S>(s, top + rows - 1, length, shifted(rests, rows - 1));
    for (int64_t key = firstSeen<S>(s, top, ages) / forwardKeys * forwardKeys; key < end; key += forwardKeys) {
      int64_t count = smaller(forwardKeys, end - key);
      loadKeys(count, k + key * s.kStride, v + key * s.vStride);
      for (int64_t head = 0; head < group; ++head)
        for (int64_t row = 0; row < rows; row += tileRows)
          attendTile(head * block + row, kv * group + head, row, smaller(tileRows, rows - row), top + row - key, count);
    }
    for (int64_t head = 0; head < group; ++head)
      finish(head, s.out + (i * s.queries + first) * s.outStride + (kv * group + head) * s.valueDim,
             s.lse ? s.lse + (i * s.heads + kv * group + head) * s.queries + first : nullptr, rows);
  }

private:
  /// Only where later keys are seen does it matter where documents end; then queries begin with position 0.
  void readDocuments(int64_t i, int64_t first, int64_t rows) {
    ages = shifted(s.ages, i * s.queries + first);
    rests = ages && s.after > 0 ? restBuffer : nullptr;
    if (rests)
      countRests(s.ages + i * s.queries, first, rows, s.queries, restBuffer);
  }

  /// A sink is a key without a value: its score is there before all others.
  void start(int64_t head, int64_t queryHead, const X *from, int64_t rows) {
    for (int64_t row = 0; row < block; ++row) {
      int64_t at = head * block + row;
      Format::loadRow(row < rows ? s.dim : 0, rowUnits, from + row * s.qStride, q + at * rowUnits);
      largest[at] = s.sinks ? s.sinks[queryHead] * expScale<S> : lowest;
      powers[at] = s.sinks ? 1 : 0;
    }
    std::memset(sums + head * block * columns, 0, size_t(block * columns) * sizeof(S));
  }

  void loadKeys(int64_t count, const X *k, const X *v) {
    int64_t padded = roundUp(count, lanes);
    for (int64_t row = 0; row < padded; ++row)
      Format::loadRow(row < count ? s.dim : 0, rowUnits, k + row * s.kStride, keyRows + row * rowUnits);
    transposeRows(padded, (s.dim + pair - 1) / pair, keyRows, rowUnits, width, keys);
    Format::loadPanels(count, s.valueDim, v, s.vStride, width, values, forwardKeys / pair);
  }

  /// The `used` rows from number `first` of the task on, kept from `place` on, against the `count` packed keys, of
  /// which the first is `ahead` positions before the first row (perhaps after it).
  void attendTile(int64_t place, int64_t head, int64_t first, int64_t used, int64_t ahead, int64_t count) {
    const int32_t *age = shifted(ages, first), *rest = shifted(rests, first);
    int64_t from = firstSeen<S>(s, ahead, age) / width * width;
    int64_t seen = endSeen<S>(s, ahead + used - 1, count, shifted(rest, used - 1));
    if (seen <= from)
      return;
    int64_t span = roundUp(seen, lanes) - from, units = (s.dim + pair - 1) / pair;
    multiplyRows<Format, false>(units, q + place * rowUnits, rowUnits, 1, keys + from * units, units, span, scores,
                                forwardKeys, s.scale * expScale<S>);
    if (ruled) {
      ScoreRule<S> rule = ruleOf<S>(s, head);
      for (int64_t r = 0; r < used; ++r)
        applyRule<S>(rule, scores + r * forwardKeys, 0, span, ahead + r - from, nullptr);
    }
    for (int64_t r = 0; r < tileRows; ++r) {
      int64_t begin = 0, own = 0;
      if (r < used) {
        begin = larger(ahead + r - within(s.before, shifted(age, r)) - from, 0);
        own = larger(endSeen<S>(s, ahead + r, count, shifted(rest, r)) - from, 0);
      }
      weigh(place + r, scores + r * forwardKeys, begin, own, span, weights + r * (forwardKeys / pair));
    }
    multiplyRows<Format, true>((seen - from + pair - 1) / pair, weights, forwardKeys / pair, 1,
                               values + from / pair * width, forwardKeys / pair, columns, sums + place * columns,
                               columns, S(1));
  }

  /// Turns the scores [begin, own) of a row into exponentials and the rest, up to `span`, into zeros.
  void weigh(int64_t at, S *row, int64_t begin, int64_t own, int64_t span, Unit *to) {
    for (int64_t key = 0; key < begin && key < span; ++key)
      row[key] = lowest;
    for (int64_t key = own; key < span; ++key)
      row[key] = lowest;
    if (own <= begin) {
      for (int64_t key = 0; key < span; key += lanes)
        Format::storeAlong(to, key, V::zero());
      return;
    }
    Vec<S> most = V::load(row);
    for (int64_t key = lanes; key < span; key += lanes)
      most = V::max(most, V::load(row + key));
    S before = largest[at], now = V::maximum(most);
    if (!(now > before))
      now = before;
    Vec<S> shift = V::broadcast(now), total = V::zero();
    int64_t key = 0;
    for (; key + 4 * lanes <= span; key += 4 * lanes) {
      Vec<S> power[4];
      MOIRE_UNROLL
      for (int k = 0; k < 4; ++k)
        power[k] = V::load(row + key + k * lanes) - shift;
      expScaled(power);
      MOIRE_UNROLL
      for (int k = 0; k < 4; ++k)
        Format::storeAlong(to, key + k * lanes, power[k]);
      total = total + ((power[0] + power[1]) + (power[2] + power[3]));
    }
    for (; key < span; key += lanes) {
      Vec<S> power = expScaled(V::load(row + key) - shift);
      Format::storeAlong(to, key, power);
      total = total + power;
    }
    if (now != before) {
      Vec<S> shrink = expScaled(V::broadcast(before - now));
      S first[lanes];
      V::store(first, shrink);
      powers[at] *= first[0];
      for (int64_t i = 0; i < columns; i += lanes)
        V::store(sums + at * columns + i, V::load(sums + at * columns + i) * shrink);
      largest[at] = now;
    }
    powers[at] += V::sum(total);
  }

  void finish(int64_t head, X *out, S *lse, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row) {
      int64_t at = head * block + row;
      Vec<S> scale = V::broadcast(1 / powers[at]);
      for (int64_t i = 0; i < s.valueDim; i += lanes)
        storeElements<S>(out + row * s.outStride + i, V::load(sums + at * columns + i) * scale,
                         smaller(lanes, s.valueDim - i));
      if (lse)
        lse[row] = largest[at] / expScale<S> + logOf(powers[at]);
    }
  }
};

template <typename Format> void attentionForward(const AttentionArguments<typename Format::X, typename Format::S> &s) {
  int64_t heads = s.batch * s.kvHeads, block = forwardBlock(heads, s.heads / s.kvHeads, s.queries);
  int64_t blocks = (s.queries + block - 1) / block;
  parallelFor(heads * blocks, 1, [&](int64_t begin, int64_t end) {
    AttentionTask<Format> task(s, block);
    for (int64_t n = begin; n < end; ++n) {
      // The last rows see the most keys: begin with them, or they would be left to one thread at the end.
      int64_t first = (blocks - 1 - n / heads) * block, head = n % heads;
      task.run(head / s.kvHeads, head % s.kvHeads, first, smaller(block, s.queries - first));
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONFORWARD_H
