//===- kernels/reference/Attention.cpp - attention, row by row ---------------===//
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
#include <cstdlib>
#include <vector>

using namespace moire::reference;

namespace {

template <typename X, typename S> S dot(int64_t count, const X *x, const X *y) {
  S sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += load<S>(x[i]) * load<S>(y[i]);
  return sum;
}

/// What is the same for all rows: the arguments of the kernels, with their names.
template <typename S> struct Form {
  int64_t heads, kvHeads, dim, valueDim;
  bool causal;
  int64_t window;
  bool alibi;
  S scale, softcap;
  const S *sinks;
  const int32_t *ages; ///< of the queries, or null

  int64_t kvHead(int64_t head) const { return head / (heads / kvHeads); }

  /// `age`, if not null, is that of position t, with those of the neighbours around it.
  bool sees(int64_t t, int64_t u, const int32_t *age) const {
    bool own = !age || (u <= t ? t - u <= *age : u - t <= age[u - t]);
    return own && (u <= t || !causal) && (window == 0 || std::abs(t - u) < window);
  }
  /// That of query number `row`.
  const int32_t *age(int64_t row) const { return ages ? ages + row : nullptr; }

  S slope(int64_t head) const {
    int64_t power = 1;
    while (power * 2 <= heads)
      power *= 2;
    double exponent =
        head < power ? -8.0 * double(head + 1) / double(power) : -4.0 * double(2 * (head - power) + 1) / double(power);
    return alibi ? S(std::exp2(exponent)) : S(0);
  }

  /// The score of a product q.k.
  S score(int64_t head, int64_t t, int64_t u, S product) const {
    S s = scale * product;
    if (softcap > 0)
      s = softcap * std::tanh(s / softcap);
    return s - slope(head) * S(std::abs(t - u));
  }

  /// Its derivative by the product.
  S scoreSlope(S product) const {
    S bent = softcap > 0 ? std::tanh(scale * product / softcap) : S(0);
    return scale * (1 - bent * bent);
  }
};

/// The query at position t of one head against the keys and values of its sequence; returns the log-sum-exp.
template <typename X, typename S>
S attendRow(const Form<S> &form, int64_t head, int64_t t, const int32_t *age, int64_t keys, const X *q, const X *k,
            int64_t kStride, const X *v, int64_t vStride, X *out) {
  std::vector<S> score(keys);
  S largest = form.sinks ? form.sinks[head] : -INFINITY;
  for (int64_t u = 0; u < keys; ++u)
    if (form.sees(t, u, age)) {
      score[u] = form.score(head, t, u, dot<X, S>(form.dim, q, k + u * kStride));
      largest = std::max(largest, score[u]);
    }
  S sum = form.sinks ? std::exp(form.sinks[head] - largest) : S(0);
  std::vector<S> value(form.valueDim);
  for (int64_t u = 0; u < keys; ++u)
    if (form.sees(t, u, age)) {
      S weight = std::exp(score[u] - largest);
      sum += weight;
      for (int64_t i = 0; i < form.valueDim; ++i)
        value[i] += weight * load<S>(v[u * vStride + i]);
    }
  for (int64_t i = 0; i < form.valueDim; ++i)
    store(out[i], value[i] / sum);
  return largest + std::log(sum);
}

template <typename X, typename S>
void attention(int64_t batch, int64_t time, const Form<S> &form, const X *q, int64_t qStride, const X *k,
               int64_t kStride, const X *v, int64_t vStride, X *out, int64_t outStride, S *lse) {
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t h = 0; h < form.heads; ++h) {
      int64_t kv = form.kvHead(h);
      for (int64_t t = 0; t < time; ++t)
        lse[(i * form.heads + h) * time + t] = attendRow<X, S>(
            form, h, t, form.age(i * time + t), time, q + (i * time + t) * qStride + h * form.dim,
            k + i * time * kStride + kv * form.dim, kStride, v + i * time * vStride + kv * form.valueDim, vStride,
            out + (i * time + t) * outStride + h * form.valueDim);
    }
}

