//===- runtime/Train/Prepare.cpp - everything before the first step ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bad input ends here, before the run's folder is touched.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Initialise.h"
#include "runtime/Train/Train.h"

#include <optional>

namespace moire::runtime {

/// Where to resume from: the last checkpoint's state. Options left out of the request are those of the run.
static Result<RunState> resumeState(TrainRequest &request) {
  const std::string &folder = request.out;
  const std::vector<int64_t> steps = listCheckpoints(folder);
  if (steps.empty())
    return Status::error("nothing to resume: `{}` has no complete checkpoint; remove it to start again", folder);
  auto state = readState(checkpointPath(folder, steps.back()));
  if (!state.ok() && steps.size() > 1)
    return Status::error("{}\nmove it away to resume from step {}", state.message(), steps[steps.size() - 2]);
  if (!state.ok())
    return state;
  const ConfigOverrides &asked = request.overrides;
  if (asked.seed && *asked.seed != state->config.seed)
    return Status::error("the run's seed is {}: --seed {} cannot resume it", state->config.seed, *asked.seed);
  if (asked.holdout && *asked.holdout != state->config.holdout)
    return Status::error("the run holds out {}: --holdout {} cannot resume it", state->config.holdout, *asked.holdout);
  MOIRE_ASSIGN(const Json run, readJson(folder + "/run.json"));
  const Json &data = run.is_object() ? run.value("data", Json()) : Json();
  if (request.package.empty())
    request.package = folder + "/package.so";
  if (request.record.tokenizer.empty() && state->tokenizer.starts_with("sentencepiece:"))
    request.record.tokenizer = folder + "/tokenizer.model";
  try {
    if (request.record.data.empty())
      request.record.data = data.at("paths").get<std::vector<std::string>>();
    if (request.record.tokenizer.empty())
      request.record.tokenizer = data.at("tokenizer").get<std::string>();
    if (request.record.spec.empty())
      request.record.spec = run.at("spec").get<std::string>();
  } catch (const Json::exception &) {
    return Status::error("`{}/run.json` does not say what the run reads", folder);
  }
  if (request.record.data.empty())
    return Status::error(
        "`{}` was made of another run and has no data of its own: a new run begins with its weights by "
        "`moire train SPEC --from {}`",
        folder, folder);
  return state;
}

static Status checkFree(const std::string &folder) {
  return holdsRun(folder)
             ? Status::error("`{}` already holds a run: resume it with --resume, or choose another --out", folder)
             : Status();
}

/// The state of a run that has not begun: the package's train section.
static Result<RunState> freshState(const TrainRequest &request, const Package &package) {
  MOIRE_TRY(checkFree(request.out));
  const std::string where = fmt::format("train section of `{}`", package.path());
  MOIRE_ASSIGN(const Json json, parseJson(package->train_json, where));
  RunState state;
  MOIRE_ASSIGN(state.config, parseTrainConfig(json, where));
  state.precision = package.precisionName();
  return state;
}

/// A resumed run keeps its train section; a spec that now says something else would be ignored without a word.
static Status checkTrainSection(const RunState &begun, const Package &package, const ConfigOverrides &overrides) {
  if (begun.precision != package.precisionName())
    return Status::error("the run computes in {}, package `{}` in {}", begun.precision, package.path(),
                         package.precisionName());
  const std::string where = fmt::format("train section of `{}`", package.path());
  MOIRE_ASSIGN(const Json json, parseJson(package->train_json, where));
  MOIRE_ASSIGN(TrainConfig config, parseTrainConfig(json, where));
  MOIRE_TRY(apply(overrides, config));
  const Json then = toJson(begun.config), now = toJson(config);
  for (const char *key : {"accumulate", "optimizer", "schedule"})
    if (then[key] != now[key])
      return Status::error("{} differs from that of the run: `{}` is {}, the run began with {}", where, key,
                           now[key].dump(), then[key].dump());
  return {};
}

/// The parts must be large enough for one batch and for one prediction.
static Status checkSplit(const Split &split, const moire_package &package) {
  const int64_t needed = package.batch * package.context + 1;
  if (split.train.size() < needed)
    return Status::error("the data have {} tokens to train on, a batch of {} x {} takes {}", split.train.size(),
                         package.batch, package.context, needed);
  if (split.heldOut.size() == 1)
    return Status::error("the held-out part has one token: there is nothing to predict (see --holdout)");
  return {};
}

/// The data and tokeniser of a resumed run must be those that it began with.
static Status checkIdentity(const RunState &begun, const RunState &now) {
  if (begun.tokenizer != now.tokenizer)
    return Status::error("the run reads `{}` tokens, not `{}`", begun.tokenizer, now.tokenizer);
  if (begun.data == now.data)
    return {};
  const auto describe = [](const Json &data) {
    return fmt::format("{} tokens in {} files of {} bytes", data.value("tokens", Json()).dump(),
                       data.value("files", Json()).dump(), data.value("bytes", Json()).dump());
  };
  return Status::error("the data are not those of the run: {}, it began with {}", describe(now.data),
                       describe(begun.data) == describe(now.data) ? "other contents" : describe(begun.data));
}

/// Opens the data, notes in `state` what they are, and checks them against the model and, when resuming, against what
/// the run began with.
static Result<TokenStream> openData(const TrainRequest &request, const moire_package &package,
                                    const Tokenizer &tokenizer, RunState &state) {
  MOIRE_ASSIGN(TokenStream data, TokenStream::open(request.record.data, tokenizer, package.vocab));
  MOIRE_TRY(checkSplit(splitByPosition(data.size(), state.config.holdout), package));
  const RunState begun = state;
  state.data = data.identity();
  MOIRE_ASSIGN(state.tokenizer, tokenizerIdentity(tokenizer, data.isText()));
  if (request.resume)
    MOIRE_TRY(checkIdentity(begun, state));
  return data;
}

/// First values are drawn for what is trained; what never changes needs values that mean something.
static Status checkNothingFrozen(const moire_package &package) {
  for (int64_t i = 0; i < package.parameter_count; ++i)
    if (isFrozen(package.parameters[i]))
      return Status::error("`{}` is frozen, and a new run has no values for it: `moire transform` makes them, --from "
                           "takes them",
                           package.parameters[i].paths[0]);
  return {};
}

/// The first weights of a run: those of --from, with a note of it in the state, or initialised.
static Status firstWeights(const TrainRequest &request, Model &model, RunState &state) {
  if (request.from.empty()) {
    MOIRE_TRY(checkNothingFrozen(*model.package()));
    return initialise(model, state.config.seed);
  }
  MOIRE_ASSIGN(const FoundCheckpoint found, locateCheckpoint(request.from, -1));
  MOIRE_ASSIGN(const RunState source, readState(found.checkpoint));
  if (source.tokenizer != state.tokenizer)
    return Status::error("`{}` reads `{}` tokens, these data are `{}`", request.from, source.tokenizer,
                         state.tokenizer);
  MOIRE_TRY(loadWeights(found.checkpoint, model));
  MOIRE_ASSIGN(state.origin, originOf(found, "weights"));
  return {};
}

Result<PreparedRun> prepare(const TrainRequest &asked) {
  TrainRequest request = asked;
  if (request.resume && !request.from.empty())
    return Status::error("--resume goes on with the weights of the run, --from takes those of another: choose one");
  const std::string &folder = request.out;
  RunState state;
  std::optional<FolderLock> lock;
  if (request.resume) {
    if (!holdsRun(folder))
      return Status::error("nothing to resume: `{}` does not hold a run", folder);
    MOIRE_ASSIGN(lock, FolderLock::take(folder));
    MOIRE_ASSIGN(state, resumeState(request));
  }
  MOIRE_ASSIGN(const Package package, Package::load(request.package));
  if (request.resume) {
    MOIRE_TRY(checkTrainSection(state, package, request.overrides));
  } else {
    MOIRE_ASSIGN(state, freshState(request, package));
  }
  const int64_t begunSteps = state.config.steps;
  MOIRE_TRY(apply(request.overrides, state.config));
  if (state.config.steps < state.progress.step)
    return Status::error("`{}` has done {} steps already, --steps asks for {}", folder, state.progress.step,
                         state.config.steps);

  MOIRE_ASSIGN(Model model, Model::make(package, Use::Train));
  const size_t trained = static_cast<size_t>(package->trained_elements) * package.elementBytes();
  MOIRE_ASSIGN(Buffer accumulator,
               Buffer::allocate(state.config.accumulate > 1 ? trained : 0, "accumulated gradients"));
  if (request.resume)
    MOIRE_TRY(loadCheckpoint(checkpointPath(folder, state.progress.step), model, /*optimizer=*/true));
  MOIRE_ASSIGN(const Tokenizer tokenizer, Tokenizer::make(request.record.tokenizer));
  MOIRE_ASSIGN(TokenStream data, openData(request, *package, tokenizer, state));
  const Split split = splitByPosition(data.size(), state.config.holdout);

  if (!request.resume) {
    MOIRE_TRY(firstWeights(request, model, state));
    MOIRE_TRY(makeFolders(folder));
    MOIRE_ASSIGN(lock, FolderLock::take(folder));
    MOIRE_TRY(checkFree(folder)); // another run may have begun while the data were read
  }
  MOIRE_TRY(tidyCheckpoints(folder, state.config.keep));
  MOIRE_TRY(writeRunFolder(folder, model, request.record, state, tokenizer));
  MOIRE_ASSIGN(MetricsLog metrics, MetricsLog::open(folder + "/metrics.jsonl", state.progress.step));
  std::string note;
  if (request.resume && state.config.steps != begunSteps)
    note = fmt::format("the run began with {} steps; its schedule now has {}", begunSteps, state.config.steps);
  return PreparedRun{folder,           std::move(model),       std::move(data),  split,
                     std::move(state), std::move(accumulator), std::move(*lock), std::move(metrics),
                     std::move(note)};
}

} // namespace moire::runtime
