//===- runtime/Sweep/Sweep.cpp - training a grid -----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A point's record is written before its run begins, and again, with the result, after it: a folder without a record
// is none of ours and is left alone.
//
//===------------------------------------------------------------------------===//
#include "runtime/Sweep/Sweep.h"

#include "runtime/Train/Evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>

namespace moire::runtime {

namespace fs = std::filesystem;

namespace {

/// One point, before anything is trained.
struct PlannedPoint {
  std::string folder;
  TrainRequest request;
  PointRecord record;
  TrainConfig config;
  double work = 0;    ///< operations, or steps where the package does not say
  bool again = false; ///< the folder holds a point of other origin, which is to go
};

class Sweep {
public:
  explicit Sweep(const SweepRequest &request) : request(request) {}
  Result<SweepOutcome> run();

private:
  Result<PlannedPoint> plan(const GridPoint &point);
  Status findRecords();
  Result<bool> alreadyDone(PlannedPoint &planned, SweepOutcome &outcome) const;
  Result<int> train(PlannedPoint &planned, const std::string &label) const;
  Result<PointResult> outcomeOf(const PreparedRun &run) const;
  Status describeData(const moire_package &package);

  const SweepRequest &request;
  std::map<std::vector<std::string>, Package> packages;
  std::map<std::string, std::string> recorded; ///< folders by what their points were made of
  Json data;                                   ///< what identifies the data
  std::string tokenizerName;                   ///< and their tokeniser
};

} // namespace

/// Reads the data once, to know what they are.
Status Sweep::describeData(const moire_package &package) {
  if (!data.is_null())
    return {};
  MOIRE_ASSIGN(const Tokenizer tokenizer, Tokenizer::make(request.base.record.tokenizer));
  MOIRE_ASSIGN(const TokenStream stream, TokenStream::open(request.base.record.data, tokenizer, package.vocab));
  data = stream.identity();
  MOIRE_ASSIGN(tokenizerName, tokenizerIdentity(tokenizer, stream.isText()));
  return {};
}

Result<PlannedPoint> Sweep::plan(const GridPoint &point) {
  const Grid &grid = request.grid;
  const std::vector<std::string> defines = grid.defines(point);
  auto found = packages.find(defines);
  if (found == packages.end()) {
    MOIRE_ASSIGN(const std::string path, request.packageFor(defines));
    MOIRE_ASSIGN(Package package, Package::load(path));
    found = packages.emplace(defines, std::move(package)).first;
  }
  const Package &package = found->second;
  MOIRE_TRY(describeData(*package));
  PlannedPoint planned{request.out + "/" + grid.folder(point), request.base, {grid.name(point), {}, {}}, {}};
  planned.request.package = package.path();
  planned.request.out = planned.folder;
  ConfigOverrides &change = planned.request.overrides;
  change.seed = point.seed;
  change.keep = 1;
  for (size_t i = 0; i < grid.axes.size(); ++i)
    if (grid.axes[i].ofRun)
      change.numbers.emplace_back(grid.axes[i].name, (*grid.axes[i].numbers())[point.at[i]]);

  const std::string where = fmt::format("train section of `{}`", package.path());
  MOIRE_ASSIGN(const Json section, parseJson(package->train_json, where));
  MOIRE_ASSIGN(planned.config, parseTrainConfig(section, where));
  MOIRE_TRY(apply(change, planned.config));
  if (planned.config.steps == 0)
    return Status::error("a sweep of no steps has no results");
  if (planned.config.holdout == 0)
    return Status::error("nothing is held out, and a sweep compares losses on held-out data: --holdout 0.1 would do");
  const double steps = double(planned.config.steps);
  MOIRE_ASSIGN(const Json cost, parseJson(package->cost_json, fmt::format("cost of `{}`", package.path())));
  const Json each = cost.is_object() ? cost.value("flops_per_token", Json()) : Json();
  const Json training = each.is_object() ? each.value("training", Json()) : Json();
  planned.work = training.is_number() ? training.get<double>() * double(package->batch * package->context) *
                                            double(planned.config.accumulate) * steps
                                      : steps;
  // Progress is no news of a point, and neither is how often it is saved.
  change.logEvery = std::max<int64_t>(1, planned.config.steps);
  Json config = toJson(planned.config);
  for (const char *key : {"checkpoint_every", "log_every", "keep", "eval_every"})
    config.erase(key);
  planned.record.identity = {{"model", package->spec_hash},
                             {"precision", package.precisionName()},
                             {"config", config},
                             {"tokenizer", tokenizerName},
                             {"data", data}};
  return planned;
}

/// Points are known by what they were made of, not by their names: another grid finds them again.
Status Sweep::findRecords() {
  std::error_code code;
  for (const auto &entry : fs::directory_iterator(request.out, code))
    if (hasRecord(entry.path().string())) {
      MOIRE_ASSIGN(const PointRecord record, readRecord(entry.path().string()));
      recorded[record.identity.dump()] = entry.path().string();
    }
  return {};
}

/// Whether the point has a result already, which is then put into its record.
Result<bool> Sweep::alreadyDone(PlannedPoint &planned, SweepOutcome &outcome) const {
  if (const auto found = recorded.find(planned.record.identity.dump()); found != recorded.end())
    planned.folder = planned.request.out = found->second;
  if (!hasRecord(planned.folder))
    return false;
  MOIRE_ASSIGN(const PointRecord before, readRecord(planned.folder));
  if (before.identity != planned.record.identity) {
    if (!request.retrain)
      return Status::error(
          "`{}` was trained from something else: {}\n--retrain trains such points again, another --out "
          "keeps them",
          planned.folder, differenceBetween(planned.record.identity, before.identity));
    planned.again = true;
    return false;
  }
  planned.record.result = before.result;
  outcome.reused += before.result.has_value();
  return before.result.has_value();
}

/// The mean training loss over the last tenth of the steps and the last evaluation, from the log of the run.
Result<PointResult> Sweep::outcomeOf(const PreparedRun &run) const {
  MOIRE_ASSIGN(const std::string text, readFile(run.folder + "/metrics.jsonl"));
  const int64_t steps = run.state.config.steps, from = steps - std::max<int64_t>(1, steps / 10);
  PointResult result;
  result.seconds = run.state.progress.seconds;
  const moire_package &package = *run.model.package();
  for (int64_t i = 0; i < package.parameter_count; ++i)
    result.parameters += package.parameters[i].instances * instanceElements(package.parameters[i]);
  result.evalLoss = NAN;
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
    MOIRE_ASSIGN(const Json line, parseJson(std::string_view(text).substr(begin, end - begin), "metrics.jsonl"));
    // What is not finite was written as null.
    auto number = [&](const char *key) {
      const Json value = line.value(key, Json());
      return value.is_number() ? value.get<double>() : double(NAN);
    };
    if (number("step") > double(from))
      result.trainLoss += number("loss") / double(steps - from);
    result.evalLoss = number("eval_loss");
  }
  result.diverged =
      run.state.progress.step < steps || !std::isfinite(result.evalLoss) || !std::isfinite(result.trainLoss);
  if (result.diverged)
    result.evalLoss = result.trainLoss = NAN;
  return result;
}

