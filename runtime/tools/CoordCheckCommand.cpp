//===- runtime/tools/CoordCheckCommand.cpp - moire coord-check -----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whether activations keep their size when a model gets wider.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/File.h"
#include "runtime/Sweep/Coordinates.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"

#include <algorithm>
#include <filesystem>

namespace moire::runtime {
namespace {

struct Options {
  std::string spec, plot;
  CompileOptions compile;
  CoordinateRequest request;
  bool json = false;
};

Result<int> runCoordCheck(const Options &options) {
  CoordinateRequest request = options.request;
  if (isPackage(options.spec))
    return Status::error("a coordinate check needs a spec (.moire), `{}` is compiled already", options.spec);
  for (const std::string &define : options.compile.defines)
    if (define.starts_with("width="))
      return Status::error("the width is varied, and -D {} fixes it", define);
  std::sort(request.widths.begin(), request.widths.end());
  request.widths.erase(std::unique(request.widths.begin(), request.widths.end()), request.widths.end());
  if (request.widths.size() < 2)
    return Status::error("a slope takes two widths or more, such as --widths 64,128,256");
  request.progress.to = options.json ? stderr : stdout;
  request.packageFor = [&](int64_t width) {
    CompileOptions compile = options.compile;
    compile.probe = true;
    compile.defines.push_back(fmt::format("width={}", width));
    return packageFor(options.spec, compile);
  };
  useThreads(request.data.threads);
  MOIRE_ASSIGN(const CoordinateCheck check, checkCoordinates(request));
  if (options.json)
    fmt::print("{}\n", check.json().dump());
  else
    check.print();
  if (!options.plot.empty()) {
    const Chart chart = check.chart();
    if (chart.curves.empty())
      return Status::error("no change is finite: there is nothing to draw");
    MOIRE_TRY(replaceFile(options.plot, chart.svg()));
  }
  return check.passes() ? 0 : 1;
}

} // namespace

void addCoordCheckCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("coord-check", "Whether activations grow with the width of a model");
  CoordinateRequest &request = options->request;
  command.add_option("spec", options->spec, "Spec (.moire) with a hyperparameter `width`")->required();
  command.add_option("--data", request.data.data, "Files, folders or globs")->required();
  command.add_option("--widths", request.widths, "Widths to compare")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->required()
      ->check(CLI::Range(int64_t(1), int64_t(1) << 24, "width"));
  command.add_option("--steps", request.steps, "Updates")->check(CLI::Range(1, 1000))->capture_default_str();
  command.add_option("--seeds", request.seeds, "Models of each width, whose means are taken")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--lr", request.lr, "Constant learning rate (by default the spec's)")->check(CLI::Range(0.0, 1e6));
  command.add_option("--tokenizer", request.data.tokenizer, "bytes, u16, u32 or a SentencePiece model (FILE.model)");
  command.add_flag("--json", options->json, "One line of JSON; progress goes to the standard error");
  command.add_option("--plot", options->plot, "Write the changes over the width to this SVG file");
  addThreadsOption(command, request.data.threads);
  addCompileOptions(command, options->compile);
  command.callback([options, &action] { action = [options] { return runCoordCheck(*options); }; });
}

} // namespace moire::runtime
