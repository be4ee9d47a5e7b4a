//===- runtime/Sweep/Coordinates.cpp - how activations grow with width -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The metrics of a training step hold the probes, so one call gives the activations and the gradients of the next
// update.
//
//===------------------------------------------------------------------------===//
#include "runtime/Sweep/Coordinates.h"

#include "runtime/Sweep/Optimum.h"
#include "runtime/Train/Initialise.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace moire::runtime {

namespace {

/// The probes of a package.
std::vector<const moire_metric *> probesOf(const moire_package &package) {
  std::vector<const moire_metric *> probes;
  for (int64_t i = 0; i < package.metric_count; ++i)
    if (std::string_view(package.metrics[i].kind) == "probe")
      probes.push_back(&package.metrics[i]);
  return probes;
}

/// Mean of |now - before|, or of |now| where `before` is null.
double meanSize(const float *now, const float *before, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += std::abs(double(now[i]) - (before ? double(before[i]) : 0.0));
  return sum / double(count);
}

Result<TrainConfig> configOf(const CoordinateRequest &request, const Package &package) {
  const std::string where = fmt::format("train section of `{}`", package.path());
  MOIRE_ASSIGN(const Json section, parseJson(package->train_json, where));
  MOIRE_ASSIGN(TrainConfig config, parseTrainConfig(section, where));
  config.optimizer.lr = request.lr.value_or(config.optimizer.lr);
  return config;
}

} // namespace

Result<std::vector<ProbeTrace>> traceProbes(const CoordinateRequest &request, const Package &package, int64_t seed) {
  MOIRE_ASSIGN(const TrainConfig config, configOf(request, package));
  const std::vector<const moire_metric *> probes = probesOf(*package);
  if (probes.empty())
    return Status::error("package `{}` has no probes", package.path());
  MOIRE_ASSIGN(const Tokenizer tokenizer, Tokenizer::make(request.data.tokenizer));
  MOIRE_ASSIGN(const TokenStream stream, TokenStream::open(request.data.data, tokenizer, package->vocab));
  const Range all{0, stream.size()};
  if (all.size() < package->batch * package->context + 1)
    return Status::error("the data have {} tokens, a batch of {} x {} takes {}", all.size(), package->batch,
                         package->context, package->batch * package->context + 1);
  MOIRE_ASSIGN(Model model, Model::make(package, Use::Train));
  MOIRE_TRY(initialise(model, seed));
  Batch batch(package->batch, package->context);
  sampleBatch(stream, all, seed, /*step=*/0, /*micro=*/0, batch);

  std::vector<ProbeTrace> traces;
  for (const moire_metric *probe : probes)
    traces.push_back({probe->path, {}, {}});
  std::vector<float> metrics(size_t(package->metric_floats)), first;
  const OptimizerConfig &o = config.optimizer;
  for (int64_t step = 0; step <= request.steps; ++step) {
    MOIRE_TRY(model.check(
        package->train_step(&model.buffers(), batch.tokens.data(), batch.targets.data(), 1.0, metrics.data()),
        "train"));
    if (step == 0)
      first = metrics;
    for (size_t i = 0; i < probes.size(); ++i) {
      const moire_metric &probe = *probes[i];
      traces[i].size.push_back(meanSize(&metrics[size_t(probe.offset)], nullptr, probe.count));
      traces[i].change.push_back(meanSize(&metrics[size_t(probe.offset)], &first[size_t(probe.offset)], probe.count));
    }
    if (step == request.steps)
      break;
    const moire_adamw scalars = {o.lr, o.beta1, o.beta2, o.eps, o.weightDecay, o.clip, 1.0, 0.0, step + 1};
    double norm = 0;
    const int32_t code = package->optimizer_step(&model.buffers(), &scalars, &norm);
    MOIRE_TRY(model.check(code, "optimizer"));
    if (code != 0)
      return Status::error("the gradient is not finite after {} updates at a rate of {}: a smaller --lr would do", step,
                           o.lr);
  }
  return traces;
}

/// The 97.5 % quantile of Student's t: by how many standard errors the mean of so few values may be off.
static double quantile(size_t values) {
  constexpr double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262};
  return values - 2 < std::size(table) ? table[values - 2] : 2.228;
}

