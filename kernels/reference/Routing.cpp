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
#include <limits>
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

/// Scores of one token, over all experts.
template <typename S> void scoreAll(int32_t gate, int64_t experts, const S *logits, S *scores) {
  if (gate < 2)
    return softmax(experts, logits, scores);
  for (int64_t e = 0; e < experts; ++e) {
    S softplus = std::max(logits[e], S(0)) + std::log1p(std::exp(-std::abs(logits[e])));
    scores[e] = gate == 2 ? 1 / (1 + std::exp(-logits[e])) : std::sqrt(softplus);
  }
}

/// The indices of the `count` largest of `keys`, largest first, the lower one first among equals.
template <typename S> std::vector<int32_t> largest(const std::vector<S> &keys, int64_t count) {
  std::vector<int32_t> byKey(keys.size());
  for (size_t e = 0; e < keys.size(); ++e)
    byKey[e] = static_cast<int32_t>(e);
  std::sort(byKey.begin(), byKey.end(),
            [&](int32_t x, int32_t y) { return keys[x] > keys[y] || (keys[x] == keys[y] && x < y); });
  byKey.resize(count);
  return byKey;
}

/// Makes the keys of all groups but the best unreachable.
template <typename S> void keepBestGroups(std::vector<S> &keys, int64_t groups, int64_t best) {
  int64_t size = static_cast<int64_t>(keys.size()) / groups;
  std::vector<S> sums;
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<S> group(keys.begin() + g * size, keys.begin() + (g + 1) * size);
    std::sort(group.rbegin(), group.rend());
    sums.push_back(size > 1 ? group[0] + group[1] : group[0]);
  }
  std::vector<int32_t> kept = largest(sums, best);
  for (int64_t e = 0; e < static_cast<int64_t>(keys.size()); ++e)
    if (std::find(kept.begin(), kept.end(), e / size) == kept.end())
      keys[e] = -std::numeric_limits<S>::infinity();
}

/// A sum that scores are divided by; scores that stand alone may all underflow.
template <typename S> S divisor(int32_t gate, S sum) { return gate < 2 ? sum : sum + S(1e-20); }

