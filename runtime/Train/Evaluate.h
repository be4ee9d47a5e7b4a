//===- runtime/Train/Evaluate.h - the loss on text --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Mean cross-entropy over a range of tokens, cut into windows side by side.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_EVALUATE_H
#define MOIRE_RUNTIME_TRAIN_EVALUATE_H

#include "runtime/Core/Model.h"
#include "runtime/Train/Data.h"

#include <optional>

namespace moire::runtime {

/// What a model makes of a range of tokens.
struct Evaluation {
  double lossSum = 0;               ///< cross-entropy, nats
  int64_t tokens = 0;               ///< tokens predicted
  std::optional<int64_t> textBytes; ///< bytes of the text predicted; only of text that was read in full
  double loss() const { return lossSum / static_cast<double>(tokens); }
};

/// Evaluates `range`, which has at least two tokens: all of it, or `most` of its batches (above 0) spread evenly.
/// `batch` is scratch of the package's size.
Result<Evaluation> evaluate(const Model &model, const TokenStream &data, Range range, int64_t most, Batch &batch);

/// {"loss", "perplexity", "bits_per_byte", "tokens"}; bits_per_byte is null without text.
Json toJson(const Evaluation &evaluation);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_EVALUATE_H