/// The slopes of all seeds after one step, as one.
static Slope slopeAfter(size_t step, std::vector<double> ProbeTrace::*of, const std::vector<int64_t> &widths,
                        const std::vector<std::vector<ProbeTrace>> &traces) {
  const double share = 1 / double(traces.size());
  std::vector<double> slopes;
  Slope slope;
  for (const std::vector<ProbeTrace> &seed : traces) {
    std::vector<std::pair<double, double>> points;
    for (size_t i = 0; i < widths.size(); ++i)
      points.emplace_back(std::log2(double(widths[i])), std::log2((seed[i].*of)[step]));
    slopes.push_back(slopeOf(points));
    slope.value += share * slopes.back();
  }
  if (!std::isfinite(slope.value))
    return {NAN, NAN};
  for (const double each : slopes)
    slope.error += std::pow(each - slope.value, 2);
  slope.error = slopes.size() > 1 ? std::sqrt(slope.error * share / double(slopes.size() - 1)) : 0;
  slope.margin = slopes.size() > 1 ? quantile(slopes.size()) * slope.error : 0;
  return slope;
}

/// Means over the seeds, for each width.
static std::vector<ProbeTrace> meansOf(const std::vector<std::vector<ProbeTrace>> &traces) {
  const double share = 1 / double(traces.size());
  std::vector<ProbeTrace> means = traces.front();
  for (size_t i = 0; i < means.size(); ++i)
    for (auto of : {&ProbeTrace::size, &ProbeTrace::change})
      for (size_t step = 0; step < (means[i].*of).size(); ++step) {
        (means[i].*of)[step] = 0;
        for (const std::vector<ProbeTrace> &seed : traces)
          (means[i].*of)[step] += share * (seed[i].*of)[step];
      }
  return means;
}

ProbeGrowth growthOf(const std::vector<int64_t> &widths, const std::vector<std::vector<ProbeTrace>> &traces) {
  ProbeGrowth growth;
  growth.traces = meansOf(traces);
  growth.path = growth.traces.front().path;
  growth.worst.value = -INFINITY;
  for (size_t step = 0; step < growth.traces.front().size.size(); ++step) {
    growth.size.push_back(slopeAfter(step, &ProbeTrace::size, widths, traces));
    growth.change.push_back(slopeAfter(step, &ProbeTrace::change, widths, traces));
    if (step == 0)
      continue;
    for (const bool change : {false, true}) {
      const Slope &found = change ? growth.change.back() : growth.size.back();
      if (found.low() > growth.worst.low())
        growth.worst = found, growth.worstStep = int64_t(step), growth.worstIsChange = change;
    }
    for (const ProbeTrace &trace : growth.traces)
      growth.grows |= !std::isfinite(trace.size[step]);
  }
  growth.grows |= growth.worst.low() > steepest;
  growth.falls = !growth.grows && growth.change.back().high() < -steepest;
  return growth;
}

Result<CoordinateCheck> checkCoordinates(const CoordinateRequest &request) {
  std::vector<Package> packages;
  for (const int64_t width : request.widths) {
    MOIRE_ASSIGN(const std::string path, request.packageFor(width));
    MOIRE_ASSIGN(Package package, Package::load(path));
    packages.push_back(std::move(package));
  }
  MOIRE_ASSIGN(const TrainConfig config, configOf(request, packages.front()));
  std::vector<std::vector<std::vector<ProbeTrace>>> byProbe; // of each probe, [seed][width]
  for (size_t i = 0; i < packages.size(); ++i)
    for (int64_t seed = 0; seed < request.seeds; ++seed) {
      fmt::print(request.progress.to, "width {}, seed {}\n", request.widths[i], seed);
      std::fflush(request.progress.to);
      MOIRE_ASSIGN(const std::vector<ProbeTrace> traces, traceProbes(request, packages[i], seed));
      byProbe.resize(std::max(byProbe.size(), traces.size()),
                     std::vector<std::vector<ProbeTrace>>(size_t(request.seeds)));
      for (size_t probe = 0; probe < byProbe.size(); ++probe) {
        if (probe >= traces.size() || byProbe[probe][size_t(seed)].size() != i ||
            (i > 0 && byProbe[probe][0][0].path != traces[probe].path))
          return Status::error("at width {} the model has other blocks than at width {}: only its width may change",
                               request.widths[i], request.widths.front());
        byProbe[probe][size_t(seed)].push_back(traces[probe]);
      }
    }
  CoordinateCheck check{request.widths, request.steps, request.seeds, config.optimizer.lr, {}};
  for (const auto &traces : byProbe)
    check.probes.push_back(growthOf(request.widths, traces));
  return check;
}

