//===- test/runtime/SweepTest.cpp - grids, optima, and resuming a sweep ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sweeps of the fake package, which has no width: two packages stand for two models.
//
//===------------------------------------------------------------------------===//
#include "Support.h"
#include "runtime/Core/File.h"
#include "runtime/Sweep/Coordinates.h"
#include "runtime/Sweep/Report.h"

#include <cmath>

using namespace moire::runtime;

namespace {

TEST(Grid, ReadsAxes) {
  auto axis = parseAxis("betas=(0.9, 0.95),(0.9, 0.99)");
  ASSERT_OK(axis);
  EXPECT_EQ(axis->values, (std::vector<std::string>{"(0.9, 0.95)", "(0.9, 0.99)"}));
  EXPECT_FALSE(axis->numbers());
  EXPECT_EQ(parseAxis("lr=1e-3,2e-3")->numbers(), (std::vector<double>{1e-3, 2e-3}));
  EXPECT_ERROR(parseAxis("lr"), "`lr=1e-3,2e-3` would be one");
  EXPECT_ERROR(parseAxis("lr=1,,2"), "empty value");
}

TEST(Grid, OrdersByPackage) {
  Grid grid{{{"lr", {"1", "2"}, true}, {"width", {"64", "128"}}}, {0, 1}};
  EXPECT_OK(grid.check());
  const auto points = grid.points();
  ASSERT_EQ(points.size(), 8u);
  EXPECT_EQ(grid.name(points[0]), "lr=1 width=64 seed=0");
  EXPECT_EQ(grid.name(points[1]), "lr=1 width=64 seed=1");
  EXPECT_EQ(grid.name(points[2]), "lr=2 width=64 seed=0");
  EXPECT_EQ(grid.folder(points[7]), "lr=2,width=128,seed=1");
  EXPECT_EQ(grid.defines(points[7]), std::vector<std::string>{"width=128"});
}

TEST(Grid, RefusesRepetitions) {
  EXPECT_ERROR((Grid{{{"lr", {"1e-3", "0.001"}}}}.check()), "`lr` has the value 0.001 twice");
  EXPECT_ERROR((Grid{{{"lr", {"1"}}, {"lr", {"2"}}}}.check()), "`lr` is varied twice");
  EXPECT_ERROR((Grid{{{"lr", {"1"}}}, {3, 3}}.check()), "a seed is there twice");
}

TEST(Grid, FoldersOfOddValuesDiffer) {
  Grid grid{{{"gate", {"a/b", "a:b"}}}};
  const auto points = grid.points();
  EXPECT_NE(grid.folder(points[0]), grid.folder(points[1]));
  EXPECT_EQ(grid.folder(points[0]).find('/'), std::string::npos);
}

TEST(Optimum, FindsTheBottomOfAParabolaInTheLogarithm) {
  std::vector<std::pair<double, double>> points;
  for (const double x : {1e-3, 2e-3, 5e-3, 1e-2})
    points.emplace_back(x, 2 + 0.3 * std::pow(std::log(x / 3e-3), 2));
  auto found = findOptimum(points);
  ASSERT_TRUE(found && found->between);
  EXPECT_EQ(found->best, 1u);
  EXPECT_FALSE(found->edge);
  EXPECT_NEAR(found->between->first, 3e-3, 1e-12);
  EXPECT_NEAR(found->between->second, 2, 1e-12);
}

TEST(Optimum, SaysWhereItEnds) {
  EXPECT_TRUE(findOptimum({{1, 1}, {2, 2}, {3, 3}})->edge);
  EXPECT_FALSE(findOptimum({{1, NAN}, {2, NAN}}));
  const auto beside = findOptimum({{1, 2}, {2, 1}, {4, NAN}});
  EXPECT_FALSE(beside->edge); // what diverged is no better
  EXPECT_FALSE(beside->between);
}

TEST(Optimum, SlopeOfAStraightLine) { EXPECT_DOUBLE_EQ(slopeOf({{6, 1}, {7, 1.5}, {8, 2}}), 0.5); }

TEST(Record, NamesTheDifference) {
  const Json then = {{"model", "a"}, {"config", {{"lr", 0.5}, {"steps", 3}}}};
  Json now = then;
  EXPECT_EQ(differenceBetween(now, then), "");
  now["config"]["lr"] = 0.25;
  EXPECT_EQ(differenceBetween(now, then), "config.lr is 0.25, it was 0.5");
  now = then;
  now["config"].erase("steps");
  EXPECT_EQ(differenceBetween(now, then), "config.steps is not there, it was 3");
}

class Sweeping : public FolderTest {
protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 400; ++i)
      text += "the quick brown fox jumps over the lazy dog. ";
    write("text.txt", text);
  }
  SweepRequest request(std::vector<std::string> rates, const std::string &package = "fake") {
    SweepRequest asked;
    asked.grid = {{{"lr", std::move(rates), true}}, {0}};
    asked.out = path("sweep");
    asked.base.record.data = {path("text.txt")};
    asked.base.overrides.steps = 6;
    asked.progress.to = quiet;
    asked.packageFor = [this, package](const std::vector<std::string> &) -> Result<std::string> {
      ++compiled;
      return fakePath(package);
    };
    return asked;
  }
  std::FILE *quiet = std::fopen("/dev/null", "w");
  int compiled = 0;
};

