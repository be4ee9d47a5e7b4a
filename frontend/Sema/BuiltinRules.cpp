//===- frontend/Sema/BuiltinRules.cpp - what makes arguments fit -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each message names the values on both sides and, where it can be known, what
// would fit.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/BuiltinRules.h"
#include "frontend/Sema/Resolved.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

int64_t sameWidth(ArrayRef<ArgumentValue>, int64_t width) { return width; }
int64_t widthOf(ArrayRef<ArgumentValue> values, unsigned index) { return values[index].constant->count; }

/// The divisors of `total` nearest to `wanted`, as a list: at most two below and two above. The search is bounded, so
/// that absurd sizes are refused at once; 1 divides everything and ends it.
static std::string nearbyDivisors(int64_t total, int64_t wanted) {
  constexpr int64_t bound = 1 << 16;
  std::vector<int64_t> below, above;
  for (int64_t d = std::min(wanted - 1, total), steps = 0; d >= 1 && below.size() < 2 && steps < bound; --d, ++steps)
    if (total % d == 0)
      below.push_back(d);
  for (int64_t d = wanted + 1, steps = 0; d <= total && above.size() < 2 && steps < bound; ++d, ++steps)
    if (total % d == 0)
      above.push_back(d);
  if (below.empty() && above.empty())
    below.push_back(1);
  std::vector<int64_t> all(below.rbegin(), below.rend());
  all.insert(all.end(), above.begin(), above.end());
  std::string text;
  for (size_t i = 0; i < all.size(); ++i)
    text += (i == 0 ? "" : i + 1 == all.size() ? " or " : ", ") + std::to_string(all[i]);
  return text;
}

bool completeAttention(Completion &c) {
  int64_t heads = c.count("heads");
  if (!c.at("head_dim").constant) {
    if (c.width % heads != 0) {
      (void)c.diagnostics.error(c.at("heads").range, "a width of " + Twine(c.width) + " cannot be split into " +
                                                         Twine(heads) + " heads; " + nearbyDivisors(c.width, heads) +
                                                         " would fit");
      return false;
    }
    c.set("head_dim", c.width / heads);
  }
  if (!c.at("kv_heads").constant)
    c.set("kv_heads", heads);
  if (int64_t kv = c.count("kv_heads"); heads % kv != 0) {
    (void)c.diagnostics.error(c.at("kv_heads").range, Twine(kv) + " key and value heads do not divide " + Twine(heads) +
                                                          " query heads; " + nearbyDivisors(heads, kv) + " would fit");
    return false;
  }
  int64_t dim = c.count("head_dim");
  if (c.at("rope").constant->kind != Constant::Kind::None && dim % 2 != 0) {
    (void)c.diagnostics.error(c.at("rope").range, "rotary positions turn pairs of features, and a head has " +
                                                      Twine(dim) + ", an odd number");
    return false;
  }
  return true;
}

bool completeMamba(Completion &c) {
  if (!c.at("dt_rank").constant)
    c.set("dt_rank", (c.width + 15) / 16);
  return true;
}

