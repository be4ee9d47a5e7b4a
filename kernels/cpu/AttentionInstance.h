//===- kernels/cpu/AttentionInstance.h - attention on one instruction set ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by one source for each instruction set: instantiates the templates
// and fills in the table that Attention.cpp chooses by.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ATTENTIONINSTANCE_H
#define MOIRE_KERNELS_CPU_ATTENTIONINSTANCE_H

#include "kernels/cpu/AttentionBackward.h"
#include "kernels/cpu/AttentionDecode.h"
#include "kernels/cpu/AttentionForward.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

template <typename Format>
inline constexpr AttentionFunctions<typename Format::X, typename Format::S> attentionFunctions = {
    attentionForward<Format>, attentionBackward<Format>, attentionDecode<typename Format::X, typename Format::S>};

#if !defined(__AVX512BF16__)
extern const AttentionTable attentionTable;
const AttentionTable attentionTable = {attentionFunctions<DirectFormat<float, float>>,
                                       attentionFunctions<DirectFormat<double, double>>,
                                       attentionFunctions<DirectFormat<uint16_t, float>>};
#else
// Pairs of bf16 are all that this set adds to AVX-512.
extern const AttentionFunctions<uint16_t, float> attentionBf16;
const AttentionFunctions<uint16_t, float> attentionBf16 = attentionFunctions<PairFormat>;
#endif

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ATTENTIONINSTANCE_H
