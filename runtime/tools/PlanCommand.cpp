//===- runtime/tools/PlanCommand.cpp - moire plan --------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What to train for a budget, as a table, JSON, a spec or curves.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/File.h"
#include "runtime/Plan/Emit.h"
#include "runtime/Plan/Points.h"
#include "runtime/Plan/Units.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"
#include "runtime/tools/PlanOutput.h"

#include <filesystem>
#include <unistd.h>

namespace moire::runtime {
namespace {

struct Options {
  std::string flops, gpuHours, speed, tokens, active, memory, laws, emit, out, plot, scores, batchTokens = "262144";
  std::vector<std::string> fit;
  std::vector<double> samples;
  double chance = 0;
  int resamplings = 100;
  int64_t context = 2048, vocab = 50257;
  std::vector<int64_t> experts, granularities;
  std::string machine = "h200";
  bool extrapolate = false, json = false, printLaws = false;
};

Result<Question> questionOf(const Options &options) {
  Question q;
  auto take = [](const std::string &text, auto parse, const char *name, std::optional<double> &value) -> Status {
    if (!text.empty()) {
      MOIRE_ASSIGN(value, parse(text, name));
    }
    return {};
  };
  MOIRE_TRY(take(options.flops, parseCount, "--flops", q.flops));
  MOIRE_TRY(take(options.tokens, parseCount, "--tokens", q.tokens));
  MOIRE_TRY(take(options.active, parseCount, "--active", q.active));
  MOIRE_TRY(take(options.memory, parseBytes, "--memory", q.memory));
  if (options.gpuHours.empty() != options.speed.empty())
    return Status::error("--gpu-hours and --speed are a budget together: hours times operations a second");
  if (!options.gpuHours.empty()) {
    if (q.flops)
      return Status::error("--flops and --gpu-hours are the same budget twice");
    MOIRE_ASSIGN(const double hours, parseCount(options.gpuHours, "--gpu-hours"));
    MOIRE_ASSIGN(const double speed, parseSpeed(options.speed, "--speed"));
    q.flops = hours * 3600 * speed;
  }
  if (!options.experts.empty())
    q.experts = options.experts;
  if (!options.granularities.empty())
    q.granularities = options.granularities;
  q.vocab = options.vocab;
  q.context = double(options.context);
  q.machine = options.machine;
  q.extrapolate = options.extrapolate;
  return q;
}

Result<Json> billOf(const std::string &spec) {
  std::string path = (std::filesystem::temp_directory_path() / fmt::format("moire-plan-{}.moire", getpid())).string();
  MOIRE_TRY(replaceFile(path, spec));
  auto text = runCompiler(path, {}, {"--cost=json"});
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  if (!text.ok())
    return text.takeStatus();
  return parseJson(*text, "cost of the planned spec");
}

/// The command, for the first line of the spec.
std::string askedOf(const Options &options) {
  std::string asked = "Planned by `moire plan";
  for (auto [name, text] : {std::pair{"flops", &options.flops},
                            {"gpu-hours", &options.gpuHours},
                            {"speed", &options.speed},
                            {"tokens", &options.tokens},
                            {"active", &options.active},
                            {"memory", &options.memory},
                            {"laws", &options.laws}})
    if (!text->empty())
      asked += fmt::format(" --{} {}", name, *text);
  return asked + "`.";
}

/// The spec, in the largest batch whose memory fits, checked against the compiler's own bill. Where not even one
/// sequence fits, the model is planned again with so much less memory.
Result<std::string> emitSpec(const Laws &laws, Question q, Plan plan, const FittedLaw *fitted, const Options &options) {
  MOIRE_ASSIGN(const double batchTokens, parseCount(options.batchTokens, "--batch-tokens"));
  const std::optional<double> limit = q.memory;
  for (int round = 0; round < 4; ++round) {
    const Choice &choice = plan.choices.front();
    double peak = 0;
    for (int64_t most = limit ? 64 : 8; most >= 1; most /= 2) {
      std::string spec =
          specOf(laws.joint, plan, stepsFor(choice.tokens, batchTokens, options.context, most), askedOf(options));
      MOIRE_ASSIGN(const Json bill, billOf(spec));
      double active = bill["parameters"]["active"], total = bill["parameters"]["total"];
      peak = bill["bytes"]["peak"];
      if (std::abs(active / choice.shape.active() - 1) > 0.01 || std::abs(total / choice.shape.total() - 1) > 0.01)
        return Status::error("the planned model would have {} active of {} parameters, the compiler counts {} of {}",
                             spelled(choice.shape.active()), spelled(choice.shape.total()), spelled(active),
                             spelled(total));
      if (!limit || peak <= *limit)
        return fmt::format(
            "{}// The compiler's bill: {} active of {} parameters, {} operations a token in training, {:.3g} GiB.\n",
            spec, int64_t(active), int64_t(total), int64_t(bill["flops_per_token"]["training"]), peak / 0x1p30);
    }
    *q.memory -= 1.05 * (peak - *limit);
    if (*q.memory <= 0)
      break;
    MOIRE_ASSIGN(plan, makePlan(laws, q, fitted));
  }
  return Status::error("with its activations no planned model fits {}; --context {} would leave more room",
                       options.memory, options.context / 2);
}

bool asksForPlan(const Question &q) { return q.flops || q.tokens || q.active; }

Result<int> runPlan(const Options &options) {
  if (options.printLaws) {
    fmt::print("{}", Laws::builtIn());
    return 0;
  }
  MOIRE_ASSIGN(Laws laws, Laws::load(options.laws));
  MOIRE_ASSIGN(const Question question, questionOf(options));
  std::optional<FittedLaw> fitted;
  if (!options.fit.empty()) {
    MOIRE_ASSIGN(const std::vector<RunPoint> runs, readRuns(options.fit));
    MOIRE_ASSIGN(fitted, fitLaw(runs, laws.joint, options.resamplings, /*seed=*/0));
    laws.joint = fitted->law;
  }
  std::optional<ScoreLaw> scores;
  if (!options.scores.empty()) {
    MOIRE_ASSIGN(const std::vector<ScorePoint> points, readScores(options.scores));
    MOIRE_ASSIGN(scores, fitScores(points, options.chance));
  } else if (options.chance != 0 || !options.samples.empty()) {
    return Status::error("--chance and --samples are for --scores");
  }
  if (fitted && !asksForPlan(question)) {
    printFit(*fitted);
    return 0;
  }
  MOIRE_ASSIGN(const Plan plan, makePlan(laws, question, fitted ? &*fitted : nullptr));
  if (scores && !options.extrapolate)
    for (const Choice &choice : plan.choices)
      if (!scores->flops.holds(choice.flops))
        return Status::error(
            "{} operations lie outside of what the scores were measured at, {} to {}; --extrapolate asks "
            "all the same",
            spelled(choice.flops), spelled(scores->flops.low), spelled(scores->flops.high));
  const PlanOutput output{laws,
                          question,
                          plan,
                          fitted ? &*fitted : nullptr,
                          scores ? &*scores : nullptr,
                          options.samples.empty() ? std::vector<double>{1} : options.samples};
  if (!options.plot.empty())
    MOIRE_TRY(replaceFile(options.plot, output.isoFlop().svg()));
  if (options.emit == "spec") {
    MOIRE_ASSIGN(const std::string spec, emitSpec(laws, question, plan, fitted ? &*fitted : nullptr, options));
    if (!options.out.empty())
      MOIRE_TRY(replaceFile(options.out, spec));
    else
      fmt::print("{}", spec);
  } else if (!options.out.empty()) {
    return Status::error("-o is for --emit spec");
  } else if (options.json) {
    fmt::print("{}\n", output.json().dump());
  } else {
    output.print();
  }
  return 0;
}

} // namespace

void addPlanCommand(CLI::App &app, Action &action) {
  auto options = std::make_shared<Options>();
  CLI::App &command = *app.add_subcommand("plan", "What to train for a budget, by published scaling laws");
  command.add_option("--flops", options->flops, "Training operations, such as 1e20");
  command.add_option("--gpu-hours", options->gpuHours, "The budget as hours, with --speed");
  command.add_option("--speed", options->speed, "Measured operations a second, such as 400TFLOP/s");
  command.add_option("--tokens", options->tokens, "Tokens to train on, such as 20B");
  command.add_option("--active", options->active, "Active parameters, embedding and head included, such as 1B");
  command.add_option("--memory", options->memory, "For weights, gradients and moments, such as 80GiB");
  const auto counts = CLI::Range(int64_t(1), int64_t(1) << 40, "count");
  command.add_option("--experts", options->experts, "Numbers of experts to choose from (1 2 4 8 16 32)")->check(counts);
  command.add_option("--granularity", options->granularities, "Granularities to choose from (1 2 4 8 16)")
      ->check(counts);
  command.add_option("--vocab", options->vocab, "Size of the vocabulary")->check(counts)->capture_default_str();
  command.add_option("--context", options->context, "Tokens of a sequence")->check(counts)->capture_default_str();
  command.add_option("--batch-tokens", options->batchTokens, "Tokens of an update, for --emit spec")
      ->capture_default_str();
  command.add_option("--machine", options->machine, "Whose time granularity takes: h200, epyc2, or of --laws")
      ->capture_default_str();
  command.add_option("--laws", options->laws, "Coefficients and machines of yours, as --print-laws prints them");
  command.add_flag("--print-laws", options->printLaws, "Print the coefficients that Moire comes with, and stop");
  command.add_option("--fit", options->fit,
                     "Runs (folders, metrics.jsonl or .csv) whose own law is used; alone: print it");
  command.add_option("--resamplings", options->resamplings, "Resamplings of the runs, for intervals")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  command.add_option("--scores", options->scores, "Scores by operations (.csv): predicts them from the budget");
  command.add_option("--chance", options->chance, "Score of guessing, with --scores")->check(CLI::Range(0.0, 0.99));
  command.add_option("--samples", options->samples, "k of pass@k, with --scores")->check(CLI::Range(1.0, 1e6));
  command.add_flag("--extrapolate", options->extrapolate, "Ask laws outside of what they were fitted on");
  command.add_flag("--json", options->json, "One line of JSON");
  command.add_option("--emit", options->emit, "spec: the first row as a spec")->check(CLI::IsMember({"spec"}));
  command.add_option("-o", options->out, "Where --emit writes");
  command.add_option("--plot", options->plot, "Write the curves of loss over size to this SVG file");
  command.callback([options, &action] { action = [options] { return runPlan(*options); }; });
}

} // namespace moire::runtime
