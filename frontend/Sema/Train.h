//===- frontend/Sema/Train.h - the train section, resolved -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a run needs beside the model. The runtime reads it as JSON.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_TRAIN_H
#define MOIRE_FRONTEND_SEMA_TRAIN_H

#include "frontend/Sema/Constants.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/SMLoc.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moire::sema {

/// Extents of one parameter of a model that this one is compared with, those of one copy; or of a block of attention
/// the size of a head.
struct BaseShape {
  std::string name; ///< symbolic path
  std::vector<int64_t> extents;
};

/// `scaling = mup(…)`: muP relative to a base model.
struct MupSettings {
  std::vector<std::pair<std::string, Constant>> base; ///< hyperparameters of the base model
  std::vector<BaseShape> shapes;                      ///< what they come to
  double input = 1, output = 1;                       ///< multiply embeddings and logits
  std::string router = "head";
  llvm::SMRange range;
};

/// `compress = projected(…)`: weights are projected from those of a larger model (arXiv 2506.22255).
struct ProjectedSettings {
  std::vector<std::pair<std::string, Constant>> source; ///< hyperparameters of the larger model
  std::vector<BaseShape> shapes;                        ///< what they come to
  llvm::SMRange range;
};

/// One entry of `rates`: relative learning rates of a role, or of the parameters whose paths match a pattern.
struct RateRule {
  std::string key;
  bool isPath = false;
  double start = 1, end = 1;
  llvm::SMRange range;
};

/// Every setting with its default.
struct TrainSettings {
  int64_t batch = 8;      ///< sequences in a step
  int64_t context = 256;  ///< tokens in a sequence
  int64_t steps = 1000;   ///< updates
  int64_t accumulate = 1; ///< batches in an update
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1, clip = 1.0;
  bool cosine = true;         ///< else constant after the warm-up
  bool warmupIsCount = false; ///< the warm-up is a number of steps, not a share of them
  int64_t warmupSteps = 0;
  double warmupShare = 0.01;
  double final = 0.1;    ///< the last learning rate, as a share of lr; cosine only
  double holdout = 0.1;  ///< share of the data kept for evaluation
  int64_t evalEvery = 0; ///< steps; 0: at the end only
  int64_t checkpointEvery = 0;
  int64_t seed = 0;
  std::optional<int64_t> separator; ///< the token that a document begins with
  bool isolate = false;             ///< documents of a sequence do not see each other
  std::optional<MupSettings> mup;
  std::vector<RateRule> rates;
  std::optional<ProjectedSettings> projected;
};

/// The JSON text that the runtime reads (docs/runtime.md), on one line.
std::string trainJson(const TrainSettings &settings);
/// The section in the language, every setting given.
std::string trainText(const TrainSettings &settings);

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_TRAIN_H
