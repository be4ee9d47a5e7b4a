//===- runtime/Transform/Copy.cpp - parameters that stay ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Most of a model stays as it is. A mixture of tokens becomes token choice by
// reading its controller as a router (arXiv 2310.15961): same matrix, same
// experts. Its logits count after the division by the temperature, and a router
// has none, so the router's columns are divided once and for all.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Rule.h"

#include <cmath>
#include <set>

namespace moire::runtime {
namespace {

/// The part of a parameter's path behind its layer's.
std::string suffixOf(const std::string &path, const Layer &layer) { return path.substr(layer.path.size() + 1); }

/// The factors of a mixture's logits, one for all or one for each expert: 1 / temperature, or exp(1 - t) when learned.
Result<std::vector<double>> logitFactors(const Layer &router, const Source &source) {
  if (!router.flag("learned_temperature"))
    return std::vector<double>{1 / router.number("temperature", 1)};
  MOIRE_ASSIGN(Tensor t, source.read(router.path + ".temperature"));
  for (double &value : t.values)
    value = std::exp(1 - value);
  return std::move(t.values);
}

/// How many last-dimension entries of a parameter, from the first, make the queries of an attention by themselves:
/// those of the norm after the product where there is one.
int64_t queriesOf(const Layer &layer, const std::string &suffix, int64_t last) {
  if (layer.op == "latent_attention")
    return suffix == "q_up.weight" || suffix == "q.weight" ? last : 0;
  if (layer.op != "attention")
    return 0;
  if (!layer.word("qk_norm").empty())
    return suffix == "q_norm.weight" ? last : 0;
  return suffix == "qkv.weight" || suffix == "qkv.bias" ? layer.count("heads") * layer.count("head_dim") : 0;
}

class CopyRule final : public Rule {
public:
  CopyRule(const Blocks &source, const Blocks &target) {
    for (const Layer &layer : target.layers()) {
      const Layer *before = source.find(layer.path);
      if (before && before->op == "router" && layer.op == "router" && before->word("choice") == "mixture" &&
          layer.word("choice") != "mixture")
        controllers.insert(layer.path);
    }
  }

  Result<std::optional<Taken>> take(const Wanted &wanted, const Source &source) const override {
    if (!source.has(wanted.path) || source.shape(wanted.path) != wanted.shape)
      return std::optional<Taken>();
    MOIRE_ASSIGN(Tensor tensor, source.read(wanted.path));
    Taken taken{std::move(tensor.values), "copied", "", {wanted.path}};
    if (wanted.layer && controllers.contains(wanted.layer->path))
      MOIRE_TRY(readLogits(wanted, source, taken));
    if (wanted.layer)
      matchScores(wanted, source, taken);
    return std::optional(std::move(taken));
  }

  std::string drops(const std::string &path) const override {
    for (const std::string &router : controllers) {
      if (path == router + ".temperature")
        return "it is in the router";
      if (path == router + ".emit.weight")
        return "token choice weighs what comes back as it chose";
    }
    return {};
  }

private:
  /// muP multiplies scores of attention: where the source does so by another factor, queries make up for it.
  void matchScores(const Wanted &wanted, const Source &source, Taken &taken) const {
    const Layer *before = source.blocks().find(wanted.layer->path);
    if (!before)
      return;
    const double factor = before->number("mup_scores", 1) / wanted.layer->number("mup_scores", 1);
    const int64_t last = wanted.shape.empty() ? 1 : wanted.shape.back();
    const int64_t queries = queriesOf(*wanted.layer, suffixOf(wanted.path, *wanted.layer), last);
    if (factor == 1 || queries == 0)
      return;
    for (size_t i = 0; i < taken.values.size(); ++i)
      if (static_cast<int64_t>(i) % last < queries)
        taken.values[i] *= factor;
    taken.kind = "scaled";
    taken.how = fmt::format("queries times {:.6g}, as muP scales scores otherwise", factor);
  }

  /// Columns of a controller over the temperature they were trained under.
  Status readLogits(const Wanted &wanted, const Source &source, Taken &taken) const {
    const std::string suffix = suffixOf(wanted.path, *wanted.layer);
    if (suffix != "weight" && suffix != "logit_bias")
      return {};
    taken.how = "the mixture's controller";
    const Layer &before = *source.blocks().find(wanted.layer->path);
    MOIRE_ASSIGN(const std::vector<double> factors, logitFactors(before, source));
    if (factors == std::vector<double>{1})
      return {};
    taken.kind = "scaled";
    taken.how += ", over its temperature";
    for (size_t i = 0; i < taken.values.size(); ++i)
      taken.values[i] *= factors[i % factors.size()]; // experts are the last dimension
    if (before.flag("learned_temperature"))
      taken.sources.push_back(before.path + ".temperature");
    return {};
  }

  std::set<std::string> controllers; ///< routers of the target that were mixtures
};

class NewBiasRule final : public Rule {
public:
  Result<std::optional<Taken>> take(const Wanted &wanted, const Source &source) const override {
    const bool known = wanted.layer && source.blocks().find(wanted.layer->path) && !source.has(wanted.path);
    const moire_parameter &p = wanted.instance.parameter;
    if (!known || !wanted.path.ends_with("bias") || p.init != MOIRE_INIT_CONSTANT || p.init_a != 0)
      return std::optional<Taken>();
    return std::optional(
        Taken{std::vector<double>(static_cast<size_t>(wanted.instance.elements)), "new", "zero, as without it", {}});
  }
};

} // namespace

std::unique_ptr<Rule> makeCopyRule(const Blocks &source, const Blocks &target) {
  return std::make_unique<CopyRule>(source, target);
}

std::unique_ptr<Rule> makeNewBiasRule() { return std::make_unique<NewBiasRule>(); }

} // namespace moire::runtime
