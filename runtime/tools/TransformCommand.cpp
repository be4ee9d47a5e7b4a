//===- runtime/tools/TransformCommand.cpp - moire transform ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds both models, lets the rules work, writes the result as a run of no steps.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/File.h"
#include "runtime/Train/RunFolder.h"
#include "runtime/Transform/Measure.h"
#include "runtime/Transform/Transform.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"

#include <filesystem>
#include <unistd.h>

namespace moire::runtime {
namespace {

struct Options {
  std::vector<std::string> command;
  std::string from, to, out;
  int64_t checkpoint = -1;
  std::optional<int64_t> seed;
  CompileOptions compile;
  TransformOptions transform;
  std::vector<std::string> data;
  std::string tokenizer;
  int64_t batches = 8;
  bool json = false;
  int32_t threads = 1;
};

/// What the compiler says of the parameters of a resolved spec.
Result<Blocks> blocksOf(const std::string &spec, const std::string &name) {
  const std::string path =
      (std::filesystem::temp_directory_path() / fmt::format("moire-{}-{}.moire", name, ::getpid())).string();
  MOIRE_TRY(replaceFile(path, spec));
  auto text = runCompiler(path, {}, {"--emit=blocks"});
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  if (!text.ok())
    return text.takeStatus();
  return Blocks::parse(*text, fmt::format("blocks of the {}", name));
}

/// What the run's package scales products by. A package for another processor is made anew of the run's spec.
Result<std::map<std::string, double>> multipliersOf(const std::string &run) {
  Result<Package> package = Package::load(run + "/package.so");
  if (!package.ok()) {
    MOIRE_ASSIGN(const std::string path, packageFor(run + "/spec.moire", {}));
    package = Package::load(path);
  }
  if (!package.ok())
    return package.takeStatus();
  std::map<std::string, double> multipliers;
  MOIRE_TRY(forEachInstance(**package, [&](const Instance &instance) -> Status {
    if (instance.parameter.multiplier != 1)
      multipliers[instance.path] = instance.parameter.multiplier;
    return {};
  }));
  return multipliers;
}

/// The checkpoint as a source; its spec is in the run.
Result<Source> openSource(const FoundCheckpoint &found) {
  MOIRE_ASSIGN(const std::string spec, readFile(found.run + "/spec.moire"));
  MOIRE_ASSIGN(Blocks blocks, blocksOf(spec, "source"));
  MOIRE_ASSIGN(Safetensors file, Safetensors::open(found.checkpoint + "/model.safetensors"));
  MOIRE_ASSIGN(auto multipliers, multipliersOf(found.run));
  return Source(std::move(file), std::move(blocks), std::move(multipliers));
}

/// The state of a run that has not begun, with the weights and the tokeniser of another.
Result<RunState> stateOf(const Model &model, const FoundCheckpoint &found, const TransformReport &report,
                         const Options &options) {
  const Package &package = model.package();
  const std::string where = fmt::format("train section of `{}`", package.path());
  MOIRE_ASSIGN(const Json train, parseJson(package->train_json, where));
  MOIRE_ASSIGN(const RunState before, readState(found.checkpoint));
  RunState state;
  MOIRE_ASSIGN(state.config, parseTrainConfig(train, where));
  MOIRE_ASSIGN(state.origin, originOf(found, "transform"));
  state.origin["seed"] = options.transform.seed;
  state.origin["noise"] = options.transform.noise;
  state.origin["report"] = report.json();
  state.precision = package.precisionName();
  state.data = before.data;
  state.tokenizer = before.tokenizer;
  return state;
}

Status writeResult(const Model &model, const FoundCheckpoint &found, const RunState &state, const Options &options) {
  MOIRE_ASSIGN(const Tokenizer tokenizer, tokenizerOf(found.run, state.tokenizer));
  MOIRE_TRY(makeFolders(options.out));
  MOIRE_ASSIGN(const FolderLock lock, FolderLock::take(options.out));
  RunRecord record;
  record.command = options.command;
  record.spec = std::filesystem::absolute(options.to).lexically_normal().string();
  record.threads = options.threads;
  MOIRE_TRY(writeRunFolder(options.out, model, record, state, tokenizer));
  return saveCheckpoint(options.out, model, state);
}

/// Source and target on the data of the command line.
Result<Measurement> measureBoth(const Options &options, const FoundCheckpoint &found, Model &target,
                                const Blocks &blocks) {
  MOIRE_ASSIGN(const OpenedRun run, openRun(found.checkpoint, -1, Use::Evaluate));
  MOIRE_ASSIGN(const TokenStream data, openDataOf(run, options.data, options.tokenizer));
  return measure(run.model, target, blocks, data, options.batches);
}

/// Runs the source on the data of the command line. Its own package reports nothing: another is compiled of its spec.
Result<ActivationSums> activationsOf(const Options &options, const FoundCheckpoint &found) {
  if (options.data.empty())
    return Status::error(
        "--importance activations needs --data, text that the source is run on; `magnitude` needs none");
  MOIRE_ASSIGN(RunState state, readState(found.checkpoint));
  MOIRE_ASSIGN(Tokenizer tokenizer, tokenizerOf(found.run, state.tokenizer));
  CompileOptions compile;
  compile.probe = true;
  compile.precision = state.precision;
  MOIRE_ASSIGN(const std::string path, packageFor(found.run + "/spec.moire", compile));
  MOIRE_ASSIGN(Package package, Package::load(path));
  MOIRE_ASSIGN(Model model, Model::make(std::move(package), Use::Train));
  MOIRE_TRY(loadCheckpoint(found.checkpoint, model, /*optimizer=*/false));
  OpenedRun run{std::move(model), std::move(state), std::move(tokenizer)};
  MOIRE_ASSIGN(const TokenStream data, openDataOf(run, options.data, options.tokenizer));
  return sumActivations(run.model, data, options.batches);
}

Result<int> runTransform(Options options) {
  if (!options.out.empty() && holdsRun(options.out))
    return Status::error("`{}` already holds a run: choose another --out", options.out);
  useThreads(options.threads);
  MOIRE_ASSIGN(const FoundCheckpoint found, locateCheckpoint(options.from, options.checkpoint));
  MOIRE_ASSIGN(const RunState before, readState(found.checkpoint)); // that it is whole
  options.transform.seed = options.seed.value_or(before.config.seed);
  MOIRE_ASSIGN(const Source source, openSource(found));
  if (options.transform.importance == "activations") {
    MOIRE_ASSIGN(options.transform.activations, activationsOf(options, found));
  }
  MOIRE_ASSIGN(const std::string path, packageFor(options.to, options.compile));
  MOIRE_ASSIGN(const Package package, Package::load(path));
  MOIRE_ASSIGN(const Blocks target, blocksOf(package->spec, "target"));
  MOIRE_ASSIGN(Model model, Model::make(package, Use::Train));
  MOIRE_ASSIGN(const Rules rules, makeRules(source, *package, target, options.transform));
  MOIRE_ASSIGN(const TransformReport report, transform(model, target, source, rules));
  if (!options.out.empty()) {
    MOIRE_ASSIGN(const RunState state, stateOf(model, found, report, options));
    MOIRE_TRY(writeResult(model, found, state, options));
  }
  std::optional<Measurement> measured;
  if (!options.data.empty()) {
    MOIRE_ASSIGN(measured, measureBoth(options, found, model, target));
  }
  Json json = report.json();
  if (measured)
    json["measured"] = measured->json();
  if (options.json)
    fmt::print("{}\n", json.dump());
  else
    fmt::print("{}{}{}", report.text(), measured ? measured->text() : "",
               options.out.empty() ? "nothing was written: there is no --out\n" : "");
  return 0;
}

} // namespace

void addTransformCommand(CLI::App &app, Action &action, const std::vector<std::string> &line) {
  auto options = std::make_shared<Options>();
  options->command = line;
  CLI::App &command = *app.add_subcommand("transform", "Turn a trained model into another architecture");
  command.add_option("checkpoint", options->from, "Folder of a run, or of one of its checkpoints")->required();
  command.add_option("--to", options->to, "Spec (.moire) or package (.so) of what it becomes")->required();
  command.add_option("--out", options->out, "Folder of the result; without it, only what would be done is printed");
  command.add_option("--checkpoint", options->checkpoint, "Step of the run's checkpoint (the last one by default)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "step"));
  command.add_option("--seed", options->seed, "Seed of new values and noise (the run's by default)")
      ->check(CLI::Range(int64_t(0), INT64_MAX, "whole number"));
  command.add_option("--noise", options->transform.noise, "Noise on experts, as a share of their root mean square")
      ->check(CLI::Range(0.0, 10.0));
  command.add_flag("--approximate", options->transform.approximate, "Also where gates sum to 1 on average only");
  command.add_option(
      "--data", options->data,
      "Files, folders or globs: source and result are compared on their end, and activations measured all over");
  command.add_option("--batches", options->batches, "How many batches of the data")
      ->check(CLI::Range(int64_t(1), INT64_MAX, "whole number"))
      ->capture_default_str();
  command.add_option("--tokenizer", options->tokenizer, "For .bin files: u16 or u32");
  command
      .add_option(
          "--importance", options->transform.importance,
          "By what to choose the features that a smaller model keeps: activations (with --data), magnitude or random")
      ->check(CLI::IsMember({"activations", "magnitude", "random"}));
  command.add_flag("--json", options->json, "One line of JSON");
  addThreadsOption(command, options->threads);
  addCompileOptions(command, options->compile);
  command.callback([options, &action] { action = [options] { return runTransform(*options); }; });
}

} // namespace moire::runtime