template <typename S>
void route(int64_t tokens, int64_t experts, int64_t topK, int32_t gate, int32_t renormalize, S scale, int64_t groups,
           int64_t best, const S *logits, const S *bias, const int32_t *assigned, S *probs, S *weights,
           int32_t *chosen) {
  std::vector<S> scores(experts), keys(experts);
  for (int64_t t = 0; t < tokens; ++t) {
    const S *row = logits + t * experts;
    scoreAll(gate, experts, row, scores.data());
    S total = 0;
    for (int64_t e = 0; e < experts; ++e)
      total += scores[e];
    for (int64_t e = 0; e < experts; ++e)
      probs[t * experts + e] = gate < 2 ? scores[e] : scores[e] / divisor(gate, total);

    // Scores keep the order of the logits, and two different logits may round to one score: without a bias and
    // groups the larger logit wins.
    bool byLogit = gate == 1 || (!bias && groups == 1);
    for (int64_t e = 0; e < experts; ++e)
      keys[e] = (byLogit ? row[e] : scores[e]) + (bias ? bias[e] : S(0));
    if (groups > 1)
      keepBestGroups(keys, groups, best);
    std::vector<int32_t> choice = largest(keys, topK);
    if (assigned)
      choice.assign(assigned + t * topK, assigned + (t + 1) * topK);
    std::copy(choice.begin(), choice.end(), chosen + t * topK);

    S *weight = weights + t * topK;
    S sum = 0;
    for (int64_t j = 0; j < topK; ++j)
      sum += weight[j] = gate == 1 ? row[choice[j]] : scores[choice[j]];
    if (gate == 1)
      softmax(topK, std::vector<S>(weight, weight + topK).data(), weight);
    for (int64_t j = 0; j < topK; ++j)
      weight[j] = (renormalize ? weight[j] / divisor(gate, sum) : weight[j]) * scale;
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

/// The derivative of a score that depends on its own logit alone.
template <typename S> S scoreSlope(int32_t gate, S logit, S score) {
  S sigmoid = 1 / (1 + std::exp(-logit));
  return gate == 2 ? sigmoid * (1 - sigmoid) : sigmoid / std::max(2 * score, S(1e-20));
}

template <typename S>
void routeBackward(int64_t tokens, int64_t experts, int64_t topK, int32_t gate, int32_t renormalize, S scale,
                   const S *logits, const S *probs, const S *weights, const int32_t *chosen, const S *dweights,
                   const S *dprobs, S *dlogits) {
  std::vector<S> scores(experts), dscore(experts), weight(topK), dweight(topK), dchosen(topK);
  for (int64_t t = 0; t < tokens; ++t) {
    const S *prob = probs + t * experts;
    const int32_t *choice = chosen + t * topK;
    S *dlogit = dlogits + t * experts;
    std::fill(dlogit, dlogit + experts, S(0));
    std::copy(prob, prob + experts, scores.begin());
    if (gate >= 2)
      scoreAll(gate, experts, logits + t * experts, scores.data());

    // From probs to scores: p = s / sum(s).
    S total = 0, mean = 0;
    for (int64_t e = 0; e < experts; ++e) {
      total += scores[e];
      dscore[e] = dprobs ? dprobs[t * experts + e] : S(0);
      mean += prob[e] * dscore[e];
    }
    for (int64_t e = 0; e < experts && gate >= 2; ++e)
      dscore[e] = (dscore[e] - mean) / divisor(gate, total);

    // From weights to the scores, or with gate 1 the logits, of the chosen.
    for (int64_t j = 0; j < topK; ++j) {
      weight[j] = weights[t * topK + j] / scale;
      dweight[j] = dweights ? dweights[t * topK + j] * scale : S(0);
    }
    if (gate == 1) {
      std::fill(dchosen.begin(), dchosen.end(), S(0));
      addSoftmaxGradient(topK, weight.data(), dweight.data(), dchosen.data());
      for (int64_t j = 0; j < topK; ++j)
        dlogit[choice[j]] += dchosen[j];
    } else {
      // w_j = s_j / sum with the sum of the chosen: ds_j = (dw_j - <w, dw>) / sum.
      S sum = 1, inner = 0;
      if (renormalize) {
        sum = 0;
        for (int64_t j = 0; j < topK; ++j) {
          sum += scores[choice[j]];
          inner += weight[j] * dweight[j];
        }
        sum = divisor(gate, sum);
      }
      for (int64_t j = 0; j < topK; ++j)
        dscore[choice[j]] += (dweight[j] - inner) / sum;
    }
    if (gate < 2)
      addSoftmaxGradient(experts, prob, dscore.data(), dlogit);
    for (int64_t e = 0; e < experts && gate >= 2; ++e)
      dlogit[e] = dscore[e] * scoreSlope(gate, logits[t * experts + e], scores[e]);
  }
}

template <typename S>
void dispatchLimited(int64_t tokens, int64_t experts, int64_t topK, int64_t limit, S threshold, const int32_t *chosen,
                     const S *gates, int32_t *offsets, int32_t *rows, int32_t *slots, int32_t *position) {
  int64_t assignments = tokens * topK;
  auto isOf = [&](int64_t a, int64_t e) { return chosen[a] == e && (threshold < 0 || gates[a] > threshold); };
  for (int64_t a = 0; a < assignments; ++a)
    rows[a] = slots[a] = 0, position[a] = -1;
  int32_t next = 0;
  for (int64_t e = 0; e < experts; ++e) {
    offsets[e] = next;
    for (int64_t a = 0; a < assignments; ++a) {
      if (!isOf(a, e))
        continue;
      int64_t before = 0; // assignments of this expert that come first
      for (int64_t other = 0; other < assignments && limit >= 0; ++other)
        before += isOf(other, e) && (gates[other] > gates[a] || (gates[other] == gates[a] && other < a));
      if (limit >= 0 && before >= limit)
        continue;
      rows[next] = static_cast<int32_t>(a / topK);
      slots[next] = static_cast<int32_t>(a);
      position[a] = next++;
    }
  }
  offsets[experts] = next;
}

template <typename S>
void choiceLoad(int64_t sequences, int64_t count, int64_t experts, const int32_t *chosen, S *load) {
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t e = 0; e < experts; ++e)
      load[s * experts + e] =
          S(std::count(chosen + s * count, chosen + (s + 1) * count, static_cast<int32_t>(e))) / S(count);
}

template <typename S>
void sequenceBalance(int64_t sequences, int64_t time, int64_t experts, S factor, const S *probs, const S *load,
                     S *loss) {
  double sum = 0;
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t t = 0; t < time; ++t)
      for (int64_t e = 0; e < experts; ++e)
        sum += double(probs[(s * time + t) * experts + e]) * double(load[s * experts + e]);
  *loss = S(double(factor) * sum / double(sequences * time));
}

