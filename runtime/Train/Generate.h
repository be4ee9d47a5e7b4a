//===- runtime/Train/Generate.h - text from a model ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a prompt in blocks, then samples one token at a time.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_GENERATE_H
#define MOIRE_RUNTIME_TRAIN_GENERATE_H

#include "runtime/Core/Model.h"
#include "runtime/Core/Philox.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace moire::runtime {

/// How the next token is chosen. The cuts apply in this order: temperature, top-k, top-p.
struct Sampling {
  double temperature = 1; ///< 0: always the likeliest token (the lowest number among equals)
  int64_t topK = 0;       ///< only the k likeliest; 0: all
  double topP = 1;        ///< only the likeliest that together have probability p
  int64_t seed = 0;
  int64_t end = -1; ///< the token that ends the text when it is chosen; -1: none
};

/// Chooses a token from logits[0, count). `position` addresses the random number: the same seed, position and logits
/// give the same token.
int32_t sample(const float *logits, int64_t count, const Sampling &sampling, int64_t position);

/// Reads `prompt`, then chooses up to `count` tokens, each given to `emit` at once. Only tokens below `pieces` are
/// chosen. Ends early when the model's decode context is full, or before `sampling.end`, which is not given to `emit`;
/// returns the number of tokens given. A prompt that leaves no room is an error.
Result<int64_t> generate(Model &model, const std::vector<int32_t> &prompt, int64_t count, int64_t pieces,
                         const Sampling &sampling, const std::function<Status(int32_t)> &emit);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_GENERATE_H
