//===- runtime/tools/SweepCommand.cpp - moire sweep -------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A grid of runs. Learning rates and the other numbers of a run go to the runtime,
// so all points of one model share one package; the rest is the compiler's.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/File.h"
#include "runtime/Sweep/Report.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"

#include <filesystem>
#include <fmt/ranges.h>

namespace moire::runtime {
namespace {

struct Options {
  std::string spec, plot;
  CompileOptions compile;
  SweepRequest request;
  std::vector<std::string> over;
  std::vector<int64_t> widths;
  bool json = false;
};

/// The options with one more NAME=VALUE for each of `defines`.
CompileOptions withDefines(const CompileOptions &options, const std::vector<std::string> &defines) {
  CompileOptions more = options;
  more.defines.insert(more.defines.end(), defines.begin(), defines.end());
  return more;
}

Result<Grid> gridOf(const Options &options) {
  Grid grid = options.request.grid;
  for (const std::string &text : options.over) {
    MOIRE_ASSIGN(Axis axis, parseAxis(text));
    grid.axes.push_back(std::move(axis));
  }
  if (!options.widths.empty()) {
    Axis axis{"width", {}};
    for (const int64_t width : options.widths)
      axis.values.push_back(std::to_string(width));
    grid.axes.push_back(std::move(axis));
  }
  if (grid.axes.empty())
    return Status::error("nothing is varied: `--over lr=1e-3,2e-3,4e-3` would try three learning rates");
  for (Axis &axis : grid.axes) {
    if (axis.name == "seed")
      return Status::error("seeds are varied by --seeds, and averaged");
    for (const std::string &define : options.compile.defines)
      if (define.starts_with(axis.name + "="))
        return Status::error("`{}` is varied, and -D {} fixes it", axis.name, define);
    // A hyperparameter of the spec may have the name of a number of the run: then it is the spec's.
    const std::string define = axis.name + "=" + axis.values.front();
    axis.ofRun = namesNumber(axis.name) && !compiles(options.spec, withDefines(options.compile, {define}));
    if (axis.ofRun && !axis.numbers())
      return Status::error("`{}` takes numbers, not {}", axis.name, fmt::join(axis.values, ", "));
  }
  MOIRE_TRY(grid.check());
  return grid;
}

Result<int> runSweepCommand(const Options &options) {
  SweepRequest request = options.request;
  if (isPackage(options.spec))
    return Status::error("a sweep needs a spec (.moire), `{}` is compiled already", options.spec);
  MOIRE_ASSIGN(request.grid, gridOf(options));
  RunRecord &record = request.base.record;
  for (std::string &path : record.data)
    path = std::filesystem::absolute(path).lexically_normal().string();
  record.spec = std::filesystem::absolute(options.spec).lexically_normal().string();
  request.progress.to = options.json ? stderr : stdout;
  request.packageFor = [&](const std::vector<std::string> &defines) {
    return packageFor(options.spec, withDefines(options.compile, defines));
  };
  useThreads(record.threads);
  MOIRE_ASSIGN(const SweepOutcome outcome, runSweep(request));
  if (outcome.stopped != 0) {
    fmt::print(request.progress.to, "the same command goes on from here\n");
    return outcome.stopped;
  }
  const SweepReport report(request.grid, outcome);
  const std::string json = report.json(record.spec).dump();
  MOIRE_TRY(replaceFile(request.out + "/sweep.json", json + "\n"));
  if (options.json)
    fmt::print("{}\n", json);
  else
    report.print();
  if (!options.plot.empty()) {
    MOIRE_ASSIGN(const Chart chart, report.chart());
    MOIRE_TRY(replaceFile(options.plot, chart.svg()));
  }
  return 0;
}

} // namespace

void addSweepCommand(CLI::App &app, Action &action, const std::vector<std::string> &line) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("sweep", "Train a grid of settings and widths, and compare");
  RunRecord &record = options->request.base.record;
  ConfigOverrides &change = options->request.base.overrides;
  record.command = line;
  const CLI::Validator natural = CLI::Range(int64_t(0), INT64_MAX, "whole number");
  command.add_option("spec", options->spec, "Spec (.moire)")->required();
  command.add_option("--data", record.data, "Files, folders or globs")->required();
  command.add_option("--over", options->over, "What to vary: NAME=V,V,… of the run (lr, …) or of the model")
      ->expected(1)
      ->take_all();
  command.add_option("--widths", options->widths, "Short for --over width=…")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(int64_t(1), int64_t(1) << 24, "width"));
  command.add_option("--seeds", options->request.grid.seeds, "Seeds, whose losses are averaged (0)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(natural);
  command.add_option("--steps", change.steps, "Steps of each point")->check(natural);
  command
      .add_option("--out", options->request.out, "Folder of the sweep; one that has some of the points is continued")
      ->required();
  command.add_flag("--retrain", options->request.retrain, "Train points again that were trained from something else");
  command.add_flag("--keep-weights", options->request.weights, "Keep the last checkpoint of each point");
  command.add_option("--tokenizer", record.tokenizer, "bytes, u16, u32 or a SentencePiece model (FILE.model)");
  command.add_option("--holdout", change.holdout, "Last part of the data, kept for evaluation")
      ->check(CLI::Range(0.0, 0.99));
  command.add_flag("--json", options->json, "One line of JSON; progress goes to the standard error");
  command.add_option("--plot", options->plot, "Write the curves of loss to this SVG file");
  addThreadsOption(command, record.threads);
  addCompileOptions(command, options->compile);
  command.callback([options, &action] { action = [options] { return runSweepCommand(*options); }; });
}

} // namespace moire::runtime
