//===- runtime/Transform/Transform.cpp - one model made of another ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rules are elsewhere; here is what they have in common: asking them,
// writing what they give, and the account of it.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Transform.h"

#include <algorithm>
#include <set>

namespace moire::runtime {

Json TransformReport::json() const {
  Json list = Json::array();
  for (const TransformRow &row : rows)
    list.push_back({{"kind", row.kind},
                    {"path", row.path},
                    {"instances", row.count},
                    {"shape", row.shape},
                    {"from", row.sources},
                    {"how", row.how}});
  return {{"parameters", list}, {"notes", notes}};
}

std::string TransformReport::text() const {
  size_t kind = 0, path = 0, size = 0;
  auto sizeOf = [](const TransformRow &row) {
    return row.count > 1 ? fmt::format("{} x {}", row.count, shapeText(row.shape)) : shapeText(row.shape);
  };
  for (const TransformRow &row : rows) {
    kind = std::max(kind, row.kind.size());
    path = std::max(path, row.path.size());
    size = std::max(size, sizeOf(row).size());
  }
  std::string text;
  for (const TransformRow &row : rows) {
    std::string line = fmt::format("{:<{}}  {:<{}}  {:<{}}", row.kind, kind, row.path, path, sizeOf(row), size);
    const bool same = row.sources.size() == 1 && row.sources.front() == row.path;
    if (!row.sources.empty() && !same)
      line += fmt::format("  from {}", fmt::join(row.sources, ", "));
    if (!row.how.empty())
      line += fmt::format("  {}", row.how);
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  for (const std::string &note : notes)
    text += fmt::format("note: {}\n", note);
  return text;
}

namespace {

/// Collects rows and refusals, a group at a time.
class Account {
public:
  void add(const std::string &path, const std::vector<int64_t> &shape, const Taken &taken) {
    TransformRow row{taken.kind, generalPath(path), taken.how, {}, shape, 1};
    for (const std::string &source : taken.sources) {
      row.sources.push_back(generalPath(source));
      used.insert(source);
    }
    for (TransformRow &known : report.rows)
      if (known.kind == row.kind && known.path == row.path && known.how == row.how && known.sources == row.sources &&
          known.shape == row.shape) {
        ++known.count;
        return;
      }
    report.rows.push_back(std::move(row));
  }
  void refuse(const std::string &text) {
    if (std::find(refusals.begin(), refusals.end(), text) == refusals.end())
      refusals.push_back(text);
  }
  bool uses(const std::string &source) const { return used.contains(source); }
  /// All refusals as one message, or success.
  Status verdict() const {
    if (refusals.empty())
      return {};
    constexpr size_t most = 12;
    std::vector<std::string> shown(refusals.begin(), refusals.begin() + std::min(most, refusals.size()));
    if (refusals.size() > most)
      shown.push_back(fmt::format("and {} more", refusals.size() - most));
    return Status::error("the source does not become this model:\n  {}", fmt::join(shown, "\n  "));
  }

  TransformReport report;

private:
  std::vector<std::string> refusals;
  std::set<std::string> used;
};

/// Why no rule took a parameter, with what would fit.
std::string whyNot(const Wanted &wanted, const Source &source) {
  const std::string path = generalPath(wanted.path);
  if (source.has(wanted.path))
    return fmt::format("`{}` is {}, the source has {}: sizes that give it the source's shape would fit", path,
                       shapeText(wanted.shape), shapeText(source.shape(wanted.path)));
  return fmt::format("`{}` {} has nothing in the source to come from", path, shapeText(wanted.shape));
}

/// muP scales the products of some parameters. Where source and target do so by other factors, the values make up for
/// it, unless a table is read in two ways, of which one is scaled.
Status matchMultipliers(const Wanted &wanted, const Source &source, const Blocks &target, Taken &taken) {
  if (taken.sources.empty())
    return {};
  const double factor = source.multiplier(taken.sources.front()) / wanted.instance.parameter.multiplier;
  if (factor == 1)
    return {};
  for (const Blocks *blocks : {&source.blocks(), &target})
    for (const Layer &layer : blocks->layers())
      if (wanted.layer && layer.word("tied") == wanted.layer->path)
        return Status::error("`{}` is a table that `{}` reads as well, and muP scales it by other factors than in the "
                             "source; the source's `scaling` would fit",
                             wanted.path, layer.path);
  for (double &value : taken.values)
    value *= factor;
  taken.kind = taken.kind == "copied" ? "scaled" : taken.kind;
  taken.how +=
      fmt::format("{}times {:.6g}, as muP scales its products otherwise", taken.how.empty() ? "" : ", ", factor);
  return {};
}

void write(Model &model, const Instance &instance, const std::vector<double> &values) {
  if (model.package().elementBytes() == sizeof(double))
    std::copy(values.begin(), values.end(), static_cast<double *>(model.buffers().params) + instance.offset);
  else
    std::transform(values.begin(), values.end(), static_cast<float *>(model.buffers().params) + instance.offset,
                   [](double value) { return static_cast<float>(value); });
}

} // namespace

Result<Rules> makeRules(const Source &source, const moire_package &package, const Blocks &target,
                        const TransformOptions &options) {
  Rules rules;
  MOIRE_ASSIGN(std::unique_ptr<Rule> upcycle, makeUpcycleRule(source.blocks(), target, options));
  rules.push_back(std::move(upcycle));
  rules.push_back(makeCopyRule(source.blocks(), target));
  rules.push_back(makeMergeRule());
  MOIRE_ASSIGN(std::unique_ptr<Rule> project, makeProjectRule(package, target, source, options));
  if (project)
    rules.push_back(std::move(project));
  rules.push_back(makeNewBiasRule());
  return rules;
}

Result<TransformReport> transform(Model &model, const Blocks &target, const Source &source, const Rules &rules) {
  Account account;
  MOIRE_TRY(forEachInstance(*model.package(), [&](const Instance &instance) -> Status {
    const moire_parameter &p = instance.parameter;
    const Wanted wanted{instance, instance.path, {p.shape, p.shape + p.rank}, target.owner(instance.path)};
    for (const auto &rule : rules) {
      auto found = rule->take(wanted, source);
      if (!found.ok()) {
        account.refuse(found.message());
        return {};
      }
      if (!*found)
        continue;
      Taken &taken = **found;
      if (const Status scaled = matchMultipliers(wanted, source, target, taken); !scaled.ok()) {
        account.refuse(scaled.message());
        return {};
      }
      if (taken.values.size() != static_cast<size_t>(instance.elements))
        return Status::error("`{}`: {} numbers were made for {}", wanted.path, taken.values.size(),
                             shapeText(wanted.shape));
      write(model, instance, taken.values);
      account.add(wanted.path, wanted.shape, taken);
      return {};
    }
    account.refuse(whyNot(wanted, source));
    return {};
  }));
  for (const StoredTensor &tensor : source.tensors()) {
    if (account.uses(tensor.name))
      continue;
    std::string why;
    for (const auto &rule : rules)
      if (why.empty())
        why = rule->drops(tensor.name);
    if (why.empty())
      account.refuse(
          fmt::format("`{}` {} of the source would be lost", generalPath(tensor.name), shapeText(tensor.shape)));
    else
      account.add(tensor.name, tensor.shape, {{}, "dropped", why, {}});
  }
  MOIRE_TRY(account.verdict());
  for (const auto &rule : rules)
    for (const std::string &note : rule->notes())
      account.report.notes.push_back(note);
  for (const std::string &change : differences(source.blocks(), target))
    account.report.notes.push_back(change);
  MOIRE_TRY(model.check(model.package()->refresh(&model.buffers()), "refresh"));
  return std::move(account.report);
}

} // namespace moire::runtime