bool CoordinateCheck::passes() const {
  return std::none_of(probes.begin(), probes.end(), [](const ProbeGrowth &probe) { return probe.grows; });
}

const ProbeGrowth &CoordinateCheck::worst() const {
  return *std::max_element(probes.begin(), probes.end(),
                           [](const ProbeGrowth &a, const ProbeGrowth &b) { return a.worst.low() < b.worst.low(); });
}

void CoordinateCheck::print() const {
  size_t longest = 5;
  for (const ProbeGrowth &probe : probes)
    longest = std::max(longest, probe.path.size());
  fmt::print("slopes of log2 of a mean over log2 of the width, after a step, at a constant rate of {:.3g}\n", lr);
  fmt::print("{:{}}  {:^23}  {:^24}\n", "", longest, "|h|", "|h - h_0|");
  const std::string end = fmt::format("{}", steps);
  fmt::print("{:{}}  {:>7} {:>7} {:>7}  {:>7} {:>7} {:>8}\n", "probe", longest, 0, 1, end, 1, end, "");
  for (const ProbeGrowth &probe : probes)
    fmt::print("{:{}}  {:>+7.3f} {:>+7.3f} {:>+7.3f}  {:>+7.3f} {:>+7.3f} ±{:<7.3f} {}\n", probe.path, longest,
               probe.size[0].value, probe.size[1].value, probe.size.back().value, probe.change[1].value,
               probe.change.back().value, probe.change.back().margin,
               probe.grows   ? "grows"
               : probe.falls ? "falls"
                             : "");
  const ProbeGrowth &most = worst();
  fmt::print("{}: at most {:+.3f} ± {:.3f}, of the {} of {} after step {}; {} is allowed\n",
             passes() ? "passes" : "fails", most.worst.value, most.worst.margin, most.worstIsChange ? "change" : "size",
             most.path, most.worstStep, steepest);
  if (std::any_of(probes.begin(), probes.end(), [](const ProbeGrowth &probe) { return probe.falls; }))
    fmt::print("note: where changes fall with the width, wide models learn less\n");
}

/// Numbers, null for those that are not finite.
static Json numbers(const std::vector<double> &values) {
  Json list = Json::array();
  for (const double value : values)
    list.push_back(std::isfinite(value) ? Json(value) : Json());
  return list;
}

static Json slopes(const std::vector<Slope> &slopes, double Slope::*of) {
  std::vector<double> values;
  for (const Slope &slope : slopes)
    values.push_back(slope.*of);
  return numbers(values);
}

Json CoordinateCheck::json() const {
  Json list = Json::array();
  for (const ProbeGrowth &probe : probes) {
    Json sizes = Json::array(), changes = Json::array();
    for (const ProbeTrace &trace : probe.traces) {
      sizes.push_back(numbers(trace.size));
      changes.push_back(numbers(trace.change));
    }
    list.push_back({{"path", probe.path},
                    {"size_slopes", slopes(probe.size, &Slope::value)},
                    {"size_errors", slopes(probe.size, &Slope::error)},
                    {"change_slopes", slopes(probe.change, &Slope::value)},
                    {"change_errors", slopes(probe.change, &Slope::error)},
                    {"worst", numbers({probe.worst.value})[0]},
                    {"grows", probe.grows},
                    {"falls", probe.falls},
                    {"sizes", sizes},
                    {"changes", changes}});
  }
  return {{"passes", passes()}, {"worst", worst().path}, {"allowed", steepest}, {"lr", lr},
          {"widths", widths},   {"steps", steps},        {"seeds", seeds},      {"probes", list}};
}

Chart CoordinateCheck::chart() const {
  Chart chart{.title = fmt::format("Change of activations after {} steps", steps),
              .xLabel = "width",
              .yLabel = "mean |h - h_0|",
              .logY = true,
              .curves = {}};
  for (const ProbeGrowth &probe : probes) {
    Curve curve{probe.path, {}};
    for (size_t i = 0; i < widths.size(); ++i)
      if (const double value = probe.traces[i].change.back(); std::isfinite(value) && value > 0)
        curve.points.emplace_back(double(widths[i]), value);
    if (!curve.points.empty())
      chart.curves.push_back(std::move(curve));
  }
  return chart;
}

} // namespace moire::runtime
