//===- runtime/Transform/Measure.h - a transformed model on data ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a transformation costs at first, before any tuning, and how many experts a
// threshold leaves a token: the number that could stand in its place as top_k
// (arXiv 2404.05567).
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_MEASURE_H
#define MOIRE_RUNTIME_TRANSFORM_MEASURE_H

#include "runtime/Train/Data.h"
#include "runtime/Transform/Blocks.h"

namespace moire::runtime {

class Model;

/// How many experts the tokens of a layer meet under a threshold.
struct ActiveExperts {
  std::string path; ///< of the layer that reports it
  double mean = 0;
  double threshold = 0;
  int64_t topK = 0, experts = 0;
};

/// Two models on the same tokens.
struct Measurement {
  int64_t tokens = 0;
  double before = 0, after = 0; ///< losses
  std::vector<ActiveExperts> active;

  Json json() const;
  std::string text() const;
};

/// The last `batches` whole batches of `data`, of the target's size, through both models. `target` is made for
/// training, and described by `blocks`.
Result<Measurement> measure(const Model &source, Model &target, const Blocks &blocks, const TokenStream &data,
                            int64_t batches);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_MEASURE_H
