//===- kernels/cpu/RoutingBalance.cpp - loads, and choices without scores ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Small beside the experts: counts in the order of the assignments, and sums over
// pieces of sequences that are fixed, so that their order is too.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

#include <atomic>
#include <cstring>

using namespace moire::cpu;

namespace {

/// The finalizer of MurmurHash3.
uint32_t mix32(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

bool holds(const int32_t *begin, const int32_t *end, int32_t value) {
  for (; begin < end; ++begin)
    if (*begin == value)
      return true;
  return false;
}

template <typename S>
void choiceLoad(int64_t sequences, int64_t count, int64_t experts, const int32_t *chosen, S *load) {
  parallelFor(sequences, 1, [&](int64_t begin, int64_t end) {
    ScratchFrame frame;
    int32_t *counts = frame.take<int32_t>(size_t(experts));
    for (int64_t s = begin; s < end; ++s) {
      std::memset(counts, 0, size_t(experts) * sizeof(int32_t));
      for (int64_t a = s * count; a < (s + 1) * count; ++a)
        if (chosen[a] < experts)
          ++counts[chosen[a]];
      for (int64_t e = 0; e < experts; ++e)
        load[s * experts + e] = S(counts[e]) / S(count);
    }
  });
}

/// Tokens of a sequence that are added up by themselves: fixed, so that the sum is the same on any number of threads.
constexpr int64_t chunkTokens = 128;

template <typename S>
void sequenceBalance(int64_t sequences, int64_t time, int64_t experts, S factor, const S *probs, const S *load,
                     S *loss) {
  int64_t perSequence = (time + chunkTokens - 1) / chunkTokens, chunks = sequences * perSequence;
  double *partial = nullptr;
  std::atomic<int64_t> next{0};
  parallelRegion(
      [&](int thread, int) {
        ScratchFrame frame;
        double *sums = frame.take<double>(size_t(experts));
        if (thread == 0)
          partial = frame.take<double>(size_t(chunks));
        regionBarrier();
        for (int64_t chunk; (chunk = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
          int64_t s = chunk / perSequence, first = chunk % perSequence * chunkTokens;
          for (int64_t e = 0; e < experts; ++e)
            sums[e] = 0;
          for (int64_t t = first; t < time && t < first + chunkTokens; ++t)
            for (int64_t e = 0; e < experts; ++e)
              sums[e] += double(probs[(s * time + t) * experts + e]);
          double total = 0;
          for (int64_t e = 0; e < experts; ++e)
            total += sums[e] * double(load[s * experts + e]);
          partial[chunk] = total;
        }
        regionBarrier();
        if (thread != 0)
          return;
        double total = 0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk)
          total += partial[chunk];
        *loss = S(double(factor) * total / double(sequences * time));
      },
      chunks);
}

template <typename S>
void sequenceBalanceBackward(int64_t sequences, int64_t time, int64_t experts, S factor, const S *dloss, const S *load,
                             S *dprobs) {
  S scale = *dloss * factor / S(sequences * time);
  parallelFor(sequences * time, 1 + 16384 / experts, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t e = 0; e < experts; ++e)
        dprobs[row * experts + e] = scale * load[row / time * experts + e];
  });
}

} // namespace

extern "C" {

void moire_assign(int64_t batch, int64_t time, int64_t experts, int64_t top_k, int64_t position, const int32_t *tokens,
                  int32_t *chosen) {
  parallelFor(batch * time, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      int32_t *choice = chosen + t * top_k;
      for (int64_t j = 0; j < top_k; ++j) {
        if (!tokens) {
          choice[j] = int32_t(((position + t % time) * top_k + j) % experts);
          continue;
        }
        choice[j] = int32_t(mix32(uint32_t(tokens[t]) + 0x9e3779b9u * uint32_t(j)) % experts);
        while (holds(choice, choice + j, choice[j]))
          choice[j] = choice[j] + 1 == experts ? 0 : choice[j] + 1;
      }
    }
  });
}

#define MOIRE_DEFINE_BALANCE(SUFFIX, S)                                                                                \
  void moire_choice_load_##SUFFIX(int64_t sequences, int64_t count, int64_t experts, const int32_t *chosen, S *load) { \
    choiceLoad(sequences, count, experts, chosen, load);                                                               \
  }                                                                                                                    \
  void moire_sequence_balance_##SUFFIX(int64_t sequences, int64_t time, int64_t experts, S factor, const S *probs,     \
                                       const S *load, S *loss) {                                                       \
    sequenceBalance(sequences, time, experts, factor, probs, load, loss);                                              \
  }                                                                                                                    \
  void moire_sequence_balance_backward_##SUFFIX(int64_t sequences, int64_t time, int64_t experts, S factor,            \
                                                const S *dloss, const S *load, S *dprobs) {                            \
    sequenceBalanceBackward(sequences, time, experts, factor, dloss, load, dprobs);                                    \
  }
MOIRE_DEFINE_BALANCE(f32, float)
MOIRE_DEFINE_BALANCE(f64, double)

} // extern "C"
