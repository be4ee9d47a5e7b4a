//===- runtime/tools/TrainCommand.cpp - moire train ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns the command line into a request, compiles the spec, trains.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Train.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"

#include <filesystem>

namespace moire::runtime {
namespace {

struct Options {
  std::string spec;
  CompileOptions compile;
  TrainRequest request;
};

double megabytes(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

/// What the run is about to do, in a few lines.
void announce(const PreparedRun &run, const RunRecord &record) {
  const moire_package &package = *run.model.package();
  const TrainConfig &config = run.state.config;
  int64_t parameters = 0;
  for (int64_t i = 0; i < package.parameter_count; ++i)
    parameters += package.parameters[i].instances * instanceElements(package.parameters[i]);
  fmt::print("model {}: {} parameters, {} products, spec {}\n", package.model, parameters,
             run.model.package().precisionName(), package.spec_hash);
  fmt::print("memory: {:.1f} MiB, of them {:.1f} for gradients and moments, {:.1f} of scratch\n",
             megabytes(run.model.bytes() + run.accumulator.bytes()),
             megabytes(3 * static_cast<size_t>(package.trained_elements) * run.model.package().elementBytes()),
             megabytes(static_cast<size_t>(package.arena_bytes)));
  fmt::print("data: {} tokens to train on, {} held out ({})\n", run.split.train.size(), run.split.heldOut.size(),
             run.state.tokenizer);
  fmt::print("{} steps of {} x {} x {} tokens, {} threads, seed {}, into {}\n", config.steps, config.accumulate,
             package.batch, package.context, record.threads, config.seed, run.folder);
  if (!run.state.origin.is_null() && run.state.progress.step == 0)
    fmt::print("weights of `{}`\n", run.state.origin.value("checkpoint", ""));
  if (!run.note.empty())
    fmt::print("note: {}\n", run.note);
  std::fflush(stdout);
}

Result<int> runTrain(const Options &options) {
  TrainRequest request = options.request;
  if (options.spec.empty() && !request.resume)
    return Status::error("say what to train: a spec (.moire) or a package (.so)");
  if (request.record.data.empty() && !request.resume)
    return Status::error("no data: name files, folders or globs with --data");
  if (options.spec.empty() && !options.compile.arguments().empty())
    return Status::error("--preset, -D, --precision and --recompute go with a spec");
  for (std::string &path : request.record.data)
    path = std::filesystem::absolute(path).lexically_normal().string();
  if (!options.spec.empty()) {
    MOIRE_ASSIGN(request.package, packageFor(options.spec, options.compile));
    request.record.spec = std::filesystem::absolute(options.spec).lexically_normal().string();
  }
  useThreads(request.record.threads);
  MOIRE_ASSIGN(PreparedRun run, prepare(request));
  announce(run, request.record);
  return trainLoop(run);
}

} // namespace

void addTrainCommand(CLI::App &app, Action &action, const std::vector<std::string> &line) {
  auto options = std::make_shared<Options>();
  options->request.record.command = line;
  CLI::App &command = *app.add_subcommand("train", "Train a model");
  ConfigOverrides &change = options->request.overrides;
  RunRecord &record = options->request.record;
  const CLI::Validator natural = CLI::Range(int64_t(0), INT64_MAX, "whole number");
  command.add_option("spec", options->spec, "Spec (.moire) or package (.so); with --resume by default the run's");
  command.add_option("--data", record.data, "Files, folders or globs; with --resume by default the run's");
  command.add_option("--out", options->request.out, "Folder of the run")->required();
  command.add_option("--steps", change.steps, "Steps in all")->check(natural);
  command.add_option("--seed", change.seed, "Seed of weights and batches")->check(natural);
  addThreadsOption(command, record.threads);
  command.add_option("--from", options->request.from,
                     "Run or checkpoint whose weights are the first ones; the optimizer starts afresh");
  command.add_flag("--resume", options->request.resume, "Go on from the last checkpoint in --out");
  command.add_option("--tokenizer", record.tokenizer, "bytes, u16, u32 or a SentencePiece model (FILE.model)");
  command.add_option("--holdout", change.holdout, "Last part of the data, kept for evaluation")
      ->check(CLI::Range(0.0, 0.99));
  command
      .add_option("--checkpoint-every", change.checkpointEvery, "Steps between checkpoints (0: a quarter of the run)")
      ->check(natural);
  command.add_option("--eval-every", change.evalEvery, "Steps between evaluations (0: only at the end)")
      ->check(natural);
  command.add_option("--log-every", change.logEvery, "Steps between plain progress lines (0: twenty lines)")
      ->check(natural);
  command.add_option("--keep", change.keep, "Checkpoints to keep (0: all)")->check(natural);
  addCompileOptions(command, options->compile);
  command.callback([options, &action] { action = [options] { return runTrain(*options); }; });
}

} // namespace moire::runtime
