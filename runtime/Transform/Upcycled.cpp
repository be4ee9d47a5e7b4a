//===- runtime/Transform/Upcycled.cpp - which dense layers become which experts ---------
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything that would keep experts from giving what the dense layer gave is
// refused here, with a spec that would do.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Upcycled.h"

#include <cmath>
#include <map>
#include <numbers>

namespace moire::runtime {

std::string placeOf(const Layer &pool, const Blocks &target) {
  for (const std::string &path : pool.routers)
    if (const Layer *router = target.find(path); router && router->flag("nested"))
      if (const std::string stem = pool.path.substr(0, pool.path.rfind('.')); path.starts_with(stem + "."))
        return stem;
  return pool.path;
}

namespace {

std::string scopeOf(const std::string &path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

/// Refuses experts that compute something else than the dense layer.
Status checkForm(const Upcycled &u, const std::string &place) {
  const Layer &dense = *u.dense, &pool = *u.pool;
  const bool gated = dense.op == "swiglu";
  if (gated != pool.flag("gated"))
    return Status::error("{}: the source has a {} here; `expert = {}(…)` would fit", place, dense.op, dense.op);
  struct Form {
    const char *name;
    std::string was, is;
  };
  auto number = [](double value) { return fmt::format("{}", value); };
  std::vector<std::string> prefixes = {""};
  if (u.first > 0)
    prefixes.push_back("shared_");
  for (const std::string &prefix : prefixes) {
    auto named = [&](const char *name) { return prefix + name; };
    const Form forms[] = {
        {"activation", dense.word("activation"), pool.word(named("activation").c_str())},
        {"bias", dense.flag("bias") ? "true" : "false", pool.flag(named("bias").c_str()) ? "true" : "false"},
        {"limit", number(dense.number("limit")), number(pool.number(named("limit").c_str()))},
        {"alpha", number(dense.number("alpha", 1)), number(pool.number(named("alpha").c_str(), 1))},
        {"offset", number(dense.number("offset")), number(pool.number(named("offset").c_str()))}};
    for (const Form &form : forms)
      if (form.was != form.is)
        return Status::error("{}: {} of the {}experts is {}, of the dense layer {}; `{} = {}` would fit", place,
                             form.name, prefix.empty() ? "" : "shared ", form.is, form.was, form.name, form.was);
    if (!prefix.empty() && pool.flag("shared_gated") != gated)
      return Status::error("{}: `shared = {}(…)` would fit, the layer that it gets a part of", place, dense.op);
  }
  if (pool.count("latent") > 0)
    return Status::error("{}: experts on a latent of {} features cannot hold slices of a dense layer; `latent = 0` "
                         "would fit",
                         place, pool.count("latent"));
  if (pool.flag("shared_gate"))
    return Status::error("{}: the gate of the shared expert would weigh its part of the dense layer; `shared_gate = "
                         "false` would fit",
                         place);
  return {};
}

/// Into how many slices the dense layer is cut.
Status findSlices(Upcycled &u, const std::string &place) {
  const int64_t all = u.dense->count("hidden");
  u.first = u.pool->count("shared_hidden");
  u.hidden = u.pool->count("hidden");
  const int64_t rest = all - u.first;
  if (rest < u.hidden || rest % u.hidden != 0) {
    std::vector<int64_t> fitting;
    for (int64_t g : {1, 2, 4, 8, 16})
      if (rest > 0 && rest % g == 0)
        fitting.push_back(rest / g);
    return Status::error("{}: experts of {} hidden features are no slices of the {} of the dense layer{}{}", place,
                         u.hidden, all, u.first > 0 ? fmt::format(" less the {} of the shared expert", u.first) : "",
                         fitting.empty() ? "" : fmt::format("; {} would fit", fmt::join(fitting, ", ")));
  }
  u.slices = rest / u.hidden;
  return {};
}

/// The choice must reach each slice equally often.
Status checkChoice(const Upcycled &u, const Layer &router, const std::string &place) {
  const std::string choice = router.word("choice");
  const int64_t experts = u.pool->count("experts"), slices = u.slices, topK = router.count("top_k");
  if (choice == "expert" || choice == "mixture")
    return Status::error("{}: with `choice = {}` no token is sure to meet its slices; `choice = token, renormalize = "
                         "true` would give what the dense layer gives",
                         place, choice);
  if (router.count("nulls") > 0)
    return Status::error("{}: null choices would take a part of the dense layer away; `null = 0` would fit", place);
  if (choice != "dense" && topK % slices != 0)
    return Status::error("{}: the dense layer is {} slices, of which a token must meet each equally often: `top_k` of "
                         "{} or {} would fit, not {}",
                         place, slices, slices, 2 * slices, topK);
  if (experts % slices != 0)
    return Status::error("{}: {} experts cannot hold {} slices equally often; {} would fit", place, experts, slices,
                         (experts + slices - 1) / slices * slices);
  if (slices > 1 && (choice == "hash" || choice == "balanced"))
    return Status::error("{}: `choice = {}` does not choose each slice once; `choice = token`, or experts of all {} "
                         "hidden features, would fit",
                         place, choice, slices * u.hidden);
  if (const int64_t groups = router.count("groups", 1); (experts / groups) % slices != 0)
    return Status::error("{}: the {} slices must lie within one of the {} groups of {} experts; groups of {} would fit",
                         place, slices, groups, experts / groups, slices);
  return {};
}

/// What the gates of a token sum to, over `scale`; `exact` when that is so for every token, else when logits are 0.
double gateSum(const Layer &router, int64_t experts, bool &exact) {
  const std::string choice = router.word("choice"), gate = router.word("gate");
  exact = choice == "dense" || choice == "hash" || gate == "topk_softmax" || router.flag("renormalize");
  const auto topK = static_cast<double>(router.count("top_k"));
  if (exact)
    return 1;
  return topK * (gate == "sigmoid_topk"         ? 0.5
                 : gate == "sqrt_softplus_topk" ? std::sqrt(std::numbers::ln2)
                                                : 1 / static_cast<double>(experts));
}

Status settle(Upcycled &u, const Blocks &target, const TransformOptions &options) {
  const std::string place = fmt::format("`{}`", generalPath(placeOf(*u.pool, target)));
  MOIRE_TRY(findSlices(u, place));
  MOIRE_TRY(checkForm(u, place));
  std::optional<double> sum;
  for (const std::string &path : u.pool->routers) {
    const Layer &router = *target.find(path);
    MOIRE_TRY(checkChoice(u, router, place));
    bool exact = true;
    const double its = gateSum(router, u.pool->count("experts"), exact) * router.number("scale", 1);
    u.exact = u.exact && exact;
    if (sum.value_or(its) != its)
      return Status::error("{}: the routers of this pool have gates that sum to {} and to {}", place, *sum, its);
    sum = its;
  }
  if (!sum)
    return Status::error("{}: no router sends tokens to this pool", place);
  if (!u.exact && !options.approximate)
    return Status::error(
        "{}: the gates of a token do not sum to one number here, so no experts give what the dense layer gives; "
        "`renormalize = true`{} would. With --approximate the down projections are made for even gates, which is right "
        "on average only",
        place,
        target.find(u.pool->routers.front())->count("top_k") > 1 ? " or `gate = topk_softmax`"
                                                                 : ", with top_k of 2 or more,");
  u.factor = static_cast<double>(u.slices) / *sum;
  u.biasFactor = 1 / *sum;
  return {};
}

} // namespace

Result<std::vector<Upcycled>> findUpcycled(const Blocks &source, const Blocks &target,
                                           const TransformOptions &options) {
  // In each place of the model, the feed-forward layers that went, and the pools that came, in order.
  std::map<std::string, std::vector<const Layer *>> went, came;
  for (const Layer &layer : source.layers())
    if ((layer.op == "mlp" || layer.op == "swiglu") && !target.find(layer.path))
      went[scopeOf(layer.path)].push_back(&layer);
  for (const Layer &layer : target.layers())
    if (layer.op == "experts" && !source.find(layer.path))
      came[scopeOf(placeOf(layer, target))].push_back(&layer);
  std::vector<Upcycled> found;
  for (const auto &[scope, pools] : came) {
    const auto dense = went.find(scope);
    if (dense == went.end())
      continue; // nothing that could have become experts: the parameters are refused one by one
    if (dense->second.size() != pools.size())
      return Status::error(
          "{}: {} feed-forward layers of the source went and {} pools of experts came; they are matched "
          "in order, so equally many would fit",
          scope.empty() ? "the model" : fmt::format("`{}`", generalPath(scope)), dense->second.size(), pools.size());
    for (size_t i = 0; i < pools.size(); ++i) {
      Upcycled u;
      u.dense = dense->second[i];
      u.pool = pools[i];
      MOIRE_TRY(settle(u, target, options));
      found.push_back(u);
    }
  }
  return found;
}

} // namespace moire::runtime
