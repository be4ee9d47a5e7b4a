//===- runtime/Sweep/Coordinates.h - how activations grow with width ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The coordinate check of muP (Yang et al. 2022, arXiv 2203.03466, appendix D.1): a few steps at each width, and the
// slopes of the sizes of activations, and of their changes since the first step, over the width.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_SWEEP_COORDINATES_H
#define MOIRE_RUNTIME_SWEEP_COORDINATES_H

#include "runtime/Core/Json.h"
#include "runtime/Plan/Chart.h"
#include "runtime/Train/Train.h"

#include <functional>
#include <string>
#include <vector>

namespace moire::runtime {

/// Mean absolute values at one probe, for each step from 0 (before the first update) on.
struct ProbeTrace {
  std::string path;
  std::vector<double> size;   ///< mean |h_t|
  std::vector<double> change; ///< mean |h_t - h_0|
};

/// What to run.
struct CoordinateRequest {
  std::vector<int64_t> widths; ///< at least two, ascending
  int64_t seeds = 3;           ///< 0, 1, …: each with other first values and another batch
  int64_t steps = 10;          ///< updates
  std::optional<double> lr;    ///< constant; by default that of the spec
  RunRecord data;              ///< data and tokeniser
  ProgressStyle progress;
  /// The package, with probes, of a width.
  std::function<Result<std::string>(int64_t width)> packageFor;
};

/// Trains one model for `steps` on one batch, at a constant rate, and looks at its probes before each update and after
/// the last one.
Result<std::vector<ProbeTrace>> traceProbes(const CoordinateRequest &request, const Package &package, int64_t seed);

/// A slope over the width: the mean of those of the seeds, with its standard error (0 with one seed).
struct Slope {
  double value = 0, error = 0; ///< NaN where a mean is 0 or not finite
  double margin = 0;           ///< half of the interval that holds the true slope in 95 of 100 cases, by Student's t
  double low() const { return value - margin; }
  double high() const { return value + margin; }
};

/// How one probe grows.
struct ProbeGrowth {
  std::string path;
  std::vector<ProbeTrace> traces;  ///< for each width, means over the seeds
  std::vector<Slope> size, change; ///< of log2 over log2 of the width, after each step; change[0] is NaN
  Slope worst;                     ///< of the slopes that count, that with the largest lower bound
  int64_t worstStep = 0;           ///< where it is
  bool worstIsChange = false;      ///< and of what
  bool grows = false, falls = false;
};

/// Slopes above this grow with the width.
inline constexpr double steepest = 0.1;

/// The outcome.
struct CoordinateCheck {
  std::vector<int64_t> widths;
  int64_t steps = 0, seeds = 0;
  double lr = 0;
  std::vector<ProbeGrowth> probes; ///< in the order of the model

  bool passes() const;
  /// The probe whose worst slope has the largest lower bound.
  const ProbeGrowth &worst() const;
  void print() const;
  Json json() const;
  /// Sizes of all changes after the last step, over the width.
  Chart chart() const;
};

/// Slopes and verdict of one probe; `traces[seed][width]`. It grows when, after any step from 1 on, mean |h_t| or mean
/// |h_t - h_0| has a slope whose lower bound is above `steepest`, or is not finite. It falls when the change after the
/// last step has a slope whose upper bound is below -`steepest`: wide models then learn less there. Falling sizes are
/// fine: at the beginning the logits of heads and routers are sums of random signs, which may average out as
/// width^-0.5.
ProbeGrowth growthOf(const std::vector<int64_t> &widths, const std::vector<std::vector<ProbeTrace>> &traces);

/// Runs all widths and seeds.
Result<CoordinateCheck> checkCoordinates(const CoordinateRequest &request);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_SWEEP_COORDINATES_H
