//===- runtime/tools/CostCommand.cpp - moire cost -------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints the bill that the compiler made: parameters, operations, bytes.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Json.h"
#include "runtime/Core/Package.h"
#include "runtime/Plan/Units.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Fits.h"

namespace moire::runtime {
namespace {

struct Options {
  std::string spec;
  CompileOptions compile;
  std::string fits;
  bool json = false;
};

/// Digits in groups of three.
std::string grouped(const Json &number) {
  if (!number.is_number_integer())
    return number.dump();
  std::string digits = number.dump();
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > (digits[0] == '-' ? 1 : 0); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

void printTable(const Json &value, const std::string &name, int indent) {
  if (!value.is_object()) {
    fmt::print("{:{}}{:<{}} {:>20}\n", "", indent, name, 28 - indent, grouped(value));
    return;
  }
  if (value.size() == 2 && value.contains("active")) { // one part of the model
    fmt::print("{:{}}{:<{}} {:>20} {:>20}\n", "", indent, name, 28 - indent, grouped(value["total"]),
               grouped(value["active"]));
    return;
  }
  if (!name.empty())
    fmt::print("{:{}}{}\n", "", indent, name == "layers" ? "layers (parameters: total, active)" : name);
  for (const auto &item : value.items())
    printTable(item.value(), item.key(), name.empty() ? indent : indent + 2);
}

Result<int> runCost(const Options &options) {
  std::string text;
  std::optional<double> limit;
  if (!options.fits.empty()) {
    MOIRE_ASSIGN(limit, parseBytes(options.fits, "--fits"));
    if (isPackage(options.spec))
      return Status::error("--fits asks the compiler about other settings: it needs a spec, not a package");
  }
  if (isPackage(options.spec)) {
    MOIRE_ASSIGN(const std::string path, packageFor(options.spec, options.compile));
    MOIRE_ASSIGN(const Package package, Package::load(path));
    text = package->cost_json;
  } else {
    MOIRE_ASSIGN(text, runCompiler(options.spec, options.compile, {"--cost=json"}));
  }
  MOIRE_ASSIGN(Json cost, parseJson(text, fmt::format("cost of `{}`", options.spec)));
  std::optional<Verdict> verdict;
  if (limit) {
    MOIRE_ASSIGN(verdict, judge(options.spec, options.compile, cost, *limit));
    cost["fits"] = verdict->json();
  }
  if (options.json) {
    fmt::print("{}\n", cost.dump());
  } else if (verdict) {
    cost.erase("fits");
    printTable(cost, "", 0);
    verdict->print();
  } else {
    printTable(cost, "", 0);
  }
  return verdict && !verdict->fits ? 1 : 0;
}

} // namespace

void addCostCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("cost", "Parameters, operations and bytes of a model");
  command.add_option("spec", options->spec, "Spec (.moire) or package (.so)")->required();
  command.add_flag("--json", options->json, "One line of JSON");
  command.add_option("--fits", options->fits, "Whether training takes at most so much, such as 24GiB, and what would");
  addCompileOptions(command, options->compile);
  command.callback([options, &action] { action = [options] { return runCost(*options); }; });
}

} // namespace moire::runtime
