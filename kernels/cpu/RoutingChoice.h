//===- kernels/cpu/RoutingChoice.h - top-k of the router ---------===//
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

#include "kernels/cpu/RoutingScores.h"
#include "kernels/cpu/RoutingTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Tokens of a task of the router.
inline constexpr int64_t routeGrain = 32;

/// The first lane of `value` that equals `wanted`; the last one if none does (NaN).
template <typename S> MOIRE_INLINE int64_t firstLane(Vec<S> value, S wanted) {
  constexpr int64_t lanes = Simd<S>::lanes;
#if defined(__AVX512F__)
  uint32_t mask;
  if constexpr (sizeof(S) == 4)
    mask = _mm512_cmp_ps_mask(value, _mm512_set1_ps(wanted), _CMP_EQ_OQ);
  else
    mask = _mm512_cmp_pd_mask(value, _mm512_set1_pd(wanted), _CMP_EQ_OQ);
  return __builtin_ctz(mask | 1u << (lanes - 1));
#else
  S lane[lanes];
  Simd<S>::store(lane, value);
  int64_t i = 0;
  while (i < lanes - 1 && lane[i] != wanted)
    ++i;
  return i;
#endif
}

/// `value` with one lane replaced. In memory that would be a short store under a long load, which waits.
template <typename S> MOIRE_INLINE Vec<S> withLane(Vec<S> value, int64_t lane, S replacement) {
#if defined(__AVX512F__)
  if constexpr (sizeof(S) == 4)
    return _mm512_mask_mov_ps(value, __mmask16(1u << lane), _mm512_set1_ps(replacement));
  else
    return _mm512_mask_mov_pd(value, __mmask8(1u << lane), _mm512_set1_pd(replacement));
#else
  value[lane] = replacement;
  return value;
#endif
}

/// Whether a lane equals `wanted`.
template <typename S> MOIRE_INLINE bool hasLane(Vec<S> value, S wanted) {
  S lane[Simd<S>::lanes];
  Simd<S>::store(lane, value);
  return lane[firstLane(value, wanted)] == wanted;
}

/// The top-k of rows of one length.
template <typename S> class Chooser {
  using V = Simd<S>;
  static constexpr int64_t lanes = V::lanes;
  int64_t experts, blocks;
  int64_t groups; ///< vectors that hold the maxima of the blocks
  S *row, *most;  ///< [blocks][lanes] and [groups][lanes], padded with the lowest; what has been chosen is lowest too

  static constexpr S lowest = -__builtin_huge_val();

public:
  Chooser(ScratchFrame &frame, int64_t experts)
      : experts(experts), blocks((experts + lanes - 1) / lanes), groups((blocks + lanes - 1) / lanes),
        row(frame.take<S>(size_t(blocks * lanes))), most(frame.take<S>(size_t(groups * lanes))) {}

  /// Writes the expert numbers of the `topK` largest logits, largest first, the lower number first among equals.
  void choose(const S *logits, int64_t topK, int32_t *chosen) {
    for (int64_t group = 0; group < groups; ++group) {
      Vec<S> maxima = V::broadcast(lowest);
      for (int64_t block = group * lanes; block < smaller(blocks, (group + 1) * lanes); ++block) {
        int64_t used = smaller(lanes, experts - block * lanes);
        Vec<S> values = loadElements<S>(logits + block * lanes, used);
        for (int64_t lane = used; lane < lanes; ++lane)
          values = withLane<S>(values, lane, lowest);
        V::store(row + block * lanes, values);
        maxima = withLane<S>(maxima, block - group * lanes, V::maximum(values));
      }
      V::store(most + group * lanes, maxima);
    }
    for (int64_t j = 0; j < topK; ++j) {
      Vec<S> above = V::load(most);
      for (int64_t group = 1; group < groups; ++group)
        above = V::max(V::load(most + group * lanes), above);
      S largest = V::maximum(above);
      if (!(largest > lowest))
        return takeTheRest(j, topK, chosen);
      S *maxima = most;
      while (maxima < most + (groups - 1) * lanes && !hasLane<S>(V::load(maxima), largest))
        maxima += lanes;
      int64_t place = firstLane<S>(V::load(maxima), largest), block = maxima - most + place;
      S *values = row + block * lanes;
      int64_t lane = firstLane<S>(V::load(values), largest);
      chosen[j] = int32_t(block * lanes + lane);
      Vec<S> rest = withLane<S>(V::load(values), lane, lowest);
      V::store(values, rest);
      V::store(maxima, withLane<S>(V::load(maxima), place, V::maximum(rest)));
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
  bool alone = r.gate >= 2; // scores of one expert each
  bool byLogit = r.gate == 1 || (!r.bias && r.groups == 1);
  parallelFor(r.tokens, routeGrain, [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    Chooser<S> chooser(frame, r.experts);
    S *own = frame.take<S>(size_t(r.experts)), *keys = frame.take<S>(size_t(r.experts));
    for (int64_t t = begin; t < end; ++t) {
      const S *logits = r.logits + t * r.experts;
      S *probs = r.probs + t * r.experts, *weights = r.weights + t * r.topK;
      int32_t *chosen = r.chosen + t * r.topK;
      const S *scores = probs;
      if (alone) {
        S total = scoreRow<S>(r.gate, r.experts, logits, own) + tiny<S>;
        for (int64_t e = 0; e < r.experts; ++e)
          probs[e] = own[e] / total;
        scores = own;
      } else {
        softmaxRow(r.experts, logits, probs);
      }
      if (r.assigned) {
        std::memcpy(chosen, r.assigned + t * r.topK, size_t(r.topK) * sizeof(int32_t));
      } else if (r.bias || r.groups > 1) {
        makeKeys(r, byLogit ? logits : scores, keys);
        chooser.choose(keys, r.topK, chosen);
      } else {
        chooser.choose(logits, r.topK, chosen);
      }
      S sum = 0;
      for (int64_t j = 0; j < r.topK; ++j)
        sum += weights[j] = r.gate == 1 ? logits[chosen[j]] : scores[chosen[j]];
      if (r.gate == 1)
        softmaxRow(r.topK, weights, weights);
      S divisor = r.renormalize ? (alone ? sum + tiny<S> : sum) : S(1);
      if (r.renormalize || r.scale != 1)
        for (int64_t j = 0; j < r.topK; ++j)
          weights[j] = weights[j] / divisor * r.scale;
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGCHOICE_H
