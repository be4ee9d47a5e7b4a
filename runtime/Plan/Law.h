//===- runtime/Plan/Law.h - scaling laws ---------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loss as a function of size, tokens, experts and granularity, as published. The
// coefficients are data (laws.json, or a file of the user's); what a law calls the
// size of a model differs, and is said in that file.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_LAW_H
#define MOIRE_RUNTIME_PLAN_LAW_H

#include "runtime/Core/Json.h"

#include <map>
#include <string>
#include <vector>

namespace moire::runtime {

/// What a law was fitted on, from low to high.
struct Interval {
  double low, high;
  bool holds(double value) const { return low <= value && value <= high; }
};

/// The sizes of the best model for a budget.
struct Optimum {
  double size; ///< as the law counts it
  double tokens;
  double loss; ///< nats a token
};

/// Experts and tokens jointly (arXiv 2502.05172, eq. 5): with Ê the effective number of experts,
/// L = a Ê^delta N^(alpha + gamma ln Ê) + b Ê^omega D^(beta + zeta ln Ê) + c, at F = 6 N D.
struct JointLaw {
  std::string source;
  double a, delta, alpha, gamma, b, omega, beta, zeta, c, expertsStart, expertsMax, rmse;
  Interval experts, size, tokens;

  /// Ê: `expertsStart` for one expert, `expertsMax` for infinitely many.
  double effective(double experts) const;
  double loss(double size, double tokens, double experts) const;
  /// The least loss for `flops` training operations.
  Optimum best(double flops, double experts) const;
  /// The budget at which `size`, or `tokens`, is what `best` chooses.
  double flopsForSize(double size, double experts) const;
  double flopsForTokens(double tokens, double experts) const;

private:
  struct Powers;
  Powers powers(double experts) const;
};

/// The learning rate that the joint law's models were trained at: exp(intercept) N^size E^experts.
struct RateRule {
  double intercept, sizePower, expertsPower;
  double rate(double size, double experts) const;
};

/// Granularity at one expansion (arXiv 2402.07871, eq. 9): L = c + (g / G^gamma + a) / N^alpha + b / D^beta.
struct GrainLaw {
  std::string source;
  double experts, a, alpha, b, beta, g, gamma, c, flopsPerWeight, flopsPerRoute, rmse;
  Interval granularity, size, tokens;

  double loss(double size, double tokens, double granularity) const;
  /// Training operations: (12 d^2 flopsPerWeight + d E G flopsPerRoute) D depth (its section 5.2).
  double flops(double width, double depth, double granularity, double tokens) const;
  /// Parameters of the paper's models: d^2 (8 E + 4) depth.
  double sizeOf(double width, double depth) const { return width * width * (8 * experts + 4) * depth; }
  /// The least loss for `flops`, over models with width = 64 depth, at one granularity.
  Optimum best(double flops, double granularity) const;
  /// The power of two, up to 128, that is best for `flops`.
  int64_t bestGranularity(double flops) const;
};

/// How fast a machine is, for the time that granularity costs.
struct Machine {
  std::string source;
  double flops;   ///< operations a second of large products
  double bytes;   ///< a second, from memory
  double element; ///< bytes of an activation
};

/// All laws of a file.
struct Laws {
  JointLaw joint;
  RateRule rate;
  std::vector<GrainLaw> grains;
  double tokensPerParameter; ///< where reasoning was best (arXiv 2508.18672)
  std::map<std::string, Machine> machines;

  /// The file `path`, or what Moire comes with when it is empty. Unknown and missing keys are errors.
  static Result<Laws> load(const std::string &path);
  /// The text of what Moire comes with.
  static const char *builtIn();
  /// The granularity law of the closest expansion, in powers.
  const GrainLaw &grainFor(double experts) const;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_LAW_H
