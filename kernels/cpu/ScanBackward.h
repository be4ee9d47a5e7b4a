//===- kernels/cpu/ScanBackward.h - gradients of the selective scan ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With e = exp(dt a), g = the gradient of h after step t (carried: e g to t - 1):
//   g = dy c + carried;          dc += dy h;        db += g dt u;      du = d dy + dt sum_n g b
//   q = g e h(t-1);              da += q dt;        ddt = sum_n q a + u sum_n g b
//
// A task is one batch row and MOIRE_SCAN_GROUP channels, chunk by chunk from the last. Within a
// chunk it takes `gradientBlock` states at a time: for each panel of channels it recomputes e and h
// from the saved state, then sweeps back. So few states at a time that e, h and the
// partial sums of db and dc over panels stay close to the registers.
// db and dc of a task go to its own slab of the workspace, da and dd to one slab for each batch row; a second
// pass adds the slabs in a fixed order. Workspace of a batch row: [groups][db, dc][time][state], da, dd.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SCANBACKWARD_H
#define MOIRE_KERNELS_CPU_SCANBACKWARD_H

#include "kernels/cpu/ScanPanels.h"
#include "kernels/cpu/ScanTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// States taken at a time. With 2 all that a block needs fits the first-level cache, but with 4 the rows of dt, u and
/// dy are read half as often: measured, an eighth faster.
inline constexpr int gradientBlock = 4;
static_assert(statePad % gradientBlock == 0);

/// What one task holds. Arrays of panels are [panel][..][lanes].
template <typename S> struct ScanGradientScratch {
  static constexpr int64_t lanes = Simd<S>::lanes, chunk = MOIRE_SCAN_CHUNK;
  S *decay, *carried, *da, *start;       ///< [panels][padded][lanes]
  S *dt, *u, *gain, *dy, *sumGb, *sumQa; ///< [panels][chunk][lanes]; gain = dt u
  S *b, *c;                              ///< [chunk][padded]
  S *factors, *states;                   ///< [chunk][block][lanes], states one row more
  S *db, *dc;                            ///< [chunk][block][lanes]: sums over panels
  S *d, *dd;                             ///< [panels][lanes]

  ScanGradientScratch(ScratchFrame &frame, int64_t panels, int64_t padded) {
    for (S **array : {&decay, &carried, &da, &start})
      *array = frame.take<S>(size_t(panels * padded * lanes));
    for (S **array : {&dt, &u, &gain, &dy, &sumGb, &sumQa})
      *array = frame.take<S>(size_t(panels * panelRows * lanes));
    for (S **array : {&b, &c})
      *array = frame.take<S>(size_t(chunk * padded));
    for (S **array : {&factors, &states, &db, &dc})
      *array = frame.take<S>(size_t((chunk + 1) * gradientBlock * lanes));
    d = frame.take<S>(size_t(panels * lanes));
    dd = frame.take<S>(size_t(panels * lanes));
    std::memset(carried, 0, size_t(panels * padded * lanes) * sizeof(S));
    std::memset(da, 0, size_t(panels * padded * lanes) * sizeof(S));
    std::memset(dd, 0, size_t(panels * lanes) * sizeof(S));
  }
};

