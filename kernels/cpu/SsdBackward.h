//===- kernels/cpu/SsdBackward.h - gradients of Mamba-2's scan ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// In the terms of SsdChunk.h, with G = c b^T, l(t,u) = exp(s(t) - s(u)), H the state before the chunk and R the
// gradient of the one after it, for one head:
//   M(t,u) = dy(t).x(u), u <= t;              dG = M l dt(u), added up over the heads;
//   dx(u) = sum_t G l dt(u) dy(t) + e(u) dt(u) b(u) R + d dy(u),       e(u) = exp(s(end) - s(u))
//   dc(t) = exp(s(t)) H dy(t) + dG b;         db(u) = e(u) dt(u) R x(u) + dG^T c;
//   ddt(u) = sum_t M G l + e(u) b(u) R x(u) + a ds(u) and later
//   R    <- exp(s(end)) R + sum_t exp(s(t)) c(t) dy(t)^T
// where ds(t) is what the exponents of t get from M G l dt by rows and, negative, by columns, and from the two states;
// each exponent holds the sums up to its token, so they are summed from the end.
// A task has the heads of SsdTask and goes from the last chunk to the first. What it finds for db and dc goes to its
// own slab, da and dd of a batch row to one place; a second pass adds these in a fixed order.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SSDBACKWARD_H
#define MOIRE_KERNELS_CPU_SSDBACKWARD_H

