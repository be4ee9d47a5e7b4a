//===- kernels/cpu/GroupsTable.h - groups of sequences on each instruction set ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tokens at one position of several sequences: where they lie, the arguments of
// their kernels as plain structs, and the table that every instruction set fills in.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GROUPSTABLE_H
#define MOIRE_KERNELS_CPU_GROUPSTABLE_H

#include <cstdint>

namespace moire::cpu {

/// How tokens form groups (KernelList.inc): by position, across `group` consecutive sequences.
struct Grouping {
  int64_t batch, time, experts, group;
};

/// How many groups there are. Static, as what follows: instruction sets share no functions.
static inline int64_t groupsOf(const Grouping &shape) { return shape.batch / shape.group * shape.time; }

/// The token of member 0 of group n; the other members follow `time` tokens apart.
static inline int64_t firstToken(const Grouping &shape, int64_t n) {
  return n / shape.time * shape.group * shape.time + n % shape.time;
}

/// The arguments of group_softmax and of its gradient: from logits, or from weights and dweights.
template <typename S> struct GroupSoftmaxArguments {
  Grouping shape;
  const S *from, *dweights;
  S *to;
};

/// The arguments of choose_tokens, with its names and shapes.
template <typename S> struct ChooseTokensArguments {
  Grouping shape;
  int64_t count;
  const S *scores;
  int32_t *rows, *position;
};

/// Groups on one instruction set.
struct GroupsTable {
  void (*softmaxF32)(const GroupSoftmaxArguments<float> &);
  void (*softmaxF64)(const GroupSoftmaxArguments<double> &);
  void (*softmaxBackwardF32)(const GroupSoftmaxArguments<float> &);
  void (*softmaxBackwardF64)(const GroupSoftmaxArguments<double> &);
  void (*chooseTokensF32)(const ChooseTokensArguments<float> &);
  void (*chooseTokensF64)(const ChooseTokensArguments<double> &);
};

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GROUPSTABLE_H
