//===- kernels/reference/Groups.cpp - groups of sequences, loop by loop ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracles of mixtures of tokens and of expert choice. Every loop follows the
// formula in KernelList.inc; speed plays no part.
//===----------------------------------------------------------------------===//
#include "kernels/include/Reference.h"
#include "kernels/reference/Element.h"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace moire::reference;

namespace {

/// Calls body(n, tokens) for every group: its number, and the tokens of its members.
template <typename Body> void forGroups(int64_t batch, int64_t time, int64_t group, Body body) {
  std::vector<int64_t> tokens(group);
  for (int64_t n = 0; n < batch / group * time; ++n) {
    for (int64_t i = 0; i < group; ++i)
      tokens[i] = (n / time * group + i) * time + n % time;
    body(n, tokens);
  }
}

template <typename S>
void groupSoftmax(int64_t batch, int64_t time, int64_t experts, int64_t group, const S *logits, S *weights) {
  forGroups(batch, time, group, [&](int64_t, const std::vector<int64_t> &tokens) {
    for (int64_t e = 0; e < experts; ++e) {
      S largest = logits[tokens[0] * experts + e], sum = 0;
      for (int64_t token : tokens)
        largest = std::max(largest, logits[token * experts + e]);
      for (int64_t token : tokens)
        sum += weights[token * experts + e] = std::exp(logits[token * experts + e] - largest);
      for (int64_t token : tokens)
        weights[token * experts + e] /= sum;
    }
  });
}

template <typename S>
void groupSoftmaxBackward(int64_t batch, int64_t time, int64_t experts, int64_t group, const S *weights,
                          const S *dweights, S *dlogits) {
  forGroups(batch, time, group, [&](int64_t, const std::vector<int64_t> &tokens) {
    for (int64_t e = 0; e < experts; ++e) {
      S mean = 0;
      for (int64_t token : tokens)
        mean += weights[token * experts + e] * dweights[token * experts + e];
      for (int64_t token : tokens)
        dlogits[token * experts + e] = weights[token * experts + e] * (dweights[token * experts + e] - mean);
    }
  });
}

template <typename S>
void chooseTokens(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t count, const S *scores,
                  int32_t *offsets, int32_t *rows, int32_t *position) {
  int64_t groups = batch / group * time;
  for (int64_t e = 0; e <= experts; ++e)
    offsets[e] = static_cast<int32_t>(e * groups * count);
  std::fill(position, position + batch * time * experts, -1);
  forGroups(batch, time, group, [&](int64_t n, const std::vector<int64_t> &tokens) {
    for (int64_t e = 0; e < experts; ++e) {
      std::vector<int64_t> members(tokens);
      // Tokens of a group ascend with its members.
      std::sort(members.begin(), members.end(), [&](int64_t x, int64_t y) {
        S a = scores[x * experts + e], b = scores[y * experts + e];
        return a > b || (a == b && x < y);
      });
      members.resize(count);
      std::sort(members.begin(), members.end());
      for (int64_t j = 0; j < count; ++j) {
        int64_t row = (e * groups + n) * count + j;
        rows[row] = static_cast<int32_t>(members[j]);
        position[members[j] * experts + e] = static_cast<int32_t>(row);
      }
    }
  });
}

/// The factor that a product of elements X sees.
template <typename X, typename S> S rounded(S weight) {
  X narrow;
  store(narrow, weight);
  return load<S>(narrow);
}

template <typename X, typename S>
void mix(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width, const S *weights, const X *x,
         int64_t ldx, X *m, int64_t ldm) {
  int64_t groups = batch / group * time;
  forGroups(batch, time, group, [&](int64_t n, const std::vector<int64_t> &tokens) {
    for (int64_t e = 0; e < experts; ++e)
      for (int64_t c = 0; c < width; ++c) {
        S sum = 0;
        for (int64_t token : tokens)
          sum += rounded<X>(weights[token * experts + e]) * load<S>(x[token * ldx + c]);
        store(m[(e * groups + n) * ldm + c], sum);
      }
  });
}

template <typename X, typename S>
void unmix(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width, const S *weights, const X *m,
           int64_t ldm, X *x, int64_t ldx) {
  int64_t groups = batch / group * time;
  forGroups(batch, time, group, [&](int64_t n, const std::vector<int64_t> &tokens) {
    for (int64_t token : tokens)
      for (int64_t c = 0; c < width; ++c) {
        S sum = 0;
        for (int64_t e = 0; e < experts; ++e)
          sum += rounded<X>(weights[token * experts + e]) * load<S>(m[(e * groups + n) * ldm + c]);
        store(x[token * ldx + c], sum);
      }
  });
}

template <typename X, typename S>
void mixWeights(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width, const X *x, int64_t ldx,
                const X *m, int64_t ldm, S *dweights) {
  int64_t groups = batch / group * time;
  forGroups(batch, time, group, [&](int64_t n, const std::vector<int64_t> &tokens) {
    for (int64_t token : tokens)
      for (int64_t e = 0; e < experts; ++e) {
        S sum = 0;
        for (int64_t c = 0; c < width; ++c)
          sum += load<S>(x[token * ldx + c]) * load<S>(m[(e * groups + n) * ldm + c]);
        dweights[token * experts + e] = sum;
      }
  });
}

} // namespace

extern "C" {

#define MOIRE_DEFINE_GROUPS(SUFFIX, S)                                                                                 \
  void moire_reference_group_softmax_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group,             \
                                              const S *logits, S *weights) {                                           \
    groupSoftmax(batch, time, experts, group, logits, weights);                                                        \
  }                                                                                                                    \
  void moire_reference_group_softmax_backward_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group,    \
                                                       const S *weights, const S *dweights, S *dlogits) {              \
    groupSoftmaxBackward(batch, time, experts, group, weights, dweights, dlogits);                                     \
  }                                                                                                                    \
  void moire_reference_choose_tokens_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group,             \
                                              int64_t count, const S *scores, int32_t *offsets, int32_t *rows,         \
                                              int32_t *position) {                                                     \
    chooseTokens(batch, time, experts, group, count, scores, offsets, rows, position);                                 \
  }
MOIRE_DEFINE_GROUPS(f32, float)
MOIRE_DEFINE_GROUPS(f64, double)

#define MOIRE_DEFINE_MIX(SUFFIX, X, S)                                                                                 \
  void moire_reference_mix_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width,        \
                                    const S *weights, const X *x, int64_t ldx, X *m, int64_t ldm) {                    \
    mix(batch, time, experts, group, width, weights, x, ldx, m, ldm);                                                  \
  }                                                                                                                    \
  void moire_reference_unmix_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width,      \
                                      const S *weights, const X *m, int64_t ldm, X *x, int64_t ldx) {                  \
    unmix(batch, time, experts, group, width, weights, m, ldm, x, ldx);                                                \
  }                                                                                                                    \
  void moire_reference_mix_weights_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group,               \
                                            int64_t width, const X *x, int64_t ldx, const X *m, int64_t ldm,           \
                                            S *dweights) {                                                             \
    mixWeights(batch, time, experts, group, width, x, ldx, m, ldm, dweights);                                          \
  }
MOIRE_DEFINE_MIX(f32, float, float)
MOIRE_DEFINE_MIX(f64, double, double)
MOIRE_DEFINE_MIX(bf16, uint16_t, float)

} // extern "C"
