//===- runtime/tools/EvalCommand.cpp - moire eval -------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loss of a trained model on text, as one line of JSON.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Evaluate.h"
#include "runtime/Train/RunFolder.h"
#include "runtime/tools/Commands.h"

namespace moire::runtime {
namespace {

struct Options {
  std::string run;
  std::vector<std::string> data;
  std::string tokenizer;
  int64_t checkpoint = -1;
  double holdout = 1;
  int64_t batches = 0;
  int32_t threads = 1;
};

Result<int> runEval(const Options &options) {
  useThreads(options.threads);
  MOIRE_ASSIGN(const OpenedRun run, openRun(options.run, options.checkpoint, Use::Evaluate));
  const moire_package &package = *run.model.package();
  MOIRE_ASSIGN(const TokenStream data, openDataOf(run, options.data, options.tokenizer));
  const Range range = {splitByPosition(data.size(), options.holdout).heldOut.begin, data.size()};
  if (range.size() < 2)
    return Status::error("the data have {} tokens to evaluate: there is nothing to predict", range.size());
  Batch batch(package.batch, package.context);
  MOIRE_ASSIGN(const Evaluation evaluation, evaluate(run.model, data, range, options.batches, batch));
  Json line = toJson(evaluation);
  line["step"] = run.state.progress.step;
  fmt::print("{}\n", line.dump());
  return 0;
}

} // namespace

void addEvalCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("eval", "Evaluate a trained model");
  command.add_option("run", options->run, "Folder of the run, or of one of its checkpoints")->required();
  command.add_option("--data", options->data, "Files, folders or globs")->required();
  command.add_option("--tokenizer", options->tokenizer, "For .bin files: u16 or u32");
  command.add_option("--checkpoint", options->checkpoint, "Step of the checkpoint (the last one by default)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "step"));
  command.add_option("--holdout", options->holdout, "Evaluate only this last part of the data")
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--batches", options->batches, "At most so many batches, spread evenly (0: all of the data)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "whole number"));
  addThreadsOption(command, options->threads);
  command.callback([options, &action] { action = [options] { return runEval(*options); }; });
}

} // namespace moire::runtime
