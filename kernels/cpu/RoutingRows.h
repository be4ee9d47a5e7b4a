//===- kernels/cpu/RoutingRows.h - rows to the experts and back --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A task is a range of tokens, so that every output row has one writer and the
// top_k rows of a token are added in the order of its choices. Memory is the limit.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ROUTINGROWS_H
#define MOIRE_KERNELS_CPU_ROUTINGROWS_H

#include "kernels/cpu/RoutingTable.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/VectorMath.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// Tokens of a task: about 16k elements.
MOIRE_INLINE int64_t rowsGrain(int64_t topK, int64_t width) { return 1 + 16384 / (topK * width + 1); }

/// out[t] = sum_j weights[t][j] * x[position[t][j]], without weights as if they were 1.
template <typename X, typename S, bool weighted> void addRows(const RowsArguments<X, S> &r, const X *x, int64_t ldx) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  parallelFor(r.tokens, rowsGrain(r.topK, r.width), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int32_t *position = r.position + t * r.topK;
      for (int64_t i = 0; i < r.width; i += lanes) {
        int64_t used = smaller(lanes, r.width - i);
        Vec<S> sum = V::zero();
        for (int64_t j = 0; j < r.topK; ++j) {
          if (position[j] < 0)
            continue;
          Vec<S> row = loadElements<S>(x + position[j] * ldx + i, used);
          sum = weighted ? V::fma(V::broadcast(r.weights[t * r.topK + j]), row, sum) : sum + row;
        }
        storeElements<S>(r.out + t * r.ldout + i, sum, used);
      }
    }
  });
}

template <typename X, typename S> void gatherBackward(const RowsArguments<X, S> &r) {
  addRows<X, S, false>(r, r.dy, r.lddy);
}

template <typename X, typename S> void combine(const RowsArguments<X, S> &r) { addRows<X, S, true>(r, r.x, r.ldx); }

template <typename X, typename S> void combineBackward(const RowsArguments<X, S> &r) {
  using V = Simd<S>;
  constexpr int64_t lanes = V::lanes;
  parallelFor(r.tokens, rowsGrain(r.topK, r.width), [&](int64_t begin, int64_t end) {
    for (int64_t a = begin * r.topK; a < end * r.topK; ++a) {
      const X *dy = r.dy + a / r.topK * r.lddy;
      if (r.position[a] < 0) {
        if (r.dweights)
          r.dweights[a] = 0;
        continue;
      }
      if (r.out) {
        Vec<S> weight = V::broadcast(r.weights[a]);
        X *dx = r.out + r.position[a] * r.ldout;
        for (int64_t i = 0; i < r.width; i += lanes) {
          int64_t used = smaller(lanes, r.width - i);
          storeElements<S>(dx + i, weight * loadElements<S>(dy + i, used), used);
        }
      }
      if (r.dweights) {
        const X *x = r.x + r.position[a] * r.ldx;
        Vec<S> sums[2] = {V::zero(), V::zero()}; // two chains of additions, to hide their latency
        for (int64_t i = 0, side = 0; i < r.width; i += lanes, side ^= 1) {
          int64_t used = smaller(lanes, r.width - i);
          sums[side] = V::fma(loadElements<S>(dy + i, used), loadElements<S>(x + i, used), sums[side]);
        }
        r.dweights[a] = V::sum(sums[0] + sums[1]);
      }
    }
  });
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGROWS_H
