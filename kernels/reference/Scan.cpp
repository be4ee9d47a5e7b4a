//===- kernels/reference/Scan.cpp - the selective scan, step by step ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle of the Mamba-1 scan (arXiv 2312.00752, section 3.2, with the
// zero-order hold of A and the Euler step of B). The backward pass replays the
// forward one from zero and keeps every state, so it reads no saved states.
//===----------------------------------------------------------------------===//
#include "kernels/include/Kernels.h"
#include "kernels/include/Reference.h"
#include "kernels/reference/Element.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace moire::reference;

namespace {

template <typename X, typename S>
void scan(int64_t batch, int64_t time, int64_t channels, int64_t state, const X *u, int64_t uStride, const S *dt,
          const S *a, const X *b, int64_t bStride, const X *c, int64_t cStride, const S *d, const int32_t *ages,
          const S *initial, X *y, S *finalState, S *states) {
  int64_t chunks = (time + MOIRE_SCAN_CHUNK - 1) / MOIRE_SCAN_CHUNK;
  std::vector<S> h(state);
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t ch = 0; ch < channels; ++ch) {
      for (int64_t n = 0; n < state; ++n)
        h[n] = initial ? initial[(i * channels + ch) * state + n] : S(0);
      for (int64_t t = 0; t < time; ++t) {
        int64_t row = i * time + t;
        if (states && t % MOIRE_SCAN_CHUNK == 0)
          std::copy(h.begin(), h.end(), states + ((i * chunks + t / MOIRE_SCAN_CHUNK) * channels + ch) * state);
        if (ages && ages[row] == 0)
          std::fill(h.begin(), h.end(), S(0));
        S input = load<S>(u[row * uStride + ch]), step = dt[row * channels + ch];
        S sum = d[ch] * input;
        for (int64_t n = 0; n < state; ++n) {
          h[n] = std::exp(step * a[ch * state + n]) * h[n] + step * load<S>(b[row * bStride + n]) * input;
          sum += load<S>(c[row * cStride + n]) * h[n];
        }
        store(y[row * channels + ch], sum);
      }
      if (finalState)
        std::copy(h.begin(), h.end(), finalState + (i * channels + ch) * state);
    }
}

/// One channel of one batch row backwards. dbRow and dcRow ([time][state]) and da, dd are added to.
template <typename X, typename S> struct ScanChannelGradient {
  int64_t time, channels, state, uStride, bStride, cStride;
  const X *u;
  const S *dt, *a;
  const X *b, *c;
  S d;
  const int32_t *ages; ///< of the batch row, or null
  const X *dy;
  X *du;
  int64_t duStride;
  S *ddt, *da, *dbRow, *dcRow, *dd;

  S decayOf(int64_t t, int64_t n) const { return ages && ages[t] == 0 ? S(0) : std::exp(dt[t * channels] * a[n]); }

  void run() const {
    std::vector<S> h((time + 1) * state), g(state, S(0));
    for (int64_t t = 0; t < time; ++t)
      for (int64_t n = 0; n < state; ++n)
        h[(t + 1) * state + n] =
            decayOf(t, n) * h[t * state + n] + dt[t * channels] * load<S>(b[t * bStride + n]) * load<S>(u[t * uStride]);
    for (int64_t t = time - 1; t >= 0; --t) {
      S input = load<S>(u[t * uStride]), step = dt[t * channels], gradient = load<S>(dy[t * channels]);
      S duSum = d * gradient, ddtSum = 0;
      *dd += gradient * input;
      for (int64_t n = 0; n < state; ++n) {
        S decay = decayOf(t, n), before = h[t * state + n], weight = load<S>(b[t * bStride + n]);
        dcRow[t * state + n] += gradient * h[(t + 1) * state + n];
        g[n] += gradient * load<S>(c[t * cStride + n]); // now the gradient of h after step t
        dbRow[t * state + n] += g[n] * step * input;
        duSum += g[n] * step * weight;
        ddtSum += g[n] * (a[n] * decay * before + weight * input);
        da[n] += g[n] * step * decay * before;
        g[n] *= decay; // carried to step t - 1
      }
      store(du[t * duStride], duSum);
      ddt[t * channels] = ddtSum;
    }
  }
};

template <typename X, typename S>
void scanBackward(int64_t batch, int64_t time, int64_t channels, int64_t state, const X *u, int64_t uStride,
                  const S *dt, const S *a, const X *b, int64_t bStride, const X *c, int64_t cStride, const S *d,
                  const int32_t *ages, const X *dy, X *du, int64_t duStride, S *ddt, S *da, X *db, int64_t dbStride,
                  X *dc, int64_t dcStride, S *dd) {
  std::fill(da, da + channels * state, S(0));
  std::fill(dd, dd + channels, S(0));
  for (int64_t i = 0; i < batch; ++i) {
    std::vector<S> dbRow(time * state), dcRow(time * state);
    for (int64_t ch = 0; ch < channels; ++ch) {
      int64_t dense = i * time * channels + ch;
      ScanChannelGradient<X, S>{time,
                                channels,
                                state,
                                uStride,
                                bStride,
                                cStride,
                                u + i * time * uStride + ch,
                                dt + dense,
                                a + ch * state,
                                b + i * time * bStride,
                                c + i * time * cStride,
                                d[ch],
                                ages ? ages + i * time : nullptr,
                                dy + dense,
                                du + i * time * duStride + ch,
                                duStride,
                                ddt + dense,
                                da + ch * state,
                                dbRow.data(),
                                dcRow.data(),
                                dd + ch}
          .run();
    }
    for (int64_t t = 0; t < time; ++t)
      for (int64_t n = 0; n < state; ++n) {
        store(db[(i * time + t) * dbStride + n], dbRow[t * state + n]);
        store(dc[(i * time + t) * dcStride + n], dcRow[t * state + n]);
      }
  }
}

} // namespace

extern "C" {
#define MOIRE_DEFINE_SCAN(SUFFIX, X, S)                                                                                \
  void moire_reference_scan_##SUFFIX(int64_t batch, int64_t time, int64_t channels, int64_t state, const X *u,         \
                                     int64_t u_stride, const S *dt, const S *a, const X *b, int64_t b_stride,          \
                                     const X *c, int64_t c_stride, const S *d, const int32_t *ages, const S *initial,  \
                                     X *y, S *final_state, S *states) {                                                \
    scan(batch, time, channels, state, u, u_stride, dt, a, b, b_stride, c, c_stride, d, ages, initial, y, final_state, \
         states);                                                                                                      \
  }                                                                                                                    \
  void moire_reference_scan_backward_##SUFFIX(                                                                         \
      int64_t batch, int64_t time, int64_t channels, int64_t state, const X *u, int64_t u_stride, const S *dt,         \
      const S *a, const X *b, int64_t b_stride, const X *c, int64_t c_stride, const S *d, const int32_t *ages,         \
      const S *, const X *dy, X *du, int64_t du_stride, S *ddt, S *da, X *db, int64_t db_stride, X *dc,                \
      int64_t dc_stride, S *dd, S *) {                                                                                 \
    scanBackward(batch, time, channels, state, u, u_stride, dt, a, b, b_stride, c, c_stride, d, ages, dy, du,          \
                 du_stride, ddt, da, db, db_stride, dc, dc_stride, dd);                                                \
  }
MOIRE_DEFINE_SCAN(f32, float, float)
MOIRE_DEFINE_SCAN(f64, double, double)
MOIRE_DEFINE_SCAN(bf16, uint16_t, float)
} // extern "C"
