//===- runtime/Train/Config.cpp - the train section, resolved ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading, writing and using the numbers of a run.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Config.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moire::runtime {

static Status parseOptimizer(const Json &json, const std::string &where, OptimizerConfig &optimizer) {
  std::string kind;
  ObjectReader reader(json, where);
  reader.text("kind", kind).number("lr", optimizer.lr, 0, 1e6);
  reader.optional()
      .number("beta1", optimizer.beta1, 0, 1 - 0x1p-53)
      .number("beta2", optimizer.beta2, 0, 1 - 0x1p-53)
      .number("eps", optimizer.eps, 0, 1)
      .number("weight_decay", optimizer.weightDecay, 0, 1e6)
      .number("clip", optimizer.clip, 0, 1e30);
  MOIRE_TRY(reader.finish());
  return kind == "adamw" ? Status() : Status::error("{}: unknown optimizer `{}` (known: adamw)", where, kind);
}

static Status parseSchedule(const Json &json, const std::string &where, ScheduleConfig &schedule) {
  double fraction = 0;
  ObjectReader reader(json, where);
  reader.text("kind", schedule.kind);
  reader.optional()
      .count("warmup_steps", schedule.warmupSteps, 0)
      .number("warmup", fraction, 0, 1)
      .number("final", schedule.final, 0, 1);
  if (reader.has("warmup"))
    schedule.warmupFraction = fraction;
  MOIRE_TRY(reader.finish());
  if (reader.has("warmup") && reader.has("warmup_steps"))
    return Status::error("{}: give `warmup` (a fraction) or `warmup_steps`, not both", where);
  if (schedule.kind != "cosine" && schedule.kind != "constant")
    return Status::error("{}: unknown schedule `{}` (known: constant, cosine)", where, schedule.kind);
  return {};
}

Result<TrainConfig> parseTrainConfig(const Json &json, const std::string &where) {
  TrainConfig config;
  ObjectReader reader(json, where);
  reader.count("steps", config.steps, 0);
  const Json &optimizer = reader.value("optimizer");
  const Json &schedule = reader.value("schedule");
  reader.optional()
      .count("accumulate", config.accumulate, 1, 1 << 20)
      .number("holdout", config.holdout, 0, 0.99)
      .count("eval_every", config.evalEvery, 0)
      .count("eval_batches", config.evalBatches, 0)
      .count("checkpoint_every", config.checkpointEvery, 0)
      .count("log_every", config.logEvery, 0)
      .count("keep", config.keep, 0)
      .count("seed", config.seed, 0)
      .count("separator", config.separator, 0, INT32_MAX);
  MOIRE_TRY(reader.finish());
  MOIRE_TRY(parseOptimizer(optimizer, where + ": optimizer", config.optimizer));
  MOIRE_TRY(parseSchedule(schedule, where + ": schedule", config.schedule));
  return config;
}

Json toJson(const TrainConfig &config) {
  const OptimizerConfig &o = config.optimizer;
  const ScheduleConfig &s = config.schedule;
  Json schedule = {{"kind", s.kind}};
  if (s.warmupFraction)
    schedule["warmup"] = *s.warmupFraction;
  else
    schedule["warmup_steps"] = s.warmupSteps;
  schedule["final"] = s.final;
  Json json = {{"steps", config.steps},
               {"accumulate", config.accumulate},
               {"optimizer",
                {{"kind", "adamw"},
                 {"lr", o.lr},
                 {"beta1", o.beta1},
                 {"beta2", o.beta2},
                 {"eps", o.eps},
                 {"weight_decay", o.weightDecay},
                 {"clip", o.clip}}},
               {"schedule", schedule},
               {"holdout", config.holdout},
               {"eval_every", config.evalEvery},
               {"eval_batches", config.evalBatches},
               {"checkpoint_every", config.checkpointEvery},
               {"log_every", config.logEvery},
               {"keep", config.keep},
               {"seed", config.seed}};
  if (config.separator >= 0)
    json["separator"] = config.separator;
  return json;
}

/// The section that number `name` lies in; null when there is none.
static const char *sectionOf(std::string_view name) {
  for (const char *known : {"lr", "beta1", "beta2", "eps", "weight_decay", "clip"})
    if (name == known)
      return "optimizer";
  return name == "warmup" || name == "final" ? "schedule" : nullptr;
}

bool namesNumber(std::string_view name) { return sectionOf(name) != nullptr; }

Status apply(const ConfigOverrides &overrides, TrainConfig &config) {
  for (const auto &[name, value] : overrides.numbers) {
    if (!namesNumber(name))
      return Status::error("neither the optimizer nor the schedule has a number `{}`", name);
    if (name == "final" && config.schedule.kind == "constant")
      return Status::error("a constant schedule has no `final`; a cosine schedule has");
    Json json = toJson(config);
    Json &section = json[sectionOf(name)];
    if (name == "warmup")
      section.erase("warmup_steps");
    section[name] = value;
    MOIRE_ASSIGN(config, parseTrainConfig(json, "override"));
  }
  config.steps = overrides.steps.value_or(config.steps);
  config.seed = overrides.seed.value_or(config.seed);
  config.evalEvery = overrides.evalEvery.value_or(config.evalEvery);
  config.checkpointEvery = overrides.checkpointEvery.value_or(config.checkpointEvery);
  config.logEvery = overrides.logEvery.value_or(config.logEvery);
  config.keep = overrides.keep.value_or(config.keep);
  config.holdout = overrides.holdout.value_or(config.holdout);
  return {};
}

int64_t checkpointInterval(const TrainConfig &config) {
  return config.checkpointEvery > 0 ? config.checkpointEvery : std::max<int64_t>(1, (config.steps + 3) / 4);
}

int64_t logInterval(const TrainConfig &config) {
  return config.logEvery > 0 ? config.logEvery : std::max<int64_t>(1, (config.steps + 19) / 20);
}

int64_t warmupSteps(const TrainConfig &config) {
  const ScheduleConfig &schedule = config.schedule;
  if (!schedule.warmupFraction)
    return std::min(schedule.warmupSteps, config.steps);
  const int64_t rounded = std::llround(*schedule.warmupFraction * static_cast<double>(config.steps));
  return *schedule.warmupFraction > 0 ? std::max<int64_t>(1, rounded) : 0;
}

LearningRate learningRate(const TrainConfig &config, int64_t step) {
  const double highest = config.optimizer.lr;
  const int64_t warmup = warmupSteps(config);
  if (step < warmup)
    return {highest * static_cast<double>(step + 1) / static_cast<double>(warmup), 0};
  if (config.schedule.kind == "constant")
    return {highest, 0};
  const double progress =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, config.steps - warmup));
  const double cosine = std::cos(std::numbers::pi * std::min(progress, 1.0));
  return {0.5 * highest * (1 + cosine), 0.5 * config.schedule.final * highest * (1 - cosine)};
}

} // namespace moire::runtime
