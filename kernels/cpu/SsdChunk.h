//===- kernels/cpu/SsdChunk.h - a chunk of Mamba-2's scan as matrices --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What both directions of the scan share. With s(t) the sum of dt a up to and with token t of
// a chunk, and H the state before its first token (arXiv 2405.21060, section 6):
//   y(t) = sum_{u<=t} (c(t).b(u)) exp(s(t) - s(u)) dt(u) x(u) + exp(s(t)) c(t) H + d x(t)
//   H   <- exp(s(end)) H + sum_u exp(s(end) - s(u)) dt(u) b(u) x(u)^T
// so all but the exponentials are products of small matrices, made by the tile of attention (AttentionTile.h).
//
// Matrices are padded with zeros to multiples of `ssdPad`, and stored
//   as rows    [row][columns]: the left operand, read by rows or by columns
//   as panels  [columns / panelWidth][row][panelWidth]: the right operand, or a result
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SSDCHUNK_H
#define MOIRE_KERNELS_CPU_SSDCHUNK_H

#include "kernels/cpu/AttentionTile.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/SsdTable.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// A multiple of the rows of a tile and of the lanes of all vectors.
inline constexpr int64_t ssdPad = 16;

template <typename S> using SsdFormat = DirectFormat<S, S>;

/// Elements of a matrix in panels.
template <typename S> MOIRE_INLINE int64_t panelElements(int64_t rows, int64_t columns) {
  return rows * roundUp(columns, panelWidth<S>);
}

/// A left operand: element (row, unit) is first[row * rowStep + unit * unitStep].
template <typename S> struct LeftOperand {
  const S *first;
  int64_t rowStep, unitStep;
  const S *row(int64_t r) const { return first + r * rowStep; }
};

/// One panel's worth of a product for rows [row, row + tileRows): to = [add ? to : 0] + left * panel, over the units
/// [from, end). `panel` points at unit 0, `to` at the row's first column of the panel.
template <bool add, typename S>
MOIRE_INLINE void multiplyPanel(const LeftOperand<S> &left, int64_t row, int64_t from, int64_t end, const S *panel,
                                int64_t columns, S *to, int64_t ld) {
  const S *a = left.row(row) + from * left.unitStep, *b = panel + from * panelWidth<S>;
  if (columns > Simd<S>::lanes)
    multiplyTile<SsdFormat<S>, add, panelVectors>(end - from, a, left.rowStep, left.unitStep, b, to, ld, S(1));
  else
    multiplyTile<SsdFormat<S>, add, 1>(end - from, a, left.rowStep, left.unitStep, b, to, ld, S(1));
}

/// Which units of a product a tile of rows needs.
enum class Units {
  All,
  UpTo, ///< those before the end of the tile: the left operand is zero above its diagonal
  From, ///< those from the beginning of the tile: it is zero below its diagonal
};

/// rows (+)= left * panels, [count][columns] with `ld` elements between rows.
template <bool add, typename S, Units units = Units::All>
__attribute__((noinline)) void multiplyToRows(const LeftOperand<S> &left, int64_t count, int64_t unitCount,
                                              const S *panels, int64_t panelUnits, int64_t columns, S *to, int64_t ld) {
  constexpr int64_t width = panelWidth<S>;
  for (int64_t column = 0; column < columns; column += width, panels += panelUnits * width)
    for (int64_t row = 0; row < count; row += tileRows)
      multiplyPanel<add>(left, row, units == Units::From ? row : 0,
                         units == Units::UpTo ? smaller(row + tileRows, unitCount) : unitCount, panels,
                         columns - column, to + row * ld + column, ld);
}

/// The same into panels of `count` rows.
template <bool add, typename S>
__attribute__((noinline)) void multiplyToPanels(const LeftOperand<S> &left, int64_t count, int64_t unitCount,
                                                const S *panels, int64_t panelUnits, int64_t columns, S *to) {
  constexpr int64_t width = panelWidth<S>;
  for (int64_t column = 0; column < columns; column += width, panels += panelUnits * width, to += count * width)
    for (int64_t row = 0; row < count; row += tileRows)
      multiplyPanel<add>(left, row, 0, unitCount, panels, columns - column, to + row * width, width);
}

