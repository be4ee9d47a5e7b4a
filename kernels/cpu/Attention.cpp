//===- kernels/cpu/Attention.cpp - the attention that packages call ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C functions of attention: they choose the instruction set and hand the
// arguments on. This source is also the instance for plain C++.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/AttentionInstance.h"
#include "kernels/cpu/ByIsa.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {

#if defined(__x86_64__)
namespace avx512bf16 {
extern const AttentionFunctions<uint16_t, float> attentionBf16;
}
#endif
MOIRE_TABLE_BY_ISA(AttentionTable, attentionTable)

static const AttentionFunctions<float, float> &functionsF32() { return table().f32; }
static const AttentionFunctions<double, double> &functionsF64() { return table().f64; }
static const AttentionFunctions<uint16_t, float> &functionsBf16() {
#if defined(__x86_64__)
  if (isa() >= Isa::Avx512Bf16)
    return avx512bf16::attentionBf16;
#endif
  return table().bf16;
}

/// Up to this many queries are attended one by one.
static constexpr int64_t mostDecoded = 4;

template <typename X, typename S>
static void attendCached(const AttentionFunctions<X, S> &functions, const AttentionArguments<X, S> &s, const X *k,
                         int64_t kStride, const X *v, int64_t vStride, X *kCache, X *vCache) {
  int64_t width = s.kvHeads * s.dim, valueWidth = s.kvHeads * s.valueDim;
  parallelFor(s.queries, 1 + 65536 / (width + valueWidth), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      std::memcpy(kCache + (s.position + t) * width, k + t * kStride, size_t(width) * sizeof(X));
      std::memcpy(vCache + (s.position + t) * valueWidth, v + t * vStride, size_t(valueWidth) * sizeof(X));
    }
  });
  (s.queries <= mostDecoded ? functions.decode : functions.forward)(s);
}

/// The form that the scalars of the C functions describe.
template <typename S>
static AttentionForm<S> formOf(int64_t heads, int64_t kvHeads, int64_t dim, int64_t valueDim, int32_t causal,
                               int64_t window, int32_t alibi, S scale, S softcap, const S *sinks, const int32_t *ages) {
  int64_t before = window > 0 ? window - 1 : unbounded;
  return {heads, kvHeads, dim, valueDim, before, causal ? 0 : before, alibi != 0, scale, softcap, sinks, ages};
}

} // namespace moire::cpu

using moire::cpu::formOf;

extern "C" {
#define MOIRE_DEFINE_ATTENTION(SUFFIX, FIELD, X, S)                                                                    \
  void moire_attention_##SUFFIX(int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim,             \
                                int64_t value_dim, int32_t causal, int64_t window, int32_t alibi, S scale, S softcap,  \
                                const S *sinks, const int32_t *ages, const X *q, int64_t q_stride, const X *k,         \
                                int64_t k_stride, const X *v, int64_t v_stride, X *out, int64_t out_stride, S *lse) {  \
    moire::cpu::functions##FIELD().forward(                                                                            \
        {formOf<S>(heads, kv_heads, dim, value_dim, causal, window, alibi, scale, softcap, sinks, ages), batch, time,  \
         0, q, q_stride, k, k_stride, v, v_stride, out, out_stride, lse});                                             \
  }                                                                                                                    \
  void moire_attention_backward_##SUFFIX(                                                                              \
      int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim, int64_t value_dim, int32_t causal,    \
      int64_t window, int32_t alibi, S scale, S softcap, const S *sinks, const int32_t *ages, const X *q,              \
      int64_t q_stride, const X *k, int64_t k_stride, const X *v, int64_t v_stride, const X *out, int64_t out_stride,  \
      const S *lse, const X *dout, int64_t dout_stride, X *dq, int64_t dq_stride, X *dk, int64_t dk_stride, X *dv,     \
      int64_t dv_stride, S *dsinks) {                                                                                  \
    moire::cpu::functions##FIELD().backward(                                                                           \
        {formOf<S>(heads, kv_heads, dim, value_dim, causal, window, alibi, scale, softcap, sinks, ages),               \
         batch,                                                                                                        \
         time,                                                                                                         \
         q,                                                                                                            \
         q_stride,                                                                                                     \
         k,                                                                                                            \
         k_stride,                                                                                                     \
         v,                                                                                                            \
         v_stride,                                                                                                     \
         out,                                                                                                          \
         out_stride,                                                                                                   \
         lse,                                                                                                          \
         dout,                                                                                                         \
         dout_stride,                                                                                                  \
         dq,                                                                                                           \
         dq_stride,                                                                                                    \
         dk,                                                                                                           \
         dk_stride,                                                                                                    \
         dv,                                                                                                           \
         dv_stride,                                                                                                    \
         dsinks});                                                                                                     \
  }                                                                                                                    \
  void moire_attention_cached_##SUFFIX(int64_t count, int64_t position, int64_t capacity, int64_t heads,               \
                                       int64_t kv_heads, int64_t dim, int64_t value_dim, int64_t window,               \
                                       int32_t alibi, S scale, S softcap, const S *sinks, const int32_t *ages,         \
                                       const X *q, int64_t q_stride, const X *k, int64_t k_stride, const X *v,         \
                                       int64_t v_stride, X *k_cache, X *v_cache, X *out, int64_t out_stride) {         \
    moire::cpu::attendCached<X, S>(                                                                                    \
        moire::cpu::functions##FIELD(),                                                                                \
        {formOf<S>(heads, kv_heads, dim, value_dim, 1, window, alibi, scale, softcap, sinks, ages), 1, count,          \
         position, q, q_stride, k_cache, kv_heads * dim, v_cache, kv_heads * value_dim, out, out_stride, nullptr},     \
        k, k_stride, v, v_stride, k_cache, v_cache);                                                                   \
  }
MOIRE_DEFINE_ATTENTION(f32, F32, float, float)
MOIRE_DEFINE_ATTENTION(f64, F64, double, double)
MOIRE_DEFINE_ATTENTION(bf16, Bf16, uint16_t, float)
} // extern "C"
