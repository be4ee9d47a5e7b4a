//===- runtime/Plan/Emit.h - a plan as a spec ---------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The chosen model as a spec that trains for the planned tokens, with a comment
// for every number that says where it came from.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_EMIT_H
#define MOIRE_RUNTIME_PLAN_EMIT_H

#include "runtime/Plan/Plan.h"

namespace moire::runtime {

/// How the planned tokens are cut into steps.
struct Steps {
  int64_t batch, context, accumulate, count; ///< sequences, tokens each, batches in an update, updates
};

/// Steps of about `batchTokens` tokens, in batches of at most `most` sequences (a power of two); never fewer than 100.
Steps stepsFor(double tokens, double batchTokens, int64_t context, int64_t most);

/// The spec, planned by `law`; `asked` is the command that the first line repeats.
std::string specOf(const JointLaw &law, const Plan &plan, const Steps &steps, const std::string &asked);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_EMIT_H
