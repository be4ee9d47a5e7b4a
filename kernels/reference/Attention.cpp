//===- kernels/reference/Attention.cpp - causal attention, row by row --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracles of attention: each query row computes all its scores, their
// softmax and the weighted sum. The backward pass recomputes the probabilities
// from the saved log-sum-exp, as the fast kernels do.
//===----------------------------------------------------------------------===//
#include "kernels/include/Reference.h"
#include "kernels/reference/Element.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace moire::reference;

namespace {

template <typename X, typename S> S dot(int64_t count, const X *x, const X *y) {
  S sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += load<S>(x[i]) * load<S>(y[i]);
  return sum;
}

/// One query row against `keys` rows of k and v; returns the log-sum-exp of its scaled scores.
template <typename X, typename S>
S attendRow(int64_t keys, int64_t dim, S scale, const X *q, const X *k, int64_t kStride, const X *v, int64_t vStride,
            X *out) {
  std::vector<S> weight(keys);
  for (int64_t u = 0; u < keys; ++u)
    weight[u] = scale * dot<X, S>(dim, q, k + u * kStride);
  S largest = *std::max_element(weight.begin(), weight.end()), sum = 0;
  for (S &w : weight)
    sum += w = std::exp(w - largest);
  for (int64_t i = 0; i < dim; ++i) {
    S value = 0;
    for (int64_t u = 0; u < keys; ++u)
      value += weight[u] * load<S>(v[u * vStride + i]);
    store(out[i], value / sum);
  }
  return largest + std::log(sum);
}

template <typename X, typename S>
void attention(int64_t batch, int64_t time, int64_t heads, int64_t kvHeads, int64_t dim, S scale, const X *q,
               int64_t qStride, const X *k, int64_t kStride, const X *v, int64_t vStride, X *out, int64_t outStride,
               S *lse) {
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t kv = h / (heads / kvHeads) * dim;
      for (int64_t t = 0; t < time; ++t)
        lse[(i * heads + h) * time + t] =
            attendRow<X, S>(t + 1, dim, scale, q + (i * time + t) * qStride + h * dim, k + i * time * kStride + kv,
                            kStride, v + i * time * vStride + kv, vStride, out + (i * time + t) * outStride + h * dim);
    }
}

template <typename X, typename S>
void attentionBackward(int64_t batch, int64_t time, int64_t heads, int64_t kvHeads, int64_t dim, S scale, const X *q,
                       int64_t qStride, const X *k, int64_t kStride, const X *v, int64_t vStride, const X *out,
                       int64_t outStride, const S *lse, const X *dout, int64_t doutStride, X *dq, int64_t dqStride,
                       X *dk, int64_t dkStride, X *dv, int64_t dvStride) {
  int64_t group = heads / kvHeads;
  std::vector<S> dqRow(dim), dkSum(time * dim), dvSum(time * dim);
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t kv = 0; kv < kvHeads; ++kv) {
      std::fill(dkSum.begin(), dkSum.end(), S(0));
      std::fill(dvSum.begin(), dvSum.end(), S(0));
      for (int64_t h = kv * group; h < (kv + 1) * group; ++h)
        for (int64_t t = 0; t < time; ++t) {
          int64_t row = i * time + t;
          const X *qRow = q + row * qStride + h * dim, *doutRow = dout + row * doutStride + h * dim;
          S delta = dot<X, S>(dim, out + row * outStride + h * dim, doutRow);
          std::fill(dqRow.begin(), dqRow.end(), S(0));
          for (int64_t s = 0; s <= t; ++s) {
            const X *kRow = k + (i * time + s) * kStride + kv * dim, *vRow = v + (i * time + s) * vStride + kv * dim;
            S p = std::exp(scale * dot<X, S>(dim, qRow, kRow) - lse[(i * heads + h) * time + t]);
            S ds = scale * p * (dot<X, S>(dim, doutRow, vRow) - delta);
            for (int64_t j = 0; j < dim; ++j) {
              dqRow[j] += ds * load<S>(kRow[j]);
              dkSum[s * dim + j] += ds * load<S>(qRow[j]);
              dvSum[s * dim + j] += p * load<S>(doutRow[j]);
            }
          }
          for (int64_t j = 0; j < dim; ++j)
            store(dq[row * dqStride + h * dim + j], dqRow[j]);
        }
      for (int64_t t = 0; t < time; ++t)
        for (int64_t j = 0; j < dim; ++j) {
          store(dk[(i * time + t) * dkStride + kv * dim + j], dkSum[t * dim + j]);
          store(dv[(i * time + t) * dvStride + kv * dim + j], dvSum[t * dim + j]);
        }
    }
}

template <typename X, typename S>
void attentionCached(int64_t count, int64_t position, int64_t heads, int64_t kvHeads, int64_t dim, S scale, const X *q,
                     int64_t qStride, const X *k, int64_t kStride, const X *v, int64_t vStride, X *kCache, X *vCache,
                     X *out, int64_t outStride) {
  int64_t width = kvHeads * dim;
  for (int64_t t = 0; t < count; ++t) {
    std::copy(k + t * kStride, k + t * kStride + width, kCache + (position + t) * width);
    std::copy(v + t * vStride, v + t * vStride + width, vCache + (position + t) * width);
  }
  for (int64_t t = 0; t < count; ++t)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t kv = h / (heads / kvHeads) * dim;
      attendRow<X, S>(position + t + 1, dim, scale, q + t * qStride + h * dim, kCache + kv, width, vCache + kv, width,
                      out + t * outStride + h * dim);
    }
}

} // namespace

extern "C" {
#define MOIRE_DEFINE_ATTENTION(SUFFIX, X, S)                                                                           \
  void moire_reference_attention_##SUFFIX(int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim,   \
                                          S scale, const X *q, int64_t q_stride, const X *k, int64_t k_stride,         \
                                          const X *v, int64_t v_stride, X *out, int64_t out_stride, S *lse) {          \
    attention(batch, time, heads, kv_heads, dim, scale, q, q_stride, k, k_stride, v, v_stride, out, out_stride, lse);  \
  }                                                                                                                    \
  void moire_reference_attention_backward_##SUFFIX(                                                                    \
      int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim, S scale, const X *q,                  \
      int64_t q_stride, const X *k, int64_t k_stride, const X *v, int64_t v_stride, const X *out, int64_t out_stride,  \
      const S *lse, const X *dout, int64_t dout_stride, X *dq, int64_t dq_stride, X *dk, int64_t dk_stride, X *dv,     \
      int64_t dv_stride) {                                                                                             \
    attentionBackward(batch, time, heads, kv_heads, dim, scale, q, q_stride, k, k_stride, v, v_stride, out,            \
                      out_stride, lse, dout, dout_stride, dq, dq_stride, dk, dk_stride, dv, dv_stride);                \
  }                                                                                                                    \
  void moire_reference_attention_cached_##SUFFIX(int64_t count, int64_t position, int64_t, int64_t heads,              \
                                                 int64_t kv_heads, int64_t dim, S scale, const X *q, int64_t q_stride, \
                                                 const X *k, int64_t k_stride, const X *v, int64_t v_stride,           \
                                                 X *k_cache, X *v_cache, X *out, int64_t out_stride) {                 \
    attentionCached(count, position, heads, kv_heads, dim, scale, q, q_stride, k, k_stride, v, v_stride, k_cache,      \
                    v_cache, out, out_stride);                                                                         \
  }
MOIRE_DEFINE_ATTENTION(f32, float, float)
MOIRE_DEFINE_ATTENTION(f64, double, double)
MOIRE_DEFINE_ATTENTION(bf16, uint16_t, float)
} // extern "C"
