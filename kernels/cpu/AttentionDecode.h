//===- kernels/cpu/AttentionDecode.h - attention of a few queries ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// For one new token there is nothing to pack for: each key is read once, so reading
// the cache is the limit. A task is one query row of one head; it takes the keys in
// blocks of `decodeKeys` with the online softmax of AttentionForward.h.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONDECODE_H
#define MOIRE_KERNELS_CPU_ATTENTIONDECODE_H

#include "kernels/cpu/AttentionScores.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

inline constexpr int64_t decodeKeys = 256;
/// Elements of keys and values below which waking a second thread costs more than it saves.
inline constexpr int64_t decodeSerial = 65536;

/// <x, y>, x already in S.
template <typename X, typename S> MOIRE_INLINE S dotRow(int64_t count, const S *x, const X *y) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  Vec<S> sums[2] = {V::zero(), V::zero()};
  int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    sums[0] = V::fma(V::load(x + i), loadElements<S>(y + i), sums[0]);
    sums[1] = V::fma(V::load(x + i + lanes), loadElements<S>(y + i + lanes), sums[1]);
  }
  for (; i < count; i += lanes) {
    int64_t used = smaller(lanes, count - i);
    sums[0] = V::fma(loadElements<S>(x + i, used), loadElements<S>(y + i, used), sums[0]);
  }
  return V::sum(sums[0] + sums[1]);
}

/// One query row against the `count` keys up to and with its own position.
template <typename X, typename S>
void decodeRow(const AttentionForm<S> &s, int64_t head, int64_t count, const X *q, const X *k, int64_t kStride,
               const X *v, int64_t vStride, X *out) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  ScratchFrame frame;
  int64_t dim = s.dim, valueDim = s.valueDim;
  S *query = frame.take<S>(size_t((dim + lanes - 1) / lanes * lanes));
  S *sums = frame.take<S>(size_t((valueDim + lanes - 1) / lanes * lanes)), *weights = frame.take<S>(decodeKeys);
  for (int64_t i = 0; i < dim; i += lanes)
    V::store(query + i, loadElements<S>(q + i, smaller(lanes, dim - i)) * V::broadcast(s.scale * expScale<S>));
  for (int64_t i = 0; i < valueDim; i += lanes)
    V::store(sums + i, V::zero());
  bool ruled = hasRule(s);
  ScoreRule<S> rule = ruled ? ruleOf(s, head) : ScoreRule<S>{0, 0};
  S largest = s.sinks ? s.sinks[head] * expScale<S> : -__builtin_huge_val(), powers = s.sinks ? 1 : 0;
  for (int64_t from = 0; from < count; from += decodeKeys, k += decodeKeys * kStride, v += decodeKeys * vStride) {
    int64_t keys = smaller(decodeKeys, count - from), padded = (keys + lanes - 1) / lanes * lanes;
    S before = largest;
    for (int64_t key = 0; key < keys; ++key) {
      weights[key] = dotRow(dim, query, k + key * kStride);
      if (!ruled)
        largest = weights[key] > largest ? weights[key] : largest;
    }
    if (ruled) {
      for (int64_t key = keys; key < padded; ++key)
        weights[key] = 0;
      applyRule<S>(rule, weights, 0, padded, count - 1 - from, nullptr);
      for (int64_t key = 0; key < keys; ++key)
        largest = weights[key] > largest ? weights[key] : largest;
    }
    for (int64_t key = keys; key < padded; ++key)
      weights[key] = -__builtin_huge_val();
    Vec<S> total = V::zero(), shrink = expScaled(V::broadcast(before - largest));
    for (int64_t key = 0; key < padded; key += lanes) {
      Vec<S> power = expScaled(V::load(weights + key) - V::broadcast(largest));
      V::store(weights + key, power);
      total = total + power;
    }
    S first[lanes];
    V::store(first, shrink);
    powers = powers * first[0] + V::sum(total);
    for (int64_t i = 0; i < valueDim; i += lanes) {
      int64_t used = smaller(lanes, valueDim - i);
      Vec<S> sum = V::load(sums + i) * shrink;
      for (int64_t key = 0; key < keys; ++key)
        sum = V::fma(V::broadcast(weights[key]), loadElements<S>(v + key * vStride + i, used), sum);
      V::store(sums + i, sum);
    }
  }
  for (int64_t i = 0; i < valueDim; i += lanes)
    storeElements<S>(out + i, V::load(sums + i) * V::broadcast(1 / powers), smaller(lanes, valueDim - i));
}

/// One sequence, causal, without lse.
template <typename X, typename S> void attentionDecode(const AttentionArguments<X, S> &s) {
  int64_t keys = smaller(s.position + s.queries, s.before + s.queries);
  int64_t rows = s.queries * s.heads, work = rows * keys * (s.dim + s.valueDim);
  parallelFor(rows, work < decodeSerial ? rows : 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t t = row / s.heads, head = row % s.heads, kv = head / (s.heads / s.kvHeads);
      int64_t from = firstSeen<S>(s, s.position + t, shifted(s.ages, t));
      decodeRow<X, S>(s, head, s.position + t + 1 - from, s.q + t * s.qStride + head * s.dim,
                      s.k + from * s.kStride + kv * s.dim, s.kStride, s.v + from * s.vStride + kv * s.valueDim,
                      s.vStride, s.out + t * s.outStride + head * s.valueDim);
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONDECODE_H
