//===- runtime/Plan/Emit.cpp - a plan as a spec --------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Losses of the router and clipping are those that the law's models were trained
// with; experts in pieces take their gates after the choice (arXiv 2506.02890).
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Emit.h"
#include "runtime/Plan/Units.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace moire::runtime {

Steps stepsFor(double tokens, double batchTokens, int64_t context, int64_t most) {
  double update = std::min(batchTokens, tokens / 100);
  auto sequences = std::max<int64_t>(1, int64_t(update / double(context)));
  int64_t batch = std::min(most, int64_t(std::bit_floor(uint64_t(sequences))));
  int64_t accumulate = std::max<int64_t>(1, sequences / batch);
  auto count = std::max<int64_t>(1, std::llround(tokens / double(batch * accumulate * context)));
  return {batch, context, accumulate, count};
}

std::string specOf(const JointLaw &law, const Plan &plan, const Steps &steps, const std::string &asked) {
  const Choice &choice = plan.choices.front();
  const Shape &shape = choice.shape;
  std::string out = fmt::format("// {}\n", asked);
  out += fmt::format(
      "// Size, experts and tokens: the law of {}: loss {:.3f}, from {:.3f} to {:.3f}; {} active parameters "
      "of {}, {} tokens.\n",
      law.source, choice.loss, choice.low, choice.high, spelled(shape.active()), spelled(shape.total()),
      spelled(choice.tokens));
  if (choice.limited)
    out += "// Smaller than the law would have it: the memory is the limit.\n";
  out += fmt::format(
      "// Learning rate: the rule of arXiv 2502.05172, for a constant rate with a linear end. Granularity {}: {}.\n",
      shape.granularity, plan.grainNote);
  out +=
      fmt::format("model planned(width = {}, depth = {}, {}vocab = {}) {{\n", shape.width, shape.depth,
                  shape.experts > 1 ? fmt::format("experts = {}, granularity = {}, ", shape.experts, shape.granularity)
                                    : std::string(),
                  shape.vocab);
  out += "  x = embed(tokens, vocab, width)\n  repeat depth {\n"
         "    x += rms_norm(x) |> attention(heads = width / 64, rope = 10000.0)\n";
  if (shape.experts == 1)
    out += "    x += rms_norm(x) |> swiglu(hidden = 3 * width)\n";
  else
    out += fmt::format(
        "    x += rms_norm(x) |> moe(expert = swiglu(hidden = 3 * width), expansion = experts, granularity,{}\n"
        "                            balance = 0.01, z = 1e-3)\n",
        shape.granularity > 1 ? " gate = topk_softmax," : "");
  out += "  }\n  return rms_norm(x) |> head(vocab)\n}\n\n";
  out += fmt::format("train {{\n  batch = {}   context = {}   accumulate = {}   steps = {}\n"
                     "  optimizer = adamw(lr = {:.4g}, betas = (0.9, 0.95), weight_decay = 0.1, clip = 0.1)\n"
                     "  schedule  = cosine(warmup = 1%, final = 10%)\n}}\n",
                     steps.batch, steps.context, steps.accumulate, steps.count, choice.learningRate);
  return out;
}

} // namespace moire::runtime
