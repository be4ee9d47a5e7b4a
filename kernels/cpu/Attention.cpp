//===- kernels/cpu/Attention.cpp - the attention that packages call ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C functions of attention: they choose the instruction set and hand the
// arguments on. This source is also the instance for plain C++.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/AttentionInstance.h"
#include "kernels/cpu/Features.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {

#if defined(__x86_64__)
namespace avx2 {
extern const AttentionTable attentionTable;
}
namespace avx512 {
extern const AttentionTable attentionTable;
}
namespace avx512bf16 {
extern const AttentionFunctions<uint16_t, float> attentionBf16;
}
#endif

static const AttentionTable &table() {
#if defined(__x86_64__)
  if (isa() >= Isa::Avx512)
    return avx512::attentionTable;
  if (isa() >= Isa::Avx2)
    return avx2::attentionTable;
#endif
  return scalar::attentionTable;
}

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
  int64_t width = s.kvHeads * s.dim;
  parallelFor(s.queries, 1 + 32768 / width, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      std::memcpy(kCache + (s.position + t) * width, k + t * kStride, size_t(width) * sizeof(X));
      std::memcpy(vCache + (s.position + t) * width, v + t * vStride, size_t(width) * sizeof(X));
    }
  });
  (s.queries <= mostDecoded ? functions.decode : functions.forward)(s);
}

} // namespace moire::cpu

extern "C" {
#define MOIRE_DEFINE_ATTENTION(SUFFIX, FIELD, X, S)                                                                    \
  void moire_attention_##SUFFIX(int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim, S scale,    \
                                const X *q, int64_t q_stride, const X *k, int64_t k_stride, const X *v,                \
                                int64_t v_stride, X *out, int64_t out_stride, S *lse) {                                \
    moire::cpu::functions##FIELD().forward(                                                                            \
        {batch, time, 0, heads, kv_heads, dim, scale, q, q_stride, k, k_stride, v, v_stride, out, out_stride, lse});   \
  }                                                                                                                    \
  void moire_attention_backward_##SUFFIX(int64_t batch, int64_t time, int64_t heads, int64_t kv_heads, int64_t dim,    \
                                         S scale, const X *q, int64_t q_stride, const X *k, int64_t k_stride,          \
                                         const X *v, int64_t v_stride, const X *out, int64_t out_stride, const S *lse, \
                                         const X *dout, int64_t dout_stride, X *dq, int64_t dq_stride, X *dk,          \
                                         int64_t dk_stride, X *dv, int64_t dv_stride) {                                \
    moire::cpu::functions##FIELD().backward(                                                                           \
        {batch,      time, heads, kv_heads,    dim, scale,     q,  q_stride,  k,  k_stride, v, v_stride, out,          \
         out_stride, lse,  dout,  dout_stride, dq,  dq_stride, dk, dk_stride, dv, dv_stride});                         \
  }                                                                                                                    \
  void moire_attention_cached_##SUFFIX(int64_t count, int64_t position, int64_t capacity, int64_t heads,               \
                                       int64_t kv_heads, int64_t dim, S scale, const X *q, int64_t q_stride,           \
                                       const X *k, int64_t k_stride, const X *v, int64_t v_stride, X *k_cache,         \
                                       X *v_cache, X *out, int64_t out_stride) {                                       \
    int64_t width = kv_heads * dim;                                                                                    \
    moire::cpu::attendCached<X, S>(moire::cpu::functions##FIELD(),                                                     \
                                   {1, count, position, heads, kv_heads, dim, scale, q, q_stride, k_cache, width,      \
                                    v_cache, width, out, out_stride, nullptr},                                         \
                                   k, k_stride, v, v_stride, k_cache, v_cache);                                        \
  }
MOIRE_DEFINE_ATTENTION(f32, F32, float, float)
MOIRE_DEFINE_ATTENTION(f64, F64, double, double)
MOIRE_DEFINE_ATTENTION(bf16, Bf16, uint16_t, float)
} // extern "C"
