//===- kernels/cpu/AttentionScores.h - which scores count, and how -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What turns products of queries and keys into the scores of a variant: a soft cap,
// and a penalty that grows with the distance. Scores are in units of expScale throughout. Plain
// attention has no rule and never comes here.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONSCORES_H
#define MOIRE_KERNELS_CPU_ATTENTIONSCORES_H

#include "kernels/cpu/AttentionTable.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

MOIRE_INLINE int64_t larger(int64_t x, int64_t y) { return x < y ? y : x; }

/// `array + index`, null for null.
MOIRE_INLINE const int32_t *shifted(const int32_t *array, int64_t index) { return array ? array + index : nullptr; }
/// A limit, and that of a document if there is one.
MOIRE_INLINE int64_t within(int64_t limit, const int32_t *own) { return own ? smaller(limit, *own) : limit; }

/// The first key that the position sees, and the one after the last of `keys`. `age` and `rest`, where not null, are
/// the tokens of its document before and after it.
template <typename S> MOIRE_INLINE int64_t firstSeen(const AttentionForm<S> &s, int64_t position, const int32_t *age) {
  return larger(position - within(s.before, age), 0);
}
template <typename S>
MOIRE_INLINE int64_t endSeen(const AttentionForm<S> &s, int64_t position, int64_t keys, const int32_t *rest) {
  return smaller(position + within(s.after, rest) + 1, keys);
}

/// rests[i] = the tokens after token first + i, i < count, that belong to its document; `ages` are those of the whole
/// sequence of `time` tokens.
inline void countRests(const int32_t *ages, int64_t first, int64_t count, int64_t time, int32_t *rests) {
  int64_t end = first + count; // the first token of the next document
  while (end < time && ages[end] != 0)
    ++end;
  for (int64_t t = first + count; t-- > first;) {
    rests[t - first] = int32_t(end - 1 - t);
    if (ages[t] == 0)
      end = t;
  }
}

/// tanh within 2 units in the last place: an odd polynomial, fitted for the least relative error, near 0, and
/// 1 - 2 / (exp(2 |x|) + 1) beyond.
MOIRE_INLINE Vec<float> tanhOf(Vec<float> x) {
  using V = Simd<float>;
  constexpr float p[] = {-0x1.75e1c2p-8f, 0x1.522698p-6f, -0x1.b83c5ap-5f, 0x1.110726p-3f, -0x1.555532p-2f};
  Vec<float> z = x * x, near = V::broadcast(p[0]), size = V::max(x, -x), one = V::broadcast(1.0f);
  for (int i = 1; i < 5; ++i)
    near = V::fma(near, z, V::broadcast(p[i]));
  near = V::fma(x * z, near, x);
  Vec<float> far = one - V::broadcast(2.0f) / (expScaled(size * V::broadcast(2 * expScale<float>)) + one);
  return size < V::broadcast(0.625f) ? near : x < V::zero() ? -far : far;
}
MOIRE_INLINE Vec<double> tanhOf(Vec<double> x) { // double serves checks of gradients: exact before fast
  double lane[Simd<double>::lanes];
  Simd<double>::store(lane, x);
  for (double &value : lane)
    value = __builtin_tanh(value);
  return Simd<double>::load(lane);
}

/// How the scores of one head differ from products; in units of expScale.
template <typename S> struct ScoreRule {
  S cap;   ///< the soft cap, 0 for none
  S slope; ///< what a step of distance takes off, 0 for none
};

/// The slope of a head: see KernelList.inc.
MOIRE_INLINE double alibiSlope(int64_t head, int64_t heads) {
  int64_t power = 1;
  while (power * 2 <= heads)
    power *= 2;
  double n = double(power);
  return __builtin_exp2(head < power ? -8.0 * double(head + 1) / n : -4.0 * double(2 * (head - power) + 1) / n);
}

template <typename S> MOIRE_INLINE bool hasRule(const AttentionForm<S> &s) { return s.softcap > 0 || s.alibi; }
template <typename S> MOIRE_INLINE ScoreRule<S> ruleOf(const AttentionForm<S> &s, int64_t head) {
  return {s.softcap * expScale<S>, s.alibi ? S(alibiSlope(head, s.heads)) * expScale<S> : S(0)};
}

/// Turns products [begin, end) of a row, whose query stands `ahead` positions after key 0, into scores; begin and end
/// are multiples of the lanes. `damping`, if not null, gets the derivative of the cap at each.
template <typename S>
inline void applyRule(const ScoreRule<S> &rule, S *row, int64_t begin, int64_t end, int64_t ahead, S *damping) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  S number[lanes];
  for (int64_t i = 0; i < lanes; ++i)
    number[i] = S(i);
  Vec<S> numbers = V::load(number), slope = V::broadcast(rule.slope), cap = V::broadcast(rule.cap);
  Vec<S> inverse = V::broadcast(rule.cap > 0 ? 1 / rule.cap : S(0)), one = V::broadcast(1);
  for (int64_t key = begin; key < end; key += lanes) {
    Vec<S> score = V::load(row + key);
    if (rule.cap > 0) {
      Vec<S> bent = tanhOf(score * inverse);
      if (damping)
        V::store(damping + key, one - bent * bent);
      score = cap * bent;
    }
    if (rule.slope > 0) {
      Vec<S> distance = V::broadcast(S(ahead - key)) - numbers;
      score = score - slope * V::max(distance, -distance);
    }
    V::store(row + key, score);
  }
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONSCORES_H
