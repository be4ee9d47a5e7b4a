//===- kernels/cpu/RoutingScores.h - scores of the router --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scores of one token from its logits: a softmax over all experts, or a function
// of each logit by itself. And the keys that experts are chosen by, where these
// are more than the logits.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ROUTINGSCORES_H
#define MOIRE_KERNELS_CPU_ROUTINGSCORES_H

#include "kernels/cpu/RoutingTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Added to sums of scores that may all underflow.
template <typename S> inline constexpr S tiny = S(1e-20);

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

/// log(1 + x) for 0 <= x <= 1: twice the area tangent of z = x / (2 + x), whose series loses a factor of 9 a term.
template <typename S> MOIRE_INLINE Vec<S> log1p(Vec<S> x) {
  using V = Simd<S>;
  constexpr int terms = sizeof(S) == 4 ? 9 : 18;
  Vec<S> z = x / (V::broadcast(2) + x), square = z * z;
  Vec<S> sum = V::broadcast(S(1) / (2 * terms - 1));
  for (int n = terms - 2; n >= 0; --n)
    sum = V::fma(sum, square, V::broadcast(S(1) / (2 * n + 1)));
  return V::broadcast(2) * z * sum;
}

/// exp(-|x|), and 1 / (1 + exp(-x)) made of it without overflow.
template <typename S> MOIRE_INLINE Vec<S> decay(Vec<S> x) {
  using V = Simd<S>;
  return expScaled(V::min(x, -x) * V::broadcast(expScale<S>));
}
template <typename S> MOIRE_INLINE Vec<S> sigmoidOf(Vec<S> x, Vec<S> decay) {
  using V = Simd<S>;
  Vec<S> one = V::broadcast(1);
  Vec<S> upper = one / (one + decay);
  return x < V::zero() ? decay * upper : upper;
}

/// Scores of one expert each: sigmoid (gate 2) or the root of softplus (gate 3); returns their sum.
template <typename S> inline S scoreRow(int32_t gate, int64_t count, const S *logits, S *scores) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  S sum = 0;
  for (int64_t e = 0; e < count; e += lanes) {
    int64_t used = smaller(lanes, count - e);
    Vec<S> x = loadElements<S>(logits + e, used), power = decay<S>(x);
    Vec<S> y = gate == 2 ? sigmoidOf<S>(x, power) : V::max(x, V::zero()) + log1p<S>(power);
    if (gate == 3)
      for (int64_t lane = 0; lane < lanes; ++lane)
        y[lane] = sizeof(S) == 4 ? __builtin_sqrtf(y[lane]) : __builtin_sqrt(y[lane]);
    storeElements<S>(scores + e, y, used);
    for (int64_t lane = 0; lane < used; ++lane)
      sum += scores[e + lane];
  }
  return sum;
}

/// dlogits = dscores times the derivative of each score; in place.
template <typename S>
inline void scoreGradientRow(int32_t gate, int64_t count, const S *logits, const S *scores, S *gradient) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  for (int64_t e = 0; e < count; e += lanes) {
    int64_t used = smaller(lanes, count - e);
    Vec<S> x = loadElements<S>(logits + e, used), score = loadElements<S>(scores + e, used);
    Vec<S> sigmoid = sigmoidOf<S>(x, decay<S>(x)), opposite = sigmoidOf<S>(-x, decay<S>(x));
    Vec<S> slope = gate == 2 ? sigmoid * opposite : sigmoid / V::max(score + score, V::broadcast(tiny<S>));
    Vec<S> g = loadElements<S>(gradient + e, used) * slope;
    storeElements<S>(gradient + e, g, used);
  }
}

/// keys = values + bias; those of all groups but the best become the lowest there is.
template <typename S> inline void makeKeys(const RouteArguments<S> &r, const S *values, S *keys) {
  for (int64_t e = 0; e < r.experts; ++e)
    keys[e] = values[e] + (r.bias ? r.bias[e] : S(0));
  if (r.groups == 1)
    return;
  constexpr S lowest = -__builtin_huge_val();
  ScratchFrame frame;
  int64_t size = r.experts / r.groups;
  S *sums = frame.take<S>(size_t(r.groups));
  for (int64_t g = 0; g < r.groups; ++g) {
    S first = lowest, second = lowest;
    for (const S *key = keys + g * size; key < keys + (g + 1) * size; ++key) {
      second = *key > first ? first : *key > second ? *key : second;
      first = *key > first ? *key : first;
    }
    sums[g] = size > 1 ? first + second : first;
  }
  for (int64_t g = 0; g < r.groups; ++g) {
    int64_t before = 0; // groups that come first
    for (int64_t other = 0; other < r.groups; ++other)
      before += sums[other] > sums[g] || (sums[other] == sums[g] && other < g);
    if (before >= r.best)
      for (int64_t e = g * size; e < (g + 1) * size; ++e)
        keys[e] = lowest;
  }
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGSCORES_H
