//===- runtime/Transform/Project.cpp - fewer features --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured pruning, in two forms. Where the target has plain weights they are
// cut: W[in, out] for the indices that stay. Where it composes them of a frozen
// source (projected compression, arXiv 2506.22255), the source is copied whole,
// the projections are 0/1 selections of the same indices, and the auxiliary part
// is zero: at first both models are the same, to the last bit.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Importance.h"
#include "runtime/Transform/Rule.h"

#include <algorithm>
#include <numeric>

namespace moire::runtime {
namespace {

/// A path without the part of a composed weight that it names, and that part: "", "source", "in", "out" or "aux".
std::pair<std::string, std::string> partOf(const std::string &path) {
  for (const std::string part : {"source", "in", "out", "aux"})
    if (path.ends_with("." + part))
      return {path.substr(0, path.size() - part.size() - 1), part};
  return {path, ""};
}

/// Whether a tensor of shape `to` may be what is left of one of shape `from`.
bool isSmaller(const std::vector<int64_t> &from, const std::vector<int64_t> &to) {
  return from != to && from.size() == to.size() &&
         std::equal(to.begin(), to.end(), from.begin(), [](int64_t a, int64_t b) { return a <= b; });
}

/// How large a set of features was and is to be, and which parameter said so.
struct Resized {
  int64_t from, to;
  std::string path;
};

/// What gets smaller, and which features stay.
class Plan {
public:
  /// Finds the parameters of the target that are smaller than in the source.
  Status find(const moire_package &package, const Blocks &target, const Source &source) {
    return forEachInstance(package, [&](const Instance &instance) -> Status {
      const moire_parameter &p = instance.parameter;
      const auto [base, part] = partOf(instance.path);
      const std::vector<int64_t> to(p.shape, p.shape + p.rank);
      const Layer *layer = target.owner(base);
      if ((!part.empty() && part != "aux") || !layer || !source.has(base) || !isSmaller(source.shape(base), to))
        return {};
      composed = composed || part == "aux";
      return add({base, source.shape(base), to, layer, base.substr(layer->path.size() + 1)});
    });
  }

  bool empty() const { return parts.empty(); }
  bool isComposed() const { return composed; }

  Status choose(const TransformOptions &options, const Source &source) {
    Importances measured;
    if (options.importance == "magnitude") {
      MOIRE_ASSIGN(measured, importanceByMagnitude(parts, source));
    } else if (options.importance == "activations") {
      measured = importanceByActivations(parts, options.activations);
    } else {
      std::map<std::string, int64_t> sizes;
      for (const auto &[set, resized] : sets)
        sizes[set] = resized.from;
      measured = importanceByChance(sizes, options.seed);
    }
    for (const auto &[set, resized] : sets) {
      const auto found = measured.find(set);
      if (found == measured.end() || static_cast<int64_t>(found->second.size()) != resized.from)
        return Status::error("nothing says which of the {} features of {} matter", resized.from, set);
      kept[set] = mostImportant(found->second, resized.to);
    }
    return {};
  }

  const Shrinking *shrinking(const std::string &base) const {
    const auto found = std::find_if(parts.begin(), parts.end(), [&](const Shrinking &s) { return s.path == base; });
    return found == parts.end() ? nullptr : &*found;
  }

  /// The indices along extent `dim` that stay; `expert` counts along the first extent of experts' parameters.
  std::vector<int64_t> indices(const Shrinking &part, size_t dim, int64_t expert) const {
    const int64_t from = part.from[dim];
    std::vector<int64_t> all;
    if (from == part.to[dim]) {
      all.resize(static_cast<size_t>(from));
      std::iota(all.begin(), all.end(), 0);
      return all;
    }
    const Side side = sideOf(*part.layer, part.suffix, part.from.size(), dim);
    for (int64_t time = 0; time < side.times; ++time)
      for (const int64_t index : kept.at(setOf(part, side, expert)))
        all.push_back(time * (from / side.times) + index);
    return all;
  }

private:
  static std::string setOf(const Shrinking &part, const Side &side, int64_t expert) {
    return side.set != streamSet && isOfExperts(*part.layer, part.suffix) ? side.set + expertSuffix(expert) : side.set;
  }

  Status add(Shrinking part) {
    if (part.layer->op == "mamba" || part.layer->op == "mamba2")
      return Status::error("`{}`: {} in the source, {} here: what state-space layers keep cannot be chosen",
                           generalPath(part.path), shapeText(part.from), shapeText(part.to));
    const size_t rank = part.from.size();
    const bool experts = isOfExperts(*part.layer, part.suffix);
    for (size_t dim = 0; dim < rank; ++dim) {
      if (part.from[dim] == part.to[dim])
        continue;
      if (experts && dim == 0)
        return Status::error("`{}`: {} experts in the source, {} here: experts stay", generalPath(part.path),
                             part.from[0], part.to[0]);
      const Side side = sideOf(*part.layer, part.suffix, rank, dim);
      for (int64_t expert = 0; expert < (experts && side.set != streamSet ? part.from[0] : 1); ++expert) {
        const Resized asked{part.from[dim] / side.times, part.to[dim] / side.times, part.path};
        const Resized &known = sets.try_emplace(setOf(part, side, expert), asked).first->second;
        if (known.from != asked.from || known.to != asked.to)
          return Status::error(
              "`{}` shrinks from {} to {}, `{}` from {} to {}: the stream has one size, and heads keep "
              "theirs (give `attention` a `head_dim`)",
              generalPath(asked.path), asked.from, asked.to, generalPath(known.path), known.from, known.to);
      }
    }
    parts.push_back(std::move(part));
    return {};
  }

