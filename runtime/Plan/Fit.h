//===- runtime/Plan/Fit.h - laws from runs of one's own ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Coefficients by least Huber loss of the logarithm, from many starts, and how
// sure they are, by resampling the runs.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_FIT_H
#define MOIRE_RUNTIME_PLAN_FIT_H

#include "runtime/Plan/Law.h"

#include <functional>

namespace moire::runtime {

/// What a run came to.
struct RunPoint {
  double size; ///< active parameters, embedding and head included
  double tokens;
  double experts; ///< all experts over those that a token meets
  double loss;    ///< nats a token
};

/// A law that was fitted, and the laws of as many resamplings as were asked for.
struct FittedLaw {
  JointLaw law;
  std::vector<JointLaw> resampled;

  /// 5 % and 95 % of what the resampled laws say of anything.
  Interval ninety(const std::function<double(const JointLaw &)> &value) const;
};

/// Fits L = a Ê^delta N^alpha + b Ê^omega D^beta + c, with the effective experts Ê of `published`; delta and omega are
/// 0 when all runs have the same number of experts (the law then holds for that one alone). Huber on logarithms at
/// 1e-3, as arXiv 2502.05172 and 2203.15556 do. Errors: fewer runs than twice the coefficients, sizes or tokens that
/// are all alike.
Result<FittedLaw> fitLaw(const std::vector<RunPoint> &runs, const JointLaw &published, int resamplings, uint64_t seed);

/// A score on a task that was reached with a budget.
struct ScorePoint {
  double flops;
  double samples; ///< k of pass@k; 1 for a plain score
  double score;   ///< 0 to 1
};

/// Scores directly from budgets (arXiv 2512.08894): with Q' = (Q - chance) / (1 - chance),
///   log(-log Q') = log A - alpha log C                                  without k,
///   log(-log Q') = log A + alpha log C + beta log k + delta log C log k with it.
struct ScoreLaw {
  double chance, logA, alpha, beta, delta;
  Interval flops;
  double score(double flops, double samples) const;
};

/// Scores less than 5 % above chance are left out, as the paper does. Errors: too few that are left.
Result<ScoreLaw> fitScores(const std::vector<ScorePoint> &scores, double chance);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_FIT_H
