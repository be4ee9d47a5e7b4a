//===- runtime/tools/PlanCommand.cpp - moire plan --------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What to train for a budget, as a table, JSON, a spec or curves.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/File.h"
#include "runtime/Plan/Chart.h"
#include "runtime/Plan/Emit.h"
#include "runtime/Plan/Units.h"
#include "runtime/tools/Commands.h"
#include "runtime/tools/Compile.h"

#include <filesystem>
#include <unistd.h>

namespace moire::runtime {
namespace {

struct Options {
  std::string flops, gpuHours, speed, tokens, active, memory, laws, emit, out, plot, batchTokens = "262144";
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

Json toJson(const Laws &laws, const Plan &plan) {
  Json choices = Json::array(), grains = Json::array();
  for (const Choice &c : plan.choices)
    choices.push_back({{"experts", c.shape.experts},
                       {"granularity", c.shape.granularity},
                       {"width", c.shape.width},
                       {"depth", c.shape.depth},
                       {"active", int64_t(c.shape.active())},
                       {"total", int64_t(c.shape.total())},
                       {"tokens", c.tokens},
                       {"flops", c.flops},
                       {"loss", c.loss},
                       {"loss_low", c.low},
                       {"loss_high", c.high},
                       {"loses", plan.comparable ? Json(c.loses) : Json()},
                       {"learning_rate", c.learningRate},
                       {"tokens_per_parameter", c.tokens / c.shape.total()},
                       {"bytes", c.bytes()},
                       {"limited_by_memory", c.limited}});
  for (const Grain &g : plan.grains)
    grains.push_back({{"granularity", g.granularity},
                      {"operations", g.operations},
                      {"time", g.time},
                      {"loss_at_equal_operations", g.atOperations},
                      {"loss_at_equal_time", g.atTime}});
  return {
      {"law", laws.joint.source}, {"choices", choices}, {"granularity", grains}, {"granularity_note", plan.grainNote}};
}

void printPlan(const Laws &laws, const Question &q, const Plan &plan) {
  fmt::print("{:>7} {:>7} {:>6} {:>8} {:>8} {:>8} {:>9} {:>7} {:>15} {:>8} {:>9} {:>7} {:>9}\n", "experts", "width",
             "depth", "active", "total", "tokens", "flops", "loss", "90 %", "loses", "rate", "tok/par", "memory");
  for (const Choice &c : plan.choices)
    fmt::print("{:>7} {:>7} {:>6} {:>8} {:>8} {:>8} {:>9} {:>7.4f} {:>15} {:>8} {:>9.3g} {:>7.3g} {:>9}\n",
               c.shape.experts, c.shape.width, c.shape.depth, spelled(c.shape.active()), spelled(c.shape.total()),
               spelled(c.tokens), spelled(c.flops), c.loss, fmt::format("{:.3f}..{:.3f}", c.low, c.high),
               plan.comparable ? fmt::format("{:+.4f}", c.loses) : "", c.learningRate, c.tokens / c.shape.total(),
               fmt::format("{:.3g} GiB{}", c.bytes() / 0x1p30, c.limited ? "*" : ""));
  fmt::print("\nlosses and sizes: the law of {}; memory: {} bytes a parameter, activations apart{}\n",
             laws.joint.source, bytesPerParameter, q.memory ? "; * smaller than the law would have it, to fit" : "");
  if (!plan.comparable)
    fmt::print("each row is the budget at which the given number is its best: the rows spend differently\n");
  fmt::print("tokens a parameter (of all): reasoning was best near {}, memorisation gains with parameters\n",
             laws.tokensPerParameter);
  fmt::print("\ngranularity of the first row: {}\n", plan.grainNote);
  if (!plan.grains.empty()) {
    fmt::print("{:>11} {:>11} {:>8} {:>26} {:>20}\n", "granularity", "operations", "time", "loss at equal operations",
               "at equal time");
    for (const Grain &g : plan.grains)
      fmt::print(
          "{:>11} {:>11.3f} {:>8.3f} {:>26} {:>20}\n", g.granularity, g.operations, g.time,
          fmt::format("{:+.4f}", g.atOperations),
          fmt::format("{:+.4f}{}", g.atTime, g.granularity == plan.choices.front().shape.granularity ? " <" : "  "));
    fmt::print("time of a layer as `{}` would take it: each product its operations or its bytes\n", q.machine);
  }
}

/// Loss over size at the budget, a curve for each number of experts, with rings at the choices.
Chart isoFlop(const Laws &laws, const Plan &plan) {
  Chart chart{.title = "Loss at " + spelled(plan.choices.front().flops) + " training operations",
              .xLabel = "active parameters, embedding and head included",
              .yLabel = "predicted loss, nats a token",
              .curves = {}};
  for (const Choice &choice : plan.choices) {
    double e = double(choice.shape.experts), ring = choice.shape.active();
    Curve curve{choice.shape.experts == 1 ? "dense" : fmt::format("{} experts", choice.shape.experts), {}};
    constexpr int each = 30;
    for (int i = -each; i <= each; ++i) {
      double size = ring * std::pow(6.0, double(i) / each);
      if (i == 0)
        curve.marked = int(curve.points.size());
      curve.points.push_back({size, laws.joint.loss(size, choice.flops / (6 * size), e)});
    }
    chart.curves.push_back(std::move(curve));
  }
  return chart;
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
Result<std::string> emitSpec(const Laws &laws, Question q, Plan plan, const Options &options) {
  MOIRE_ASSIGN(const double batchTokens, parseCount(options.batchTokens, "--batch-tokens"));
  const std::optional<double> limit = q.memory;
  for (int round = 0; round < 4; ++round) {
    const Choice &choice = plan.choices.front();
    double peak = 0;
    for (int64_t most = limit ? 64 : 8; most >= 1; most /= 2) {
      std::string spec =
          specOf(laws, plan, stepsFor(choice.tokens, batchTokens, options.context, most), askedOf(options));
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
    MOIRE_ASSIGN(plan, makePlan(laws, q));
  }
  return Status::error("with its activations no planned model fits {}; --context {} would leave more room",
                       options.memory, options.context / 2);
}

Result<int> runPlan(const Options &options) {
  if (options.printLaws) {
    fmt::print("{}", Laws::builtIn());
    return 0;
  }
  MOIRE_ASSIGN(const Laws laws, Laws::load(options.laws));
  MOIRE_ASSIGN(const Question question, questionOf(options));
  MOIRE_ASSIGN(const Plan plan, makePlan(laws, question));
  if (!options.plot.empty())
    MOIRE_TRY(replaceFile(options.plot, isoFlop(laws, plan).svg()));
  if (options.emit == "spec") {
    MOIRE_ASSIGN(const std::string spec, emitSpec(laws, question, plan, options));
    if (!options.out.empty())
      MOIRE_TRY(replaceFile(options.out, spec));
    else
      fmt::print("{}", spec);
  } else if (!options.out.empty()) {
    return Status::error("-o is for --emit spec");
  } else if (options.json) {
    fmt::print("{}\n", toJson(laws, plan).dump());
  } else {
    printPlan(laws, question, plan);
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
  command.add_flag("--extrapolate", options->extrapolate, "Ask laws outside of what they were fitted on");
  command.add_flag("--json", options->json, "One line of JSON");
  command.add_option("--emit", options->emit, "spec: the first row as a spec")->check(CLI::IsMember({"spec"}));
  command.add_option("-o", options->out, "Where --emit writes");
  command.add_option("--plot", options->plot, "Write the curves of loss over size to this SVG file");
  command.callback([options, &action] { action = [options] { return runPlan(*options); }; });
}

} // namespace moire::runtime
