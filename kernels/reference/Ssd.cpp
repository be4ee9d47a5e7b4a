//===- kernels/reference/Ssd.cpp - the scan of Mamba-2, step by step ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle of Mamba-2's scan (arXiv 2405.21060, section 3): the recurrence as it
// is written, a token at a time. It takes no chunks: their length only says which
// states to keep. The backward pass replays the forward one from zero and
// keeps every state, so it reads no saved states.
//===----------------------------------------------------------------------===//
#include "kernels/include/Kernels.h"
#include "kernels/include/Reference.h"
#include "kernels/reference/Element.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace moire::reference;

namespace {

/// One head of one batch row: pointers to its first token, rows `*Stride` apart.
template <typename X, typename S> struct Head {
  int64_t time, heads, dim, state;
  const X *x;
  int64_t xStride;
  const S *dt; ///< tokens are `heads` apart
  S a;
  const X *b;
  int64_t bStride;
  const X *c;
  int64_t cStride;
  S d;
  const int32_t *ages; ///< of the batch row, or null

  /// What is left of the state before token t.
  S decay(int64_t t) const { return ages && ages[t] == 0 ? S(0) : std::exp(dt[t * heads] * a); }

  /// after <- the state after token t; `before` and `after` may be the same memory.
  void step(int64_t t, const S *before, S *after) const {
    S kept = decay(t);
    for (int64_t n = 0; n < state; ++n)
      for (int64_t p = 0; p < dim; ++p)
        after[n * dim + p] =
            kept * before[n * dim + p] + dt[t * heads] * load<S>(b[t * bStride + n]) * load<S>(x[t * xStride + p]);
  }
};

/// Head h, of group g, of batch row i of the arrays that the kernels are given.
template <typename X, typename S>
Head<X, S> headOf(int64_t i, int64_t h, int64_t g, int64_t time, int64_t heads, int64_t dim, int64_t state, const X *x,
                  int64_t xStride, const S *dt, const S *a, const X *b, int64_t bStride, const X *c, int64_t cStride,
                  const S *d, const int32_t *ages) {
  int64_t row = i * time;
  return {time,
          heads,
          dim,
          state,
          x + row * xStride + h * dim,
          xStride,
          dt + row * heads + h,
          a[h],
          b + row * bStride + g * state,
          bStride,
          c + row * cStride + g * state,
          cStride,
          d[h],
          ages ? ages + row : nullptr};
}

template <typename X, typename S>
void scan(int64_t batch, int64_t time, int64_t heads, int64_t dim, int64_t groups, int64_t state, int64_t chunk,
          const X *x, int64_t xStride, const S *dt, const S *a, const X *b, int64_t bStride, const X *c,
          int64_t cStride, const S *d, const int32_t *ages, const S *initial, X *y, S *finalState, S *states) {
  int64_t chunks = (time + chunk - 1) / chunk, size = state * dim;
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t row = i * time;
      Head<X, S> head =
          headOf(i, h, h * groups / heads, time, heads, dim, state, x, xStride, dt, a, b, bStride, c, cStride, d, ages);
      std::vector<S> now(size, S(0));
      if (initial)
        std::copy_n(initial + (i * heads + h) * size, size, now.data());
      for (int64_t t = 0; t < time; ++t) {
        if (states && t % chunk == 0)
          std::copy(now.begin(), now.end(), states + ((i * chunks + t / chunk) * heads + h) * size);
        head.step(t, now.data(), now.data());
        for (int64_t p = 0; p < dim; ++p) {
          S sum = head.d * load<S>(head.x[t * xStride + p]);
          for (int64_t n = 0; n < state; ++n)
            sum += load<S>(head.c[t * cStride + n]) * now[n * dim + p];
          store(y[((row + t) * heads + h) * dim + p], sum);
        }
      }
      if (finalState)
        std::copy(now.begin(), now.end(), finalState + (i * heads + h) * size);
    }
}

