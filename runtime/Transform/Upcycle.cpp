//===- runtime/Transform/Upcycle.cpp - from dense layers to experts ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A feed-forward layer of H hidden features is a sum of G slices of H / G. Expert
// e gets slice e mod G; for G = 1 that is a copy of the layer. The router's
// columns are equal within each of the E / G groups of G neighbours (virtual
// groups, arXiv 2410.07524), so that a token's choice has whole groups, hence each
// slice K / G times, with gates that are equal within a group. Where the gates of
// a token sum to `scale`, those of each slice sum to scale / G, and down
// projections times G / scale give the sum of the slices: the dense layer.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Initialise.h"
#include "runtime/Transform/Rule.h"

#include <cmath>
#include <map>
#include <numbers>

namespace moire::runtime {
namespace {

/// A dense layer, the pool it becomes, and how.
struct Upcycled {
  const Layer *dense = nullptr, *pool = nullptr;
  int64_t first = 0;     ///< hidden features of the shared expert, which come before the slices
  int64_t hidden = 0;    ///< of an expert
  int64_t slices = 1;    ///< G
  double factor = 1;     ///< of down projections
  double biasFactor = 1; ///< of their biases, of which a token meets as many as experts, not slices
  bool exact = true;
};

/// The path that a user sees for a pool: `layers.3.moe` rather than `layers.3.moe.experts`.
std::string placeOf(const Layer &pool, const Blocks &target) {
  for (const std::string &path : pool.routers)
    if (const Layer *router = target.find(path); router && router->flag("nested"))
      if (const std::string stem = pool.path.substr(0, pool.path.rfind('.')); path.starts_with(stem + "."))
        return stem;
  return pool.path;
}

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

/// Columns [begin, begin + count) of a matrix whose rows have `width` numbers.
std::vector<double> columns(const Tensor &matrix, int64_t width, int64_t begin, int64_t count) {
  std::vector<double> part;
  for (size_t row = 0; row < matrix.values.size(); row += static_cast<size_t>(width)) {
    const auto first = matrix.values.begin() + static_cast<ptrdiff_t>(row) + begin;
    part.insert(part.end(), first, first + count);
  }
  return part;
}

void scale(std::vector<double> &values, double factor) {
  for (double &value : values)
    value *= factor;
}

/// Refuses values that were made of a layer of another width.
Result<std::optional<Taken>> fitting(const Wanted &wanted, Taken taken, const Upcycled &u, const Source &source) {
  if (taken.values.size() == static_cast<size_t>(wanted.instance.elements))
    return std::optional(std::move(taken));
  const std::vector<int64_t> down = source.shape(u.dense->path + ".down.weight");
  return Status::error("`{}` {} cannot be made of `{}` {}: a width of {} would fit", generalPath(wanted.path),
                       shapeText(wanted.shape), generalPath(taken.sources.front()),
                       shapeText(source.shape(taken.sources.front())), down.empty() ? 0 : down.back());
}

class UpcycleRule final : public Rule {
public:
  UpcycleRule(const Blocks &target, TransformOptions options) : target(target), options(options) {}

  void add(Upcycled u) {
    for (const std::string &path : u.pool->routers)
      routers[path] = u;
    pools[u.pool->path] = u;
  }

  Result<std::optional<Taken>> take(const Wanted &wanted, const Source &source) const override {
    if (!wanted.layer)
      return std::optional<Taken>();
    const std::string suffix = wanted.path.substr(wanted.layer->path.size() + 1);
    if (const auto router = routers.find(wanted.layer->path); router != routers.end())
      return source.has(wanted.path) ? std::optional<Taken>() : routerValues(wanted, suffix, router->second);
    const auto pool = pools.find(wanted.layer->path);
    if (pool == pools.end())
      return std::optional<Taken>();
    return suffix.starts_with("shared.") ? sharedValues(wanted, suffix.substr(7), pool->second, source)
                                         : expertValues(wanted, suffix, pool->second, source);
  }

  std::vector<std::string> notes() const override;

private:
  /// A column for each group of neighbours, drawn as the target would draw it.
  Result<std::optional<Taken>> routerValues(const Wanted &wanted, const std::string &suffix, const Upcycled &u) const {
    Taken taken{std::vector<double>(static_cast<size_t>(wanted.instance.elements)), "new", "", {}};
    MOIRE_TRY(initialiseInstance(wanted.instance, options.seed, /*wide=*/true, taken.values.data()));
    if (suffix != "weight")
      return std::optional(std::move(taken));
    taken.how = u.slices == 1 ? "as initialised" : fmt::format("as initialised, equal for {} neighbours", u.slices);
    const int64_t experts = wanted.shape.back();
    for (size_t i = 0; i < taken.values.size(); ++i)
      taken.values[i] = taken.values[i - i % static_cast<size_t>(experts) % static_cast<size_t>(u.slices)];
    return std::optional(std::move(taken));
  }

  /// Hidden features [begin, begin + count) of one parameter of the dense layer.
  Result<std::vector<double>> part(const Upcycled &u, const std::string &suffix, const Source &source, int64_t begin,
                                   int64_t count) const {
    MOIRE_ASSIGN(Tensor whole, source.read(u.dense->path + "." + suffix));
    const int64_t all = u.dense->count("hidden");
    if (suffix == "down.bias")
      return std::move(whole.values);
    if (suffix == "down.weight") // all x width: rows
      return columns(whole, whole.dim(0) * whole.dim(1), begin * whole.dim(1), count * whole.dim(1));
    if (!suffix.starts_with("gate_up"))
      return columns(whole, all, begin, count);
    // Both halves of each row, side by side again.
    const std::vector<double> gate = columns(whole, 2 * all, begin, count);
    const std::vector<double> up = columns(whole, 2 * all, all + begin, count);
    std::vector<double> both;
    for (size_t row = 0; row < gate.size(); row += static_cast<size_t>(count)) {
      const auto at = static_cast<ptrdiff_t>(row);
      both.insert(both.end(), gate.begin() + at, gate.begin() + at + count);
      both.insert(both.end(), up.begin() + at, up.begin() + at + count);
    }
    return both;
  }

