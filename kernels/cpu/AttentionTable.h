//===- kernels/cpu/AttentionTable.h - attention on each instruction set ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arguments of attention as plain structs, and the table of functions that every
// instruction set fills in.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONTABLE_H
#define MOIRE_KERNELS_CPU_ATTENTIONTABLE_H

#include <cstdint>

namespace moire::cpu {

/// What one attention is, forward and backward. Position t sees the keys from t - before to t + after, of its document.
template <typename S> struct AttentionForm {
  int64_t heads, kvHeads, dim, valueDim;
  int64_t before, after; ///< `unbounded` for no limit
  bool alibi;
  S scale, softcap; ///< softcap 0: none
  const S *sinks;   ///< [heads], or null
  /// [batch][queries]: tokens of the same document before each query; or null, where every sequence is one document.
  const int32_t *ages;
};

/// Further than any sequence reaches, and far from overflowing.
inline constexpr int64_t unbounded = int64_t(1) << 60;

/// Attention of `queries` rows of each sequence, the first at `position`, over position + queries keys.
/// moire_attention has position 0; moire_attention_cached batch 1, the caches as k and v, and no lse.
template <typename X, typename S> struct AttentionArguments : AttentionForm<S> {
  int64_t batch, queries, position;
  const X *q;
  int64_t qStride;
  const X *k;
  int64_t kStride;
  const X *v;
  int64_t vStride;
  X *out;
  int64_t outStride;
  S *lse;
};

/// The arguments of moire_attention_backward, with its names and shapes (KernelList.inc).
template <typename X, typename S> struct AttentionGradientArguments : AttentionForm<S> {
  int64_t batch, time;
  const X *q;
  int64_t qStride;
  const X *k;
  int64_t kStride;
  const X *v;
  int64_t vStride;
  const X *out;
  int64_t outStride;
  const S *lse;
  const X *dout;
  int64_t doutStride;
  X *dq;
  int64_t dqStride;
  X *dk;
  int64_t dkStride;
  X *dv;
  int64_t dvStride;
  S *dsinks;
};

/// Attention for one element type.
template <typename X, typename S> struct AttentionFunctions {
  void (*forward)(const AttentionArguments<X, S> &);
  void (*backward)(const AttentionGradientArguments<X, S> &);
  void (*decode)(const AttentionArguments<X, S> &); ///< forward for a handful of queries
};

/// Attention on one instruction set.
struct AttentionTable {
  AttentionFunctions<float, float> f32;
  AttentionFunctions<double, double> f64;
  AttentionFunctions<uint16_t, float> bf16;
};

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONTABLE_H
