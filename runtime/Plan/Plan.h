//===- runtime/Plan/Plan.h - what to train for a budget ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From a budget, a number of tokens or a size: for each number of experts the best
// model of the joint law, rounded to a shape that exists, with its learning rate,
// its predicted loss, and what it would lose against the best; then the granularity
// that is best for the time it takes, not for its operations alone.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_PLAN_H
#define MOIRE_RUNTIME_PLAN_PLAN_H

#include "runtime/Plan/Fit.h"
#include "runtime/Plan/Shape.h"

#include <optional>

namespace moire::runtime {

/// What is given. At least one of flops, tokens and active; not all three.
struct Question {
  std::optional<double> flops, tokens, active;
  std::optional<double> memory; ///< bytes, for weights, gradients and moments
  std::vector<int64_t> experts = {1, 2, 4, 8, 16, 32};
  std::vector<int64_t> granularities = {1, 2, 4, 8, 16};
  int64_t vocab = 50257;
  double context = 2048;
  double stepTokens = 32768; ///< of a step on one device, for the time of granularity
  std::string machine = "h200";
  bool extrapolate = false;
};

/// Bytes of a parameter in training: weight, gradient, two moments, in f32.
constexpr double bytesPerParameter = 16;

/// A model to train.
struct Choice {
  Shape shape;
  double tokens = 0, flops = 0;       ///< flops = 6 active tokens
  double loss = 0, low = 0, high = 0; ///< nats a token; 90 % of the law's residuals, or of its resamplings
  double loses = 0;                   ///< loss above the best choice
  double learningRate = 0;
  bool limited = false; ///< by memory: smaller than the law would have it
  double bytes() const { return bytesPerParameter * shape.total(); }
};

/// What one granularity does to a choice, against 1.
struct Grain {
  int64_t granularity;
  double operations, time;     ///< of a token, ratio
  double atOperations, atTime; ///< change of loss at equal operations, at equal time
};

struct Plan {
  std::vector<Choice> choices; ///< from the least loss up; by experts where there is no common budget
  bool comparable = true;      ///< whether all choices spend the same
  std::vector<Grain> grains;   ///< of the first choice; empty when it is dense or no law covers it
  std::string grainNote;       ///< which law, or why none
};

/// Answers `question`. Errors: nothing given, a contradiction, a budget that no law covers (with the range that it was
/// fitted on), a memory limit that no model of the range fits.
/// With `fitted`, its law stands in the place of the joint one, and intervals are those of its resamplings.
Result<Plan> makePlan(const Laws &laws, const Question &question, const FittedLaw *fitted = nullptr);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_PLAN_H
