//===- kernels/cpu/Mixtures.cpp - mixtures of tokens -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mixing the tokens of a group for all experts is a product of its weights,
// transposed, with its tokens; sending the results back is a product of the
// weights with the experts' rows. So a task is one group and one small product,
// whose rows lie as far apart as sequences or experts do; the products of
// Gemm.cpp, started inside a task, run on its thread alone and pack what they need.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Bf16.h"
#include "kernels/cpu/GroupsTable.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

#include <type_traits>

using namespace moire::cpu;

namespace {

inline void product(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, bool transA, const float *b,
                    int64_t ldb, bool transB, float *c, int64_t ldc) {
  moire_gemm_f32_f32(m, n, k, a, lda, transA, b, ldb, transB, c, ldc, 0);
}
inline void product(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, bool transA, const double *b,
                    int64_t ldb, bool transB, double *c, int64_t ldc) {
  moire_gemm_f64_f64(m, n, k, a, lda, transA, b, ldb, transB, c, ldc, 0);
}
inline void product(int64_t m, int64_t n, int64_t k, const uint16_t *a, int64_t lda, bool transA, const uint16_t *b,
                    int64_t ldb, bool transB, uint16_t *c, int64_t ldc) {
  moire_gemm_bf16_bf16(m, n, k, a, lda, transA, b, ldb, transB, c, ldc, 0);
}
inline void product(int64_t m, int64_t n, int64_t k, const uint16_t *a, int64_t lda, bool transA, const uint16_t *b,
                    int64_t ldb, bool transB, float *c, int64_t ldc) {
  moire_gemm_bf16_f32(m, n, k, a, lda, transA, b, ldb, transB, c, ldc, 0);
}

/// The weights of one group as a factor of products with elements X.
template <typename X> struct Factor {
  const X *weights;
  int64_t ld; ///< between members
};

/// Weights in place, or rounded into scratch memory where the elements are bf16.
template <typename X, typename S> Factor<X> factorOf(const Grouping &shape, const S *weights, ScratchFrame &frame) {
  int64_t stride = shape.time * shape.experts;
  if constexpr (std::is_same_v<X, S>) {
    return {weights, stride};
  } else {
    X *narrow = frame.take<X>(size_t(shape.group * shape.experts));
    for (int64_t i = 0; i < shape.group; ++i)
      for (int64_t e = 0; e < shape.experts; ++e)
        narrow[i * shape.experts + e] = floatToBf16(weights[i * stride + e]);
    return {narrow, shape.experts};
  }
}

/// Calls body(n, first) for every group n, whose first token is number `first`, on all threads.
template <typename Body> void forEachGroup(const Grouping &shape, Body body) {
  parallelFor(groupsOf(shape), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      body(n, firstToken(shape, n));
  });
}

template <typename X, typename S>
void mix(const Grouping &shape, int64_t width, const S *weights, const X *x, int64_t ldx, X *m, int64_t ldm) {
  forEachGroup(shape, [&](int64_t n, int64_t first) {
    ScratchFrame frame;
    Factor<X> factor = factorOf<X>(shape, weights + first * shape.experts, frame);
    product(shape.experts, width, shape.group, factor.weights, factor.ld, true, x + first * ldx, shape.time * ldx,
            false, m + n * ldm, groupsOf(shape) * ldm);
  });
}

template <typename X, typename S>
void unmix(const Grouping &shape, int64_t width, const S *weights, const X *m, int64_t ldm, X *x, int64_t ldx) {
  forEachGroup(shape, [&](int64_t n, int64_t first) {
    ScratchFrame frame;
    Factor<X> factor = factorOf<X>(shape, weights + first * shape.experts, frame);
    product(shape.group, width, shape.experts, factor.weights, factor.ld, false, m + n * ldm, groupsOf(shape) * ldm,
            false, x + first * ldx, shape.time * ldx);
  });
}

template <typename X, typename S>
void mixWeights(const Grouping &shape, int64_t width, const X *x, int64_t ldx, const X *m, int64_t ldm, S *dweights) {
  forEachGroup(shape, [&](int64_t n, int64_t first) {
    product(shape.group, shape.experts, width, x + first * ldx, shape.time * ldx, false, m + n * ldm,
            groupsOf(shape) * ldm, true, dweights + first * shape.experts, shape.time * shape.experts);
  });
}

} // namespace

extern "C" {

#define MOIRE_DEFINE_MIX(SUFFIX, X, S)                                                                                 \
  void moire_mix_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width,                  \
                          const S *weights, const X *x, int64_t ldx, X *m, int64_t ldm) {                              \
    mix<X, S>({batch, time, experts, group}, width, weights, x, ldx, m, ldm);                                          \
  }                                                                                                                    \
  void moire_unmix_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width,                \
                            const S *weights, const X *m, int64_t ldm, X *x, int64_t ldx) {                            \
    unmix<X, S>({batch, time, experts, group}, width, weights, m, ldm, x, ldx);                                        \
  }                                                                                                                    \
  void moire_mix_weights_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t width,          \
                                  const X *x, int64_t ldx, const X *m, int64_t ldm, S *dweights) {                     \
    mixWeights<X, S>({batch, time, experts, group}, width, x, ldx, m, ldm, dweights);                                  \
  }
MOIRE_DEFINE_MIX(f32, float, float)
MOIRE_DEFINE_MIX(f64, double, double)
MOIRE_DEFINE_MIX(bf16, uint16_t, float)

} // extern "C"