bool completeHead(Completion &c) {
  const ArgumentValue &tied = c.at("tied");
  if (!tied.layer)
    return true;
  const Layer &table = *tied.layer;
  if (!table.builtin || table.builtin->name != "embed") {
    c.diagnostics.error(tied.range, "`tied` is an `embed` layer bound by `let`, or `none`")
        .note(table.range, "this layer is another");
    return false;
  }
  if (!table.bound || !table.inputWidth) {
    c.diagnostics.error(tied.range, "the tied embedding is not the one that the tokens went through")
        .note(table.range,
              table.bound ? "this layer was not applied before" : "written in place, it is a table of its own")
        .note({}, "bind it once, `let table = embed(…)`, then use `table(tokens)` and `tied = table`");
    return false;
  }
  int64_t vocab = argumentOf(table, "vocab").constant->count, width = argumentOf(table, "width").constant->count;
  if (vocab != c.count("vocab") || width != c.width) {
    c.diagnostics
        .error(tied.range, "the tied table is " + Twine(vocab) + " x " + Twine(width) + ", the head needs " +
                               Twine(c.count("vocab")) + " x " + Twine(c.width))
        .note(table.range, "the table is written here");
    return false;
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Mixtures
//===----------------------------------------------------------------------===//

static std::string experts(int64_t count, int64_t hidden, int64_t topK) {
  return (Twine(count) + " experts of hidden " + Twine(hidden) + ", top_k = " + Twine(topK)).str();
}

/// Makes the two ways of giving sizes agree: (experts, top_k), or (expansion, granularity).
static bool solveSizes(Completion &c, int64_t hidden) {
  ArgumentValue &count = c.at("experts"), &topK = c.at("top_k");
  ArgumentValue &expansion = c.at("expansion"), &granularity = c.at("granularity");
  if (!expansion.given && granularity.given) {
    (void)c.diagnostics.error(granularity.range,
                              "`granularity` needs `expansion`: together they say how many experts there are");
    return false;
  }
  if (!expansion.given && !count.given) {
    (void)c.diagnostics.error(c.range, "`moe` needs `experts = …, top_k = …`, or `expansion = …, granularity = …`");
    return false;
  }
  if (!expansion.given) {
    if (!topK.given)
      topK.constant = Constant::ofCount(1);
    return true;
  }
  if (!granularity.given)
    granularity.constant = Constant::ofCount(1);
  int64_t e = expansion.constant->count, g = granularity.constant->count, total;
  if (MulOverflow(e, g, total)) {
    (void)c.diagnostics.error(expansion.range, "expansion = " + Twine(e) + ", granularity = " + Twine(g) +
                                                   " makes more experts than can be counted");
    return false;
  }
  if (hidden % g != 0) {
    (void)c.diagnostics.error(granularity.given ? granularity.range : expansion.range,
                              "a hidden size of " + Twine(hidden) + " cannot be cut into " + Twine(g) + " pieces; " +
                                  nearbyDivisors(hidden, g) + " would fit");
    return false;
  }
  bool agree = (!count.given || count.constant->count == total) && (!topK.given || topK.constant->count == g);
  if (!agree) {
    int64_t byHandTopK = topK.given ? topK.constant->count : 1;
    std::string byHand = count.given ? ("experts = " + Twine(count.constant->count) +
                                        (topK.given ? ", top_k = " + Twine(byHandTopK) : Twine()) + " reads as " +
                                        experts(count.constant->count, hidden, byHandTopK))
                                           .str()
                                     : ("top_k = " + Twine(byHandTopK)).str();
    c.diagnostics
        .error(count.given ? count.range : topK.range,
               "the sizes of the experts are given twice and contradict each other: expansion = " + Twine(e) +
                   ", granularity = " + Twine(g) + " reads as " + experts(total, hidden / g, g) + "; " + byHand)
        .note(expansion.range, "the other reading comes from here");
    return false;
  }
  count.constant = Constant::ofCount(total);
  topK.constant = Constant::ofCount(g);
  return true;
}

int64_t expertHidden(const Layer &moe) {
  int64_t hidden = argumentOf(*argumentOf(moe, "expert").layer, "hidden").constant->count;
  const ArgumentValue &granularity = argumentOf(moe, "granularity");
  return granularity.constant ? hidden / granularity.constant->count : hidden;
}

bool completeMoe(Completion &c) {
  const ArgumentValue &expert = c.at("expert");
  const Layer &layer = *expert.layer;
  if (!layer.builtin || (layer.builtin->name != "mlp" && layer.builtin->name != "swiglu")) {
    (void)c.diagnostics.error(expert.range, "the experts of a `moe` are `mlp` or `swiglu` layers, not `" +
                                                (layer.builtin ? layer.builtin->name : layer.name) + "`");
    return false;
  }
  if (argumentOf(layer, "bias").constant->boolean) {
    (void)c.diagnostics.error(argumentOf(layer, "bias").range, "experts have no bias");
    return false;
  }
  if (!solveSizes(c, argumentOf(layer, "hidden").constant->count))
    return false;

  int64_t count = c.count("experts"), topK = c.count("top_k");
  const ArgumentValue &gate = c.at("gate"), &renormalize = c.at("renormalize");
  if (topK > count) {
    const ArgumentValue &where = c.at("top_k").given ? c.at("top_k") : c.at("granularity");
    (void)c.diagnostics.error(where.given ? where.range : c.range,
                              "each token goes to " + Twine(topK) + " experts, but there are only " + Twine(count));
    return false;
  }
  if (gate.constant->text == "topk_softmax" && renormalize.constant->boolean) {
    c.diagnostics.error(renormalize.range, "the gates of `topk_softmax` sum to 1 already, `renormalize` has no effect")
        .note(gate.range, "the gate is chosen here");
    return false;
  }
  if (topK == 1 && (gate.constant->text == "topk_softmax" || renormalize.constant->boolean)) {
    (void)c.diagnostics.error(renormalize.constant->boolean ? renormalize.range : gate.range,
                              "with top_k = 1 this makes every gate 1, and the router would learn nothing; "
                              "`softmax_topk` without `renormalize` keeps the gate");
    return false;
  }
  return true;
}

} // namespace moire::sema
