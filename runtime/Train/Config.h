//===- runtime/Train/Config.h - the train section, resolved ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a run does, as numbers: read from the package's `train_json`, changed by
// the command line, stored in every checkpoint. Keys and defaults are documented
// in docs/runtime.md.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_CONFIG_H
#define MOIRE_RUNTIME_TRAIN_CONFIG_H

#include "runtime/Core/Json.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moire::runtime {

/// AdamW (Loshchilov & Hutter 2019) with clipping by the global norm.
struct OptimizerConfig {
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0;
  double clip = 0; ///< largest gradient norm; 0: no clipping
};

/// How the learning rate moves over a run.
struct ScheduleConfig {
  std::string kind = "cosine";          ///< "cosine" or "constant" (both after the warm-up)
  int64_t warmupSteps = 0;              ///< used when warmupFraction is absent
  std::optional<double> warmupFraction; ///< of the steps
  double final = 0;                     ///< the last learning rate as a fraction of the highest
};

/// All settings of a run that the loop reads.
struct TrainConfig {
  int64_t steps = 0;
  int64_t accumulate = 1; ///< batches per step
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  double holdout = 0.1;        ///< the last part of the data, kept for evaluation
  int64_t evalEvery = 0;       ///< steps between evaluations; 0: only at the end
  int64_t evalBatches = 100;   ///< batches of the held-out part per evaluation; 0: all
  int64_t checkpointEvery = 0; ///< steps between checkpoints; 0: four times in a run
  int64_t logEvery = 0;        ///< steps between plain progress lines; 0: twenty times in a run
  int64_t keep = 0;            ///< checkpoints to keep; 0: all
  int64_t seed = 0;
  int64_t separator = -1; ///< the token that a document begins with; -1: none
};

/// What the command line changes; everything else stays.
struct ConfigOverrides {
  std::optional<int64_t> steps, seed, evalEvery, checkpointEvery, logEvery, keep;
  std::optional<double> holdout;
  std::vector<std::pair<std::string, double>> numbers; ///< of the optimizer and the schedule: see namesNumber
};

/// Reads a train section. Unknown, missing and contradictory keys are errors that begin with `where`.
Result<TrainConfig> parseTrainConfig(const Json &json, const std::string &where);

/// The inverse of parseTrainConfig, every key present.
Json toJson(const TrainConfig &config);

/// Whether `name` is a number of the optimizer or the schedule that overrides can change: lr, beta1, beta2, eps,
/// weight_decay, clip, warmup (a fraction) or final.
bool namesNumber(std::string_view name);

/// Applies the command line. A number out of range, or one that the schedule does not have, is an error.
Status apply(const ConfigOverrides &overrides, TrainConfig &config);

/// Steps between checkpoints and between plain progress lines, defaults filled in; at least 1.
int64_t checkpointInterval(const TrainConfig &config);
int64_t logInterval(const TrainConfig &config);

/// Steps of warm-up: as given, or the fraction of the steps rounded to the nearest (at least 1 when above 0).
int64_t warmupSteps(const TrainConfig &config);

/// A scheduled learning rate in the two parts that relative rates weigh (arXiv 2507.03526): a parameter's is its factor
/// times (its rate at the start times `start`, plus its rate at the end times `end`).
struct LearningRate {
  double start = 0; ///< fades along the cosine; all of it in the warm-up and in a constant schedule
  double end = 0;   ///< rises to the last learning rate
  double whole() const { return start + end; }
};

/// The learning rate of step `step`, counted from 0. Warm-up of W steps: lr (step + 1) / W; then, over T steps in all,
/// cosine: with c = cos(pi (step - W) / (T - W)), lr (1 + c) / 2 and f lr (1 - c) / 2.
LearningRate learningRate(const TrainConfig &config, int64_t step);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_CONFIG_H