template <typename S>
void sequenceBalanceBackward(int64_t sequences, int64_t time, int64_t experts, S factor, const S *dloss, const S *load,
                             S *dprobs) {
  for (int64_t s = 0; s < sequences; ++s)
    for (int64_t t = 0; t < time; ++t)
      for (int64_t e = 0; e < experts; ++e)
        dprobs[(s * time + t) * experts + e] = *dloss * factor * load[s * experts + e] / S(sequences * time);
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
        if (position[t * topK + j] >= 0)
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
        if (position[t * topK + j] >= 0)
          sum += weights[t * topK + j] * load<S>(x[position[t * topK + j] * ldx + i]);
      store(y[t * ldy + i], sum);
    }
}

template <typename X, typename S>
void combineBackward(int64_t tokens, int64_t topK, int64_t width, const int32_t *position, const S *weights, const X *x,
                     int64_t ldx, const X *dy, int64_t lddy, X *dx, int64_t lddx, S *dweights) {
  for (int64_t a = 0; a < tokens * topK; ++a) {
    const X *dyRow = dy + a / topK * lddy;
    if (position[a] < 0) {
      if (dweights)
        dweights[a] = 0;
      continue;
    }
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

void moire_reference_assign(int64_t batch, int64_t time, int64_t experts, int64_t top_k, int64_t position,
                            const int32_t *tokens, int32_t *chosen) {
  for (int64_t t = 0; t < batch * time; ++t)
    for (int64_t j = 0; j < top_k; ++j) {
      int32_t *choice = chosen + t * top_k;
      if (!tokens) {
        choice[j] = static_cast<int32_t>(((position + t % time) * top_k + j) % experts);
        continue;
      }
      uint32_t hash = static_cast<uint32_t>(tokens[t]) + 0x9e3779b9u * static_cast<uint32_t>(j);
      hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
      hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
      hash ^= hash >> 16;
      choice[j] = static_cast<int32_t>(hash % experts);
      while (std::find(choice, choice + j, choice[j]) != choice + j)
        choice[j] = static_cast<int32_t>((choice[j] + 1) % experts);
    }
}

#define MOIRE_DEFINE_ROUTE(SUFFIX, S)                                                                                  \
  void moire_reference_route_##SUFFIX(int64_t tokens, int64_t experts, int64_t top_k, int32_t gate,                    \
                                      int32_t renormalize, S scale, int64_t groups, int64_t best, const S *logits,     \
                                      const S *bias, const int32_t *assigned, S *probs, S *weights, int32_t *chosen) { \
    route(tokens, experts, top_k, gate, renormalize, scale, groups, best, logits, bias, assigned, probs, weights,      \
          chosen);                                                                                                     \
  }                                                                                                                    \
  void moire_reference_route_backward_##SUFFIX(                                                                        \
      int64_t tokens, int64_t experts, int64_t top_k, int32_t gate, int32_t renormalize, S scale, const S *logits,     \
      const S *probs, const S *weights, const int32_t *chosen, const S *dweights, const S *dprobs, S *dlogits) {       \
    routeBackward(tokens, experts, top_k, gate, renormalize, scale, logits, probs, weights, chosen, dweights, dprobs,  \
                  dlogits);                                                                                            \
  }                                                                                                                    \
  void moire_reference_dispatch_limited_##SUFFIX(int64_t tokens, int64_t experts, int64_t top_k, int64_t limit,        \
                                                 S threshold, const int32_t *chosen, const S *gates, int32_t *offsets, \
                                                 int32_t *rows, int32_t *slots, int32_t *position) {                   \
    dispatchLimited(tokens, experts, top_k, limit, threshold, chosen, gates, offsets, rows, slots, position);          \
  }                                                                                                                    \
  void moire_reference_choice_load_##SUFFIX(int64_t sequences, int64_t count, int64_t experts, const int32_t *chosen,  \
                                            S *load) {                                                                 \
    choiceLoad(sequences, count, experts, chosen, load);                                                               \
  }                                                                                                                    \
  void moire_reference_sequence_balance_##SUFFIX(int64_t sequences, int64_t time, int64_t experts, S factor,           \
                                                 const S *probs, const S *load, S *loss) {                             \
    sequenceBalance(sequences, time, experts, factor, probs, load, loss);                                              \
  }                                                                                                                    \
  void moire_reference_sequence_balance_backward_##SUFFIX(int64_t sequences, int64_t time, int64_t experts, S factor,  \
                                                          const S *dloss, const S *load, S *dprobs) {                  \
    sequenceBalanceBackward(sequences, time, experts, factor, dloss, load, dprobs);                                    \
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
