//===- kernels/cpu/RoutingChoice.h - softmax and top-k of the router ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a range of tokens. Choosing works on a copy of the logits in blocks
// of one vector and on the maximum of each block: a choice looks at the maxima,
// then into one block, so top-k costs experts + k * (experts / lanes + lanes).
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ROUTINGCHOICE_H
#define MOIRE_KERNELS_CPU_ROUTINGCHOICE_H

#include "kernels/cpu/RoutingTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Tokens of a task of the router.
inline constexpr int64_t routeGrain = 32;

/// Softmax of `count` values; `to` may be `from`.
template <typename S> inline void softmaxRow(int64_t count, const S *from, S *to) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  S largest = from[0];
  if (count >= lanes) {
    Vec<S> most = V::load(from);
    for (int64_t e = lanes; e + lanes <= count; e += lanes)
      most = V::max(most, V::load(from + e));
    most = V::max(most, V::load(from + count - lanes));
    largest = V::maximum(most);
  }
  for (int64_t e = count < lanes ? 1 : count; e < count; ++e)
    largest = from[e] > largest ? from[e] : largest;
  Vec<S> sums = V::zero();
  for (int64_t e = 0; e < count; e += lanes) {
    int64_t used = smaller(lanes, count - e);
    Vec<S> power = expScaled((loadElements<S>(from + e, used) - V::broadcast(largest)) * V::broadcast(expScale<S>));
    storeElements<S>(to + e, power, used);
    sums = sums + loadElements<S>(to + e, used); // read back: the lanes behind `used` are zero
  }
  Vec<S> scale = V::broadcast(S(1) / V::sum(sums));
  for (int64_t e = 0; e < count; e += lanes) {
    int64_t used = smaller(lanes, count - e);
    storeElements<S>(to + e, loadElements<S>(to + e, used) * scale, used);
  }
}

/// The top-k of rows of one length.
template <typename S> class Chooser {
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes;
  int64_t experts, blocks;
  S *row, *most; ///< [blocks][lanes] and [blocks]; what has been chosen is lowest

  static constexpr S lowest = -__builtin_huge_val();

public:
  Chooser(ScratchFrame &frame, int64_t experts)
      : experts(experts), blocks((experts + lanes - 1) / lanes), row(frame.take<S>(size_t(blocks * lanes))),
        most(frame.take<S>(size_t(blocks))) {}

  /// Writes the expert numbers of the `topK` largest logits, largest first, the lower number first among equals.
  void choose(const S *logits, int64_t topK, int32_t *chosen) {
    for (int64_t block = 0; block < blocks; ++block) {
      int64_t used = smaller(lanes, experts - block * lanes);
      Vec<S> values = loadElements<S>(logits + block * lanes, used);
      V::store(row + block * lanes, values);
      for (int64_t lane = used; lane < lanes; ++lane)
        row[block * lanes + lane] = lowest;
      most[block] = V::maximum(V::load(row + block * lanes));
    }
    for (int64_t j = 0; j < topK; ++j) {
      int64_t best = 0;
      for (int64_t block = 1; block < blocks; ++block)
        best = most[block] > most[best] ? block : best;
      S *values = row + best * lanes;
      if (!(most[best] > lowest))
        return takeTheRest(j, topK, chosen);
      int64_t lane = 0;
      while (lane < lanes - 1 && values[lane] != most[best])
        ++lane;
      chosen[j] = int32_t(best * lanes + lane);
      values[lane] = lowest;
      most[best] = V::maximum(V::load(values));
    }
  }

private:
  /// Only experts of minus infinity (or NaN) are left: the first that are not chosen yet.
  void takeTheRest(int64_t from, int64_t topK, int32_t *chosen) const {
    for (int32_t e = 0; from < topK; ++e) {
      bool taken = false;
      for (int64_t j = 0; j < from; ++j)
        taken |= chosen[j] == e;
      if (!taken)
        chosen[from++] = e;
    }
  }
};

template <typename S> void route(const RouteArguments<S> &r) {
  parallelFor(r.tokens, routeGrain, [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    Chooser<S> chooser(frame, r.experts);
    for (int64_t t = begin; t < end; ++t) {
      const S *logits = r.logits + t * r.experts;
      S *probs = r.probs + t * r.experts, *weights = r.weights + t * r.topK;
      int32_t *chosen = r.chosen + t * r.topK;
      softmaxRow(r.experts, logits, probs);
      chooser.choose(logits, r.topK, chosen);
      S sum = 0;
      for (int64_t j = 0; j < r.topK; ++j)
        sum += weights[j] = r.topKFirst ? logits[chosen[j]] : probs[chosen[j]];
      if (r.topKFirst)
        softmaxRow(r.topK, weights, weights);
      else if (r.renormalize)
        for (int64_t j = 0; j < r.topK; ++j)
          weights[j] /= sum;
    }
  });
}

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

template <typename S> void routeBackward(const RouteGradientArguments<S> &r) {
  parallelFor(r.tokens, routeGrain, [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    S *dchosen = frame.take<S>(size_t(r.topK));
    for (int64_t t = begin; t < end; ++t) {
      const S *probs = r.probs + t * r.experts, *weights = r.weights + t * r.topK;
      const S *dweights = r.dweights ? r.dweights + t * r.topK : nullptr;
      const int32_t *chosen = r.chosen + t * r.topK;
      S *dlogits = r.dlogits + t * r.experts;
      if (r.dprobs)
        std::memcpy(dlogits, r.dprobs + t * r.experts, size_t(r.experts) * sizeof(S));
      else
        std::memset(dlogits, 0, size_t(r.experts) * sizeof(S));
      if (dweights && !r.topKFirst) {
        // With renormalisation w_j = p_j / s, s the sum of the chosen: dp_j = (dw_j - <w, dw>) / s.
        S scale = 1, mean = 0;
        if (r.renormalize) {
          S sum = 0;
          for (int64_t j = 0; j < r.topK; ++j) {
            sum += probs[chosen[j]];
            mean += weights[j] * dweights[j];
          }
          scale = 1 / sum;
        }
        for (int64_t j = 0; j < r.topK; ++j)
          dlogits[chosen[j]] += (dweights[j] - mean) * scale;
      }
      softmaxGradientRow(r.experts, probs, dlogits, dlogits);
      if (dweights && r.topKFirst) {
        softmaxGradientRow(r.topK, weights, dweights, dchosen);
        for (int64_t j = 0; j < r.topK; ++j)
          dlogits[chosen[j]] += dchosen[j];
      }
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGCHOICE_H
