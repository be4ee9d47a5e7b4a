//===- runtime/Plan/Plan.cpp - what to train for a budget --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The law's optimum, then the shape nearest to it, then everything again for that
// shape: what is printed is what would be trained.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Plan.h"
#include "runtime/Plan/Units.h"

#include <algorithm>
#include <cmath>

namespace moire::runtime {
namespace {

/// 90 % of a normal distribution lies within so many standard deviations.
constexpr double ninety = 1.645;

Status outside(const char *what, double value, const Interval &range, const std::string &source) {
  return Status::error(
      "{} {} lies outside of what the law of {} was fitted on, {} to {}; --extrapolate asks it all the same", what,
      spelled(value), source, spelled(range.low), spelled(range.high));
}

Status checkRange(const JointLaw &law, const Choice &choice) {
  if (double active = choice.shape.active(); !law.size.holds(active))
    return outside("an active size of", active, law.size, law.source);
  if (!law.tokens.holds(choice.tokens))
    return outside("a number of tokens of", choice.tokens, law.tokens, law.source);
  return {};
}

/// The largest active size whose parameters fit the memory.
double largestWithin(double memory, int64_t experts, int64_t vocab) {
  double low = 1, high = 1e15;
  while (high / low > 1.001) {
    double middle = std::sqrt(low * high);
    (bytesPerParameter * Shape::near(middle, experts, 1, vocab).total() <= memory ? low : high) = middle;
  }
  return low;
}

Choice choose(const Laws &laws, const Question &q, int64_t experts) {
  Choice choice;
  double e = double(experts), size = 0;
  if (q.flops && !q.tokens && !q.active)
    size = laws.joint.best(*q.flops, e).size;
  else if (q.active)
    size = *q.active;
  else
    size = q.flops ? *q.flops / (6 * *q.tokens) : laws.joint.best(laws.joint.flopsForTokens(*q.tokens, e), e).size;
  choice.shape = Shape::near(size, experts, 1, q.vocab);
  if (q.memory && choice.bytes() > *q.memory) {
    choice.shape = Shape::near(largestWithin(*q.memory, experts, q.vocab), experts, 1, q.vocab);
    choice.limited = true;
  }
  double active = choice.shape.active();
  choice.tokens = q.tokens  ? *q.tokens
                  : q.flops ? *q.flops / (6 * active)
                            : laws.joint.best(laws.joint.flopsForSize(active, e), e).tokens;
  choice.flops = 6 * active * choice.tokens;
  choice.loss = laws.joint.loss(active, choice.tokens, e);
  choice.low = choice.loss - ninety * laws.joint.rmse;
  choice.high = choice.loss + ninety * laws.joint.rmse;
  choice.learningRate = laws.rate.rate(active - choice.shape.table(), e);
  return choice;
}

/// What granularities do to `choice`; fills `plan.grains`, and sets the granularity of the shape to the best for its
/// time.
Status refine(const Laws &laws, const Question &q, const Machine &machine, Choice &choice, Plan &plan) {
  if (choice.shape.experts == 1) {
    plan.grainNote = "a dense model has no granularity";
    return {};
  }
  const GrainLaw &law = laws.grainFor(double(choice.shape.experts));
  double d = double(choice.shape.width), depth = double(choice.shape.depth), size = law.sizeOf(d, depth);
  bool inside = law.size.holds(size) && law.tokens.holds(choice.tokens);
  plan.grainNote =
      fmt::format("by the law of {}{}", law.source,
                  inside ? ""
                         : fmt::format(", outside of what it was fitted on ({} to {} tokens, {} to {} parameters "
                                       "of its kind)",
                                       spelled(law.tokens.low), spelled(law.tokens.high), spelled(law.size.low),
                                       spelled(law.size.high)));
  if (!inside && !q.extrapolate) {
    plan.grainNote += ": granularity 1; --extrapolate asks it all the same";
    return {};
  }
  auto seconds = [&](int64_t granularity) {
    Shape shape = choice.shape;
    shape.granularity = granularity;
    return layerSeconds(shape, machine, q.stepTokens, q.context);
  };
  const Grain *best = nullptr;
  for (int64_t g : q.granularities) {
    if ((3 * choice.shape.width) % g != 0)
      continue;
    Grain grain{g, law.flops(d, depth, double(g), 1) / law.flops(d, depth, 1, 1), seconds(g) / seconds(1), 0, 0};
    double before = law.loss(size, choice.tokens, 1);
    grain.atOperations = law.loss(size, choice.tokens / grain.operations, double(g)) - before;
    grain.atTime = law.loss(size, choice.tokens / grain.time, double(g)) - before;
    plan.grains.push_back(grain);
  }
  for (const Grain &grain : plan.grains)
    if (!best || grain.atTime < best->atTime)
      best = &grain;
  if (!best)
    return Status::error("no granularity divides the experts of {} features", 3 * choice.shape.width);
  // Routers of finer experts are larger: what they take comes off the tokens, where those were not given.
  choice.shape.granularity = best->granularity;
  if (q.tokens)
    choice.flops = 6 * choice.shape.active() * choice.tokens;
  else
    choice.tokens = choice.flops / (6 * choice.shape.active());
  return {};
}

Status checkQuestion(const Question &q, const Laws &laws) {
  if (!q.flops && !q.tokens && !q.active)
    return Status::error(
        "nothing to plan from: give a budget (--flops, or --gpu-hours and --speed), --tokens or --active");
  if (q.flops && q.tokens && q.active)
    return Status::error(
        "--flops, --tokens and --active are one too many: operations are 6 times the active parameters "
        "times the tokens");
  for (int64_t experts : q.experts)
    if (!laws.joint.experts.holds(double(experts)) && !q.extrapolate)
      return outside("a number of experts of", double(experts), laws.joint.experts, laws.joint.source);
  return {};
}

} // namespace

Result<Plan> makePlan(const Laws &published, const Question &q, const FittedLaw *fitted) {
  Laws laws = published;
  if (fitted)
    laws.joint = fitted->law;
  MOIRE_TRY(checkQuestion(q, laws));
  auto machine = laws.machines.find(q.machine);
  if (machine == laws.machines.end()) {
    std::string known;
    for (const auto &[name, data] : laws.machines)
      known += fmt::format("{}`{}`", known.empty() ? "" : ", ", name);
    return Status::error("no machine `{}`; the laws' file has {}", q.machine, known);
  }
  Plan plan;
  // The budget is the same for all when it was given, or follows from what was given.
  plan.comparable = q.flops.has_value() || (q.tokens && q.active);
  Status first;
  for (int64_t experts : q.experts) {
    Choice choice = choose(laws, q, experts);
    if (fitted) {
      Interval ninety = fitted->ninety(
          [&](const JointLaw &law) { return law.loss(choice.shape.active(), choice.tokens, double(experts)); });
      choice.low = ninety.low, choice.high = ninety.high;
    }
    Status range = q.extrapolate ? Status() : checkRange(laws.joint, choice);
    if (q.memory && choice.bytes() > *q.memory)
      range = Status::error("no model of {} experts fits {:.3g} GiB", experts, *q.memory / 0x1p30);
    if (range.ok())
      plan.choices.push_back(choice);
    else if (first.ok())
      first = std::move(range);
  }
  if (plan.choices.empty())
    return first;
  if (plan.comparable)
    std::stable_sort(plan.choices.begin(), plan.choices.end(), [](auto &a, auto &b) { return a.loss < b.loss; });
  for (Choice &choice : plan.choices)
    choice.loses = choice.loss - plan.choices.front().loss;
  MOIRE_TRY(refine(laws, q, machine->second, plan.choices.front(), plan));
  return plan;
}

} // namespace moire::runtime
