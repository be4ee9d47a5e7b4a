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
#include "runtime/Transform/Upcycled.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace moire::runtime {
namespace {

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
  MOIRE_ASSIGN(const std::vector<Upcycled> found, findUpcycled(source, target, options));
  auto rule = std::make_unique<UpcycleRule>(target, options);
  for (const Upcycled &u : found)
    rule->add(u);
  return std::unique_ptr<Rule>(std::move(rule));
}

} // namespace moire::runtime
