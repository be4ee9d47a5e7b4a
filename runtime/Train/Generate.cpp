//===- runtime/Train/Generate.cpp - text from a model -------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The state of an attention layer has room for `decode_context` positions.
// Sliding it would mean reading half of the text again, with other positions and
// so with another result than the model's; generation stops instead.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moire::runtime {

int32_t sample(const float *logits, int64_t count, const Sampling &sampling, int64_t position) {
  if (sampling.temperature == 0)
    return static_cast<int32_t>(std::max_element(logits, logits + count) - logits);
  std::vector<int32_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; });
  if (sampling.topK > 0 && sampling.topK < count)
    order.resize(static_cast<size_t>(sampling.topK));
  std::vector<double> weights;
  for (const int32_t token : order)
    weights.push_back(std::exp((static_cast<double>(logits[token]) - logits[order[0]]) / sampling.temperature));
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (sampling.topP < 1) {
    double kept = 0;
    size_t n = 0;
    while (n < weights.size() && kept < sampling.topP * total)
      kept += weights[n++];
    weights.resize(std::max<size_t>(n, 1));
    total = std::accumulate(weights.begin(), weights.end(), 0.0);
  }
  const Philox random(static_cast<uint64_t>(sampling.seed), "generate");
  double left = openUnit(random.at(static_cast<uint64_t>(position))[0]) * total;
  size_t chosen = 0;
  while (chosen + 1 < weights.size() && left >= weights[chosen])
    left -= weights[chosen++];
  return order[chosen];
}

Result<int64_t> generate(Model &model, const std::vector<int32_t> &prompt, int64_t count, int64_t pieces,
                         const Sampling &sampling, const std::function<Status(int32_t)> &emit) {
  const moire_package &package = *model.package();
  const moire_buffers &buffers = model.buffers();
  const auto length = static_cast<int64_t>(prompt.size());
  if (package.decode_context == 0)
    return Status::error(
        "this model has no way to read one sequence token by token (a router with `group` lets tokens of several "
        "sequences meet, or a layer sees later positions): it trains and evaluates, but does not generate");
  if (length > package.decode_context)
    return Status::error("the prompt has {} tokens, the model's context for generation {}", length,
                         package.decode_context);
  for (const int32_t token : prompt)
    if (token >= package.vocab)
      return Status::error("token {} of the prompt is not below the model's vocab of {}", token, package.vocab);
  std::vector<float> logits(static_cast<size_t>(package.vocab));
  model.clearState();
  int64_t position = 0;
  for (const int64_t block = package.prefill_tokens; block > 0 && position + block <= length; position += block)
    MOIRE_TRY(model.check(package.prefill(&buffers, prompt.data() + position, position, logits.data()), "prefill"));
  for (; position < length; ++position)
    MOIRE_TRY(model.check(package.decode(&buffers, prompt.data() + position, position, logits.data()), "decode"));
  const int64_t choices = std::min(pieces, package.vocab);
  for (int64_t made = 0; made < count; ++made, ++position) {
    if (std::any_of(logits.begin(), logits.end(), [](float value) { return std::isnan(value); }))
      return Status::error("the model's logits at position {} are not numbers", position - 1);
    const int32_t token = sample(logits.data(), choices, sampling, position);
    if (token == sampling.end)
      return made;
    MOIRE_TRY(emit(token));
    if (position == package.decode_context)
      return made + 1; // chosen from the last position, but there is no room to read it
    if (made + 1 < count)
      MOIRE_TRY(model.check(package.decode(&buffers, &token, position, logits.data()), "decode"));
  }
  return count;
}

} // namespace moire::runtime
