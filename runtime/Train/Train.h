//===- runtime/Train/Train.h - training a package -----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `prepare` checks everything that can be wrong and opens the run's folder;
// `trainLoop` is the loop: data, step, optimizer, log, checkpoint.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_TRAIN_H
#define MOIRE_RUNTIME_TRAIN_TRAIN_H

#include "runtime/Core/File.h"
#include "runtime/Train/Data.h"
#include "runtime/Train/Metrics.h"
#include "runtime/Train/RunFolder.h"

#include <string>

namespace moire::runtime {

/// What `moire train` was asked for, its package already compiled.
struct TrainRequest {
  std::string package;       ///< path of the package; empty with resume: that of the run
  std::string out;           ///< the run's folder
  bool resume = false;       ///< go on from the last checkpoint
  std::string from;          ///< a run or checkpoint whose weights are the first ones; empty: initialise
  ConfigOverrides overrides; ///< from the command line
  RunRecord record;          ///< data and tokeniser may be empty with resume: those of the run
};

/// A run that is ready to train.
struct PreparedRun {
  std::string folder;
  Model model;
  TokenStream data;
  Split split;
  RunState state;
  Buffer accumulator; ///< of gradients; empty when a step is one batch
  FolderLock lock;
  MetricsLog metrics;
  std::string note; ///< something that the user should know before the first step; may be empty
};

/// Loads package and data, checks both, initialises or resumes; nothing is written before all checks have passed.
Result<PreparedRun> prepare(const TrainRequest &request);

/// Trains up to the configured number of steps. Returns 0, or 128 plus the signal that asked to stop (SIGINT, SIGTERM;
/// a checkpoint has then been written).
Result<int> trainLoop(PreparedRun &run, const ProgressStyle &style = {});

/// Steps in a row with a gradient that is not finite, after which a run gives up.
inline constexpr int64_t mostSkippedInRow = 10;

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_TRAIN_H