/// One task: the channels [begin, end) of batch row i.
template <typename X, typename S> class ScanGradientTask {
  static constexpr int64_t lanes = Simd<S>::lanes, chunk = MOIRE_SCAN_CHUNK, block = gradientBlock;
  using V = Simd<S>;
  const ScanGradientArguments<X, S> &s;
  int64_t i, begin, end, padded, panels;
  S *slab; ///< db, then dc: [time][state] each
  ScratchFrame frame;
  ScanGradientScratch<S> m;

  int64_t channel(int64_t p) const { return begin + p * lanes; }
  int64_t used(int64_t p) const { return smaller(lanes, end - channel(p)); }

  void loadChunk(int64_t t, int64_t tokens) {
    int64_t row = i * s.time + t, chunks = (s.time + chunk - 1) / chunk;
    loadStateRows(tokens, s.state, s.b + row * s.bStride, s.bStride, m.b);
    loadStateRows(tokens, s.state, s.c + row * s.cStride, s.cStride, m.c);
    for (int64_t p = 0; p < panels; ++p)
      loadPanel<S>(s.state, used(p), s.states + ((i * chunks + t / chunk) * s.channels + channel(p)) * s.state, S(1),
                   m.start + p * padded * lanes);
    // Token by token, because rows of channels lie together in memory.
    for (int64_t k = 0; k < tokens; ++k, ++row)
      for (int64_t p = 0; p < panels; ++p) {
        int64_t at = (p * panelRows + k) * lanes, dense = row * s.channels + channel(p);
        Vec<S> step = loadElements<S>(s.dt + dense, used(p));
        Vec<S> input = loadElements<S>(s.u + row * s.uStride + channel(p), used(p));
        V::store(m.dt + at, step);
        V::store(m.u + at, input);
        V::store(m.gain + at, step * input);
        V::store(m.dy + at, loadElements<S>(s.dy + dense, used(p)));
      }
  }

  /// What the next chunk reads, and where this one's results go.
  PrefetchWalk nextRows(int64_t t, int64_t tokens) const {
    int64_t row = i * s.time + t, width = end - begin;
    PrefetchWalk next(t > 0 ? chunk : tokens);
    if (t > 0) {
      next.add(s.u + (row - chunk) * s.uStride + begin, s.uStride, width);
      next.add(s.dt + (row - chunk) * s.channels + begin, s.channels, width);
      next.add(s.dy + (row - chunk) * s.channels + begin, s.channels, width);
    }
    next.add(s.du + row * s.duStride + begin, s.duStride, width);
    next.add(s.ddt + row * s.channels + begin, s.channels, width);
    next.spread(panels * (padded / block) * tokens);
    return next;
  }

  /// e and h of states [from, from + block) of a panel. With `ages`, those of the chunk, e is 0 at the first token of
  /// a document, and so is all that passes between documents.
  template <bool documents>
  MOIRE_INLINE void replay(int64_t p, int64_t from, int64_t tokens, const ScanGradientScratch<S> &m, int64_t padded,
                           const int32_t *ages, PrefetchWalk &next) {
    const S *decay = m.decay + (p * padded + from) * lanes, *dt = m.dt + p * panelRows * lanes;
    const S *gain = m.gain + p * panelRows * lanes, *b = m.b + from;
    Vec<S> rate[block], h[block];
    MOIRE_UNROLL
    for (int n = 0; n < block; ++n) {
      rate[n] = V::load(decay + n * lanes);
      h[n] = V::load(m.start + (p * padded + from + n) * lanes);
      V::store(m.states + n * lanes, h[n]);
    }
    S *factors = m.factors, *states = m.states + block * lanes;
    for (int64_t t = 0; t < tokens; ++t, factors += block * lanes, states += block * lanes, b += padded) {
      next.step();
      Vec<S> step = V::load(dt + t * lanes), input = V::load(gain + t * lanes), factor[block];
      MOIRE_UNROLL
      for (int n = 0; n < block; ++n)
        factor[n] = step * rate[n];
      expScaled<block>(factor);
      if constexpr (documents)
        if (ages[t] == 0)
          for (int n = 0; n < block; ++n)
            factor[n] = V::zero();
      MOIRE_UNROLL
      for (int n = 0; n < block; ++n) {
        h[n] = V::fma(factor[n], h[n], input * V::broadcast(b[n]));
        V::store(factors + n * lanes, factor[n]);
        V::store(states + n * lanes, h[n]);
      }
    }
  }

  /// The way back over the same states. The first panel overwrites db and dc, the first block sumGb and sumQa.
  template <bool firstPanel, bool firstBlock>
  MOIRE_INLINE void sweep(int64_t p, int64_t from, int64_t tokens, const ScanGradientScratch<S> &m, int64_t padded) {
    int64_t base = (p * padded + from) * lanes, rows = p * panelRows * lanes;
    Vec<S> rate[block], carried[block], da[block], h[block];
    MOIRE_UNROLL
    for (int n = 0; n < block; ++n) {
      rate[n] = V::load(m.decay + base + n * lanes);
      carried[n] = V::load(m.carried + base + n * lanes);
      da[n] = V::load(m.da + base + n * lanes);
      h[n] = V::load(m.states + (tokens * block + n) * lanes);
    }
    for (int64_t t = tokens - 1; t >= 0; --t) {
      const S *b = m.b + t * padded + from, *c = m.c + t * padded + from;
      int64_t at = rows + t * lanes;
      Vec<S> step = V::load(m.dt + at), gain = V::load(m.gain + at), dy = V::load(m.dy + at);
      Vec<S> gb = firstBlock ? V::zero() : V::load(m.sumGb + at), qa = firstBlock ? V::zero() : V::load(m.sumQa + at);
      MOIRE_UNROLL
      for (int n = 0; n < block; ++n) {
        int64_t k = (t * block + n) * lanes;
        Vec<S> factor = V::load(m.factors + k), before = V::load(m.states + k);
        Vec<S> g = V::fma(dy, V::broadcast(c[n]), carried[n]);
        V::store(m.dc + k, firstPanel ? dy * h[n] : V::fma(dy, h[n], V::load(m.dc + k)));
        V::store(m.db + k, firstPanel ? g * gain : V::fma(g, gain, V::load(m.db + k)));
        gb = V::fma(g, V::broadcast(b[n]), gb);
        carried[n] = factor * g;
        Vec<S> q = carried[n] * before;
        qa = V::fma(q, rate[n], qa);
        da[n] = V::fma(q, step, da[n]);
        h[n] = before;
      }
      V::store(m.sumGb + at, gb);
      V::store(m.sumQa + at, qa);
    }
    MOIRE_UNROLL
    for (int n = 0; n < block; ++n) {
      V::store(m.carried + base + n * lanes, carried[n]);
      V::store(m.da + base + n * lanes, da[n]);
    }
  }

  void runBlock(int64_t from, int64_t t, int64_t tokens, PrefetchWalk &next) {
    const ScanGradientScratch<S> local = m; // a copy that no store can alias
    for (int64_t p = 0; p < panels; ++p) {
      if (s.ages)
        replay<true>(p, from, tokens, local, padded, s.ages + i * s.time + t, next);
      else
        replay<false>(p, from, tokens, local, padded, nullptr, next);
      if (p == 0)
        from == 0 ? sweep<true, true>(p, from, tokens, local, padded)
                  : sweep<true, false>(p, from, tokens, local, padded);
      else
        from == 0 ? sweep<false, true>(p, from, tokens, local, padded)
                  : sweep<false, false>(p, from, tokens, local, padded);
    }
    for (int64_t k = 0; k < tokens; ++k)
      for (int64_t n = 0; n < block && from + n < s.state; ++n) {
        S *to = slab + (t + k) * s.state + from + n;
        to[0] = V::sum(V::load(m.db + (k * block + n) * lanes));
        to[s.time * s.state] = V::sum(V::load(m.dc + (k * block + n) * lanes));
      }
  }

  void storeChunk(int64_t t, int64_t tokens) {
    int64_t row = i * s.time + t;
    for (int64_t k = 0; k < tokens; ++k, ++row)
      for (int64_t p = 0; p < panels; ++p) {
        int64_t at = (p * panelRows + k) * lanes;
        Vec<S> dy = V::load(m.dy + at), u = V::load(m.u + at), gb = V::load(m.sumGb + at), d = V::load(m.d + p * lanes);
        V::store(m.dd + p * lanes, V::fma(dy, u, V::load(m.dd + p * lanes)));
        storeElements<S>(s.du + row * s.duStride + channel(p), V::fma(V::load(m.dt + at), gb, d * dy), used(p));
        storeElements<S>(s.ddt + row * s.channels + channel(p),
                         V::fma(u, gb, V::load(m.sumQa + at) * V::broadcast(1 / expScale<S>)), used(p));
      }
  }

public:
  ScanGradientTask(const ScanGradientArguments<X, S> &s, int64_t i, int64_t begin, int64_t end, S *slab)
      : s(s), i(i), begin(begin), end(end), padded(paddedState(s.state)), panels((end - begin + lanes - 1) / lanes),
        slab(slab), m(frame, panels, padded) {}

  /// daSlab and ddSlab: da and dd of this batch row, [channels][state] and [channels].
  void run(S *daSlab, S *ddSlab) {
    for (int64_t p = 0; p < panels; ++p) {
      V::store(m.d + p * lanes, loadElements<S>(s.d + channel(p), used(p)));
      loadPanel<S>(s.state, used(p), s.a + channel(p) * s.state, expScale<S>, m.decay + p * padded * lanes);
    }
    for (int64_t t = (s.time - 1) / chunk * chunk; t >= 0; t -= chunk) {
      int64_t tokens = smaller(chunk, s.time - t);
      loadChunk(t, tokens);
      PrefetchWalk next = nextRows(t, tokens);
      for (int64_t from = 0; from < padded; from += block)
        runBlock(from, t, tokens, next);
      storeChunk(t, tokens);
    }
    for (int64_t p = 0; p < panels; ++p) {
      storePanel(s.state, used(p), m.da + p * padded * lanes, daSlab + channel(p) * s.state);
      storeElements<S>(ddSlab + channel(p), V::load(m.dd + p * lanes), used(p));
    }
  }
};

