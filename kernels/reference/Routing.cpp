//===- kernels/reference/Routing.cpp - routing, loop by loop -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracles of routing: softmax and top-k, the counting sort by expert, and
// the row moves on both sides of the experts. Every loop follows the formula in
// KernelList.inc; speed plays no part.
//===----------------------------------------------------------------------===//
#include "kernels/include/Reference.h"
#include "kernels/reference/Element.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace moire::reference;

namespace {

/// Softmax of `count` logits into `probs`.
template <typename S> void softmax(int64_t count, const S *logits, S *probs) {
  S largest = *std::max_element(logits, logits + count);
  S sum = 0;
  for (int64_t e = 0; e < count; ++e)
    sum += probs[e] = std::exp(logits[e] - largest);
  for (int64_t e = 0; e < count; ++e)
    probs[e] /= sum;
}

template <typename S>
void route(int64_t tokens, int64_t experts, int64_t topK, int32_t order, int32_t renormalize, const S *logits, S *probs,
           S *weights, int32_t *chosen) {
  std::vector<int32_t> byValue(experts);
  for (int64_t t = 0; t < tokens; ++t) {
    const S *row = logits + t * experts;
    S *prob = probs + t * experts;
    softmax(experts, row, prob);
    for (int64_t e = 0; e < experts; ++e)
      byValue[e] = static_cast<int32_t>(e);
    // Softmax keeps the order of the logits, so both orders choose by logit; two different logits may still
    // round to one probability, and then the larger logit wins.
    std::sort(byValue.begin(), byValue.end(),
              [&](int32_t x, int32_t y) { return row[x] > row[y] || (row[x] == row[y] && x < y); });
    std::copy(byValue.begin(), byValue.begin() + topK, chosen + t * topK);
    S *weight = weights + t * topK;
    for (int64_t j = 0; j < topK; ++j)
      weight[j] = order == 0 ? prob[byValue[j]] : row[byValue[j]];
    if (order == 1) {
      softmax(topK, std::vector<S>(weight, weight + topK).data(), weight);
    } else if (renormalize) {
      S sum = 0;
      for (int64_t j = 0; j < topK; ++j)
        sum += weight[j];
      for (int64_t j = 0; j < topK; ++j)
        weight[j] /= sum;
    }
  }
}

/// Adds the gradient of a softmax with result `probs` to `dlogits`: p * (dp - <p, dp>).
template <typename S> void addSoftmaxGradient(int64_t count, const S *probs, const S *dprobs, S *dlogits) {
  S mean = 0;
  for (int64_t e = 0; e < count; ++e)
    mean += probs[e] * dprobs[e];
  for (int64_t e = 0; e < count; ++e)
    dlogits[e] += probs[e] * (dprobs[e] - mean);
}

template <typename S>
void routeBackward(int64_t tokens, int64_t experts, int64_t topK, int32_t order, int32_t renormalize, const S *probs,
                   const S *weights, const int32_t *chosen, const S *dweights, const S *dprobs, S *dlogits) {
  std::vector<S> dprob(experts), dchosen(topK);
  for (int64_t t = 0; t < tokens; ++t) {
    const S *prob = probs + t * experts, *weight = weights + t * topK;
    const int32_t *choice = chosen + t * topK;
    S *dlogit = dlogits + t * experts;
    std::fill(dlogit, dlogit + experts, S(0));
    for (int64_t e = 0; e < experts; ++e)
      dprob[e] = dprobs ? dprobs[t * experts + e] : S(0);
    if (dweights && order == 1) {
      std::fill(dchosen.begin(), dchosen.end(), S(0));
      addSoftmaxGradient(topK, weight, dweights + t * topK, dchosen.data());
      for (int64_t j = 0; j < topK; ++j)
        dlogit[choice[j]] += dchosen[j];
    } else if (dweights) {
      // w_j = p_j / s with s the sum of the chosen: dp_j = (dw_j - <w, dw>) / s.
      S sum = 1, mean = 0;
      if (renormalize) {
        sum = 0;
        for (int64_t j = 0; j < topK; ++j) {
          sum += prob[choice[j]];
          mean += weight[j] * dweights[t * topK + j];
        }
      }
      for (int64_t j = 0; j < topK; ++j)
        dprob[choice[j]] += (dweights[t * topK + j] - mean) / sum;
    }
    addSoftmaxGradient(experts, prob, dprob.data(), dlogit);
  }
}

template <typename X, typename S>
void gatherRows(int64_t count, int64_t width, const int32_t *rows, const X *x, int64_t ldx, X *y, int64_t ldy) {
  for (int64_t r = 0; r < count; ++r)
    for (int64_t i = 0; i < width; ++i)
      y[r * ldy + i] = x[rows[r] * ldx + i];
}

template <typename X, typename S>
void gatherRowsBackward(int64_t tokens, int64_t topK, int64_t width, const int32_t *position, const X *dy, int64_t lddy,
                        X *dx, int64_t lddx) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < width; ++i) {
      S sum = 0;
      for (int64_t j = 0; j < topK; ++j)
        sum += load<S>(dy[position[t * topK + j] * lddy + i]);
      store(dx[t * lddx + i], sum);
    }
}

