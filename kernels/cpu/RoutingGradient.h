//===- kernels/cpu/RoutingGradient.h - the gradient of the router's logits ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The choice is constant. Scores that stand alone are computed again from the
// logits: the forward pass keeps only what they are over their sum.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ROUTINGGRADIENT_H
#define MOIRE_KERNELS_CPU_ROUTINGGRADIENT_H

#include "kernels/cpu/RoutingChoice.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// to = p * (dp - <p, dp>): the gradient of the logits of a softmax; `to` may be dp.
template <typename S> inline void softmaxGradientRow(int64_t count, const S *p, const S *dp, S *to) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  Vec<S> sums = V::zero();
  for (int64_t e = 0; e < count; e += lanes) {
    int64_t used = smaller(lanes, count - e);
    sums = V::fma(loadElements<S>(p + e, used), loadElements<S>(dp + e, used), sums);
  }
  Vec<S> mean = V::broadcast(V::sum(sums));
  for (int64_t e = 0; e < count; e += lanes) {
    int64_t used = smaller(lanes, count - e);
    storeElements<S>(to + e, loadElements<S>(p + e, used) * (loadElements<S>(dp + e, used) - mean), used);
  }
}

/// The gradients of the scores of the chosen, added to `dscores`: w_j = s_j * scale, over the sum of the chosen s with
/// renormalisation. Then ds_j = (dw_j - <w, dw> / scale) * scale / sum.
template <typename S>
inline void addChosenGradient(const RouteGradientArguments<S> &r, const S *scores, const S *weights, const S *dweights,
                              const int32_t *chosen, S *dscores) {
  S factor = r.scale, mean = 0;
  if (r.renormalize) {
    S sum = r.gate >= 2 ? tiny<S> : S(0);
    for (int64_t j = 0; j < r.topK; ++j) {
      sum += scores[chosen[j]];
      mean += weights[j] / r.scale * dweights[j];
    }
    factor = r.scale / sum;
  }
  for (int64_t j = 0; j < r.topK; ++j)
    dscores[chosen[j]] += (dweights[j] - mean) * factor;
}

/// The gradients of the softmax of the chosen logits, times scale, added to `dlogits`.
template <typename S>
inline void addLateGradient(const RouteGradientArguments<S> &r, const S *weights, const S *dweights,
                            const int32_t *chosen, S *scratch, S *dlogits) {
  S *probs = scratch, *dprobs = scratch + r.topK;
  for (int64_t j = 0; j < r.topK; ++j) {
    probs[j] = weights[j] / r.scale;
    dprobs[j] = dweights[j] * r.scale;
  }
  softmaxGradientRow(r.topK, probs, dprobs, dprobs);
  for (int64_t j = 0; j < r.topK; ++j)
    dlogits[chosen[j]] += dprobs[j];
}

/// dscores of p = s / sum(s), from dprobs; in place.
template <typename S> inline void shareGradientRow(int64_t count, const S *probs, S total, S *gradient) {
  S mean = 0;
  for (int64_t e = 0; e < count; ++e)
    mean += probs[e] * gradient[e];
  for (int64_t e = 0; e < count; ++e)
    gradient[e] = (gradient[e] - mean) / total;
}

template <typename S> void routeBackward(const RouteGradientArguments<S> &r) {
  parallelFor(r.tokens, routeGrain, [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    S *late = frame.take<S>(size_t(2 * r.topK)), *own = frame.take<S>(size_t(r.experts));
    for (int64_t t = begin; t < end; ++t) {
      const S *probs = r.probs + t * r.experts, *weights = r.weights + t * r.topK;
      const S *dweights = r.dweights ? r.dweights + t * r.topK : nullptr;
      const int32_t *chosen = r.chosen + t * r.topK;
      S *dlogits = r.dlogits + t * r.experts;
      if (r.dprobs)
        std::memcpy(dlogits, r.dprobs + t * r.experts, size_t(r.experts) * sizeof(S));
      else
        std::memset(dlogits, 0, size_t(r.experts) * sizeof(S));
      if (r.gate >= 2) {
        S total = scoreRow<S>(r.gate, r.experts, r.logits + t * r.experts, own) + tiny<S>;
        if (r.dprobs)
          shareGradientRow(r.experts, probs, total, dlogits);
        if (dweights)
          addChosenGradient(r, own, weights, dweights, chosen, dlogits);
        scoreGradientRow(r.gate, r.experts, r.logits + t * r.experts, own, dlogits);
        continue;
      }
      if (dweights && r.gate == 0)
        addChosenGradient(r, probs, weights, dweights, chosen, dlogits);
      softmaxGradientRow(r.experts, probs, dlogits, dlogits);
      if (dweights && r.gate == 1)
        addLateGradient(r, weights, dweights, chosen, late, dlogits);
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGGRADIENT_H
