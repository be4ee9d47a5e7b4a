//===- frontend/Sema/MixtureSizes.cpp - sizes of experts, given in any way --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Hidden features, numbers of experts and parameters: what is left out follows
// from the rest, what is given twice must agree. Each message says what would fit.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/MixtureSizes.h"
#include "frontend/Sema/BuiltinRules.h"
#include "frontend/Sema/Resolved.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace moire::sema {

static bool refuse(Completion &c, const ArgumentValue &at, const Twine &text) {
  (void)c.diagnostics.error(at.given ? at.range : c.range, text);
  return false;
}

/// "32 experts of hidden 256, top_k = 4", without what is not known.
static std::string reading(int64_t count, std::optional<int64_t> hidden, std::optional<int64_t> topK) {
  std::string text = std::to_string(count) + " experts";
  if (hidden)
    text += " of hidden " + std::to_string(*hidden);
  if (topK)
    text += ", top_k = " + std::to_string(*topK);
  return text;
}

/// Cuts the hidden size into `pieces`, if it is known here.
static bool cutHidden(Completion &c, std::optional<int64_t> hidden, int64_t pieces) {
  if (!hidden || *hidden % pieces == 0)
    return true;
  const ArgumentValue &granularity = c.at("granularity");
  return refuse(c, granularity.given ? granularity : c.at("expansion"),
                "a hidden size of " + Twine(*hidden) + " cannot be cut into " + Twine(pieces) + " pieces; " +
                    nearbyDivisors(*hidden, pieces) + " would fit");
}

/// The sizes are given both ways: reports it unless they agree.
static bool sizesAgree(Completion &c, std::optional<int64_t> hidden, int64_t total, int64_t g) {
  const ArgumentValue &count = c.at("experts"), &expansion = c.at("expansion"), *topK = c.find("top_k");
  bool topKGiven = topK && topK->given;
  if ((!count.given || count.constant->count == total) && (!topKGiven || topK->constant->count == g))
    return true;
  std::optional<int64_t> byHandTopK;
  if (topK)
    byHandTopK = topKGiven ? topK->constant->count : 1;
  std::string byHand = count.given ? ("experts = " + Twine(count.constant->count) +
                                      (topKGiven ? ", top_k = " + Twine(*byHandTopK) : Twine()) + " reads as " +
                                      reading(count.constant->count, hidden, byHandTopK))
                                         .str()
                                   : ("top_k = " + Twine(*byHandTopK)).str();
  std::optional<int64_t> pieces = hidden ? std::optional(*hidden / g) : std::nullopt;
  std::optional<int64_t> readTopK = topK ? std::optional(g) : std::nullopt;
  c.diagnostics
      .error(count.given ? count.range : topK->range,
             "the sizes of the experts are given twice and contradict each other: expansion = " +
                 Twine(expansion.constant->count) + ", granularity = " + Twine(g) + " reads as " +
                 reading(total, pieces, readTopK) + "; " + byHand)
      .note(expansion.range, "the other reading comes from here");
  return false;
}

/// Makes the two ways of giving sizes agree: (experts, top_k), or (expansion, granularity). A pool may leave the number
/// of experts to its routing, and does not know top_k.
static bool solveSizes(Completion &c, std::optional<int64_t> hidden) {
  ArgumentValue &count = c.at("experts"), *topK = c.find("top_k");
  ArgumentValue &expansion = c.at("expansion"), &granularity = c.at("granularity");
  bool isPool = !topK;
  if (!expansion.given && granularity.given && !isPool)
    return refuse(c, granularity, "`granularity` needs `expansion`: together they say how many experts there are");
  if (!expansion.given && !count.given && !isPool)
    return refuse(c, count, "`" + c.name + "` needs `experts = …, top_k = …`, or `expansion = …, granularity = …`");
  if (!expansion.given) {
    if (topK && !topK->given)
      topK->constant = Constant::ofCount(1);
    if (!count.given)
      count.constant = Constant::ofCount(c.routed);
    return !granularity.given || cutHidden(c, hidden, granularity.constant->count);
  }
  if (!granularity.given)
    granularity.constant = Constant::ofCount(1);
  int64_t e = expansion.constant->count, g = granularity.constant->count, total;
  if (MulOverflow(e, g, total))
    return refuse(c, expansion,
                  "expansion = " + Twine(e) + ", granularity = " + Twine(g) +
                      " makes more experts than can be counted");
  if (!cutHidden(c, hidden, g) || !sizesAgree(c, hidden, total, g))
    return false;
  count.constant = Constant::ofCount(total);
  if (topK)
    topK->constant = Constant::ofCount(g);
  return true;
}

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

namespace {

/// Parameters of one expert of h hidden features: slope * h + fixed.
struct ExpertSize {
  int64_t slope, fixed;
  int64_t at(int64_t hidden) const { return slope * hidden + fixed; }
};

/// How many experts a pool has and a token meets, as far as it is known, after the cut by a granularity.
struct PoolCounts {
  std::optional<int64_t> experts, topK;
  int64_t pieces = 1; ///< that the expert as it is written is cut into
};

} // namespace

static ExpertSize sizeOfExpert(Completion &c, const Layer &expert) {
  int64_t width = c.count("latent") > 0 ? c.count("latent") : c.width,
          products = expert.builtin->name == "swiglu" ? 3 : 2;
  bool bias = argumentOf(expert, "bias").constant->boolean;
  return {products * width + (bias ? products - 1 : 0), bias ? width : 0};
}

/// The count that an optional argument holds.
static std::optional<int64_t> countOf(const ArgumentValue &value) {
  return value.constant && value.constant->kind == Constant::Kind::Count ? std::optional(value.constant->count)
                                                                         : std::nullopt;
}

