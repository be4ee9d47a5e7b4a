//===- runtime/tools/PlanOutput.cpp - how plans are shown ------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables for people, JSON for programs, curves for both.
//
//===------------------------------------------------------------------------===//
#include "runtime/tools/PlanOutput.h"
#include "runtime/Plan/Units.h"

#include <cmath>

namespace moire::runtime {
namespace {

/// Coefficients that a fit may move, as the laws' file calls them.
constexpr std::pair<const char *, double JointLaw::*> coefficients[] = {
    {"a", &JointLaw::a},         {"delta", &JointLaw::delta}, {"alpha", &JointLaw::alpha}, {"b", &JointLaw::b},
    {"omega", &JointLaw::omega}, {"beta", &JointLaw::beta},   {"c", &JointLaw::c}};

Json fitJson(const FittedLaw &fitted) {
  Json json = {{"rmse", fitted.law.rmse}};
  for (auto [name, member] : coefficients) {
    Interval ninety = fitted.ninety([&](const JointLaw &law) { return law.*member; });
    json[name] = {{"value", fitted.law.*member}, {"low", ninety.low}, {"high", ninety.high}};
  }
  return json;
}

} // namespace

void printFit(const FittedLaw &fitted) {
  fmt::print("fit to {}: loss = a E^delta N^alpha + b E^omega D^beta + c, root mean square {:.4f}\n", fitted.law.source,
             fitted.law.rmse);
  for (auto [name, member] : coefficients) {
    Interval ninety = fitted.ninety([&](const JointLaw &law) { return law.*member; });
    fmt::print("  {:<6} {:>10.5g}   90 %: {:.5g} to {:.5g}\n", name, fitted.law.*member, ninety.low, ninety.high);
  }
}

Json PlanOutput::scoresOf(const Choice &choice) const {
  Json json = Json::object();
  if (scores)
    for (double k : samples)
      json[fmt::format("{:g}", k)] = scores->score(choice.flops, k);
  return json;
}

Json PlanOutput::json() const {
  Json choices = Json::array(), grains = Json::array();
  for (const Choice &c : plan.choices)
    choices.push_back({{"experts", c.shape.experts},
                       {"granularity", c.shape.granularity},
                       {"width", c.shape.width},
                       {"depth", c.shape.depth},
                       {"active", int64_t(c.shape.active())},
                       {"total", int64_t(c.shape.total())},
                       {"tokens", c.tokens},
                       {"flops", c.flops},
                       {"loss", c.loss},
                       {"loss_low", c.low},
                       {"loss_high", c.high},
                       {"loses", plan.comparable ? Json(c.loses) : Json()},
                       {"learning_rate", c.learningRate},
                       {"tokens_per_parameter", c.tokens / c.shape.total()},
                       {"bytes", c.bytes()},
                       {"limited_by_memory", c.limited},
                       {"scores", scoresOf(c)}});
  for (const Grain &g : plan.grains)
    grains.push_back({{"granularity", g.granularity},
                      {"operations", g.operations},
                      {"time", g.time},
                      {"loss_at_equal_operations", g.atOperations},
                      {"loss_at_equal_time", g.atTime}});
  return {{"law", laws.joint.source},
          {"fit", fitted ? fitJson(*fitted) : Json()},
          {"choices", choices},
          {"granularity", grains},
          {"granularity_note", plan.grainNote}};
}

void PlanOutput::print() const {
  fmt::print("{:>7} {:>7} {:>6} {:>8} {:>8} {:>8} {:>9} {:>7} {:>15} {:>8} {:>9} {:>7} {:>9}\n", "experts", "width",
             "depth", "active", "total", "tokens", "flops", "loss", "90 %", "loses", "rate", "tok/par", "memory");
  for (const Choice &c : plan.choices)
    fmt::print("{:>7} {:>7} {:>6} {:>8} {:>8} {:>8} {:>9} {:>7.4f} {:>15} {:>8} {:>9.3g} {:>7.3g} {:>9}\n",
               c.shape.experts, c.shape.width, c.shape.depth, spelled(c.shape.active()), spelled(c.shape.total()),
               spelled(c.tokens), spelled(c.flops), c.loss, fmt::format("{:.3f}..{:.3f}", c.low, c.high),
               plan.comparable ? fmt::format("{:+.4f}", c.loses) : "", c.learningRate, c.tokens / c.shape.total(),
               fmt::format("{:.3g} GiB{}", c.bytes() / 0x1p30, c.limited ? "*" : ""));
  if (scores)
    for (const Choice &c : plan.choices)
      for (const auto &[k, score] : scoresOf(c).items())
        fmt::print("{} experts: score{} {:.4f}\n", c.shape.experts, k == "1" ? "" : "@" + k, score.get<double>());
  fmt::print("\nlosses and sizes: the law of {}; memory: {} bytes a parameter, activations apart{}\n",
             laws.joint.source, bytesPerParameter, q.memory ? "; * smaller than the law would have it, to fit" : "");
  if (fitted)
    printFit(*fitted);
  if (!plan.comparable)
    fmt::print("each row is the budget at which the given number is its best: the rows spend differently\n");
  fmt::print("tokens a parameter (of all): reasoning was best near {}, memorisation gains with parameters\n",
             laws.tokensPerParameter);
  fmt::print("\ngranularity of the first row: {}\n", plan.grainNote);
  if (!plan.grains.empty()) {
    fmt::print("{:>11} {:>11} {:>8} {:>26} {:>20}\n", "granularity", "operations", "time", "loss at equal operations",
               "at equal time");
    for (const Grain &g : plan.grains)
      fmt::print(
          "{:>11} {:>11.3f} {:>8.3f} {:>26} {:>20}\n", g.granularity, g.operations, g.time,
          fmt::format("{:+.4f}", g.atOperations),
          fmt::format("{:+.4f}{}", g.atTime, g.granularity == plan.choices.front().shape.granularity ? " <" : "  "));
    fmt::print("time of a layer as `{}` would take it: each product its operations or its bytes\n", q.machine);
  }
}

Chart PlanOutput::isoFlop() const {
  Chart chart{.title = "Loss at " + spelled(plan.choices.front().flops) + " training operations",
              .xLabel = "active parameters, embedding and head included",
              .yLabel = "predicted loss, nats a token",
              .curves = {}};
  for (const Choice &choice : plan.choices) {
    double e = double(choice.shape.experts), ring = choice.shape.active();
    Curve curve{choice.shape.experts == 1 ? "dense" : fmt::format("{} experts", choice.shape.experts), {}};
    constexpr int each = 30;
    for (int i = -each; i <= each; ++i) {
      double size = ring * std::pow(6.0, double(i) / each);
      if (i == 0)
        curve.marked = int(curve.points.size());
      curve.points.push_back({size, laws.joint.loss(size, choice.flops / (6 * size), e)});
    }
    chart.curves.push_back(std::move(curve));
  }
  return chart;
}

} // namespace moire::runtime