template <typename X, typename S>
void attentionBackward(int64_t batch, int64_t time, const Form<S> &form, const X *q, int64_t qStride, const X *k,
                       int64_t kStride, const X *v, int64_t vStride, const X *out, int64_t outStride, const S *lse,
                       const X *dout, int64_t doutStride, X *dq, int64_t dqStride, X *dk, int64_t dkStride, X *dv,
                       int64_t dvStride, S *dsinks) {
  int64_t group = form.heads / form.kvHeads, dim = form.dim, valueDim = form.valueDim;
  std::vector<S> dqRow(dim), dkSum(time * dim), dvSum(time * valueDim);
  if (form.sinks)
    std::fill(dsinks, dsinks + form.heads, S(0));
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t kv = 0; kv < form.kvHeads; ++kv) {
      std::fill(dkSum.begin(), dkSum.end(), S(0));
      std::fill(dvSum.begin(), dvSum.end(), S(0));
      for (int64_t h = kv * group; h < (kv + 1) * group; ++h)
        for (int64_t t = 0; t < time; ++t) {
          int64_t row = i * time + t;
          const X *qRow = q + row * qStride + h * dim, *doutRow = dout + row * doutStride + h * valueDim;
          S delta = dot<X, S>(valueDim, out + row * outStride + h * valueDim, doutRow);
          S rowLse = lse[(i * form.heads + h) * time + t];
          if (form.sinks)
            dsinks[h] -= std::exp(form.sinks[h] - rowLse) * delta;
          std::fill(dqRow.begin(), dqRow.end(), S(0));
          for (int64_t u = 0; u < time; ++u) {
            if (!form.sees(t, u, form.age(row)))
              continue;
            const X *kRow = k + (i * time + u) * kStride + kv * dim,
                    *vRow = v + (i * time + u) * vStride + kv * valueDim;
            S product = dot<X, S>(dim, qRow, kRow);
            S p = std::exp(form.score(h, t, u, product) - rowLse);
            S ds = form.scoreSlope(product) * p * (dot<X, S>(valueDim, doutRow, vRow) - delta);
            for (int64_t j = 0; j < dim; ++j) {
              dqRow[j] += ds * load<S>(kRow[j]);
              dkSum[u * dim + j] += ds * load<S>(qRow[j]);
            }
            for (int64_t j = 0; j < valueDim; ++j)
              dvSum[u * valueDim + j] += p * load<S>(doutRow[j]);
          }
          for (int64_t j = 0; j < dim; ++j)
            store(dq[row * dqStride + h * dim + j], dqRow[j]);
        }
      for (int64_t t = 0; t < time; ++t) {
        for (int64_t j = 0; j < dim; ++j)
          store(dk[(i * time + t) * dkStride + kv * dim + j], dkSum[t * dim + j]);
        for (int64_t j = 0; j < valueDim; ++j)
          store(dv[(i * time + t) * dvStride + kv * valueDim + j], dvSum[t * valueDim + j]);
      }
    }
}

template <typename X, typename S>
void attentionCached(int64_t count, int64_t position, const Form<S> &form, const X *q, int64_t qStride, const X *k,
                     int64_t kStride, const X *v, int64_t vStride, X *kCache, X *vCache, X *out, int64_t outStride) {
  int64_t width = form.kvHeads * form.dim, valueWidth = form.kvHeads * form.valueDim;
  for (int64_t t = 0; t < count; ++t) {
    std::copy(k + t * kStride, k + t * kStride + width, kCache + (position + t) * width);
    std::copy(v + t * vStride, v + t * vStride + valueWidth, vCache + (position + t) * valueWidth);
  }
  for (int64_t t = 0; t < count; ++t)
    for (int64_t h = 0; h < form.heads; ++h) {
      int64_t kv = form.kvHead(h);
      attendRow<X, S>(form, h, position + t, form.age(t), position + t + 1, q + t * qStride + h * form.dim,
                      kCache + kv * form.dim, width, vCache + kv * form.valueDim, valueWidth,
                      out + t * outStride + h * form.valueDim);
    }
}

} // namespace

extern "C" {
#define MOIRE_DEFINE_ATTENTION(SUFFIX, X, S)                                                                           \
  void moire_reference_attention_##SUFFIX(int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim,   \
                                          int64_t value_dim, int32_t causal, int64_t window, int32_t alibi, S scale,   \
                                          S softcap, const S *sinks, const int32_t *ages, const X *q,                  \
                                          int64_t q_stride, const X *k, int64_t k_stride, const X *v,                  \
                                          int64_t v_stride, X *out, int64_t out_stride, S *lse) {                      \
    Form<S> form{heads, kv_heads, dim, value_dim, causal != 0, window, alibi != 0, scale, softcap, sinks, ages};       \
    attention(batch, time, form, q, q_stride, k, k_stride, v, v_stride, out, out_stride, lse);                         \
  }                                                                                                                    \
  void moire_reference_attention_backward_##SUFFIX(                                                                    \
      int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim, int64_t value_dim, int32_t causal,    \
      int64_t window, int32_t alibi, S scale, S softcap, const S *sinks, const int32_t *ages, const X *q,              \
      int64_t q_stride, const X *k, int64_t k_stride, const X *v, int64_t v_stride, const X *out, int64_t out_stride,  \
      const S *lse, const X *dout, int64_t dout_stride, X *dq, int64_t dq_stride, X *dk, int64_t dk_stride, X *dv,     \
      int64_t dv_stride, S *dsinks) {                                                                                  \
    Form<S> form{heads, kv_heads, dim, value_dim, causal != 0, window, alibi != 0, scale, softcap, sinks, ages};       \
    attentionBackward(batch, time, form, q, q_stride, k, k_stride, v, v_stride, out, out_stride, lse, dout,            \
                      dout_stride, dq, dq_stride, dk, dk_stride, dv, dv_stride, dsinks);                               \
  }                                                                                                                    \
  void moire_reference_attention_cached_##SUFFIX(                                                                      \
      int64_t count, int64_t position, int64_t, int64_t heads, int64_t kv_heads, int64_t dim, int64_t value_dim,       \
      int64_t window, int32_t alibi, S scale, S softcap, const S *sinks, const int32_t *ages, const X *q,              \
      int64_t q_stride, const X *k, int64_t k_stride, const X *v, int64_t v_stride, X *k_cache, X *v_cache, X *out,    \
      int64_t out_stride) {                                                                                            \
    Form<S> form{heads, kv_heads, dim, value_dim, true, window, alibi != 0, scale, softcap, sinks, ages};              \
    attentionCached(count, position, form, q, q_stride, k, k_stride, v, v_stride, k_cache, v_cache, out, out_stride);  \
  }
MOIRE_DEFINE_ATTENTION(f32, float, float)
MOIRE_DEFINE_ATTENTION(f64, double, double)
MOIRE_DEFINE_ATTENTION(bf16, uint16_t, float)
} // extern "C"
