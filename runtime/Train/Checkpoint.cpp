//===- runtime/Train/Checkpoint.cpp - states of a run on disk -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Saving goes: tensors, then state.json, each on the disk before the next; the
// folder; the rename; the folder above. Loading checks the state, the spec, and
// every tensor's name, type and shape before the first byte is copied.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

namespace moire::runtime {

namespace fs = std::filesystem;

static const char *const modelFile = "model.safetensors";
static const char *const optimizerFile = "optimizer.safetensors";
static const char *const asidePrefix = ".writing-";

static std::string stepName(int64_t step) { return fmt::format("step-{:08}", step); }

std::string checkpointPath(const std::string &run, int64_t step) { return run + "/checkpoints/" + stepName(step); }

std::vector<int64_t> listCheckpoints(const std::string &run) {
  std::vector<int64_t> steps;
  std::error_code code;
  for (const fs::directory_entry &entry : fs::directory_iterator(run + "/checkpoints", code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("step-") || name.size() > 24 || name.find_first_not_of("0123456789", 5) != std::string::npos)
      continue;
    const int64_t step = std::atoll(name.c_str() + 5);
    std::error_code ignored;
    bool complete = name == stepName(step);
    for (const char *file : {modelFile, optimizerFile, "state.json"})
      complete = complete && fs::is_regular_file(entry.path() / file, ignored);
    if (complete)
      steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

Result<std::string> findCheckpoint(const std::string &run, int64_t step) {
  const std::vector<int64_t> steps = listCheckpoints(run);
  if (steps.empty())
    return Status::error("`{}` has no complete checkpoint", run);
  if (step < 0)
    return checkpointPath(run, steps.back());
  if (std::find(steps.begin(), steps.end(), step) == steps.end())
    return Status::error("`{}` has no checkpoint of step {}; it has {}", run, step, fmt::join(steps, ", "));
  return checkpointPath(run, step);
}

Status tidyCheckpoints(const std::string &run, int64_t keep) {
  std::error_code code, absent;
  std::vector<fs::path> remove;
  for (const fs::directory_entry &entry : fs::directory_iterator(run + "/checkpoints", absent))
    if (entry.path().filename().string().starts_with(asidePrefix))
      remove.push_back(entry.path());
  std::vector<int64_t> steps = listCheckpoints(run);
  for (; keep > 0 && steps.size() > static_cast<size_t>(keep); steps.erase(steps.begin())) {
    // Renamed first: a kill in the middle of removing must not leave a damaged folder under a checkpoint's name.
    const fs::path old = checkpointPath(run, steps.front());
    const fs::path aside = old.parent_path() / (asidePrefix + old.filename().string());
    fs::rename(old, aside, code);
    remove.push_back(aside);
  }
  for (const fs::path &path : remove)
    fs::remove_all(path, code);
  return code ? Status::system(fmt::format("cannot tidy up the checkpoints of `{}`", run), code.value()) : Status();
}

static const char *dtypeOf(const Model &model) { return model.package().elementBytes() == 8 ? "F64" : "F32"; }

/// The tensors of a buffer, one per instance, called `path` + `suffix`; without `frozen`, those of trained parameters.
static std::vector<StoredTensor> tensorsOf(const Model &model, void *buffer, const std::string &suffix,
                                           bool frozen = true) {
  std::vector<StoredTensor> tensors;
  const size_t size = model.package().elementBytes();
  (void)forEachInstance(*model.package(), [&](const Instance &instance) -> Status {
    if (!frozen && isFrozen(instance.parameter))
      return {};
    StoredTensor tensor{instance.path + suffix, dtypeOf(model), {}, nullptr, 0};
    tensor.shape.assign(instance.parameter.shape, instance.parameter.shape + instance.parameter.rank);
    tensor.data = static_cast<const char *>(buffer) + static_cast<size_t>(instance.offset) * size;
    tensor.bytes = static_cast<uint64_t>(instance.elements) * size;
    tensors.push_back(std::move(tensor));
    return {};
  });
  return tensors;
}

static std::vector<StoredTensor> optimizerTensors(const Model &model) {
  std::vector<StoredTensor> tensors = tensorsOf(model, model.buffers().moment1, ".moment1", /*frozen=*/false);
  for (StoredTensor &tensor : tensorsOf(model, model.buffers().moment2, ".moment2", /*frozen=*/false))
    tensors.push_back(std::move(tensor));
  return tensors;
}

static Status writeFolder(const std::string &folder, const Model &model, const RunState &state) {
  const moire_package &package = *model.package();
  const TrainProgress &progress = state.progress;
  const Metadata metadata = {{"format", std::to_string(checkpointFormat)},
                             {"model", package.model},
                             {"spec_hash", package.spec_hash},
                             {"step", std::to_string(progress.step)}};
  MOIRE_ASSIGN(const uint64_t modelBytes,
               writeSafetensors(folder + "/" + modelFile, tensorsOf(model, model.buffers().params, ""), metadata));
  MOIRE_ASSIGN(const uint64_t optimizerBytes,
               writeSafetensors(folder + "/" + optimizerFile, optimizerTensors(model), metadata));
  Json json = {{"format", checkpointFormat},
               {"model", package.model},
               {"spec_hash", package.spec_hash},
               {"compiler", package.compiler},
               {"precision", state.precision},
               {"step", progress.step},
               {"updates", progress.updates},
               {"tokens", progress.tokens},
               {"skipped_in_row", progress.skippedInRow},
               {"seconds", progress.seconds},
               {"config", toJson(state.config)},
               {"data", state.data},
               {"tokenizer", state.tokenizer},
               {"files", {{modelFile, modelBytes}, {optimizerFile, optimizerBytes}}}};
  if (!state.origin.is_null())
    json["origin"] = state.origin;
  MOIRE_TRY(replaceFile(folder + "/state.json", json.dump(2) + "\n"));
  return syncFolder(folder);
}

Status saveCheckpoint(const std::string &run, const Model &model, const RunState &state) {
  const std::string parent = run + "/checkpoints", path = checkpointPath(run, state.progress.step);
  const std::string aside = parent + "/" + asidePrefix + stepName(state.progress.step);
  std::error_code ignored;
  fs::remove_all(aside, ignored);
  MOIRE_TRY(makeFolders(aside));
  Status status = writeFolder(aside, model, state);
  if (status.ok()) {
    // Only an incomplete folder can stand in the way: a complete one would have been resumed from.
    fs::remove_all(path, ignored);
    if (std::rename(aside.c_str(), path.c_str()) != 0)
      status = Status::system(fmt::format("cannot write `{}`", path));
  }
  if (!status.ok()) {
    fs::remove_all(aside, ignored);
    return status;
  }
  MOIRE_TRY(syncFolder(parent));
  return tidyCheckpoints(run, state.config.keep);
}

/// state.json with its version checked.
static Result<Json> readStateJson(const std::string &checkpoint) {
  const std::string path = checkpoint + "/state.json";
  MOIRE_ASSIGN(Json json, readJson(path));
  if (!json.is_object() || !json.contains("format") || !json["format"].is_number_integer())
    return Status::error("`{}` is not the state of a checkpoint", path);
  if (json["format"] != checkpointFormat)
    return Status::error("checkpoint `{}` has format version {}; this runtime reads {}", checkpoint,
                         json["format"].dump(), checkpointFormat);
  return json;
}

Result<RunState> readState(const std::string &checkpoint) {
  MOIRE_ASSIGN(const Json json, readStateJson(checkpoint));
  const std::string where = fmt::format("`{}/state.json`", checkpoint);
  RunState state;
  int64_t format = 0;
  std::string text;
  ObjectReader reader(json, where);
  reader.count("format", format, 0)
      .text("model", text)
      .text("spec_hash", text)
      .text("compiler", text)
      .text("precision", state.precision)
      .count("step", state.progress.step, 0)
      .count("updates", state.progress.updates, 0)
      .count("tokens", state.progress.tokens, 0)
      .count("skipped_in_row", state.progress.skippedInRow, 0)
      .number("seconds", state.progress.seconds, 0, 1e18)
      .text("tokenizer", state.tokenizer);
  state.data = reader.value("data");
  const Json &config = reader.value("config");
  const Json &files = reader.value("files");
  state.origin = reader.value("origin", /*required=*/false);
  MOIRE_TRY(reader.finish());
  MOIRE_ASSIGN(state.config, parseTrainConfig(config, where + ": config"));
  for (const char *name : {modelFile, optimizerFile}) {
    const std::string path = checkpoint + "/" + name;
    std::error_code code;
    const uintmax_t found = fs::file_size(path, code);
    if (code)
      return Status::system(fmt::format("cannot open `{}`", path), code.value());
    if (!files.is_object() || !files.contains(name) || !files[name].is_number_unsigned())
      return Status::error("{}: the size of {} is missing", where, name);
    if (found != files[name].get<uint64_t>())
      return Status::error("`{}` is {}: it has {} bytes instead of {}", path,
                           found < files[name].get<uint64_t>() ? "truncated" : "damaged", found, files[name].dump());
  }
  return state;
}

/// Where a file's tensors differ from the expected ones: up to `most`, as text; empty when nowhere.
static std::string differences(const Safetensors &file, const std::vector<StoredTensor> &expected, size_t most = 3,
                               const char *between = "; ") {
  std::vector<std::string> found;
  for (const StoredTensor &tensor : expected) {
    const StoredTensor *stored = file.find(tensor.name);
    if (!stored)
      found.push_back(fmt::format("`{}` is missing", tensor.name));
    else if (stored->shape != tensor.shape)
      found.push_back(fmt::format("`{}` is [{}], the package has [{}]", tensor.name, fmt::join(stored->shape, ", "),
                                  fmt::join(tensor.shape, ", ")));
    else if (stored->dtype != tensor.dtype)
      found.push_back(fmt::format("`{}` is {}, the package has {}", tensor.name, stored->dtype, tensor.dtype));
  }
  std::vector<std::string> names;
  for (const StoredTensor &tensor : expected)
    names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  for (const StoredTensor &tensor : file.tensors())
    if (!std::binary_search(names.begin(), names.end(), tensor.name))
      found.push_back(fmt::format("`{}` is not in the package", tensor.name));
  if (found.size() > most) {
    const size_t more = found.size() - most;
    found.resize(most);
    found.push_back(fmt::format("and {} more", more));
  }
  return fmt::format("{}", fmt::join(found, between));
}

static Status loadTensors(const std::string &path, const std::string &specHash,
                          const std::vector<StoredTensor> &tensors) {
  MOIRE_ASSIGN(const Safetensors file, Safetensors::open(path));
  const std::string different = differences(file, tensors);
  const auto hash = file.metadata().find("spec_hash");
  const std::string found = hash == file.metadata().end() ? "none" : hash->second;
  if (found != specHash)
    return Status::error("`{}` is of another spec (hash {}, the package has {}): {}", path, found, specHash,
                         different.empty() ? "the same parameters, another computation" : different);
  if (!different.empty())
    return Status::error("`{}` does not fit the package: {}", path, different);
  for (const StoredTensor &tensor : tensors)
    file.read(*file.find(tensor.name), const_cast<void *>(tensor.data));
  return {};
}

Status loadCheckpoint(const std::string &checkpoint, Model &model, bool optimizer) {
  MOIRE_ASSIGN(const Json state, readStateJson(checkpoint));
  const std::string hash = model.package()->spec_hash;
  MOIRE_TRY(loadTensors(checkpoint + "/" + modelFile, hash, tensorsOf(model, model.buffers().params, "")));
  if (optimizer)
    MOIRE_TRY(loadTensors(checkpoint + "/" + optimizerFile, hash, optimizerTensors(model)));
  return model.check(model.package()->refresh(&model.buffers()), "refresh");
}

Status loadWeights(const std::string &checkpoint, Model &model) {
  MOIRE_ASSIGN(const RunState state, readState(checkpoint)); // sizes of the files
  MOIRE_ASSIGN(const Safetensors file, Safetensors::open(checkpoint + "/" + modelFile));
  const std::vector<StoredTensor> tensors = tensorsOf(model, model.buffers().params, "");
  const std::string different = differences(file, tensors, /*most=*/20, "\n  ");
  if (!different.empty())
    return Status::error("the weights of `{}` do not fit the package:\n  {}\n`moire transform` makes one model of "
                         "another where there is a way",
                         checkpoint, different);
  for (const StoredTensor &tensor : tensors)
    file.read(*file.find(tensor.name), const_cast<void *>(tensor.data));
  return model.check(model.package()->refresh(&model.buffers()), "refresh");
}

} // namespace moire::runtime
