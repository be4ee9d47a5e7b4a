//===- runtime/Train/RunFolder.h - the folder of a run ------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DIR holds all that a run needs to be understood, resumed, evaluated and used:
// run.json, spec.moire, package.so, tokenizer.model, metrics.jsonl, checkpoints/.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_RUNFOLDER_H
#define MOIRE_RUNTIME_TRAIN_RUNFOLDER_H

#include "runtime/Core/Model.h"
#include "runtime/Train/Checkpoint.h"
#include "runtime/Train/Data.h"
#include "runtime/Train/Tokenizer.h"

#include <string>
#include <vector>

namespace moire::runtime {

/// What was asked for, for the record in run.json.
struct RunRecord {
  std::vector<std::string> command; ///< the command line
  std::string spec;                 ///< SPEC or PACKAGE as given
  std::vector<std::string> data;    ///< --data as given, made absolute
  std::string tokenizer;            ///< --tokenizer as given
  int32_t threads = 1;
};

/// Whether `folder` holds a run.
bool holdsRun(const std::string &folder);

/// A checkpoint and the run that it is of.
struct FoundCheckpoint {
  std::string run, checkpoint; ///< folders
};

/// The checkpoint that PATH names: a folder of a checkpoint itself, or that of a run, which stands for its checkpoint
/// of `step` (-1: the last).
Result<FoundCheckpoint> locateCheckpoint(const std::string &path, int64_t step);

/// Where weights came from, for state.json: the checkpoint's folder, its step and tokens, its spec, and its own origin.
Result<Json> originOf(const FoundCheckpoint &found, const std::string &how);

/// The tokeniser of a run whose state says `identity`.
Result<Tokenizer> tokenizerOf(const std::string &run, const std::string &identity);

/// Writes run.json, spec.moire, package.so and, with a SentencePiece model, tokenizer.model.
Status writeRunFolder(const std::string &folder, const Model &model, const RunRecord &record, const RunState &state,
                      const Tokenizer &tokenizer);

/// How a checkpoint names a tokeniser: "bytes", "ids", or "sentencepiece:" and the model's digest.
Result<std::string> tokenizerIdentity(const Tokenizer &tokenizer, bool text);

/// A run as `moire eval` and `moire generate` open it.
struct OpenedRun {
  Model model;
  RunState state;
  Tokenizer tokenizer;
};

/// Loads the package of the run that PATH is, or is a checkpoint of, with the weights of a step (-1: the last) and the
/// run's tokeniser.
Result<OpenedRun> openRun(const std::string &path, int64_t step, Use use);

/// Opens data for a run that is there already: in its own tokens, or for a run on token numbers, in files of them
/// (`tokenizer` says how wide those in .bin files are).
Result<TokenStream> openDataOf(const OpenedRun &run, const std::vector<std::string> &paths,
                               const std::string &tokenizer);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_RUNFOLDER_H
