//===- runtime/tools/RatesCommand.cpp - moire rates -----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How each parameter starts and learns, read off the compiled package.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Json.h"
#include "runtime/Core/Package.h"
#include "runtime/Train/Config.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"
#include "runtime/tools/Parameters.h"

namespace moire::runtime {
namespace {

struct Options {
  std::string spec;
  CompileOptions compile;
  int64_t at = -1; ///< a step; below 0: the first after the warm-up
  bool json = false;
};

/// One parameter as the command shows it.
struct Row {
  const moire_parameter *parameter;
  double rate; ///< learning rate at the step
};

std::string shapeText(const moire_parameter &p) {
  std::string text = p.instances > 1 ? fmt::format("{} of ", p.instances) : "";
  for (int32_t i = 0; i < p.rank; ++i)
    text += fmt::format("{}{}", i > 0 ? "x" : "", p.shape[i]);
  return text + (p.rank == 0 ? "1" : "");
}

Json rowJson(const Row &row, double decay) {
  const moire_parameter &p = *row.parameter;
  const std::optional<double> sigma = initialDeviation(p);
  Json json = {{"name", p.name},
               {"role", p.role},
               {"instances", p.instances},
               {"shape", std::vector<int64_t>(p.shape, p.shape + p.rank)},
               {"init", initialText(p)},
               {"sigma", sigma ? Json(*sigma) : Json()},
               {"lr_factor", p.lr_factor},
               {"rate_start", p.rate_start},
               {"rate_end", p.rate_end},
               {"multiplier", p.multiplier},
               {"weight_decay", decay * p.decay_factor},
               {"lr", row.rate}};
  if (p.sign_rate > 0)
    json["sign_rate"] = p.sign_rate;
  return json;
}

void printRows(const std::vector<Row> &rows, double decay) {
  size_t name = 9, shape = 5;
  for (const Row &row : rows) {
    name = std::max(name, std::string_view(row.parameter->name).size());
    shape = std::max(shape, shapeText(*row.parameter).size());
  }
  fmt::print("{:<{}}  {:<9}  {:<{}}  {:>10}  {:>9}  {:>13}  {:>10}  {:>9}  {:>10}\n", "parameter", name, "role",
             "shape", shape, "sigma", "factor", "start -> end", "multiplier", "decay", "lr");
  for (const Row &row : rows) {
    const moire_parameter &p = *row.parameter;
    const std::optional<double> sigma = initialDeviation(p);
    fmt::print("{:<{}}  {:<9}  {:<{}}  {:>10}  ", p.name, name, p.role, shapeText(p), shape,
               sigma ? fmt::format("{:.5g}", *sigma) : "-");
    if (p.sign_rate > 0)
      fmt::print("moved by {:g} against the sign of its gradient\n", p.sign_rate);
    else
      fmt::print("{:>9.5g}  {:>13}  {:>10.5g}  {:>9.4g}  {:>10.6g}\n", p.lr_factor,
                 fmt::format("{:g} -> {:g}", p.rate_start, p.rate_end), p.multiplier, decay * p.decay_factor, row.rate);
  }
}

Result<int> runRates(const Options &options) {
  MOIRE_ASSIGN(const std::string path, packageFor(options.spec, options.compile));
  MOIRE_ASSIGN(const Package package, Package::load(path));
  const std::string where = fmt::format("train section of `{}`", options.spec);
  MOIRE_ASSIGN(const Json train, parseJson(package->train_json, where));
  MOIRE_ASSIGN(const TrainConfig config, parseTrainConfig(train, where));
  if (options.at > config.steps)
    return Status::error("--at {}: the run has {} steps", options.at, config.steps);
  const int64_t step = options.at >= 0 ? options.at : warmupSteps(config);
  const LearningRate rate = learningRate(config, step);
  std::vector<Row> rows;
  for (int64_t i = 0; i < package->parameter_count; ++i) {
    const moire_parameter &p = package->parameters[i];
    rows.push_back({&p, p.sign_rate > 0 ? 0 : p.lr_factor * (p.rate_start * rate.start + p.rate_end * rate.end)});
  }
  if (!options.json) {
    fmt::print("step {} of {}: learning rate {:.6g}\n", step, config.steps, rate.whole());
    printRows(rows, config.optimizer.weightDecay);
    return 0;
  }
  Json list = Json::array();
  for (const Row &row : rows)
    list.push_back(rowJson(row, config.optimizer.weightDecay));
  fmt::print("{}\n", Json{{"step", step}, {"steps", config.steps}, {"lr", rate.whole()}, {"parameters", list}}.dump());
  return 0;
}

} // namespace

void addRatesCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("rates", "Show how each parameter starts and learns");
  command.add_option("spec", options->spec, "Spec (.moire) or package (.so)")->required();
  command.add_option("--at", options->at, "Step whose learning rates to show (default: the first after the warm-up)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "whole number"));
  command.add_flag("--json", options->json, "One line of JSON");
  addCompileOptions(command, options->compile);
  command.callback([options, &action] { action = [options] { return runRates(*options); }; });
}

} // namespace moire::runtime
