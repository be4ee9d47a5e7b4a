//===- frontend/Sema/BuiltinRules.h - what makes a layer's arguments fit ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the table of built-ins: rules that derive numbers from the width
// of the stream, and contradictions between arguments.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_BUILTINRULES_H
#define MOIRE_FRONTEND_SEMA_BUILTINRULES_H

#include "frontend/Sema/Builtins.h"
#include <string>

namespace moire::sema {

/// kv_heads, head_dim, value_dim, width; heads must divide the width, kv_heads the heads, and rotary positions need
/// pairs and what their scaling asks for.
bool completeAttention(Completion &);
/// Rotary positions as in attention.
bool completeLatentAttention(Completion &);
/// Sines and cosines come in pairs.
bool completeSinusoids(Completion &);
/// experts, top_k, expansion, granularity: two ways to say the same, which must agree; and what a choice of experts and
/// a pool of them allow. In MixtureRules.cpp.
bool completeMoe(Completion &);
bool completeRoute(Completion &);
bool completeExperts(Completion &);
/// The divisors of `total` nearest to `wanted`, as a list for an error.
std::string nearbyDivisors(int64_t total, int64_t wanted);
/// groups must divide the width.
bool completeRmsNorm(Completion &);
/// dt_rank.
bool completeMamba(Completion &);
/// head_dim must divide the channels, groups the heads; sizes that the scan takes.
bool completeMamba2(Completion &);
/// What a gated layer does before its last product fits together.
bool completeMlp(Completion &);
bool completeSwiglu(Completion &);
/// As completeSwiglu, of a layer that was not applied; reports and returns false where it does not.
bool checkGateForm(const Layer &layer, Diagnostics &diagnostics);
/// Positions that come out even, kernels that skip none; in LengthRules.cpp.
bool completeConv1d(Completion &);
bool completeStack(Completion &);
bool completeUnstack(Completion &);
bool completeShift(Completion &);
int64_t stackedWidth(llvm::ArrayRef<ArgumentValue> values, int64_t width);
int64_t stackedTime(llvm::ArrayRef<ArgumentValue> values, int64_t time);
int64_t unstackedWidth(llvm::ArrayRef<ArgumentValue> values, int64_t width);
int64_t unstackedTime(llvm::ArrayRef<ArgumentValue> values, int64_t time);
int64_t convolvedTime(llvm::ArrayRef<ArgumentValue> values, int64_t time);
int64_t sameTime(llvm::ArrayRef<ArgumentValue> values, int64_t time);
/// The tied embedding must have the head's sizes.
bool completeHead(Completion &);

/// The output is as wide as the input.
int64_t sameWidth(llvm::ArrayRef<ArgumentValue> values, int64_t width);
/// The output is as wide as the argument number `index` says.
int64_t widthOf(llvm::ArrayRef<ArgumentValue> values, unsigned index);
template <unsigned index> int64_t widthOfArgument(llvm::ArrayRef<ArgumentValue> values, int64_t) {
  return widthOf(values, index);
}

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_BUILTINRULES_H
