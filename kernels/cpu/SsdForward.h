//===- kernels/cpu/SsdForward.h - Mamba-2's scan, chunk by chunk -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is one batch row and MOIRE_SSD_HEADS heads of a group, which share the products of
// c and b. Of the multiply-adds of a head, 2 state head_dim a token are the
// state's, chunk/2 head_dim the chunk's own.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SSDFORWARD_H
#define MOIRE_KERNELS_CPU_SSDFORWARD_H

#include "kernels/cpu/SsdChunk.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <typename X, typename S> class SsdForwardTask {
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes, width = panelWidth<S>;
  const SsdArguments<X, S> &s;
  const SsdTask task;
  const int64_t rows, states, columns; ///< padded: tokens of a chunk, state, head_dim
  const int64_t stateElements;
  ScratchFrame frame;
  ChunkDecays<S> decays;
  S *b, *c;   ///< rows [rows][states]
  S *bAcross; ///< panels: a column for each token
  S *scores;  ///< c b^T, then times decays: rows [rows][rows]
  S *weights; ///< the same for one head
  S *x;       ///< panels [rows]
  S *y;       ///< rows [rows][columns]
  S *h;       ///< per head: panels [states]
  bool zero;  ///< whether h is still zero

  /// weights(t, u) = scores(t, u) exp(s(t) - s(u)) dt(u).
  template <bool documents> void weigh() {
    for (int64_t t = 0; t < rows; ++t) {
      const S *from = scores + t * rows;
      S *to = weights + t * rows;
      for (int64_t u = 0; u < t / tileRows * tileRows + tileRows; u += lanes)
        V::store(to + u, V::load(from + u) * ChunkDecays<S>::template between<documents>(decays, t, u) *
                             V::load(decays.dt + u));
    }
  }

  /// y = exp(s(t)) y + d x, row by row.
  void addDirect(S d) {
    for (int64_t t = 0; t < rows; ++t) {
      Vec<S> decay = V::broadcast(decays.fromStart[t]), direct = V::broadcast(d);
      for (int64_t k = 0; k < columns; k += lanes) {
        S *to = y + t * columns + k;
        Vec<S> input = V::load(x + (k / width * rows + t) * width + k % width);
        V::store(to, V::fma(decay, zero ? V::zero() : V::load(to), direct * input));
      }
    }
  }

  void updateState(int64_t tokens, S *state) {
    for (int64_t panel = 0; panel < columns; panel += width)
      for (int64_t u = 0; u < tokens; ++u) {
        Vec<S> factor = V::broadcast(decays.dt[u] * decays.toEnd[u]);
        S *row = x + panel * rows + u * width;
        for (int64_t k = 0; k < width; k += lanes)
          V::store(row + k, factor * V::load(row + k));
      }
    LeftOperand<S> left{b, 1, states};
    if (zero)
      return multiplyToPanels<false>(left, states, tokens, x, rows, columns, state);
    Vec<S> whole = V::broadcast(decays.whole);
    for (int64_t k = 0; k < stateElements; k += lanes)
      V::store(state + k, whole * V::load(state + k));
    multiplyToPanels<true>(left, states, tokens, x, rows, columns, state);
  }

  void runHead(int64_t head, int64_t number, bool last) {
    int64_t t = number * s.chunk, tokens = smaller(s.chunk, s.time - t), row = task.row * s.time + t;
    S *state = h + (head - task.begin) * stateElements;
    int64_t dense = s.state * s.dim;
    if (s.states)
      storeState(s.state, states, s.dim, state, s.states + ((task.row * s.chunks() + number) * s.heads + head) * dense);
    decays.load(tokens, rows, s.dt + row * s.heads + head, s.heads, s.a[head], s.ages ? s.ages + row : nullptr);
    loadPadded(tokens, rows, s.dim, s.x + row * s.xStride + head * s.dim, s.xStride, x);
    if (!zero)
      multiplyToRows<false, S>({c, states, 1}, rows, states, state, states, columns, y, columns);
    addDirect(s.d[head]);
    s.ages ? weigh<true>() : weigh<false>();
    multiplyToRows<true, S, Units::UpTo>({weights, rows, 1}, rows, rows, x, rows, columns, y, columns);
    for (int64_t k = 0; k < tokens; ++k) {
      X *to = s.y + ((row + k) * s.heads + head) * s.dim;
      for (int64_t p = 0; p < s.dim; p += lanes)
        storeElements<S>(to + p, V::load(y + k * columns + p), smaller(lanes, s.dim - p));
    }
    if (!last || s.finalState)
      updateState(tokens, state);
    if (last && s.finalState)
      storeState(s.state, states, s.dim, state, s.finalState + (task.row * s.heads + head) * dense);
  }