template <typename X, typename S>
void combine(int64_t tokens, int64_t topK, int64_t width, const int32_t *position, const S *weights, const X *x,
             int64_t ldx, X *y, int64_t ldy) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t i = 0; i < width; ++i) {
      S sum = 0;
      for (int64_t j = 0; j < topK; ++j)
        sum += weights[t * topK + j] * load<S>(x[position[t * topK + j] * ldx + i]);
      store(y[t * ldy + i], sum);
    }
}

template <typename X, typename S>
void combineBackward(int64_t tokens, int64_t topK, int64_t width, const int32_t *position, const S *weights, const X *x,
                     int64_t ldx, const X *dy, int64_t lddy, X *dx, int64_t lddx, S *dweights) {
  for (int64_t a = 0; a < tokens * topK; ++a) {
    const X *dyRow = dy + a / topK * lddy;
    if (dx)
      for (int64_t i = 0; i < width; ++i)
        store(dx[position[a] * lddx + i], weights[a] * load<S>(dyRow[i]));
    if (dweights) {
      S sum = 0;
      for (int64_t i = 0; i < width; ++i)
        sum += load<S>(dyRow[i]) * load<S>(x[position[a] * ldx + i]);
      dweights[a] = sum;
    }
  }
}

} // namespace

extern "C" {

void moire_reference_dispatch(int64_t tokens, int64_t experts, int64_t top_k, const int32_t *chosen, int32_t *offsets,
                              int32_t *rows, int32_t *slots, int32_t *position) {
  int32_t next = 0;
  for (int64_t e = 0; e < experts; ++e) {
    offsets[e] = next;
    for (int64_t a = 0; a < tokens * top_k; ++a)
      if (chosen[a] == e) {
        rows[next] = static_cast<int32_t>(a / top_k);
        slots[next] = static_cast<int32_t>(a);
        position[a] = next++;
      }
  }
  offsets[experts] = next;
}

#define MOIRE_DEFINE_ROUTE(SUFFIX, S)                                                                                  \
  void moire_reference_route_##SUFFIX(int64_t tokens, int64_t experts, int64_t top_k, int32_t order,                   \
                                      int32_t renormalize, const S *logits, S *probs, S *weights, int32_t *chosen) {   \
    route(tokens, experts, top_k, order, renormalize, logits, probs, weights, chosen);                                 \
  }                                                                                                                    \
  void moire_reference_route_backward_##SUFFIX(                                                                        \
      int64_t tokens, int64_t experts, int64_t top_k, int32_t order, int32_t renormalize, const S *probs,              \
      const S *weights, const int32_t *chosen, const S *dweights, const S *dprobs, S *dlogits) {                       \
    routeBackward(tokens, experts, top_k, order, renormalize, probs, weights, chosen, dweights, dprobs, dlogits);      \
  }
MOIRE_DEFINE_ROUTE(f32, float)
MOIRE_DEFINE_ROUTE(f64, double)

#define MOIRE_DEFINE_ROWS(SUFFIX, X, S)                                                                                \
  void moire_reference_gather_rows_##SUFFIX(int64_t count, int64_t width, const int32_t *rows, const X *x,             \
                                            int64_t ldx, X *y, int64_t ldy) {                                          \
    gatherRows<X, S>(count, width, rows, x, ldx, y, ldy);                                                              \
  }                                                                                                                    \
  void moire_reference_gather_rows_backward_##SUFFIX(int64_t tokens, int64_t top_k, int64_t width,                     \
                                                     const int32_t *position, const X *dy, int64_t lddy, X *dx,        \
                                                     int64_t lddx) {                                                   \
    gatherRowsBackward<X, S>(tokens, top_k, width, position, dy, lddy, dx, lddx);                                      \
  }                                                                                                                    \
  void moire_reference_combine_##SUFFIX(int64_t tokens, int64_t top_k, int64_t width, const int32_t *position,         \
                                        const S *weights, const X *x, int64_t ldx, X *y, int64_t ldy) {                \
    combine(tokens, top_k, width, position, weights, x, ldx, y, ldy);                                                  \
  }                                                                                                                    \
  void moire_reference_combine_backward_##SUFFIX(int64_t tokens, int64_t top_k, int64_t width,                         \
                                                 const int32_t *position, const S *weights, const X *x, int64_t ldx,   \
                                                 const X *dy, int64_t lddy, X *dx, int64_t lddx, S *dweights) {        \
    combineBackward(tokens, top_k, width, position, weights, x, ldx, dy, lddy, dx, lddx, dweights);                    \
  }
MOIRE_DEFINE_ROWS(f32, float, float)
MOIRE_DEFINE_ROWS(f64, double, double)
MOIRE_DEFINE_ROWS(bf16, uint16_t, float)

} // extern "C"
