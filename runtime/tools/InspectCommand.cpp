//===- runtime/tools/InspectCommand.cpp - moire inspect -------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shows what is in a package or a checkpoint. The report is made once, as JSON;
// the text is another view of it.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Elf.h"
#include "runtime/Core/Json.h"
#include "runtime/Core/Package.h"
#include "runtime/Train/Checkpoint.h"
#include "runtime/Train/Safetensors.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"
#include "runtime/tools/Parameters.h"

#include <filesystem>

namespace moire::runtime {
namespace {

struct Options {
  std::string path;
  bool json = false;
};

Json parameterTable(const moire_package &package) {
  Json list = Json::array();
  for (int64_t i = 0; i < package.parameter_count; ++i) {
    const moire_parameter &p = package.parameters[i];
    list.push_back({{"name", p.name},
                    {"role", p.role},
                    {"instances", p.instances},
                    {"shape", std::vector<int64_t>(p.shape, p.shape + p.rank)},
                    {"offset", p.offset},
                    {"compute_offset", p.compute_offset},
                    {"init", initialText(p)},
                    {"lr_factor", p.lr_factor},
                    {"decay_factor", p.decay_factor},
                    {"sign_rate", p.sign_rate},
                    {"rate_start", p.rate_start},
                    {"rate_end", p.rate_end},
                    {"multiplier", p.multiplier},
                    {"paths", std::vector<std::string>(p.paths, p.paths + p.instances)}});
  }
  return list;
}

Result<Json> describePackage(const std::string &path) {
  MOIRE_ASSIGN(const Package loaded, Package::load(path));
  const moire_package &package = *loaded;
  MOIRE_ASSIGN(const std::vector<std::string> symbols, undefinedSymbols(path));
  MOIRE_ASSIGN(const Json train, parseJson(package.train_json, fmt::format("train section of `{}`", path)));
  MOIRE_ASSIGN(const Json cost, parseJson(package.cost_json, fmt::format("cost of `{}`", path)));
  const auto master = package.parameter_elements * static_cast<int64_t>(loaded.elementBytes());
  Json metrics = Json::array();
  for (int64_t i = 0; i < package.metric_count; ++i)
    metrics.push_back(
        {{"path", package.metrics[i].path}, {"kind", package.metrics[i].kind}, {"count", package.metrics[i].count}});
  return Json{
      {"kind", "package"},
      {"model", package.model},
      {"spec_hash", package.spec_hash},
      {"compiler", package.compiler},
      {"abi_version", package.abi_version},
      {"target", package.target},
      {"features", package.features},
      {"precision", loaded.precisionName()},
      {"batch", package.batch},
      {"context", package.context},
      {"vocab", package.vocab},
      {"decode_context", package.decode_context},
      {"prefill_tokens", package.prefill_tokens},
      {"bytes",
       {{"params", master},
        {"grads", master},
        {"moment1", master},
        {"moment2", master},
        {"compute", package.compute_elements * 2},
        {"arena", package.arena_bytes},
        {"state", package.state_bytes}}},
      {"parameters", parameterTable(package)},
      {"metrics", metrics},
      {"entry_points", {"train_step", "accumulate", "optimizer_step", "refresh", "eval_step", "prefill", "decode"}},
      {"symbols", symbols},
      {"train", train},
      {"cost", cost}};
}

/// Tensors of a safetensors file.
Result<Json> describeTensors(const std::string &path) {
  MOIRE_ASSIGN(const Safetensors file, Safetensors::open(path));
  Json tensors = Json::array();
  for (const StoredTensor &tensor : file.tensors())
    tensors.push_back(
        {{"name", tensor.name}, {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"bytes", tensor.bytes}});
  return Json{{"metadata", file.metadata()}, {"tensors", tensors}};
}

/// A checkpoint's folder, or a run's folder, which stands for its last checkpoint.
Result<Json> describeCheckpoint(std::string path) {
  std::error_code code;
  if (!std::filesystem::exists(path + "/state.json", code)) {
    MOIRE_ASSIGN(path, findCheckpoint(path, -1));
  }
  const auto checked = readState(path);
  if (!checked.ok())
    return Status::error("{}", checked.message());
  MOIRE_ASSIGN(const Json state, readJson(path + "/state.json"));
  MOIRE_ASSIGN(const Json model, describeTensors(path + "/model.safetensors"));
  MOIRE_ASSIGN(const Json optimizer, describeTensors(path + "/optimizer.safetensors"));
  return Json{{"kind", "checkpoint"}, {"path", path}, {"state", state}, {"model", model}, {"optimizer", optimizer}};
}

Result<Json> describe(const std::string &path) {
  std::error_code code;
  if (isPackage(path))
    return describePackage(path);
  if (std::filesystem::is_directory(path, code))
    return describeCheckpoint(path);
  if (!path.ends_with(".safetensors"))
    return Status::error("`{}` is neither a package (.so), nor a checkpoint's folder, nor a .safetensors file", path);
  MOIRE_ASSIGN(const Json tensors, describeTensors(path));
  return Json{{"kind", "tensors"}, {"path", path}, {"model", tensors}};
}

/// An object or list as indented lines; short lists of plain values stay on one line.
void printText(const Json &value, int indent) {
  for (const auto &item : value.items()) {
    const Json &v = item.value();
    const bool row = value.is_array();
    if (row && v.is_object()) {
      std::string line;
      for (const auto &field : v.items())
        if (field.key() != "paths")
          line += fmt::format("{}{}", line.empty() ? "" : "  ",
                              field.key() == "name" || field.key() == "path"
                                  ? field.value().get<std::string>()
                                  : fmt::format("{}={}", field.key(), field.value().dump()));
      fmt::print("{:{}}{}\n", "", indent, line);
    } else if (row) {
      fmt::print("{:{}}{}\n", "", indent, v.is_string() ? v.get<std::string>() : v.dump());
    } else if (v.is_object() || (v.is_array() && !v.empty())) {
      fmt::print("{:{}}{}:\n", "", indent, item.key());
      printText(v, indent + 2);
    } else {
      fmt::print("{:{}}{}: {}\n", "", indent, item.key(), v.is_string() ? v.get<std::string>() : v.dump());
    }
  }
}

Result<int> runInspect(const Options &options) {
  MOIRE_ASSIGN(const Json report, describe(options.path));
  if (options.json)
    fmt::print("{}\n", report.dump());
  else
    printText(report, 0);
  return 0;
}

} // namespace

void addInspectCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("inspect", "Show what is in a package or a checkpoint");
  command.add_option("path", options->path, "Package (.so), checkpoint or run folder, or .safetensors file")
      ->required();
  command.add_flag("--json", options->json, "One line of JSON");
  command.callback([options, &action] { action = [options] { return runInspect(*options); }; });
}

} // namespace moire::runtime