public:
  SsdForwardTask(const SsdArguments<X, S> &s, const SsdTask &task)
      : s(s), task(task), rows(roundUp(smaller(s.chunk, s.time), ssdPad)), states(roundUp(s.state, ssdPad)),
        columns(roundUp(s.dim, ssdPad)), stateElements(panelElements<S>(states, columns)), decays(frame, rows, s.ages) {
    for (S **array : {&b, &c})
      *array = frame.take<S>(size_t(rows * states));
    bAcross = frame.take<S>(size_t(panelElements<S>(states, rows)));
    for (S **array : {&scores, &weights})
      *array = frame.take<S>(size_t(rows * rows));
    x = frame.take<S>(size_t(panelElements<S>(rows, columns)));
    y = frame.take<S>(size_t(rows * columns));
    h = frame.take<S>(size_t(task.heads() * stateElements));
  }

  void run() {
    int64_t dense = s.state * s.dim;
    zero = !s.initial;
    for (int64_t head = task.begin; head < task.end; ++head) {
      S *state = h + (head - task.begin) * stateElements;
      if (zero)
        std::memset(state, 0, size_t(stateElements) * sizeof(S));
      else
        loadPadded(s.state, states, s.dim, s.initial + (task.row * s.heads + head) * dense, s.dim, state);
    }
    for (int64_t number = 0, chunks = s.chunks(); number < chunks; ++number) {
      int64_t t = number * s.chunk, tokens = smaller(s.chunk, s.time - t), row = task.row * s.time + t;
      loadRows(tokens, rows, s.state, states, s.b + row * s.bStride + task.group * s.state, s.bStride, b);
      loadRows(tokens, rows, s.state, states, s.c + row * s.cStride + task.group * s.state, s.cStride, c);
      transposeRows(rows, states, b, states, width, bAcross);
      multiplyLower<S>({c, states, 1}, rows, states, bAcross, scores);
      for (int64_t head = task.begin; head < task.end; ++head)
        runHead(head, number, number + 1 == chunks);
      zero = false;
    }
  }
};

/// A few tokens from state to state: the recurrence as it stands, which reads and writes the state once each token.
template <typename X, typename S> void ssdSteps(const SsdArguments<X, S> &s, int64_t i, int64_t head) {
  constexpr int64_t lanes = Simd<S>::lanes;
  using V = Simd<S>;
  int64_t dense = s.state * s.dim, group = head * s.groups / s.heads, padded = roundUp(s.dim, lanes);
  ScratchFrame frame;
  S *sums = frame.take<S>(size_t(padded)), *input = frame.take<S>(size_t(padded));
  S *to = s.finalState + (i * s.heads + head) * dense;
  const S *from = s.initial ? s.initial + (i * s.heads + head) * dense : nullptr;
  for (int64_t t = 0; t < s.time; ++t, from = to) {
    int64_t row = i * s.time + t;
    S step = s.dt[row * s.heads + head];
    if (s.ages && s.ages[row] == 0)
      from = nullptr;
    Vec<S> decay = expScaled(V::broadcast(step * s.a[head] * expScale<S>));
    const X *x = s.x + row * s.xStride + head * s.dim;
    const X *b = s.b + row * s.bStride + group * s.state, *c = s.c + row * s.cStride + group * s.state;
    for (int64_t p = 0; p < s.dim; p += lanes) {
      Vec<S> value = loadElements<S>(x + p, smaller(lanes, s.dim - p));
      V::store(input + p, value * V::broadcast(step));
      V::store(sums + p, value * V::broadcast(s.d[head]));
    }
    for (int64_t n = 0; n < s.state; ++n) {
      Vec<S> weight = V::broadcast(loadElement<S>(b[n])), out = V::broadcast(loadElement<S>(c[n]));
      for (int64_t p = 0; p < s.dim; p += lanes) {
        int64_t used = smaller(lanes, s.dim - p);
        Vec<S> before = from ? loadElements<S>(from + n * s.dim + p, used) : V::zero();
        Vec<S> after = V::fma(decay, before, weight * V::load(input + p));
        storeElements<S>(to + n * s.dim + p, after, used);
        V::store(sums + p, V::fma(out, after, V::load(sums + p)));
      }
    }
    X *y = s.y + (row * s.heads + head) * s.dim;
    for (int64_t p = 0; p < s.dim; p += lanes)
      storeElements<S>(y + p, V::load(sums + p), smaller(lanes, s.dim - p));
  }
}

/// Up to this many tokens the recurrence is cheaper than matrices that are mostly padding.
inline constexpr int64_t ssdMostSteps = 4;

template <typename X, typename S> void ssdForward(const SsdArguments<X, S> &s) {
  if (s.time <= ssdMostSteps && s.finalState && !s.states)
    return parallelFor(s.batch * s.heads, 1, [&](int64_t from, int64_t to) {
      for (int64_t task = from; task < to; ++task)
        ssdSteps(s, task / s.heads, task % s.heads);
    });
  parallelFor(s.batch * ssdTasks(s), 1, [&](int64_t from, int64_t to) {
    for (int64_t task = from; task < to; ++task)
      SsdForwardTask<X, S>(s, ssdTask(s, task)).run();
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SSDFORWARD_H
