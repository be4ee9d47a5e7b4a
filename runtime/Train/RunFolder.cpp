//===- runtime/Train/RunFolder.cpp - the folder of a run ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything here is written aside and renamed, for a run may be killed while it
// starts.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/RunFolder.h"

#include "runtime/Core/CpuFeatures.h"
#include "runtime/Core/Hash.h"

#include <ctime>
#include <filesystem>
#include <sys/utsname.h>
#include <unistd.h>

namespace moire::runtime {

namespace fs = std::filesystem;

bool holdsRun(const std::string &folder) {
  std::error_code code;
  for (const char *name : {"run.json", "metrics.jsonl", "checkpoints"})
    if (fs::exists(fs::path(folder) / name, code))
      return true;
  return false;
}

static std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

static Json machine(int32_t threads) {
  utsname system{};
  ::uname(&system);
  return {{"host", system.nodename},
          {"system", fmt::format("{} {}", system.sysname, system.release)},
          {"processor", cpuName()},
          {"features", cpuFeatures()},
          {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
          {"memory_bytes", int64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE)},
          {"threads", threads}};
}

Status writeRunFolder(const std::string &folder, const Model &model, const RunRecord &record, const RunState &state,
                      const Tokenizer &tokenizer) {
  const Package &package = model.package();
  MOIRE_ASSIGN(const std::string digest, sha256File(package.path()));
  const Json run = {{"format", checkpointFormat},
                    {"command", record.command},
                    {"time", now()},
                    {"resumed_from", state.progress.step > 0 ? Json(state.progress.step) : Json(nullptr)},
                    {"origin", state.origin},
                    {"spec", record.spec},
                    {"config", toJson(state.config)},
                    {"data", {{"paths", record.data}, {"tokenizer", record.tokenizer}, {"identity", state.data}}},
                    {"tokenizer", state.tokenizer},
                    {"package",
                     {{"path", package.path()},
                      {"sha256", digest},
                      {"model", package->model},
                      {"spec_hash", package->spec_hash},
                      {"compiler", package->compiler},
                      {"target", package->target},
                      {"features", package->features},
                      {"precision", package.precisionName()},
                      {"batch", package->batch},
                      {"context", package->context},
                      {"vocab", package->vocab}}},
                    {"machine", machine(record.threads)}};
  MOIRE_TRY(replaceFile(folder + "/spec.moire", package->spec));
  MOIRE_TRY(replaceFileByCopy(folder + "/package.so", package.path()));
  if (tokenizer.isSentencePiece())
    MOIRE_TRY(replaceFileByCopy(folder + "/tokenizer.model", tokenizer.modelPath()));
  return replaceFile(folder + "/run.json", run.dump(2) + "\n");
}

Result<std::string> tokenizerIdentity(const Tokenizer &tokenizer, bool text) {
  if (!tokenizer.isSentencePiece())
    return std::string(text ? "bytes" : "ids");
  MOIRE_ASSIGN(const std::string digest, sha256File(tokenizer.modelPath()));
  return "sentencepiece:" + digest;
}

Result<FoundCheckpoint> locateCheckpoint(const std::string &path, int64_t step) {
  std::error_code code;
  if (!fs::exists(fs::path(path) / "state.json", code)) {
    if (!holdsRun(path))
      return Status::error("`{}` holds neither a run nor a checkpoint", path);
    MOIRE_ASSIGN(std::string checkpoint, findCheckpoint(path, step));
    return FoundCheckpoint{path, std::move(checkpoint)};
  }
  if (step >= 0)
    return Status::error("`{}` is one checkpoint; to choose by step, name the run", path);
  const fs::path folder = fs::canonical(path, code), run = folder.parent_path().parent_path();
  if (code || !holdsRun(run.string()))
    return Status::error("`{}` is not in the folder of a run", path);
  return FoundCheckpoint{run.string(), folder.string()};
}

Result<Json> originOf(const FoundCheckpoint &found, const std::string &how) {
  MOIRE_ASSIGN(const RunState state, readState(found.checkpoint));
  MOIRE_ASSIGN(const Json json, readJson(found.checkpoint + "/state.json"));
  return Json{{"how", how},
              {"checkpoint", fs::absolute(found.checkpoint).lexically_normal().string()},
              {"model", json.value("model", "")},
              {"spec_hash", json.value("spec_hash", "")},
              {"step", state.progress.step},
              {"tokens", state.progress.tokens},
              {"origin", state.origin}};
}

Result<Tokenizer> tokenizerOf(const std::string &run, const std::string &identity) {
  // "u16" stands for bare numbers of any width: the width is a matter of the files, not of the model.
  return Tokenizer::make(identity.starts_with("sentencepiece:") ? run + "/tokenizer.model"
                         : identity == "ids"                    ? "u16"
                                                                : "bytes");
}

Result<OpenedRun> openRun(const std::string &path, int64_t step, Use use) {
  MOIRE_ASSIGN(const FoundCheckpoint found, locateCheckpoint(path, step));
  MOIRE_ASSIGN(RunState state, readState(found.checkpoint));
  MOIRE_ASSIGN(Tokenizer tokenizer, tokenizerOf(found.run, state.tokenizer));
  MOIRE_ASSIGN(Package package, Package::load(found.run + "/package.so"));
  MOIRE_ASSIGN(Model model, Model::make(std::move(package), use));
  MOIRE_TRY(loadCheckpoint(found.checkpoint, model, /*optimizer=*/false));
  return OpenedRun{std::move(model), std::move(state), std::move(tokenizer)};
}

Result<TokenStream> openDataOf(const OpenedRun &run, const std::vector<std::string> &paths,
                               const std::string &tokenizer) {
  // A run on numbers does not say how wide they are: that is the files' matter, and .npy files know it.
  const bool ids = run.state.tokenizer == "ids";
  MOIRE_ASSIGN(const Tokenizer explicitly, Tokenizer::make(tokenizer));
  if (!tokenizer.empty() && (!ids || explicitly.pieces() != INT32_MAX))
    return Status::error("the run reads `{}` tokens: --tokenizer {} does not fit", run.state.tokenizer, tokenizer);
  MOIRE_ASSIGN(TokenStream data,
               TokenStream::open(paths, ids ? explicitly : run.tokenizer, run.model.package()->vocab));
  if (ids && data.isText())
    return Status::error("the run reads token numbers, but the data are text");
  return data;
}

} // namespace moire::runtime
