//===- kernels/cpu/Groups.cpp - the groups that packages call ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C functions on groups of sequences: they choose the instruction set and
// hand the arguments on. This source is also the instance for plain C++.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/ByIsa.h"
#include "kernels/cpu/GroupsInstance.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {

MOIRE_TABLE_BY_ISA(GroupsTable, groupsTable)

} // namespace moire::cpu

extern "C" {

#define MOIRE_DEFINE_GROUPS(SUFFIX, FIELD, S)                                                                          \
  void moire_group_softmax_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, const S *logits,      \
                                    S *weights) {                                                                      \
    moire::cpu::table().softmax##FIELD({{batch, time, experts, group}, logits, nullptr, weights});                     \
  }                                                                                                                    \
  void moire_group_softmax_backward_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group,              \
                                             const S *weights, const S *dweights, S *dlogits) {                        \
    moire::cpu::table().softmaxBackward##FIELD({{batch, time, experts, group}, weights, dweights, dlogits});           \
  }                                                                                                                    \
  void moire_choose_tokens_##SUFFIX(int64_t batch, int64_t time, int64_t experts, int64_t group, int64_t count,        \
                                    const S *scores, int32_t *offsets, int32_t *rows, int32_t *position) {             \
    for (int64_t e = 0; e <= experts; ++e)                                                                             \
      offsets[e] = int32_t(e * (batch / group * time) * count);                                                        \
    moire::cpu::table().chooseTokens##FIELD({{batch, time, experts, group}, count, scores, rows, position});           \
  }
MOIRE_DEFINE_GROUPS(f32, F32, float)
MOIRE_DEFINE_GROUPS(f64, F64, double)

} // extern "C"