  Result<std::optional<Taken>> sharedValues(const Wanted &wanted, const std::string &suffix, const Upcycled &u,
                                            const Source &source) const {
    const std::string from = u.dense->path + "." + suffix;
    MOIRE_ASSIGN(std::vector<double> values, part(u, suffix, source, 0, u.first));
    if (suffix == "down.bias")
      scale(values, 0); // the experts bring it
    return fitting(wanted, {std::move(values), "split", fmt::format("the first {} features", u.first), {from}}, u,
                   source);
  }

  Result<std::optional<Taken>> expertValues(const Wanted &wanted, const std::string &suffix, const Upcycled &u,
                                            const Source &source) const {
    const std::string from = u.dense->path + "." + suffix;
    std::vector<std::vector<double>> slices;
    for (int64_t g = 0; g < u.slices; ++g) {
      MOIRE_ASSIGN(std::vector<double> slice, part(u, suffix, source, u.first + g * u.hidden, u.hidden));
      if (suffix.starts_with("down."))
        scale(slice, suffix == "down.bias" ? u.biasFactor : u.factor);
      slices.push_back(std::move(slice));
    }
    Taken taken{{}, u.slices == 1 ? "repeated" : "split", "", {from}};
    for (int64_t e = 0; e < wanted.shape.front(); ++e) {
      const std::vector<double> &slice = slices[static_cast<size_t>(e % u.slices)];
      taken.values.insert(taken.values.end(), slice.begin(), slice.end());
    }
    if (u.slices > 1)
      taken.how = fmt::format("expert e has slice e mod {}", u.slices);
    if (const double factor = suffix == "down.bias" ? u.biasFactor : u.factor;
        suffix.starts_with("down.") && factor != 1)
      taken.how += fmt::format("{}times {:.6g}", taken.how.empty() ? "" : ", ", factor);
    if (taken.values.size() == static_cast<size_t>(wanted.instance.elements))
      MOIRE_TRY(addNoise(wanted, suffix, taken));
    return fitting(wanted, std::move(taken), u, source);
  }

  /// Experts that are equal learn the same: noise tells them apart.
  Status addNoise(const Wanted &wanted, const std::string &suffix, Taken &taken) const {
    if (options.noise == 0 || !suffix.ends_with("weight"))
      return {};
    double squares = 0;
    for (const double value : taken.values)
      squares += value * value;
    moire_parameter noise = wanted.instance.parameter;
    noise.init = MOIRE_INIT_NORMAL;
    noise.init_a = options.noise * std::sqrt(squares / static_cast<double>(taken.values.size()));
    const std::string stream = wanted.path + ".noise";
    std::vector<double> drawn(taken.values.size());
    MOIRE_TRY(initialiseInstance({noise, wanted.instance.number, stream.c_str(), 0, wanted.instance.elements},
                                 options.seed, /*wide=*/true, drawn.data()));
    for (size_t i = 0; i < drawn.size(); ++i)
      taken.values[i] += drawn[i];
    taken.how += fmt::format("{}with noise", taken.how.empty() ? "" : ", ");
    return {};
  }

  const Blocks &target;
  TransformOptions options;
  std::map<std::string, Upcycled> pools, routers; ///< by path
};

std::vector<std::string> UpcycleRule::notes() const {
  std::vector<std::string> notes;
  auto add = [&](std::string text) {
    if (std::find(notes.begin(), notes.end(), text) == notes.end())
      notes.push_back(std::move(text));
  };
  bool twins = false;
  for (const auto &[path, u] : pools) {
    const std::string place = generalPath(placeOf(*u.pool, target));
    for (const std::string &name : u.pool->routers)
      if (target.find(name)->attributes.contains("capacity"))
        add(fmt::format("`{}` has a capacity: in training, tokens that it drops miss their layer", place));
    if (!u.exact)
      add(fmt::format("`{}` gives what the dense layer gives on average only: gates are taken to be even", place));
    else
      add(fmt::format("`{}` gives what the dense layer gives{}", place,
                      options.noise > 0 ? ", but for the noise" : ""));
    twins = twins || u.pool->count("experts") > u.slices;
  }
  if (twins && options.noise == 0)
    add("experts that hold the same part of a dense layer differ by their gates alone at first; --noise tells them "
        "apart");
  return notes;
}

} // namespace

Result<std::unique_ptr<Rule>> makeUpcycleRule(const Blocks &source, const Blocks &target,
                                              const TransformOptions &options) {
  // In each place of the model, the feed-forward layers that went, and the pools that came, in order.
  std::map<std::string, std::vector<const Layer *>> went, came;
  for (const Layer &layer : source.layers())
    if ((layer.op == "mlp" || layer.op == "swiglu") && !target.find(layer.path))
      went[scopeOf(layer.path)].push_back(&layer);
  for (const Layer &layer : target.layers())
    if (layer.op == "experts" && !source.find(layer.path))
      came[scopeOf(placeOf(layer, target))].push_back(&layer);
  auto rule = std::make_unique<UpcycleRule>(target, options);
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
      rule->add(u);
    }
  }
  return std::unique_ptr<Rule>(std::move(rule));
}

} // namespace moire::runtime
