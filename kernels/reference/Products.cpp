//===- kernels/reference/Products.cpp - oracles of the products ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One loop per index of the formula; sums in double, so that a comparison sees
// the rounding of the kernel alone.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Bf16.h"
#include "kernels/include/Reference.h"

#include <vector>

namespace {

double value(float x) { return x; }
double value(double x) { return x; }
double value(uint16_t x) { return moire::cpu::bf16ToFloat(x); }
void put(float &to, double x) { to = float(x); }
void put(double &to, double x) { to = x; }
void put(uint16_t &to, double x) { to = moire::cpu::floatToBf16(float(x)); }

int64_t source(const int32_t *index, int64_t row) { return index ? index[row] : row; }

template <typename X, typename C>
void gemm(int64_t m, int64_t n, int64_t k, const X *a, int64_t lda, bool transA, const X *b, int64_t ldb, bool transB,
          C *c, int64_t ldc, bool accumulate) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = accumulate ? value(c[i * ldc + j]) : 0;
      for (int64_t l = 0; l < k; ++l)
        sum += value(transA ? a[l * lda + i] : a[i * lda + l]) * value(transB ? b[j * ldb + l] : b[l * ldb + j]);
      put(c[i * ldc + j], sum);
    }
}

template <typename X, typename C>
void groupedGemm(int64_t n, int64_t k, int64_t experts, const int32_t *offsets, const int32_t *rowIndex, const X *a,
                 int64_t lda, const X *b, bool transB, C *c, int64_t ldc) {
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      gemm(1, n, k, a + source(rowIndex, r) * lda, lda, false, b + e * k * n, transB ? k : n, transB, c + r * ldc, ldc,
           false);
}

template <typename X, typename C>
void groupedGemmRows(int64_t rows, int64_t n, int64_t k, int64_t experts, const int32_t *offsets,
                     const int32_t *rowIndex, const X *a, int64_t lda, const X *b, bool transB, C *c, int64_t ldc,
                     void (*rowsDone)(int64_t, int64_t, void *), void *context, int64_t pointers, int64_t slot) {
  std::vector<C> own(c ? 0 : rows * ldc);
  std::vector<void *> copy;
  if (!c) {
    copy.assign(static_cast<void **>(context), static_cast<void **>(context) + pointers);
    copy[slot] = own.data();
    context = copy.data();
  }
  groupedGemm(n, k, experts, offsets, rowIndex, a, lda, b, transB, c ? c : own.data(), ldc);
  for (int64_t e = 0; e < experts; ++e)
    if (offsets[e] < offsets[e + 1])
      rowsDone(offsets[e], offsets[e + 1], context);
}

template <typename X, typename C>
void groupedGemmWeight(int64_t m, int64_t n, int64_t experts, const int32_t *offsets, const int32_t *aIndex, const X *a,
                       int64_t lda, const int32_t *bIndex, const X *b, int64_t ldb, C *c) {
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
          sum += value(a[source(aIndex, r) * lda + i]) * value(b[source(bIndex, r) * ldb + j]);
        put(c[(e * m + i) * n + j], sum);
      }
}

} // namespace

extern "C" {

#define MOIRE_GEMM(SUFFIX, X, C)                                                                                       \
  void moire_reference_gemm_##SUFFIX(int64_t m, int64_t n, int64_t k, const X *a, int64_t lda, int32_t trans_a,        \
                                     const X *b, int64_t ldb, int32_t trans_b, C *c, int64_t ldc,                      \
                                     int32_t accumulate) {                                                             \
    gemm(m, n, k, a, lda, trans_a, b, ldb, trans_b, c, ldc, accumulate);                                               \
  }
MOIRE_GEMM(f32_f32, float, float)
MOIRE_GEMM(f64_f64, double, double)
MOIRE_GEMM(bf16_f32, uint16_t, float)
MOIRE_GEMM(bf16_bf16, uint16_t, uint16_t)

#define MOIRE_GROUPED_GEMM(SUFFIX, X, C)                                                                               \
  void moire_reference_grouped_gemm_##SUFFIX(int64_t rows, int64_t n, int64_t k, int64_t experts,                      \
                                             const int32_t *offsets, const int32_t *row_index, const X *a,             \
                                             int64_t lda, const X *b, int32_t trans_b, C *c, int64_t ldc) {            \
    groupedGemm(n, k, experts, offsets, row_index, a, lda, b, trans_b, c, ldc);                                        \
  }
MOIRE_GROUPED_GEMM(f32_f32, float, float)
MOIRE_GROUPED_GEMM(f64_f64, double, double)
MOIRE_GROUPED_GEMM(bf16_bf16, uint16_t, uint16_t)

#define MOIRE_GROUPED_GEMM_ROWS(SUFFIX, X, C)                                                                          \
  void moire_reference_grouped_gemm_rows_##SUFFIX(                                                                     \
      int64_t rows, int64_t n, int64_t k, int64_t experts, const int32_t *offsets, const int32_t *row_index,           \
      const X *a, int64_t lda, const X *b, int32_t trans_b, C *c, int64_t ldc,                                         \
      void (*rows_done)(int64_t, int64_t, void *), void *context, int64_t pointers, int64_t slot) {                    \
    groupedGemmRows(rows, n, k, experts, offsets, row_index, a, lda, b, trans_b, c, ldc, rows_done, context, pointers, \
                    slot);                                                                                             \
  }
MOIRE_GROUPED_GEMM_ROWS(f32_f32, float, float)
MOIRE_GROUPED_GEMM_ROWS(f64_f64, double, double)
MOIRE_GROUPED_GEMM_ROWS(bf16_bf16, uint16_t, uint16_t)

#define MOIRE_GROUPED_GEMM_WEIGHT(SUFFIX, X, C)                                                                        \
  void moire_reference_grouped_gemm_weight_##SUFFIX(int64_t m, int64_t n, int64_t experts, const int32_t *offsets,     \
                                                    const int32_t *a_index, const X *a, int64_t lda,                   \
                                                    const int32_t *b_index, const X *b, int64_t ldb, C *c) {           \
    groupedGemmWeight(m, n, experts, offsets, a_index, a, lda, b_index, b, ldb, c);                                    \
  }
MOIRE_GROUPED_GEMM_WEIGHT(f32_f32, float, float)
MOIRE_GROUPED_GEMM_WEIGHT(f64_f64, double, double)
MOIRE_GROUPED_GEMM_WEIGHT(bf16_f32, uint16_t, float)

} // extern "C"