/// Trains a point from its last checkpoint, or from the beginning. Returns 0, or 128 plus the signal that stopped it.
Result<int> Sweep::train(PlannedPoint &planned, const std::string &label) const {
  std::error_code code;
  const bool begun = hasRecord(planned.folder);
  planned.request.resume = begun && !planned.again && !listCheckpoints(planned.folder).empty();
  if (begun && !planned.request.resume) // of other origin, or killed before its first checkpoint
    fs::remove_all(planned.folder, code);
  MOIRE_TRY(writeRecord(planned.folder, planned.record));
  {
    MOIRE_ASSIGN(PreparedRun run, prepare(planned.request));
    const ProgressStyle style{request.progress.to, request.progress.before + label};
    auto stopped = trainLoop(run, style);
    const bool diverged = run.state.progress.skippedInRow >= mostSkippedInRow;
    if (!stopped.ok() && !diverged)
      return stopped;
    if (stopped.ok() && *stopped != 0)
      return *stopped;
    MOIRE_ASSIGN(planned.record.result, outcomeOf(run));
    if (planned.record.result->diverged)
      fmt::print(style.to, "{}diverged at step {}\n", style.before, run.state.progress.step);
  }
  if (!request.weights)
    fs::remove_all(planned.folder + "/checkpoints", code);
  MOIRE_TRY(writeRecord(planned.folder, planned.record));
  return 0;
}

Result<SweepOutcome> Sweep::run() {
  MOIRE_TRY(request.grid.check());
  MOIRE_TRY(findRecords());
  SweepOutcome outcome;
  outcome.points = request.grid.points();
  // All is compiled and compared before the first step, so that no mistake waits behind hours of training.
  std::vector<PlannedPoint> planned;
  std::vector<bool> done;
  for (const GridPoint &point : outcome.points) {
    MOIRE_ASSIGN(PlannedPoint one, plan(point));
    MOIRE_ASSIGN(const bool has, alreadyDone(one, outcome));
    planned.push_back(std::move(one));
    done.push_back(has);
  }
  outcome.config = planned.front().config;
  MOIRE_TRY(makeFolders(request.out));
  MOIRE_ASSIGN(const FolderLock lock, FolderLock::take(request.out));
  double left = 0, spent = 0, seconds = 0;
  for (size_t i = 0; i < planned.size(); ++i)
    left += done[i] ? 0 : planned[i].work;
  const size_t digits = fmt::formatted_size("{}", planned.size());
  fmt::print(request.progress.to, "{} points from {} packages, {} steps each; {} done before, {} to train\n",
             planned.size(), packages.size(), outcome.config.steps, outcome.reused,
             int64_t(planned.size()) - outcome.reused);
  std::fflush(request.progress.to);
  for (size_t i = 0; i < planned.size(); ++i) {
    if (!done[i]) {
      const std::string when = spent > 0 ? fmt::format(", {} to go", spelledTime(left / spent * seconds)) : "";
      const std::string label =
          fmt::format("[{:>{}}/{}{}] {}  ", i + 1, digits, planned.size(), when, planned[i].record.name);
      const auto start = std::chrono::steady_clock::now();
      MOIRE_ASSIGN(outcome.stopped, train(planned[i], label));
      if (outcome.stopped != 0)
        return outcome;
      seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      spent += planned[i].work;
      left -= planned[i].work;
    }
    outcome.results.push_back(*planned[i].record.result);
  }
  return outcome;
}

Result<SweepOutcome> runSweep(const SweepRequest &request) { return Sweep(request).run(); }

} // namespace moire::runtime