#include "kernels/cpu/SsdChunk.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <typename X, typename S> class SsdBackwardTask {
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes, width = panelWidth<S>;
  const SsdGradientArguments<X, S> &s;
  const SsdTask task;
  const int64_t rows, states, columns; ///< padded: tokens of a chunk, state, head_dim
  const int64_t stateElements, acrossElements;
  S *slab; ///< db, then dc: [time][state] each
  S *daRow, *ddRow;
  ScratchFrame frame;
  ChunkDecays<S> decays;
  // Of the group: rows, panels, and panels of the transpose, with a column for each token.
  S *b, *c, *bPanels, *cPanels, *bAcross, *cAcross;
  S *scores, *dScores;    ///< rows [rows][rows]
  S *dbAcross, *dcAcross; ///< panels with a column for each token, summed over the heads
  // Of one head.
  S *weights;     ///< rows [rows][rows]: M, then G l dt
  S *part;        ///< panels with a column for each token
  S *x, *dy, *dx; ///< rows [rows][columns]
  S *dyPanels, *xAcross, *dyAcross;
  S *h, *carried;                     ///< panels [states]; carried: R, for each head
  S *toDt, *toSum, *toEnd, *diagonal; ///< [rows]: what dt, the sums and the last sum get

  /// Rows to load, and what they are stored as.
  struct Load {
    const X *from;
    int64_t stride;
    S *to, *panels, *across;
  };
  void loadGroup(int64_t row, int64_t tokens) {
    for (auto [from, stride, to, panels, across] : {Load{s.b + row * s.bStride, s.bStride, b, bPanels, bAcross},
                                                    Load{s.c + row * s.cStride, s.cStride, c, cPanels, cAcross}}) {
      loadRows(tokens, rows, s.state, states, from + task.group * s.state, stride, to);
      loadPadded(rows, rows, states, to, states, panels);
      transposeRows(rows, states, to, states, width, across);
    }
    multiplyLower<S>({c, states, 1}, rows, states, bAcross, scores);
    std::memset(dScores, 0, size_t(rows * rows) * sizeof(S));
    std::memset(dbAcross, 0, size_t(acrossElements) * sizeof(S));
    std::memset(dcAcross, 0, size_t(acrossElements) * sizeof(S));
  }

  void loadHead(int64_t head, int64_t row, int64_t tokens) {
    decays.load(tokens, rows, s.dt + row * s.heads + head, s.heads, s.a[head], s.ages ? s.ages + row : nullptr);
    loadRows(tokens, rows, s.dim, columns, s.x + row * s.xStride + head * s.dim, s.xStride, x);
    loadRows(tokens, rows, s.dim, columns, s.dy + (row * s.heads + head) * s.dim, s.heads * s.dim, dy);
    loadPadded(rows, rows, columns, dy, columns, dyPanels);
    transposeRows(rows, columns, x, columns, width, xAcross);
    transposeRows(rows, columns, dy, columns, width, dyAcross);
  }

  /// M in, G l dt out; adds to dScores, and to what dt and the sums get. The exponent of a token to itself is no sum:
  /// what it would give by row and by column stays out, or the difference would lose its digits.
  template <bool documents> void weigh() {
    for (int64_t t = 0; t < rows; t += lanes)
      V::store(toDt + t, V::zero());
    for (int64_t t = 0; t < rows; ++t) {
      S *m = weights + t * rows, *g = scores + t * rows, *dg = dScores + t * rows;
      Vec<S> whole = V::zero();
      diagonal[t] = m[t] * g[t];
      for (int64_t u = 0; u < t / tileRows * tileRows + tileRows; u += lanes) {
        Vec<S> l = ChunkDecays<S>::template between<documents>(decays, t, u), dt = V::load(decays.dt + u),
               score = V::load(g + u);
        Vec<S> through = V::load(m + u) * l, other = through * score * ChunkDecays<S>::firstOnes(t - u);
        V::store(m + u, score * l * dt);
        V::store(dg + u, V::fma(through, dt, V::load(dg + u)));
        V::store(toDt + u, V::load(toDt + u) + other);
        whole = V::fma(other, dt, whole);
      }
      toSum[t] = V::sum(whole);
    }
    for (int64_t u = 0; u < rows; ++u) {
      toSum[u] -= toDt[u] * decays.dt[u];
      toDt[u] += diagonal[u];
    }
  }

  /// dx = [e dt (b R)] + d dy + (G l dt)^T dy; returns what d gets.
  S inputGradient(const S *after, bool isLast, S d) {
    if (!isLast)
      multiplyToRows<false, S>({b, states, 1}, rows, states, after, states, columns, dx, columns);
    Vec<S> direct = V::broadcast(d), toD = V::zero();
    for (int64_t u = 0; u < rows; ++u) {
      Vec<S> factor = V::broadcast(decays.toEnd[u] * decays.dt[u]);
      for (int64_t k = u * columns; k < (u + 1) * columns; k += lanes) {
        Vec<S> gradient = V::load(dy + k);
        V::store(dx + k, V::fma(factor, isLast ? V::zero() : V::load(dx + k), direct * gradient));
        toD = V::fma(gradient, V::load(x + k), toD);
      }
    }
    multiplyToRows<true, S, Units::From>({weights, 1, rows}, rows, rows, dyPanels, rows, columns, dx, columns);
    return V::sum(toD);
  }

  /// part = state times the columns of `right`: what c or b gets from a state, before the decays.
  void throughState(const S *state, const S *right) {
    for (int64_t panel = 0; panel < columns; panel += width) {
      LeftOperand<S> left{state + panel * states, width, 1};
      int64_t units = smaller(width, columns - panel);
      // Of each panel of `right`, the units that belong to this panel of the state.
      if (panel == 0)
        multiplyToPanels<false>(left, states, units, right, columns, rows, part);
      else
        multiplyToPanels<true>(left, states, units, right + panel * width, columns, rows, part);
    }
  }

  /// total += part * factor(t) for each token t, and to[t] = sum_n part(n, t) with(n, t).
  void collect(const S *factor, const S *with, S *total, S *to) {
    for (int64_t t = 0; t < rows; t += lanes) {
      Vec<S> scale = V::load(factor + t), sum = V::zero();
      int64_t at = t / width * states * width + t % width;
      for (int64_t n = 0; n < states; ++n, at += width) {
        Vec<S> value = V::load(part + at);
        V::store(total + at, V::fma(scale, value, V::load(total + at)));
        sum = V::fma(value, V::load(with + at), sum);
      }
      V::store(to + t, sum);
    }
  }

  /// R for the chunk before, and what the last sum gets through the decay of the whole chunk.
  S carry(bool isFirst, bool isLast, int64_t tokens, S *after) {
    if (isFirst) // the state before the first chunk is zero and wants no gradient
      return 0;
    Vec<S> whole = V::broadcast(decays.whole), toWhole = V::zero();
    for (int64_t k = 0; !isLast && k < stateElements; k += lanes) {
      Vec<S> value = whole * V::load(after + k);
      toWhole = V::fma(value, V::load(h + k), toWhole);
      V::store(after + k, value);
    }
    for (int64_t panel = 0; panel < columns; panel += width)
      for (int64_t t = 0; t < tokens; ++t) {
        Vec<S> factor = V::broadcast(decays.fromStart[t]);
        S *to = dyPanels + panel * rows + t * width;
        for (int64_t k = 0; k < width; k += lanes)
          V::store(to + k, factor * V::load(to + k));
      }
    LeftOperand<S> left{c, 1, states};
    if (isLast)
      multiplyToPanels<false>(left, states, tokens, dyPanels, rows, columns, after);
    else
      multiplyToPanels<true>(left, states, tokens, dyPanels, rows, columns, after);
    return V::sum(toWhole);
  }

  void runHead(int64_t head, int64_t number) {
    int64_t t = number * s.chunk, tokens = smaller(s.chunk, s.time - t), row = task.row * s.time + t;
    bool isFirst = number == 0, isLast = number + 1 == s.chunks();
    S *after = carried + (head - task.begin) * stateElements;
    loadHead(head, row, tokens);
    multiplyLower<S>({dy, columns, 1}, rows, columns, xAcross, weights);
    s.ages ? weigh<true>() : weigh<false>();
    ddRow[head] += inputGradient(after, isLast, s.d[head]);
    for (int64_t k = 0; k < tokens; ++k)
      for (int64_t p = 0; p < s.dim; p += lanes)
        storeElements<S>(s.dx + (row + k) * s.dxStride + head * s.dim + p, V::load(dx + k * columns + p),
                         smaller(lanes, s.dim - p));

    S *through = dx; // free again: [rows]
    if (!isFirst) {
      int64_t dense = s.state * s.dim;
      loadPadded(s.state, states, s.dim, s.states + ((task.row * s.chunks() + number) * s.heads + head) * dense, s.dim,
                 h);
      throughState(h, dyAcross);
      collect(decays.fromStart, cAcross, dcAcross, through);
      for (int64_t k = 0; k < rows; ++k)
        toSum[k] += decays.fromStart[k] * through[k];
    }
    if (!isLast) {
      S *factor = decays.high; // read for the last time by weigh(): now e dt
      for (int64_t k = 0; k < rows; ++k)
        factor[k] = decays.toEnd[k] * decays.dt[k];
      throughState(after, xAcross);
      collect(factor, bAcross, dbAcross, through);
      for (int64_t k = 0; k < tokens; ++k) {
        toDt[k] += decays.toEnd[k] * through[k];
        toEnd[k] = factor[k] * through[k];
      }
    } else
      std::memset(toEnd, 0, size_t(rows) * sizeof(S));
    // A sum gets what its own exponents and all later ones get.
    double sum = double(carry(isFirst, isLast, tokens, after)), toA = 0;
    for (int64_t k = 0; k < tokens; ++k)
      sum += double(toEnd[k]);
    for (int64_t k = tokens - 1; k >= 0; --k) {
      sum += double(toSum[k]) - double(toEnd[k]);
      if (decays.isFirst(k)) // no exponent holds the first step of a document
        sum = 0;
      s.ddt[(row + k) * s.heads + head] = S(sum * double(s.a[head]) + double(toDt[k]));
      toA += sum * double(decays.dt[k]);
    }
    daRow[head] += S(toA);
  }

  /// Adds what the scores of all heads give to the sums over heads, and writes both to the slab.
  void storeGroup(int64_t t, int64_t tokens) {
    storeSum(dbAcross, LeftOperand<S>{dScores, 1, rows}, cPanels, Units::From, slab + t * s.state, tokens);
    storeSum(dcAcross, LeftOperand<S>{dScores, rows, 1}, bPanels, Units::UpTo, slab + (s.time + t) * s.state, tokens);
  }
  void storeSum(const S *across, const LeftOperand<S> &left, const S *panels, Units units, S *to, int64_t tokens) {
    S *sum = part; // rows [rows][states]
    for (int64_t k = 0; k < rows; k += width)
      transposeRows(states, smaller(width, rows - k), across + k * states, width, states, sum + k * states);
    if (units == Units::From)
      multiplyToRows<true, S, Units::From>(left, rows, rows, panels, rows, states, sum, states);
    else
      multiplyToRows<true, S, Units::UpTo>(left, rows, rows, panels, rows, states, sum, states);
    for (int64_t k = 0; k < tokens; ++k)
      for (int64_t n = 0; n < s.state; n += lanes)
        storeElements<S>(to + k * s.state + n, V::load(sum + k * states + n), smaller(lanes, s.state - n));
  }

