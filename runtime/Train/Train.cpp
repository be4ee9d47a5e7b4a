//===- runtime/Train/Train.cpp - the training loop -----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Read from the bottom: `trainLoop` is the loop, each of its lines a function
// above. Nothing is allocated for tensors here, and a step's outcome depends on
// the state, the seed and the step's number only; that is why a resumed run
// gives the same bits as one that was never stopped.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Train.h"

#include "runtime/Train/Evaluate.h"

#include <chrono>
#include <csignal>

namespace moire::runtime {
namespace {

/// The signal that asked to stop, or 0.
volatile std::sig_atomic_t stopSignal = 0;

/// While alive, the first SIGINT or SIGTERM ends the loop after its step; a second one ends the process.
class SignalWatch {
public:
  SignalWatch() {
    stopSignal = 0;
    struct sigaction action {};
    action.sa_handler = [](int signal) { stopSignal = signal; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &oldInterrupt);
    ::sigaction(SIGTERM, &action, &oldTerminate);
  }
  ~SignalWatch() {
    ::sigaction(SIGINT, &oldInterrupt, nullptr);
    ::sigaction(SIGTERM, &oldTerminate, nullptr);
  }

private:
  struct sigaction oldInterrupt {
  }, oldTerminate{};
};

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Scratch of the loop, made once.
struct Workspace {
  explicit Workspace(const moire_package &package)
      : batch(package.batch, package.context), metrics(static_cast<size_t>(package.metric_floats)),
        sums(metrics.size()) {}
  Batch batch;
  std::vector<float> metrics; ///< of one micro step
  std::vector<double> sums;   ///< over a step's micro steps, then their mean
};

/// Forward and backward over the step's batches; `gradients` receives where their mean gradient lies.
Status computeGradients(PreparedRun &run, Workspace &work, moire_buffers &gradients) {
  const moire_package &package = *run.model.package();
  const TrainConfig &config = run.state.config;
  const double share = 1.0 / static_cast<double>(config.accumulate);
  std::fill(work.sums.begin(), work.sums.end(), 0.0);
  gradients = run.model.buffers();
  // The first batch writes straight into the accumulator, the others are added to it.
  if (config.accumulate > 1)
    gradients.grads = run.accumulator.data();
  for (int64_t micro = 0; micro < config.accumulate; ++micro) {
    sampleBatch(run.data, run.split.train, config.seed, run.state.progress.step, micro, work.batch);
    const moire_buffers &target = micro == 0 ? gradients : run.model.buffers();
    MOIRE_TRY(run.model.check(
        package.train_step(&target, work.batch.tokens.data(), work.batch.targets.data(), share, work.metrics.data()),
        "train"));
    if (micro > 0)
      MOIRE_TRY(run.model.check(package.accumulate(&target, gradients.grads), "accumulate"));
    for (size_t i = 0; i < work.sums.size(); ++i)
      work.sums[i] += share * static_cast<double>(work.metrics[i]);
  }
  return {};
}

/// Clips and updates. A gradient that is not finite changes nothing and is counted.
Status updateParameters(PreparedRun &run, const moire_buffers &gradients, StepReport &report) {
  const OptimizerConfig &config = run.state.config.optimizer;
  TrainProgress &progress = run.state.progress;
  const LearningRate rate = learningRate(run.state.config, progress.step);
  report.learningRate = rate.whole();
  const moire_adamw scalars = {rate.start,  config.beta1, config.beta2, config.eps,          config.weightDecay,
                               config.clip, 1.0,          rate.end,     progress.updates + 1};
  const int32_t code = run.model.package()->optimizer_step(&gradients, &scalars, &report.gradientNorm);
  MOIRE_TRY(run.model.check(code, "optimizer"));
  progress.updates += code == 0;
  progress.skippedInRow = code == 0 ? 0 : progress.skippedInRow + 1;
  return {};
}

/// The step's line of metrics.jsonl.
Json metricsLine(const PreparedRun &run, const Workspace &work, const StepReport &report) {
  const moire_package &package = *run.model.package();
  Json line = {{"step", report.step},
               {"loss", report.loss},
               {"grad_norm", report.gradientNorm},
               {"lr", report.learningRate},
               {"tokens", run.state.progress.tokens},
               {"seconds", run.state.progress.seconds},
               {"tokens_per_s", report.tokensPerSecond}};
  if (run.state.progress.skippedInRow > 0)
    line["skipped"] = true;
  for (int64_t i = 0; i < package.metric_count; ++i) {
    const moire_metric &metric = package.metrics[i];
    const auto begin = work.sums.begin() + metric.offset;
    const std::string_view kind = metric.kind;
    if (kind == "loss" || kind == "probe" || kind == "importance") // too much for a log
      continue;
    if (metric.count == 1)
      line[metric.path] = *begin;
    else
      line[metric.path] = std::vector<double>(begin, begin + metric.count);
  }
  if (report.evalLoss)
    line["eval_loss"] = *report.evalLoss;
  return line;
}

/// The mean over the step's batches of the metric of kind "loss".
double meanLoss(const moire_package &package, const Workspace &work) {
  for (int64_t i = 0; i < package.metric_count; ++i)
    if (std::string_view(package.metrics[i].kind) == "loss")
      return work.sums[static_cast<size_t>(package.metrics[i].offset)];
  return 0;
}

Status oneStep(PreparedRun &run, Workspace &work, StepReport &report) {
  const auto start = std::chrono::steady_clock::now();
  TrainProgress &progress = run.state.progress;
  moire_buffers gradients;
  MOIRE_TRY(computeGradients(run, work, gradients));
  MOIRE_TRY(updateParameters(run, gradients, report));
  const auto tokens = static_cast<int64_t>(work.batch.tokens.size()) * run.state.config.accumulate;
  report.step = ++progress.step;
  report.loss = meanLoss(*run.model.package(), work);
  report.secondsPerStep = secondsSince(start);
  report.tokensPerSecond = static_cast<double>(tokens) / report.secondsPerStep;
  progress.tokens += tokens;
  progress.seconds += report.secondsPerStep;
  return {};
}

Status evaluateHeldOut(const PreparedRun &run, Workspace &work, StepReport &report) {
  MOIRE_ASSIGN(const Evaluation found,
               evaluate(run.model, run.data, run.split.heldOut, run.state.config.evalBatches, work.batch));
  report.evalLoss = found.loss();
  return {};
}

bool due(int64_t step, int64_t interval) { return interval > 0 && step % interval == 0; }

} // namespace

Result<int> trainLoop(PreparedRun &run, const ProgressStyle &style) {
  const TrainConfig &config = run.state.config;
  const TrainProgress &progress = run.state.progress;
  Workspace work(*run.model.package());
  ProgressLine line(config.steps, logInterval(config), style);
  const SignalWatch watch;
  if (progress.step > 0)
    line.note(fmt::format("resuming after step {} of {}", progress.step, config.steps));
  // A run of no steps writes its first weights; after that, every checkpoint follows a step.
  bool saved = progress.step > 0;
  while (progress.step < config.steps && !stopSignal) {
    StepReport report;
    MOIRE_TRY(oneStep(run, work, report));
    const bool last = progress.step == config.steps;
    const bool evaluates = run.split.heldOut.size() > 1 && !stopSignal;
    if (evaluates && (last || due(progress.step, config.evalEvery)))
      MOIRE_TRY(evaluateHeldOut(run, work, report));
    line.step(report);
    MOIRE_TRY(run.metrics.append(metricsLine(run, work, report)));
    if (progress.skippedInRow > 0)
      line.note(fmt::format("step {}: the gradient is not finite; the step was skipped ({} in a row)", progress.step,
                            progress.skippedInRow));
    if (progress.skippedInRow >= mostSkippedInRow)
      return Status::error("the gradient was not finite in {} steps in a row; stopped at step {}", mostSkippedInRow,
                           progress.step);
    saved = last || stopSignal || due(progress.step, checkpointInterval(config));
    if (saved) {
      MOIRE_TRY(run.metrics.sync());
      MOIRE_TRY(saveCheckpoint(run.folder, run.model, run.state));
    }
  }
  if (!saved)
    MOIRE_TRY(saveCheckpoint(run.folder, run.model, run.state));
  if (!stopSignal || progress.step == config.steps)
    return 0;
  line.note(fmt::format("stopped at step {}; go on with --resume", progress.step));
  return 128 + stopSignal;
}

} // namespace moire::runtime
