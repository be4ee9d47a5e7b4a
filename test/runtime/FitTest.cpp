//===- test/runtime/FitTest.cpp - laws from runs -------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Coefficients that made the data come back from them, without noise exactly, with
// noise inside the interval that the resamplings give.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Philox.h"
#include "runtime/Plan/Plan.h"
#include "runtime/Plan/Points.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <numbers>

using namespace moire::runtime;

namespace {

JointLaw published() { return Laws::load("")->joint; }

/// A law of small models on bytes.
JointLaw truth(bool withExperts) {
  JointLaw law = published();
  law.a = 12, law.alpha = -0.21, law.b = 40, law.beta = -0.26, law.c = 0.9;
  law.delta = withExperts ? -0.2 : 0, law.omega = withExperts ? 0.3 : 0;
  law.gamma = law.zeta = 0;
  return law;
}

std::vector<RunPoint> runsOf(const JointLaw &law, std::initializer_list<double> experts, double noise) {
  std::vector<RunPoint> runs;
  const Philox random(7, "noise");
  for (double e : experts)
    for (double size : {1e5, 4e5, 1.6e6, 6.4e6})
      for (double tokens : {2e6, 8e6, 32e6, 128e6}) {
        auto block = random.at(runs.size());
        double normal =
            std::sqrt(-2 * std::log(openUnit(block[0]))) * std::cos(2 * std::numbers::pi * openUnit(block[1]));
        runs.push_back({size, tokens, e, law.loss(size, tokens, e) * std::exp(noise * normal)});
      }
  return runs;
}

TEST(Fit, ExactWithoutNoise) {
  for (bool withExperts : {false, true}) {
    JointLaw law = truth(withExperts);
    auto fitted = withExperts ? fitLaw(runsOf(law, {1, 4, 16}, 0), published(), 0, 1)
                              : fitLaw(runsOf(law, {1}, 0), published(), 0, 1);
    ASSERT_TRUE(fitted.ok()) << fitted.message();
    EXPECT_NEAR(fitted->law.a / law.a, 1, 1e-4);
    EXPECT_NEAR(fitted->law.alpha, law.alpha, 1e-5);
    EXPECT_NEAR(fitted->law.b / law.b, 1, 1e-4);
    EXPECT_NEAR(fitted->law.beta, law.beta, 1e-5);
    EXPECT_NEAR(fitted->law.c, law.c, 1e-4);
    EXPECT_NEAR(fitted->law.delta, law.delta, 1e-5);
    EXPECT_NEAR(fitted->law.omega, law.omega, 1e-5);
    EXPECT_LT(fitted->law.rmse, 1e-6);
  }
}

TEST(Fit, NoiseStaysWithinTheInterval) {
  JointLaw law = truth(true);
  auto fitted = fitLaw(runsOf(law, {1, 4, 16}, 0.003), published(), 60, 1);
  ASSERT_TRUE(fitted.ok()) << fitted.message();
  ASSERT_EQ(fitted->resampled.size(), 60u);
  auto holds = [&](auto value) { // twice the width: noise of one draw may lie anywhere in the interval
    Interval ninety = fitted->ninety(value);
    double wide = ninety.high - ninety.low;
    EXPECT_GT(wide, 0);
    return ninety.low - wide / 2 <= value(law) && value(law) <= ninety.high + wide / 2;
  };
  EXPECT_TRUE(holds([](const JointLaw &l) { return l.alpha; }));
  EXPECT_TRUE(holds([](const JointLaw &l) { return l.beta; }));
  EXPECT_TRUE(holds([](const JointLaw &l) { return l.delta; }));
  EXPECT_TRUE(holds([](const JointLaw &l) { return l.loss(2e6, 50e6, 4); }));
  // One run that went wrong does not move the fit: that is what Huber's loss is for.
  std::vector<RunPoint> runs = runsOf(law, {1, 4, 16}, 0);
  runs[5].loss *= 1.5;
  auto robust = fitLaw(runs, published(), 0, 1);
  ASSERT_TRUE(robust.ok());
  EXPECT_NEAR(robust->law.alpha, law.alpha, 2e-3);
}

TEST(Fit, PlansByTheFittedLaw) {
  JointLaw law = truth(false);
  auto fitted = fitLaw(runsOf(law, {1}, 0.002), published(), 20, 1);
  ASSERT_TRUE(fitted.ok());
  Question question;
  question.flops = 6 * 1.6e6 * 32e6;
  question.experts = {1};
  question.vocab = 256;
  auto plan = makePlan(*Laws::load(""), question, &*fitted);
  ASSERT_TRUE(plan.ok()) << plan.message();
  EXPECT_NEAR(plan->choices[0].shape.active() / law.best(*question.flops, 1).size, 1, 0.4);
  EXPECT_LE(plan->choices[0].low, plan->choices[0].high);
  question.experts = {8}; // the runs had none
  EXPECT_NE(makePlan(*Laws::load(""), question, &*fitted).message().find("16 runs was fitted on"), std::string::npos);
}

TEST(Fit, Refusals) {
  auto message = [](std::vector<RunPoint> runs) { return fitLaw(runs, published(), 0, 1).message(); };
  std::vector<RunPoint> runs = runsOf(truth(false), {1}, 0);
  EXPECT_EQ(message({runs.begin(), runs.begin() + 9}), "9 runs are too few to fit 5 coefficients: 10 would do");
  for (RunPoint &run : runs)
    run.size = 1e6;
  EXPECT_EQ(message(runs), "the runs have 1 different sizes; a power needs at least 3");
}

TEST(Scores, TransformOfThePaper) {
  // -log Q of 0.4; then scores of a task with four choices: Q' is 0.2, 0.5 and 0.8.
  EXPECT_NEAR(-std::log(0.4), 0.916291, 1e-6);
  for (auto [score, transformed] : {std::pair{0.4, 1.609438}, {0.625, 0.693147}, {0.85, 0.223144}}) {
    ScoreLaw law{0.25, std::log(transformed), 0, 0, 0, {}};
    EXPECT_NEAR(law.score(1e20, 1), score, 1e-6);
  }
}

TEST(Scores, ExactWithoutNoise) {
  std::vector<ScorePoint> points;
  for (double flops : {1e18, 1e19, 1e20, 1e21, 1e22})
    points.push_back({flops, 1, 0.25 + 0.75 * std::exp(-30 / std::pow(flops, 0.12) * 10)});
  auto law = fitScores(points, 0.25);
  ASSERT_TRUE(law.ok()) << law.message();
  EXPECT_NEAR(std::exp(law->logA), 300, 1e-4 * 300);
  EXPECT_NEAR(law->alpha, -0.12, 1e-4);
  EXPECT_EQ(law->beta, 0);

  points.clear();
  for (double flops : {1e19, 1e20, 1e21, 1e22})
    for (double k : {1, 4, 16}) {
      double logC = std::log(flops), logK = std::log(k);
      points.push_back({flops, k, std::exp(-std::exp(9 - 0.2 * logC + 0.4 * logK - 0.012 * logC * logK))});
    }
  auto many = fitScores(points, 0);
  ASSERT_TRUE(many.ok()) << many.message();
  EXPECT_NEAR(many->logA, 9, 1e-6);
  EXPECT_NEAR(many->alpha, -0.2, 1e-8);
  EXPECT_NEAR(many->beta, 0.4, 1e-6);
  EXPECT_NEAR(many->delta, -0.012, 1e-8);
  EXPECT_NEAR(many->score(1e21, 4), points[7].score, 1e-9);
}

TEST(Scores, Refusals) {
  EXPECT_EQ(fitScores({{1e19, 1, 0.26}, {1e20, 1, 0.3}, {1e21, 1, 0.4}}, 0.25).message(),
            "2 of 3 scores are at least 5 % above chance; 3 are needed");
  EXPECT_EQ(fitScores({{1e20, 1, 0.3}, {1e20, 1, 0.4}, {1e20, 1, 0.5}}, 0).message(),
            "the scores do not vary enough: budgets must differ");
}

TEST(Points, Tables) {
  std::string path = testing::TempDir() + "runs.csv";
  auto read = [&](const char *text) {
    std::ofstream(path) << text;
    return readRuns({path});
  };
  auto good = read("size, tokens, loss\n1e6, 2e6, 1.5\n2e6,4e6,1.4\n");
  ASSERT_TRUE(good.ok()) << good.message();
  EXPECT_EQ(good->size(), 2u);
  EXPECT_EQ((*good)[1].size, 2e6);
  EXPECT_EQ((*good)[1].experts, 1);
  EXPECT_NE(read("size,tokens\n1,2\n").message().find("the column `loss` is missing"), std::string::npos);
  EXPECT_NE(read("size,tokens,loss,lr\n1,2,3,4\n").message().find("the column `lr` is not used"), std::string::npos);
  EXPECT_NE(read("size,tokens,loss\n1,2,x\n").message().find("line 2: `x` is no number above 0"), std::string::npos);
  EXPECT_NE(read("size,tokens,loss\n1,2\n").message().find("line 2: 2 numbers for 3 columns"), std::string::npos);
}

} // namespace