  std::vector<Shrinking> parts;
  std::map<std::string, Resized> sets;
  std::map<std::string, std::vector<int64_t>> kept;
  bool composed = false;
};

class ProjectRule final : public Rule {
public:
  ProjectRule(Plan plan, std::string importance) : plan(std::move(plan)), importance(std::move(importance)) {}

  Result<std::optional<Taken>> take(const Wanted &wanted, const Source &source) const override {
    const auto [base, part] = partOf(wanted.path);
    const Shrinking *shrinking = plan.shrinking(base);
    if (!shrinking)
      return std::optional<Taken>();
    if (part == "aux")
      return std::optional(Taken{zeros(wanted), "new", "zero", {}});
    if (part == "source") {
      if (shrinking->from != wanted.shape)
        return Status::error("`{}` is {}, the source has {}: the sizes of `compress` are those of another model",
                             generalPath(wanted.path), shapeText(wanted.shape), shapeText(shrinking->from));
      MOIRE_ASSIGN(Tensor tensor, source.read(base));
      return std::optional(Taken{std::move(tensor.values), "frozen", "", {base}});
    }
    const std::string how = "the most important by " + importance;
    if (part.empty()) {
      MOIRE_ASSIGN(const Tensor tensor, source.read(base));
      return std::optional(Taken{cut(*shrinking, tensor.values), "cut", how, {base}});
    }
    return std::optional(Taken{selection(*shrinking, wanted, part == "in"), "selected", how, {}});
  }

  std::vector<std::string> notes() const override {
    if (!plan.isComposed())
      return {};
    return {"at first the model gives exactly what one gives whose weights are cut to the same features"};
  }

private:
  static std::vector<double> zeros(const Wanted &wanted) {
    return std::vector<double>(static_cast<size_t>(wanted.instance.elements));
  }

  /// The elements of a tensor whose indices all stay.
  std::vector<double> cut(const Shrinking &part, const std::vector<double> &values) const {
    const size_t rank = part.from.size();
    const int64_t columns = part.from[rank - 1], rows = rank > 1 ? part.from[rank - 2] : 1;
    const auto matrices = static_cast<int64_t>(values.size()) / (rows * columns);
    std::vector<double> left;
    for (int64_t matrix = 0; matrix < matrices; ++matrix) {
      // A pool's biases [experts, features] have experts for rows, and rows that are not experts are all of one.
      const bool rowsAreExperts = rank == 2 && isOfExperts(*part.layer, part.suffix);
      const std::vector<int64_t> keptRows = rank > 1 ? plan.indices(part, rank - 2, matrix) : std::vector<int64_t>{0};
      for (const int64_t row : keptRows)
        for (const int64_t column : plan.indices(part, rank - 1, rowsAreExperts ? row : matrix))
          left.push_back(values[static_cast<size_t>((matrix * rows + row) * columns + column)]);
    }
    return left;
  }

  /// A matrix of ones and zeros. `in` takes rows [to, from] for each piece of columns, one block below the other; `out`
  /// takes the columns of each piece, [from, to].
  std::vector<double> selection(const Shrinking &part, const Wanted &wanted, bool in) const {
    const size_t rank = part.from.size(), rows = wanted.shape[rank - 2], columns = wanted.shape[rank - 1];
    const size_t dim = in ? rank - 2 : rank - 1;
    std::vector<double> values = zeros(wanted);
    for (size_t matrix = 0; matrix < values.size() / (rows * columns); ++matrix) {
      const std::vector<int64_t> indices = plan.indices(part, dim, static_cast<int64_t>(matrix));
      double *const begin = values.data() + matrix * rows * columns;
      if (in) {
        for (size_t row = 0; row < rows; ++row)
          begin[row * columns + static_cast<size_t>(indices[row % indices.size()])] = 1;
        continue;
      }
      for (size_t i = 0; i < indices.size(); ++i)
        begin[static_cast<size_t>(indices[i]) * columns + i % columns] = 1;
    }
    return values;
  }

  Plan plan;
  std::string importance;
};

} // namespace

Result<std::unique_ptr<Rule>> makeProjectRule(const moire_package &package, const Blocks &target, const Source &source,
                                              const TransformOptions &options) {
  Plan plan;
  MOIRE_TRY(plan.find(package, target, source));
  if (plan.empty())
    return std::unique_ptr<Rule>();
  if (options.importance.empty()) {
    if (plan.isComposed())
      return Status::error(
          "the target is smaller: --importance says by what to choose the features that it begins with");
    return std::unique_ptr<Rule>(); // refused like all that does not fit
  }
  MOIRE_TRY(plan.choose(options, source));
  return std::unique_ptr<Rule>(std::make_unique<ProjectRule>(std::move(plan), options.importance));
}

} // namespace moire::runtime