/// One head of one batch row backwards. dbRow and dcRow ([time][state]) and da, dd are added to.
template <typename X, typename S> struct HeadGradient {
  Head<X, S> head;
  const X *dy; ///< tokens are heads * dim apart
  X *dx;
  int64_t dxStride;
  S *ddt, *da, *dbRow, *dcRow, *dd;

  void run() const {
    int64_t time = head.time, heads = head.heads, dim = head.dim, state = head.state, size = state * dim;
    std::vector<S> kept((time + 1) * size), g(size, S(0));
    for (int64_t t = 0; t < time; ++t)
      head.step(t, &kept[t * size], &kept[(t + 1) * size]);
    for (int64_t t = time - 1; t >= 0; --t) {
      S dt = head.dt[t * heads], decay = head.decay(t), toDecay = 0, toDt = 0;
      std::vector<S> input(dim), dInput(dim);
      for (int64_t p = 0; p < dim; ++p) {
        S gradient = load<S>(dy[t * heads * dim + p]);
        input[p] = load<S>(head.x[t * head.xStride + p]);
        dInput[p] = head.d * gradient;
        *dd += gradient * input[p];
        for (int64_t n = 0; n < state; ++n) {
          dcRow[t * state + n] += gradient * kept[(t + 1) * size + n * dim + p];
          g[n * dim + p] += gradient * load<S>(head.c[t * head.cStride + n]); // now of the state after step t
        }
      }
      for (int64_t n = 0; n < state; ++n) {
        S weight = load<S>(head.b[t * head.bStride + n]);
        for (int64_t p = 0; p < dim; ++p) {
          S &carried = g[n * dim + p];
          dbRow[t * state + n] += carried * dt * input[p];
          dInput[p] += carried * dt * weight;
          toDt += carried * weight * input[p];
          toDecay += carried * kept[t * size + n * dim + p];
          carried *= decay; // to step t - 1
        }
      }
      for (int64_t p = 0; p < dim; ++p)
        store(dx[t * dxStride + p], dInput[p]);
      ddt[t * heads] = toDt + toDecay * decay * head.a;
      *da += toDecay * decay * dt;
    }
  }
};

template <typename X, typename S>
void scanBackward(int64_t batch, int64_t time, int64_t heads, int64_t dim, int64_t groups, int64_t state, const X *x,
                  int64_t xStride, const S *dt, const S *a, const X *b, int64_t bStride, const X *c, int64_t cStride,
                  const S *d, const int32_t *ages, const X *dy, X *dx, int64_t dxStride, S *ddt, S *da, X *db,
                  int64_t dbStride, X *dc, int64_t dcStride, S *dd) {
  std::fill_n(da, heads, S(0));
  std::fill_n(dd, heads, S(0));
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t g = 0; g < groups; ++g) {
      std::vector<S> dbRow(time * state), dcRow(time * state);
      int64_t row = i * time, each = heads / groups;
      for (int64_t h = g * each; h < (g + 1) * each; ++h) {
        Head<X, S> head = headOf(i, h, g, time, heads, dim, state, x, xStride, dt, a, b, bStride, c, cStride, d, ages);
        HeadGradient<X, S>{head,
                           dy + (row * heads + h) * dim,
                           dx + row * dxStride + h * dim,
                           dxStride,
                           ddt + row * heads + h,
                           da + h,
                           dbRow.data(),
                           dcRow.data(),
                           dd + h}
            .run();
      }
      for (int64_t t = 0; t < time; ++t)
        for (int64_t n = 0; n < state; ++n) {
          store(db[(row + t) * dbStride + g * state + n], dbRow[t * state + n]);
          store(dc[(row + t) * dcStride + g * state + n], dcRow[t * state + n]);
        }
    }
}

} // namespace

extern "C" {
#define MOIRE_DEFINE_SSD(SUFFIX, X, S)                                                                                 \
  void moire_reference_ssd_scan_##SUFFIX(                                                                              \
      int64_t batch, int64_t time, int64_t heads, int64_t head_dim, int64_t groups, int64_t state, int64_t chunk,      \
      const X *x, int64_t x_stride, const S *dt, const S *a, const X *b, int64_t b_stride, const X *c,                 \
      int64_t c_stride, const S *d, const int32_t *ages, const S *initial, X *y, S *final_state, S *states) {          \
    scan(batch, time, heads, head_dim, groups, state, chunk, x, x_stride, dt, a, b, b_stride, c, c_stride, d, ages,    \
         initial, y, final_state, states);                                                                             \
  }                                                                                                                    \
  void moire_reference_ssd_scan_backward_##SUFFIX(                                                                     \
      int64_t batch, int64_t time, int64_t heads, int64_t head_dim, int64_t groups, int64_t state, int64_t,            \
      const X *x, int64_t x_stride, const S *dt, const S *a, const X *b, int64_t b_stride, const X *c,                 \
      int64_t c_stride, const S *d, const int32_t *ages, const S *, const X *dy, X *dx, int64_t dx_stride, S *ddt,     \
      S *da, X *db, int64_t db_stride, X *dc, int64_t dc_stride, S *dd, S *) {                                         \
    scanBackward(batch, time, heads, head_dim, groups, state, x, x_stride, dt, a, b, b_stride, c, c_stride, d, ages,   \
                 dy, dx, dx_stride, ddt, da, db, db_stride, dc, dc_stride, dd);                                        \
  }
MOIRE_DEFINE_SSD(f32, float, float)
MOIRE_DEFINE_SSD(f64, double, double)
MOIRE_DEFINE_SSD(bf16, uint16_t, float)
} // extern "C"