/// The lower triangle of left * panels: columns beyond the tile's last row are not touched.
template <typename S>
__attribute__((noinline)) void multiplyLower(const LeftOperand<S> &left, int64_t count, int64_t unitCount,
                                             const S *panels, S *to) {
  constexpr int64_t width = panelWidth<S>;
  for (int64_t column = 0; column < count; column += width, panels += unitCount * width)
    for (int64_t row = column / tileRows * tileRows; row < count; row += tileRows)
      multiplyPanel<false>(left, row, 0, unitCount, panels, count - column, to + row * count + column, count);
}

/// Rows of elements as S, `columns` of them in use, zeros up to the padded sizes.
template <typename X, typename S>
inline void loadRows(int64_t rows, int64_t paddedRows, int64_t columns, int64_t padded, const X *from, int64_t stride,
                     S *to) {
  for (int64_t r = 0; r < rows; ++r)
    DirectFormat<X, S>::loadRow(columns, padded, from + r * stride, to + r * padded);
  std::memset(to + rows * padded, 0, size_t((paddedRows - rows) * padded) * sizeof(S));
}

/// Rows of elements into panels of `paddedRows` rows, zeros where there are none, also in panels that only padding is
/// in.
template <typename X, typename S>
inline void loadPadded(int64_t rows, int64_t paddedRows, int64_t columns, const X *from, int64_t stride, S *to) {
  constexpr int64_t width = panelWidth<S>;
  DirectFormat<X, S>::loadPanels(rows, columns, from, stride, width, to, paddedRows);
  for (int64_t column = 0; column < columns; column += width)
    std::memset(to + column * paddedRows + rows * width, 0, size_t((paddedRows - rows) * width) * sizeof(S));
  for (int64_t column = roundUp(columns, width); column < roundUp(columns, ssdPad); column += width)
    std::memset(to + column * paddedRows, 0, size_t(paddedRows * width) * sizeof(S));
}

/// Panels of `paddedRows` rows into a dense matrix [rows][columns].
template <typename S> inline void storeState(int64_t rows, int64_t paddedRows, int64_t columns, const S *from, S *to) {
  constexpr int64_t lanes = Simd<S>::lanes, width = panelWidth<S>;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < columns; k += lanes)
      storeElements<S>(to + r * columns + k, Simd<S>::load(from + (k / width * paddedRows + r) * width + k % width),
                       smaller(lanes, columns - k));
}