TEST_F(Sweeping, ReusesWhatFits) {
  const auto first = runSweep(request({"0.01", "0.1"}));
  ASSERT_OK(first);
  EXPECT_EQ(compiled, 1); // a learning rate is no matter of the compiler
  EXPECT_EQ(first->reused, 0);
  const auto more = runSweep(request({"0.1", "0.3", "0.01"}));
  ASSERT_OK(more);
  EXPECT_EQ(more->reused, 2);
  EXPECT_EQ(more->results[0].evalLoss, first->results[1].evalLoss);
  EXPECT_EQ(more->results[2].evalLoss, first->results[0].evalLoss);
  EXPECT_FALSE(std::filesystem::exists(path("sweep/lr=0.1,seed=0/checkpoints")));
  // Under another name it is the same point.
  auto named = request({"0.1"});
  named.grid.axes.push_back({"width", {"8"}});
  const auto same = runSweep(named);
  ASSERT_OK(same);
  EXPECT_EQ(same->reused, 1);
}

TEST_F(Sweeping, GoesOnFromACheckpoint) {
  const auto whole = runSweep(request({"0.1"}));
  ASSERT_OK(whole);
  std::filesystem::remove_all(path("sweep"));
  // What a kill after the last checkpoint leaves: a record without a result.
  auto asked = request({"0.1"});
  asked.weights = true;
  ASSERT_OK(runSweep(asked));
  const std::string folder = path("sweep/lr=0.1,seed=0");
  auto record = readRecord(folder);
  ASSERT_OK(record);
  record->result.reset();
  ASSERT_OK(writeRecord(folder, *record));
  const auto again = runSweep(request({"0.1"}));
  ASSERT_OK(again);
  EXPECT_EQ(again->reused, 0);
  EXPECT_EQ(again->results[0].evalLoss, whole->results[0].evalLoss);
  EXPECT_EQ(again->results[0].trainLoss, whole->results[0].trainLoss);
}

TEST_F(Sweeping, RefusesPointsOfOtherOrigin) {
  ASSERT_OK(runSweep(request({"0.1"})));
  EXPECT_ERROR(runSweep(request({"0.1"}, "fake-other-hash")), "was trained from something else: model is \"5eed0002\"");
  auto longer = request({"0.1"});
  longer.base.overrides.steps = 7;
  EXPECT_ERROR(runSweep(longer), "config.steps is 7, it was 6");
  longer.retrain = true;
  const auto again = runSweep(longer);
  ASSERT_OK(again);
  EXPECT_EQ(again->reused, 0);
}

TEST_F(Sweeping, DivergingIsAResult) {
  auto asked = request({"0.1"}, "fake-nan");
  asked.base.overrides.steps = 20;
  const auto found = runSweep(asked);
  ASSERT_OK(found);
  EXPECT_TRUE(found->results[0].diverged);
  const auto again = runSweep(asked);
  ASSERT_OK(again);
  EXPECT_EQ(again->reused, 1);
  EXPECT_TRUE(again->results[0].diverged);
}