static void give(ArgumentValue &value, int64_t count, SMRange range) {
  value.constant = Constant::ofCount(count);
  value.range = range;
  value.given = true;
}

/// `parameters` divided among `count` experts gives hidden features; refuses what is no whole number of them.
static std::optional<int64_t> hiddenFor(Completion &c, StringRef name, int64_t parameters, int64_t count,
                                        ExpertSize size) {
  int64_t rest = parameters - count * size.fixed, each = count * size.slope, hidden = rest / each;
  if (rest > 0 && rest % each == 0)
    return hidden;
  std::string text;
  raw_string_ostream out(text);
  out << "`" << name << " = " << parameters << "` would give each of " << count << " experts "
      << format("%.2f", double(rest) / double(each)) << " hidden features; ";
  if (rest >= each)
    out << "`" << name << " = " << count * size.at(hidden) << "` (" << hidden << ") or ";
  out << "`" << name << " = " << count * size.at(std::max<int64_t>(hidden, 0) + 1) << "` ("
      << std::max<int64_t>(hidden, 0) + 1 << ") would fit";
  refuse(c, c.at(name), text);
  return std::nullopt;
}

/// `count` experts have the parameters that were given, or it is an error.
static bool agree(Completion &c, StringRef name, std::optional<int64_t> given, int64_t count, int64_t each) {
  if (!given || *given == count * each)
    return true;
  return refuse(c, c.at(name),
                "`" + name + " = " + Twine(*given) + "` contradicts the other sizes: " + Twine(count) + " experts of " +
                    Twine(each) + " parameters have " + Twine(count * each));
}

/// How many experts of `each` parameters make `given`.
static bool countFrom(Completion &c, StringRef name, int64_t given, int64_t each, ArgumentValue &count) {
  if (given % each != 0)
    return refuse(c, c.at(name),
                  "`" + name + " = " + Twine(given) + "` is " + Twine(given / each) + " experts of " + Twine(each) +
                      " parameters and " + Twine(given % each) + " more");
  give(count, given / each, c.at(name).range);
  return true;
}

/// What `total` and `active` say of the hidden features and the numbers of experts. Afterwards the other two ways of
/// giving sizes hold all that is known.
static bool solveParameters(Completion &c) {
  Layer &expert = *c.at("expert").layer;
  ArgumentValue &hidden = argumentOf(expert, "hidden");
  ArgumentValue &count = c.at("experts"), *topK = c.find("top_k");
  ArgumentValue &expansion = c.at("expansion"), &granularity = c.at("granularity");
  std::optional<int64_t> total = countOf(c.at("total")), active = countOf(c.at("active"));
  if (!total && !active)
    return hidden.constant ||
           refuse(c, c.at("expert"),
                  "the experts need `hidden`, or the parameters of all of them, `total = …`, or of those that a token "
                  "meets, `active = …`");
  if (total && active && !hidden.constant && !expansion.given && !count.given && !(topK && topK->given)) {
    if (*total % *active != 0)
      return refuse(c, c.at("total"),
                    "`total = " + Twine(*total) + "` is no multiple of `active = " + Twine(*active) +
                        "`: there is no whole expansion");
    give(expansion, *total / *active, c.at("total").range);
  }
  ExpertSize size = sizeOfExpert(c, expert);
  PoolCounts known;
  if (expansion.given) {
    known.pieces = countOf(granularity).value_or(1);
    known.topK = known.pieces;
    known.experts = expansion.constant->count * known.pieces;
  } else {
    known.experts = count.given ? countOf(count) : topK ? std::nullopt : std::optional(c.routed);
    known.topK = topK && topK->given ? countOf(*topK) : std::nullopt;
  }
  if (!topK && active && !known.topK)
    return refuse(c, c.at("active"),
                  "how many experts a token meets is up to the routing; `total` says what a pool holds");
  if (hidden.constant) {
    if (hidden.constant->count % known.pieces != 0)
      return true; // the cut is refused below
    int64_t each = size.at(hidden.constant->count / known.pieces);
    if (total && !known.experts && !countFrom(c, "total", *total, each, count))
      return false;
    if (active && !known.topK && !countFrom(c, "active", *active, each, *topK))
      return false;
    return (!known.experts || agree(c, "total", total, *known.experts, each)) &&
           (!known.topK || agree(c, "active", active, *known.topK, each));
  }
  // Without `hidden` one of the two is divided among experts whose number is known.
  if (active && topK && !known.topK)
    known.topK = 1;
  std::optional<int64_t> piece;
  if (active && known.topK)
    piece = hiddenFor(c, "active", *active, *known.topK, size);
  else if (known.experts)
    piece = hiddenFor(c, "total", *total, *known.experts, size);
  else
    return refuse(c, c.at("total"),
                  "`total` alone leaves open how large the experts are: `hidden`, `experts`, `expansion` or "
                  "`active` would say it");
  if (!piece)
    return false;
  hidden.constant = Constant::ofCount(*piece * known.pieces);
  int64_t each = size.at(*piece);
  if (total && !known.experts)
    return countFrom(c, "total", *total, each, count);
  return (!known.experts || agree(c, "total", total, *known.experts, each)) &&
         (!known.topK || agree(c, "active", active, *known.topK, each));
}

bool solveRouter(Completion &c) { return solveSizes(c, std::nullopt); }

bool solvePool(Completion &c) {
  return solveParameters(c) && solveSizes(c, argumentOf(*c.at("expert").layer, "hidden").constant->count);
}

} // namespace moire::sema
