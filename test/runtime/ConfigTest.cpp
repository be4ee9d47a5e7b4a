//===- test/runtime/ConfigTest.cpp - train sections and schedules ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the train section accepts, and the learning rates that come out.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Config.h"
#include "Support.h"

#include <cmath>

using namespace moire::runtime;

namespace {

const char *const full =
    R"({"steps":400,"accumulate":1,"optimizer":{"kind":"adamw","lr":3e-3,"beta1":0.9,"beta2":0.95,"eps":1e-8,
        "weight_decay":0.1,"clip":1.0},"schedule":{"kind":"cosine","warmup":0.01,"final":0.1},"holdout":0.1,
        "eval_every":0,"checkpoint_every":0,"seed":0})";

Result<TrainConfig> parse(const std::string &text) {
  MOIRE_ASSIGN(const Json json, parseJson(text, "train"));
  return parseTrainConfig(json, "train");
}

std::string with(const std::string &from, const std::string &to) {
  std::string text = full;
  return text.replace(text.find(from), from.size(), to);
}

TEST(Config, ReadsAndWritesEverything) {
  const auto config = parse(full);
  ASSERT_OK(config);
  EXPECT_EQ(config->steps, 400);
  EXPECT_EQ(config->optimizer.lr, 3e-3);
  EXPECT_EQ(config->evalBatches, 100);
  EXPECT_EQ(warmupSteps(*config), 4);
  const auto again = parse(toJson(*config).dump());
  ASSERT_OK(again);
  EXPECT_EQ(toJson(*again), toJson(*config));
}

TEST(Config, ASeparatorIsThereOrNot) {
  EXPECT_EQ(parse(full)->separator, -1);
  EXPECT_FALSE(toJson(*parse(full)).contains("separator"));
  const auto config = parse(with("\"seed\":0", "\"seed\":0,\"separator\":10"));
  ASSERT_OK(config);
  EXPECT_EQ(config->separator, 10);
  EXPECT_EQ(parse(toJson(*config).dump())->separator, 10);
  EXPECT_ERROR(parse(with("\"seed\":0", "\"separator\":-1")), "`separator` must be");
}

TEST(Config, RefusesWhatItDoesNotKnow) {
  EXPECT_ERROR(parse(with("\"steps\"", "\"step\"")), "key `steps` is missing");
  EXPECT_ERROR(parse(with("\"seed\"", "\"sead\"")), "unknown key `sead`");
  EXPECT_ERROR(parse(with("\"clip\"", "\"clipping\"")), "train: optimizer: unknown key `clipping`");
  EXPECT_ERROR(parse(with("400", "400.0")), "`steps` must be a whole number");
  EXPECT_ERROR(parse(with("3e-3", "\"3e-3\"")), "`lr` must be a number");
  EXPECT_ERROR(parse(with("adamw", "sgd")), "unknown optimizer `sgd`");
  EXPECT_ERROR(parse(with("cosine", "linear")), "unknown schedule `linear`");
  EXPECT_ERROR(parse(with("\"final\"", "\"warmup_steps\":3,\"final\"")), "not both");
  EXPECT_ERROR(parse(with("\"holdout\":0.1", "\"holdout\":1")), "`holdout` must be a number from 0 to 0.99");
}

TEST(Config, TheCommandLineWins) {
  auto config = parse(full);
  ConfigOverrides overrides;
  overrides.steps = 20;
  overrides.holdout = 0.25;
  ASSERT_OK(apply(overrides, *config));
  EXPECT_EQ(config->steps, 20);
  EXPECT_EQ(config->holdout, 0.25);
  EXPECT_EQ(config->seed, 0);
  EXPECT_EQ(warmupSteps(*config), 1); // a fraction above 0 is at least one step
  EXPECT_EQ(checkpointInterval(*config), 5);
  EXPECT_EQ(logInterval(*config), 1);
}

TEST(Config, LearningRateWarmsUpAndFalls) {
  auto config = parse(with("\"warmup\":0.01", "\"warmup_steps\":4"));
  ASSERT_OK(config);
  EXPECT_DOUBLE_EQ(learningRate(*config, 0).whole(), 3e-3 / 4);
  EXPECT_DOUBLE_EQ(learningRate(*config, 3).whole(), 3e-3);
  EXPECT_DOUBLE_EQ(learningRate(*config, 4).whole(), 3e-3);
  EXPECT_NEAR(learningRate(*config, 202).whole(), 3e-4 + 0.5 * 2.7e-3, 1e-12); // half of the way
  EXPECT_NEAR(learningRate(*config, 399).whole(), 3e-4, 1e-7);
  config->schedule.kind = "constant";
  EXPECT_EQ(learningRate(*config, 399).whole(), 3e-3);
  config->schedule.warmupSteps = 0;
  EXPECT_EQ(learningRate(*config, 0).whole(), 3e-3);
}

// The table of arXiv 2507.03526's method at lr 1e-3, 10240 steps of which 102 warm up, last rate 0.0444444 of the
// first: per group its relative rates, and the learning rate at steps 0, 101, 102, 5171 (the middle) and 10240.
TEST(Config, RelativeRatesFollowTheTable) {
  auto config = parse(with("\"warmup\":0.01", "\"warmup_steps\":102"));
  ASSERT_OK(config);
  config->optimizer.lr = 1e-3;
  config->schedule.final = 0.0444444;
  config->steps = 10240;
  struct Row {
    double start, end, rates[5];
  };
  const Row rows[] = {{5, 0.666, {4.901961e-5, 5e-3, 5e-3, 2.514800e-3, 2.959997e-5}},
                      {0.666, 0.444, {6.529412e-6, 6.66e-4, 6.66e-4, 3.428667e-4, 1.973331e-5}},
                      {0.666, 1, {6.529412e-6, 6.66e-4, 6.66e-4, 3.552222e-4, 4.444440e-5}},
                      {0.3, 1.125, {2.941176e-6, 3e-4, 3e-4, 1.75e-4, 4.999995e-5}},
                      {1, 1, {9.803922e-6, 1e-3, 1e-3, 5.222222e-4, 4.444440e-5}}};
  const int64_t steps[] = {0, 101, 102, 5171, 10240};
  for (const Row &row : rows)
    for (int i = 0; i < 5; ++i) {
      const LearningRate rate = learningRate(*config, steps[i]);
      EXPECT_NEAR(row.start * rate.start + row.end * rate.end, row.rates[i], 5.1e-7 * row.rates[i])
          << row.start << " " << steps[i];
    }
}

} // namespace