/// The decays of one head over a chunk. Sums of dt a are kept in two parts: a difference of two long sums, rounded to
/// one float each, would lose what is left of it. All of them times expScale.
template <typename S> struct ChunkDecays {
  S *high, *low; ///< s(t)
  S *dt;         ///< zero beyond the last token
  S *fromStart;  ///< exp(s(t))
  S *toEnd;      ///< exp(s(end) - s(t))
  S whole;       ///< exp(s(end))
  /// Of each token the first one of its document in the chunk; or null, where every sequence is one document. Between
  /// documents all of the above is zero, and s(t) begins anew with each.
  int64_t *begins = nullptr;

  static constexpr int64_t lanes = Simd<S>::lanes;
  /// Ones, then zeros: read from `lanes - n` on, n ones.
  struct Steps {
    S values[2 * lanes] = {};
    constexpr Steps() {
      for (int64_t i = 0; i < lanes; ++i)
        values[i] = 1;
    }
  };

  ChunkDecays(ScratchFrame &frame, int64_t padded, bool documents) {
    for (S **array : {&high, &low, &dt, &fromStart, &toEnd})
      *array = frame.take<S>(size_t(padded));
    if (documents)
      begins = frame.take<int64_t>(size_t(padded));
  }

  /// Whether token t of the chunk is the first one of a document, by its age.
  bool isFirst(int64_t t) const { return begins && begins[t] == t && (t > 0 || fresh); }

  /// Reads dt of `tokens` tokens, `stride` apart, and their ages, unless they are null.
  void load(int64_t tokens, int64_t padded, const S *from, int64_t stride, S a, const int32_t *ages) {
    fresh = ages && ages[0] == 0;
    double sum = 0, rate = double(a) * (std::is_same_v<S, float> ? 1.44269504088896340736 : 1.0);
    for (int64_t t = 0; t < padded; ++t) {
      dt[t] = t < tokens ? from[t * stride] : S(0);
      if (begins) {
        bool starts = t < tokens && ages[t] == 0;
        begins[t] = t == 0 || starts ? t : begins[t - 1];
        sum = starts ? 0 : sum;
      }
      sum += double(dt[t]) * rate;
      high[t] = S(sum);
      low[t] = S(sum - double(high[t]));
    }
    Vec<S> endHigh = Simd<S>::broadcast(high[padded - 1]), endLow = Simd<S>::broadcast(low[padded - 1]);
    for (int64_t t = 0; t < padded; t += lanes) {
      Vec<S> h = Simd<S>::load(high + t), l = Simd<S>::load(low + t);
      Simd<S>::store(fromStart + t, expScaled(h));
      Simd<S>::store(toEnd + t, expScaled((endHigh - h) + (endLow - l)));
    }
    if (begins) { // nothing comes from before the first beginning, and nothing goes past the last
      for (int64_t t = padded; t-- > 0 && (begins[t] > 0 || fresh);)
        fromStart[t] = 0;
      std::memset(toEnd, 0, size_t(begins[padded - 1]) * sizeof(S));
    }
    whole = fromStart[padded - 1];
  }

  /// Ones in the first `count` lanes, all or none where it is out of bounds, and zeros after.
  MOIRE_INLINE Vec<S> firstOnes(int64_t count) {
    static constexpr Steps steps;
    return Simd<S>::load(steps.values + (count < 0 ? lanes : count > lanes ? 0 : lanes - count));
  }

  /// exp(s(t) - s(u)) for one t and the vector of u from `u` on, where u <= t and of the same document, else 0.
  template <bool documents> MOIRE_INLINE Vec<S> between(const ChunkDecays &decays, int64_t t, int64_t u) {
    if (!documents || decays.begins[t] <= u)
      return upTo(decays, t, u);
    int64_t others = decays.begins[t] - u;
    if (others >= lanes)
      return Simd<S>::zero();
    // Sums of another document are no exponents: like those above the diagonal.
    return (Simd<S>::broadcast(1) - firstOnes(others)) * firstOnes(t + 1 - u) *
           expScaled(Simd<S>::min(difference(decays, t, u), Simd<S>::zero()));
  }

private:
  bool fresh = false; ///< whether the chunk begins with a document

  MOIRE_INLINE Vec<S> difference(const ChunkDecays &decays, int64_t t, int64_t u) {
    return (Simd<S>::broadcast(decays.high[t]) - Simd<S>::load(decays.high + u)) +
           (Simd<S>::broadcast(decays.low[t]) - Simd<S>::load(decays.low + u));
  }
  MOIRE_INLINE Vec<S> upTo(const ChunkDecays &decays, int64_t t, int64_t u) {
    Vec<S> exponent = difference(decays, t, u);
    int64_t used = t + 1 - u;
    if (used >= lanes)
      return expScaled(exponent);
    // Above the diagonal the exponent is positive and may be huge: bounded first, then cut off.
    return firstOnes(used) * expScaled(Simd<S>::min(exponent, Simd<S>::zero()));
  }
};

/// The heads of one group that a task goes through, and the group's place among the columns of b and c.
struct SsdTask {
  int64_t row, group, begin, end; ///< batch row; heads [begin, end)
  int64_t heads() const { return end - begin; }
};

/// Tasks of a batch row.
template <typename X, typename S> MOIRE_INLINE int64_t ssdTasks(const SsdOperands<X, S> &s) {
  return s.groups * ((s.headsOfGroup() + MOIRE_SSD_HEADS - 1) / MOIRE_SSD_HEADS);
}
template <typename X, typename S> MOIRE_INLINE SsdTask ssdTask(const SsdOperands<X, S> &s, int64_t number) {
  int64_t tasks = ssdTasks(s), each = tasks / s.groups, group = number % tasks / each, part = number % each;
  int64_t first = group * s.headsOfGroup(), begin = first + part * MOIRE_SSD_HEADS;
  return {number / tasks, group, begin, smaller(begin + MOIRE_SSD_HEADS, first + s.headsOfGroup())};
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SSDCHUNK_H
