//===- runtime/Train/Evaluate.cpp - the loss on text -------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums in a fixed order, so that the same checkpoint and text give the same bits.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Evaluate.h"

#include <cmath>
#include <numbers>

namespace moire::runtime {

Result<Evaluation> evaluate(const Model &model, const TokenStream &data, Range range, int64_t most, Batch &batch) {
  Evaluation result;
  const int64_t all = batchesIn(range, batch);
  const int64_t count = most > 0 ? std::min(most, all) : all;
  for (int64_t i = 0; i < count; ++i) {
    fillBatch(data, range, i * all / count, batch);
    double sum = 0;
    int64_t tokens = 0;
    MOIRE_TRY(model.check(
        model.package()->eval_step(&model.buffers(), batch.tokens.data(), batch.targets.data(), &sum, &tokens),
        "eval"));
    result.lossSum += sum;
    result.tokens += tokens;
  }
  // The first token is read but not predicted, so its bytes do not count.
  if (data.isText() && count == all)
    result.textBytes = data.textBytes({range.begin + 1, range.end});
  return result;
}

Json toJson(const Evaluation &evaluation) {
  Json json = {{"loss", evaluation.loss()}, {"perplexity", std::exp(evaluation.loss())}};
  if (evaluation.textBytes)
    json["bits_per_byte"] = evaluation.lossSum / std::numbers::ln2 / static_cast<double>(*evaluation.textBytes);
  else
    json["bits_per_byte"] = nullptr;
  json["tokens"] = evaluation.tokens;
  return json;
}

} // namespace moire::runtime