public:
  /// slab: db and dc of the task, [time][state] each; daRow and ddRow: [heads] of the batch row.
  SsdBackwardTask(const SsdGradientArguments<X, S> &s, const SsdTask &task, S *slab, S *daRow, S *ddRow)
      : s(s), task(task), rows(roundUp(smaller(s.chunk, s.time), ssdPad)), states(roundUp(s.state, ssdPad)),
        columns(roundUp(s.dim, ssdPad)), stateElements(panelElements<S>(states, columns)),
        acrossElements(panelElements<S>(states, rows)), slab(slab), daRow(daRow), ddRow(ddRow),
        decays(frame, rows, s.ages) {
    auto take = [&](std::initializer_list<S **> arrays, int64_t count) {
      for (S **array : arrays)
        *array = frame.take<S>(size_t(count));
    };
    take({&b, &c}, rows * states);
    take({&bPanels, &cPanels}, panelElements<S>(rows, states));
    take({&bAcross, &cAcross, &dbAcross, &dcAcross, &part}, acrossElements);
    take({&scores, &dScores, &weights}, rows * rows);
    take({&x, &dy, &dx}, rows * columns);
    take({&dyPanels}, panelElements<S>(rows, columns));
    take({&xAcross, &dyAcross}, panelElements<S>(columns, rows));
    take({&h}, stateElements);
    take({&carried}, task.heads() * stateElements);
    take({&toDt, &toSum, &toEnd, &diagonal}, rows);
  }

  void run() {
    std::memset(carried, 0, size_t(task.heads() * stateElements) * sizeof(S));
    for (int64_t head = task.begin; head < task.end; ++head)
      daRow[head] = ddRow[head] = 0;
    for (int64_t number = s.chunks() - 1; number >= 0; --number) {
      int64_t t = number * s.chunk, tokens = smaller(s.chunk, s.time - t);
      loadGroup(task.row * s.time + t, tokens);
      for (int64_t head = task.begin; head < task.end; ++head)
        runHead(head, number);
      storeGroup(t, tokens);
    }
  }
};