TEST(SweepReport, AveragesSeedsAndMeasuresDrift) {
  const Grid grid{{{"lr", {"4", "1", "2"}, true}, {"width", {"64", "256"}}}, {0, 1}};
  SweepOutcome found;
  found.points = grid.points();
  for (const GridPoint &point : found.points) {
    const double lr = (*grid.axes[0].numbers())[point.at[0]], best = point.at[1] == 0 ? 2 : 1;
    PointResult result;
    result.evalLoss = 1 + std::pow(std::log2(lr / best), 2) + (point.seed ? 0.01 : -0.01);
    result.diverged = point.at[1] == 1 && lr == 4;
    found.results.push_back(result);
  }
  const SweepReport report(grid, found);
  ASSERT_EQ(report.curves().size(), 2u);
  const SweepCurve &narrow = report.curves()[0];
  EXPECT_EQ(narrow.name, "width=64");
  EXPECT_NEAR(narrow.cells[1].evalLoss, 1, 1e-12);
  EXPECT_NEAR(narrow.cells[1].error, 0.01, 1e-12);
  EXPECT_EQ(report.curves()[1].cells[2].diverged, 2);
  ASSERT_EQ(report.drifts().size(), 1u);
  EXPECT_DOUBLE_EQ(report.drifts()[0].tried, 0.5);
  EXPECT_TRUE(report.drifts()[0].edge);
  EXPECT_OK(report.chart());
}

/// A probe whose size and change after each step go as given powers of the width.
std::vector<std::vector<ProbeTrace>> tracesOf(const std::vector<int64_t> &widths, std::vector<double> size,
                                              std::vector<double> change) {
  std::vector<ProbeTrace> traces;
  for (const int64_t width : widths) {
    ProbeTrace trace{"probe", {}, {}};
    for (const double power : size)
      trace.size.push_back(3 * std::pow(double(width), power));
    trace.change.push_back(0);
    for (const double power : change)
      trace.change.push_back(0.1 * std::pow(double(width), power));
    traces.push_back(trace);
  }
  return {traces};
}

TEST(Coordinates, GrowthFails) {
  const std::vector<int64_t> widths{64, 128, 512};
  // What only the beginning has does not count; sizes may fall.
  const ProbeGrowth still = growthOf(widths, tracesOf(widths, {0.5, -0.5, -0.2}, {0.05, -0.05}));
  EXPECT_FALSE(still.grows || still.falls);
  EXPECT_NEAR(still.size[1].value, -0.5, 1e-12);
  EXPECT_NEAR(still.worst.value, 0.05, 1e-12);
  const ProbeGrowth size = growthOf(widths, tracesOf(widths, {0, 0.2, 0}, {0, 0}));
  EXPECT_TRUE(size.grows);
  EXPECT_EQ(size.worstStep, 1);
  EXPECT_FALSE(size.worstIsChange);
  const ProbeGrowth change = growthOf(widths, tracesOf(widths, {0, 0, 0}, {0, 1}));
  EXPECT_TRUE(change.grows && change.worstIsChange);
  EXPECT_NEAR(change.worst.value, 1, 1e-12);
  EXPECT_TRUE(growthOf(widths, tracesOf(widths, {0, 0, 0}, {0, -0.5})).falls);
  auto broken = tracesOf(widths, {0, 0, 0}, {0, 0});
  broken[0][1].size[2] = INFINITY;
  EXPECT_TRUE(growthOf(widths, broken).grows);
}

TEST(Coordinates, SeedsThatDisagreeProveNothing) {
  const std::vector<int64_t> widths{64, 128, 512};
  auto traces = tracesOf(widths, {0, 0.4, 0}, {0, 0});
  traces.push_back(tracesOf(widths, {0, -0.1, 0}, {0, 0})[0]);
  const ProbeGrowth unsure = growthOf(widths, traces);
  EXPECT_NEAR(unsure.size[1].value, 0.15, 1e-12);
  EXPECT_NEAR(unsure.size[1].error, 0.25, 1e-12);
  EXPECT_FALSE(unsure.grows);
  EXPECT_NEAR(unsure.size[1].margin, 12.706 * 0.25, 1e-9); // Student's t with one degree of freedom
  traces[1] = tracesOf(widths, {0, 0.3, 0}, {0, 0})[0];
  EXPECT_FALSE(growthOf(widths, traces).grows); // two seeds do not say much
  traces.push_back(tracesOf(widths, {0, 0.35, 0}, {0, 0})[0]);
  EXPECT_NEAR(growthOf(widths, traces).size[1].low(), 0.35 - 4.303 * 0.05 / std::sqrt(3), 1e-9);
  EXPECT_TRUE(growthOf(widths, traces).grows);
}

TEST(Coordinates, NeedsProbes) {
  auto package = Package::load(fakePath());
  ASSERT_OK(package);
  EXPECT_ERROR(traceProbes({}, *package, 0), "has no probes");
}

} // namespace