/// to[k] = sum over `count` slabs, `stride` apart, for k in [begin, end).
template <typename X, typename S>
inline void addSlabs(const S *slabs, int64_t count, int64_t stride, int64_t begin, int64_t end, X *to) {
  constexpr int64_t lanes = Simd<S>::lanes;
  for (int64_t k = begin; k < end; k += lanes) {
    int64_t used = smaller(lanes, end - k);
    Vec<S> sum = loadElements<S>(slabs + k, used);
    for (int64_t j = 1; j < count; ++j)
      sum = sum + loadElements<S>(slabs + j * stride + k, used);
    storeElements<S>(to + k, sum, used);
  }
}

template <typename X, typename S> void scanBackward(const ScanGradientArguments<X, S> &s) {
  int64_t groups = (s.channels + MOIRE_SCAN_GROUP - 1) / MOIRE_SCAN_GROUP;
  int64_t slab = s.time * s.state, da = groups * slab * 2, dd = da + s.channels * s.state, rowSize = dd + s.channels;
  parallelFor(s.batch * groups, 1, [&](int64_t from, int64_t to) {
    for (int64_t task = from; task < to; ++task) {
      int64_t i = task / groups, group = task % groups, begin = group * MOIRE_SCAN_GROUP;
      S *row = s.workspace + i * rowSize;
      ScanGradientTask<X, S>(s, i, begin, smaller(begin + MOIRE_SCAN_GROUP, s.channels), row + group * slab * 2)
          .run(row + da, row + dd);
    }
  });
  parallelFor(s.batch * s.time, 64, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; ++row) {
      const S *slabs = s.workspace + row / s.time * rowSize + row % s.time * s.state;
      addSlabs(slabs, groups, slab * 2, 0, s.state, s.db + row * s.dbStride);
      addSlabs(slabs + slab, groups, slab * 2, 0, s.state, s.dc + row * s.dcStride);
    }
  });
  parallelFor(s.channels, 64, [&](int64_t from, int64_t to) {
    addSlabs(s.workspace + da, s.batch, rowSize, from * s.state, to * s.state, s.da);
    addSlabs(s.workspace + dd, s.batch, rowSize, from, to, s.dd);
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANBACKWARD_H