/// to[k] = sum over `count` slabs, `stride` apart, for k in [0, size).
template <typename X, typename S>
inline void addSsdSlabs(const S *slabs, int64_t count, int64_t stride, int64_t size, X *to) {
  constexpr int64_t lanes = Simd<S>::lanes;
  for (int64_t k = 0; k < size; k += lanes) {
    int64_t used = smaller(lanes, size - k);
    Vec<S> sum = loadElements<S>(slabs + k, used);
    for (int64_t j = 1; j < count; ++j)
      sum = sum + loadElements<S>(slabs + j * stride + k, used);
    storeElements<S>(to + k, sum, used);
  }
}

template <typename X, typename S> void ssdBackward(const SsdGradientArguments<X, S> &s) {
  int64_t tasks = ssdTasks(s), size = s.time * s.state, da = tasks * size * 2, rowSize = da + 2 * s.heads;
  parallelFor(s.batch * tasks, 1, [&](int64_t from, int64_t to) {
    for (int64_t number = from; number < to; ++number) {
      S *row = s.workspace + number / tasks * rowSize;
      SsdBackwardTask<X, S>(s, ssdTask(s, number), row + number % tasks * size * 2, row + da, row + da + s.heads).run();
    }
  });
  int64_t each = tasks / s.groups;
  parallelFor(s.batch * s.time, 64, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; ++row)
      for (int64_t group = 0; group < s.groups; ++group) {
        const S *slabs = s.workspace + row / s.time * rowSize + group * each * size * 2 + row % s.time * s.state;
        addSsdSlabs(slabs, each, size * 2, s.state, s.db + row * s.dbStride + group * s.state);
        addSsdSlabs(slabs + size, each, size * 2, s.state, s.dc + row * s.dcStride + group * s.state);
      }
  });
  parallelFor(1, 1, [&](int64_t, int64_t) {
    addSsdSlabs(s.workspace + da, s.batch, rowSize, s.heads, s.da);
    addSsdSlabs(s.workspace + da + s.heads, s.batch, rowSize, s.heads, s.dd);
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SSDBACKWARD_H
