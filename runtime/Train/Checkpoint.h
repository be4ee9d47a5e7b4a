//===- runtime/Train/Checkpoint.h - states of a run on disk -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// DIR/checkpoints/step-00000100/{model.safetensors, optimizer.safetensors,
// state.json}. A folder of that name is complete: it is written under another
// name, put on the disk, and then renamed, so neither a kill nor a full disk can
// leave half of one.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_CHECKPOINT_H
#define MOIRE_RUNTIME_TRAIN_CHECKPOINT_H

#include "runtime/Core/Json.h"
#include "runtime/Core/Model.h"
#include "runtime/Train/Config.h"
#include "runtime/Train/Safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

namespace moire::runtime {

/// Version of the three files; a checkpoint of another version is refused.
inline constexpr int64_t checkpointFormat = 1;

/// How far a run has come.
struct TrainProgress {
  int64_t step = 0;         ///< steps done
  int64_t updates = 0;      ///< of them, those that changed the parameters
  int64_t tokens = 0;       ///< seen in training
  int64_t skippedInRow = 0; ///< last steps whose gradient was not finite
  double seconds = 0;       ///< spent in steps
};

/// All that a resumed run needs besides tensors.
struct RunState {
  TrainProgress progress;
  TrainConfig config;
  std::string precision; ///< of products
  Json data;             ///< TokenStream::identity
  std::string tokenizer; ///< "bytes", "ids", or the digest of a SentencePiece model as "sentencepiece:…"
  Json origin;           ///< where the first weights came from: see originOf; null when they were initialised
};

/// The folder of a step below a run's folder.
std::string checkpointPath(const std::string &run, int64_t step);

/// Steps of the complete checkpoints of a run, ascending.
std::vector<int64_t> listCheckpoints(const std::string &run);

/// The checkpoint of a run to use: of `step`, or the last one when it is -1.
Result<std::string> findCheckpoint(const std::string &run, int64_t step);

/// Removes what interrupted writers left, and then all but the `keep` newest checkpoints (0: keep all).
Status tidyCheckpoints(const std::string &run, int64_t keep);

/// Writes the checkpoint of state.progress.step.
Status saveCheckpoint(const std::string &run, const Model &model, const RunState &state);

/// Reads and checks state.json of a checkpoint.
Result<RunState> readState(const std::string &checkpoint);

/// Reads the parameters, and with `optimizer` the moments, and rebuilds the compute copies. The checkpoint must be of
/// the model's spec.
Status loadCheckpoint(const std::string &checkpoint, Model &model, bool optimizer);

/// Reads the parameters only, of whatever spec: a first state for training. Each tensor that does not fit the model is
/// named, with both shapes.
Status loadWeights(const std::string &checkpoint, Model &model);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_CHECKPOINT_H
