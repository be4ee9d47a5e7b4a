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

/// At most two below and two above. The search is bounded, so
/// that absurd sizes are refused at once; 1 divides everything and ends it.
std::string nearbyDivisors(int64_t total, int64_t wanted) {
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

static bool isGiven(const ArgumentValue &value) { return value.constant->kind != Constant::Kind::None; }

/// The numbers that stretched rotary positions need, and no others: what is given is used.
static bool checkRopeScaling(Completion &c) {
  const ArgumentValue &rope = c.at("rope"), &scaling = c.at("rope_scaling");
  const ArgumentValue &factor = c.at("rope_factor"), &original = c.at("rope_original");
  auto fail = [&](const ArgumentValue &at, const Twine &message) {
    (void)c.diagnostics.error(at.range, message);
    return false;
  };
  if (!isGiven(scaling)) {
    for (const ArgumentValue *unread : {&factor, &original})
      if (isGiven(*unread))
        return fail(*unread, "without `rope_scaling` nothing reads this number; `linear`, `ntk` or `yarn` would");
  }
  StringRef kind = isGiven(scaling) ? StringRef(scaling.constant->text) : "";
  for (size_t i = 0; i < c.infos.size(); ++i)
    if (StringRef name = c.infos[i].name;
        kind != "yarn" && (name == "rope_beta_fast" || name == "rope_beta_slow" || name == "rope_truncate") &&
        !(*c.values[i].constant == c.infos[i].value))
      return fail(c.values[i], "`" + name + "` is read by `rope_scaling = yarn` only");
  const ArgumentValue &fast = c.at("rope_beta_fast");
  if (c.real("rope_beta_fast") <= c.real("rope_beta_slow"))
    return fail(fast.given ? fast : c.at("rope_beta_slow"),
                "`rope_beta_fast` is above `rope_beta_slow`: a pair that turns more often is stretched less");
  if (!isGiven(scaling))
    return true;
  if (!isGiven(rope))
    return fail(scaling, "`rope_scaling` stretches rotary positions; `rope = …` says their base");
  if (!isGiven(factor))
    return fail(scaling, "`rope_scaling = " + kind + "` needs `rope_factor = …`, by how much positions are stretched");
  if (c.real("rope_factor") < 1)
    return fail(factor, "`rope_factor` stretches, so it is at least 1");
  if (kind == "yarn" && !isGiven(original))
    return fail(scaling, "`rope_scaling = yarn` needs `rope_original = …`, the context that the model was trained at");
  if (kind != "yarn" && isGiven(original))
    return fail(original, "`rope_scaling = " + kind + "` does not read `rope_original`; `yarn` does");
  if (kind != "linear" && c.real("rope") <= 1)
    return fail(rope, "`rope_scaling = " + kind + "` needs a base above 1");
  return true;
}

/// Rotary positions turn pairs: `turned` of the `dim` features of a head.
static bool checkRotated(Completion &c, const ArgumentValue &at, int64_t turned, int64_t dim) {
  if (turned > dim) {
    (void)c.diagnostics.error(at.range, Twine(turned) + " features cannot be rotated: a head has " + Twine(dim));
    return false;
  }
  if (turned % 2 != 0) {
    (void)c.diagnostics.error(
        at.range, turned == dim
                      ? "rotary positions turn pairs of features, and a head has " + Twine(dim) + ", an odd number"
                      : "rotary positions turn pairs of features, and " + Twine(turned) + " is an odd number");
    return false;
  }
  const ArgumentValue &scaling = c.at("rope_scaling");
  if (turned == 2 && isGiven(scaling) && scaling.constant->text != "linear") {
    (void)c.diagnostics.error(scaling.range, "`rope_scaling = " + scaling.constant->text +
                                                 "` treats pairs differently, and only one is rotated");
    return false;
  }
  return true;
}

bool completeLatentAttention(Completion &c) {
  if (!checkRopeScaling(c))
    return false;
  int64_t turned = c.count("rope_dim");
  return checkRotated(c, c.at("rope_dim"), turned, turned);
}

bool completeSinusoids(Completion &c) {
  if (c.width % 2 == 0)
    return true;
  (void)c.diagnostics.error(c.range, "sines and cosines come in pairs, and the stream has " + Twine(c.width) +
                                         " features, an odd number");
  return false;
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
  if (!c.at("value_dim").constant)
    c.set("value_dim", c.count("head_dim"));
  if (!c.at("width").constant)
    c.set("width", c.width);
  if (!checkRopeScaling(c))
    return false;
  const ArgumentValue &rope = c.at("rope"), &part = c.at("rope_dim"), &pairs = c.at("rope_interleaved");
  if (!isGiven(rope)) {
    const ArgumentValue *unread = isGiven(part) ? &part : pairs.constant->boolean ? &pairs : nullptr;
    if (unread)
      (void)c.diagnostics.error(unread->range, "without `rope` no features are rotated");
    return !unread;
  }
  int64_t dim = c.count("head_dim");
  return isGiven(part) ? checkRotated(c, part, part.constant->count, dim) : checkRotated(c, rope, dim, dim);
}

/// `alpha` is a number of silu.
static bool checkAlpha(const ArgumentValue &alpha, const ArgumentValue &activation, Diagnostics &diagnostics) {
  if (alpha.constant->asReal() == 1 || activation.constant->text == "silu")
    return true;
  (void)diagnostics.error(alpha.range, "`alpha` is a number of `silu`; `" + activation.constant->text + "` has none");
  return false;
}

bool completeMlp(Completion &c) {
  const ArgumentValue &hidden = c.at("hidden");
  if (!hidden.constant)
    (void)c.diagnostics.error(hidden.range, "`" + c.name + "` needs `hidden`");
  return hidden.constant.has_value();
}

bool completeSwiglu(Completion &c) {
  return completeMlp(c) && checkAlpha(c.at("alpha"), c.at("activation"), c.diagnostics);
}

bool checkGateForm(const Layer &layer, Diagnostics &diagnostics) {
  return layer.builtin->name != "swiglu" ||
         checkAlpha(argumentOf(layer, "alpha"), argumentOf(layer, "activation"), diagnostics);
}

bool completeMamba(Completion &c) {
  if (!c.at("dt_rank").constant)
    c.set("dt_rank", (c.width + 15) / 16);
  return true;
}

bool completeRmsNorm(Completion &c) {
  int64_t groups = c.count("groups");
  if (c.width % groups == 0)
    return true;
  (void)c.diagnostics.error(c.at("groups").range, "a width of " + Twine(c.width) + " cannot be split into " +
                                                      Twine(groups) + " groups; " + nearbyDivisors(c.width, groups) +
                                                      " would fit");
  return false;
}

bool completeMamba2(Completion &c) {
  constexpr int64_t most = 256; // what the kernels of the scan keep in their scratch memory
  for (StringRef name : {"state", "head_dim", "chunk"})
    if (c.count(name) > most) {
      (void)c.diagnostics.error(c.at(name).range, "`" + name + "` of `mamba2` is at most " + Twine(most) + ", not " +
                                                      Twine(c.count(name)));
      return false;
    }
  int64_t channels, dim = c.count("head_dim"), groups = c.count("groups");
  if (MulOverflow(c.count("expand"), c.width, channels)) {
    (void)c.diagnostics.error(c.at("expand").range, "this makes more channels than can be counted");
    return false;
  }
  if (channels % dim != 0) {
    (void)c.diagnostics.error(c.at("head_dim").range, Twine(channels) + " channels cannot be split into heads of " +
                                                          Twine(dim) + "; " + nearbyDivisors(channels, dim) +
                                                          " would fit");
    return false;
  }
  if (int64_t heads = channels / dim; heads % groups != 0) {
    (void)c.diagnostics.error(c.at("groups").range, Twine(groups) + " groups do not divide " + Twine(heads) +
                                                        " heads; " + nearbyDivisors(heads, groups) + " would fit");
    return false;
  }
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

} // namespace moire::sema
