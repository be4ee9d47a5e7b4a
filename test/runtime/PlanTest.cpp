//===- test/runtime/PlanTest.cpp - scaling laws and plans -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The laws against values of their papers, and against values computed from the
// printed coefficients by other code; plans against the law that they come from.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Plan.h"
#include "runtime/Plan/Units.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>

using namespace moire::runtime;

namespace {

Laws laws() {
  auto loaded = Laws::load("");
  EXPECT_TRUE(loaded.ok()) << loaded.message();
  return std::move(*loaded);
}

TEST(JointLaw, EffectiveExperts) {
  JointLaw law = laws().joint;
  const std::pair<double, double> table[] = {{1, 2.0732},   {2, 3.0556},   {4, 5.0005},  {8, 8.8124},
                                             {16, 16.1386}, {32, 29.7042}, {64, 53.1725}};
  for (auto [experts, effective] : table)
    EXPECT_NEAR(law.effective(experts), effective, 1e-4);
}

TEST(JointLaw, LossAtABillion) {
  JointLaw law = laws().joint;
  const std::pair<double, double> table[] = {{1, 2.57760}, {2, 2.55868},  {4, 2.53516},
                                             {8, 2.50878}, {16, 2.48139}, {32, 2.45456}};
  for (auto [experts, loss] : table)
    EXPECT_NEAR(law.loss(1e9, 20e9, experts), loss, 1e-5);
}

struct Row {
  double flops, experts, size, tokens, loss, publishedSize, publishedTokens;
};

TEST(JointLaw, OptimaOfThePaper) {
  JointLaw law = laws().joint;
  const Row table[] = {
      {1e20, 1, 1.7269e9, 9.6512e9, 2.5897, 1.7e9, 9.7e9},     {1e20, 4, 1.2127e9, 1.3744e10, 2.5540, 1.2e9, 13.9e9},
      {1e20, 8, 9.900e8, 1.6835e10, 2.5291, 990e6, 17e9},      {1e20, 16, 8.1129e8, 2.0543e10, 2.5013, 810e6, 20.7e9},
      {1e21, 4, 4.3898e9, 3.7967e10, 2.3164, 4.4e9, 38e9},     {1e21, 8, 3.7862e9, 4.4020e10, 2.2945, 3.8e9, 44.3e9},
      {1e21, 16, 3.2813e9, 5.0792e10, 2.2713, 3.3e9, 51.2e9},  {1e22, 4, 1.5891e10, 1.0488e11, 2.1262, 15.8e9, 105.4e9},
      {1e22, 8, 1.4480e10, 1.1510e11, 2.1071, 14.4e9, 115.8e9}};
  for (const Row &row : table) {
    Optimum best = law.best(row.flops, row.experts);
    EXPECT_NEAR(best.size / row.size, 1, 1e-4);
    EXPECT_NEAR(best.tokens / row.tokens, 1, 1e-4);
    EXPECT_NEAR(best.loss, row.loss, 1e-4);
    EXPECT_NEAR(best.size / row.publishedSize, 1, 0.02);
    EXPECT_NEAR(best.tokens / row.publishedTokens, 1, 0.02);
    // The optimum is one: a step to either side is worse. And it can be asked for from either end.
    for (double factor : {0.99, 1.01})
      EXPECT_GT(law.loss(best.size * factor, best.tokens / factor, row.experts), best.loss);
    EXPECT_NEAR(law.flopsForSize(best.size, row.experts) / row.flops, 1, 1e-9);
    EXPECT_NEAR(law.flopsForTokens(best.tokens, row.experts) / row.flops, 1, 1e-9);
  }
}

TEST(RateRule, ValuesOfTheCode) {
  RateRule rule = laws().rate;
  EXPECT_NEAR(rule.rate(1e8, 1), 1.4028e-3, 1e-7);
  EXPECT_NEAR(rule.rate(1e8, 8), 8.3413e-4, 1e-8);
  EXPECT_NEAR(rule.rate(1e9, 1), 2.1618e-4, 1e-8);
  EXPECT_NEAR(rule.rate(1e9, 8), 1.2854e-4, 1e-8);
}

TEST(GrainLaw, LossByGranularity) {
  GrainLaw law = laws().grains[0];
  const std::pair<double, double> table[] = {{1, 3.20951},  {2, 3.14875},  {4, 3.10810}, {8, 3.08091},
                                             {16, 3.06272}, {32, 3.05055}, {64, 3.04241}};
  for (auto [granularity, loss] : table)
    EXPECT_NEAR(law.loss(1.6e9, 16e9, granularity), loss, 1e-5);
  EXPECT_NEAR(laws().grains[1].loss(1e9, 20e9, 4), 3.03507, 1e-5);
  // What granularity adds to the loss, g / G^gamma: 2.1 at 1, and so on.
  for (auto [granularity, term] :
       {std::pair{1.0, 2.1}, {2.0, 1.404824}, {4.0, 0.939776}, {8.0, 0.628676}, {16.0, 0.420562}})
    EXPECT_NEAR((law.loss(1, 1, granularity) - law.loss(1, 1, 1e300)), term, 1e-6);
}

TEST(GrainLaw, OperationsAndTheRoutersShare) {
  GrainLaw law = laws().grains[0];
  EXPECT_NEAR(law.flops(768, 12, 4, 33e9) / 1.790705664e19, 1, 1e-12);
  EXPECT_NEAR(law.flops(512, 8, 8, 16e9) / 2.885681152e18, 1, 1e-12);
  GrainLaw without = law;
  without.flopsPerRoute = 0;
  EXPECT_NEAR(law.flops(768, 12, 4, 1) / without.flops(768, 12, 4, 1) - 1, 0.0648, 1e-4);
  EXPECT_NEAR(law.flops(512, 8, 8, 1) / without.flops(512, 8, 8, 1) - 1, 0.1944, 1e-4);
  EXPECT_EQ(law.sizeOf(768, 12), 3652190208.0);
}

TEST(GrainLaw, ComputeOptimalTableOfThePaper) {
  GrainLaw law = laws().grains[0];
  struct Published {
    double active, tokens, granularity, flops, loss, law;
  };
  const Published table[] = {{100e6, 4.37e9, 8, 2.95e18, 3.133, 3.110},   {1e9, 28.94e9, 16, 1.93e20, 2.491, 2.471},
                             {3e9, 72.90e9, 16, 1.41e21, 2.245, 2.226},   {7e9, 137.60e9, 32, 6.46e21, 2.076, 2.060},
                             {70e9, 941.07e9, 32, 4.16e23, 1.694, 1.680}, {300e9, 2.96e12, 64, 5.69e24, 1.503, 1.490},
                             {1e12, 7.94e12, 64, 4.97e25, 1.367, 1.356}};
  for (const Published &row : table) {
    EXPECT_EQ(law.bestGranularity(row.flops), int64_t(row.granularity));
    Optimum best = law.best(row.flops, row.granularity);
    double active = best.size * 12 / (8 * law.experts + 4);
    EXPECT_NEAR(active / row.active, 1, 0.03);
    EXPECT_NEAR(best.tokens / row.tokens, 1, 0.03);
    EXPECT_NEAR(best.loss, row.law, 1.5e-3); // the rounded coefficients as printed come out a little low
    EXPECT_LT(best.loss, row.loss);
    EXPECT_LT(row.loss - best.loss, 0.025);
    // The paper's own sizes cost what it says.
    double width = 64 * std::cbrt(row.active / 12 / 4096);
    EXPECT_NEAR(law.flops(width, width / 64, row.granularity, row.tokens) / row.flops, 1, 0.005);
  }
}

TEST(Shape, CountsOfTheLawsModels) {
  const std::tuple<int64_t, int64_t, double> table[] = {
      {512, 8, 78726144}, {768, 12, 169207296}, {1024, 16, 321030144}, {1280, 16, 469445120}, {1664, 26, 1103142144}};
  for (auto [width, depth, active] : table) {
    Shape shape{width, depth};
    EXPECT_EQ(shape.active() - double(depth) * 2 * double(width) - double(width), active); // the paper leaves out norms
    Shape near = Shape::near(shape.active(), 1, 1, 50257);
    EXPECT_NEAR(near.active() / shape.active(), 1, 0.01);
  }
}

TEST(Plan, ChoosesAsTheLawDoes) {
  Laws all = laws();
  Question question;
  question.flops = 1e20;
  auto plan = makePlan(all, question);
  ASSERT_TRUE(plan.ok()) << plan.message();
  ASSERT_EQ(plan->choices.size(), 6u);
  double before = 0;
  for (const Choice &choice : plan->choices) {
    double experts = double(choice.shape.experts);
    EXPECT_GE(choice.loss, before);
    before = choice.loss;
    EXPECT_NEAR(6 * choice.shape.active() * choice.tokens / 1e20, 1, 1e-9);
    EXPECT_NEAR(choice.shape.active() / all.joint.best(1e20, experts).size, 1, 0.011);
    EXPECT_NEAR(choice.loss, all.joint.best(1e20, experts).loss, 1e-4); // flat around the optimum
  }
  EXPECT_EQ(plan->choices.front().shape.experts, 32);
}

TEST(Plan, MemoryMakesModelsSmaller) {
  Question question;
  question.flops = 1e20;
  question.memory = 80 * 0x1p30;
  auto plan = makePlan(laws(), question);
  ASSERT_TRUE(plan.ok()) << plan.message();
  bool limited = false;
  for (const Choice &choice : plan->choices) {
    EXPECT_LE(choice.bytes(), *question.memory);
    EXPECT_NEAR(choice.flops / 1e20, 1, 1e-9);
    limited |= choice.limited;
  }
  EXPECT_TRUE(limited);
}

TEST(Plan, FromTokensOrFromAModel) {
  Laws all = laws();
  Question question;
  question.experts = {8};
  question.active = 990e6;
  auto bySize = makePlan(all, question);
  ASSERT_TRUE(bySize.ok());
  EXPECT_NEAR(bySize->choices[0].flops / 1e20, 1, 0.03);
  question.active.reset();
  question.tokens = 1.6835e10;
  auto byTokens = makePlan(all, question);
  ASSERT_TRUE(byTokens.ok());
  EXPECT_NEAR(byTokens->choices[0].flops / 1e20, 1, 0.03);
  question.active = 2e9; // both: the rest follows
  auto both = makePlan(all, question);
  ASSERT_TRUE(both.ok());
  EXPECT_NEAR(both->choices[0].flops / (6 * 2e9 * 1.6835e10), 1, 0.011);
}

TEST(Plan, GranularityCostsTime) {
  Question question;
  question.flops = 2e19;
  question.experts = {32};
  question.extrapolate = true;
  auto plan = makePlan(laws(), question);
  ASSERT_TRUE(plan.ok()) << plan.message();
  ASSERT_EQ(plan->grains.size(), 5u);
  for (size_t i = 1; i < plan->grains.size(); ++i) {
    EXPECT_GT(plan->grains[i].operations, plan->grains[i - 1].operations);
    EXPECT_GT(plan->grains[i].time, plan->grains[i - 1].time);
  }
  // Fine pieces take longer than their operations say: they move more bytes.
  EXPECT_GT(plan->grains.back().time, plan->grains.back().operations);
  EXPECT_EQ(plan->grains[0].atTime, 0);
  EXPECT_EQ(plan->choices[0].shape.granularity,
            std::min_element(plan->grains.begin(), plan->grains.end(), [](auto &a, auto &b) {
              return a.atTime < b.atTime;
            })->granularity);
}

TEST(Plan, Refusals) {
  Laws all = laws();
  auto message = [&](const Question &question) { return makePlan(all, question).message(); };
  Question question;
  EXPECT_NE(message(question).find("nothing to plan from"), std::string::npos);
  question.flops = 1e15;
  EXPECT_NE(message(question).find("outside of what the law of arXiv 2502.05172 was fitted on"), std::string::npos);
  question.extrapolate = true;
  EXPECT_EQ(message(question), "");
  question.extrapolate = false;
  question.flops = 1e20;
  question.experts = {64};
  EXPECT_NE(message(question).find("a number of experts of 64"), std::string::npos);
  question.experts = {8};
  question.memory = 1e9;
  EXPECT_NE(message(question).find("outside"), std::string::npos);
  question.machine = "abacus";
  EXPECT_NE(message(question).find("no machine `abacus`; the laws' file has `epyc2`, `h200`"), std::string::npos);
  question.tokens = 1e9, question.active = 1e9;
  EXPECT_NE(message(question).find("one too many"), std::string::npos);
}

TEST(Units, AsPeopleWriteThem) {
  EXPECT_EQ(*parseCount("20B", "x"), 20e9);
  EXPECT_EQ(*parseCount("1e20", "x"), 1e20);
  EXPECT_EQ(*parseBytes("24GiB", "x"), 24 * 0x1p30);
  EXPECT_EQ(*parseBytes("24 GB", "x"), 24e9);
  EXPECT_EQ(*parseSpeed("400TFLOP/s", "x"), 4e14);
  EXPECT_EQ(parseBytes("24", "--memory").message(), "--memory: `24` has no unit; `24GiB` would do");
  EXPECT_EQ(parseSpeed("400GiB", "--speed").message(),
            "--speed: `400GiB` has the unit `GiB`, which is none here; `400TFLOP/s` would do");
  EXPECT_EQ(parseCount("-3", "--flops").message(), "--flops: `-3` is not above 0");
  EXPECT_EQ(parseCount("many", "--flops").message(), "--flops: `many` is no number; `20B` would be one");
  EXPECT_EQ(spelled(17.3e9), "17.3B");
  EXPECT_EQ(spelled(999.9e6), "1B");
  EXPECT_EQ(spelled(1e20), "1e+20");
}

TEST(Laws, AFileIsReadStrictly) {
  std::string text = Laws::builtIn();
  auto read = [](const std::string &changed) {
    std::string path = testing::TempDir() + "laws.json";
    std::ofstream(path) << changed;
    return Laws::load(path).message();
  };
  EXPECT_EQ(read(text), "");
  std::string misspelt = text;
  misspelt.replace(misspelt.find("\"delta\""), 7, "\"dleta\"");
  EXPECT_NE(read(misspelt).find("`delta`"), std::string::npos);
  std::string upside = text;
  upside.replace(upside.find("[1, 32]"), 7, "[32, 1]");
  EXPECT_NE(read(upside).find("`experts` must go from a number above 0 upwards"), std::string::npos);
}

} // namespace
