//===- runtime/Sweep/Sweep.h - training a grid -------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each point is a run of `moire train` in a folder of its own, so it can be looked at, stopped and resumed like one.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_SWEEP_SWEEP_H
#define MOIRE_RUNTIME_SWEEP_SWEEP_H

#include "runtime/Sweep/Grid.h"
#include "runtime/Sweep/Record.h"
#include "runtime/Train/Train.h"

#include <functional>

namespace moire::runtime {

/// What to train, and where.
struct SweepRequest {
  Grid grid;
  std::string out;      ///< folder of the sweep
  TrainRequest base;    ///< data, tokeniser, threads, overrides; package and folder are those of the points
  bool retrain = false; ///< train points again that were trained from something else
  bool weights = false; ///< keep the checkpoints of points that are done
  ProgressStyle progress;
  /// The package for the given NAME=VALUE.
  std::function<Result<std::string>(const std::vector<std::string> &)> packageFor;
};

/// What came out.
struct SweepOutcome {
  std::vector<GridPoint> points;
  std::vector<PointResult> results; ///< of `points`
  TrainConfig config;               ///< of the first point
  int64_t reused = 0;               ///< points that were trained before
  int stopped = 0;                  ///< 128 plus the signal that asked to stop; then results are missing
};

/// Trains all points that `out` does not have yet. A point whose gradients or loss are not finite has diverged, which
/// is a result. A point of other origin (spec, settings, data) is an error unless `retrain`.
Result<SweepOutcome> runSweep(const SweepRequest &request);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_SWEEP_SWEEP_H
