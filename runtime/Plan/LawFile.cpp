//===- runtime/Plan/LawFile.cpp - coefficients are data --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads laws.json, or a file like it, strictly: a coefficient that is missing or
// misspelt is an error, never a default.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Law.h"

#include <limits>

namespace moire::runtime {
namespace {

constexpr double most = std::numeric_limits<double>::max();

/// [low, high], both above 0.
Status readInterval(const Json &range, const char *key, const std::string &where, Interval &interval) {
  if (!range.is_object() || !range.contains(key))
    return Status::error("{}: `{}` is missing", where, key);
  const Json &pair = range[key];
  if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number() || !pair[1].is_number())
    return Status::error("{}: `{}` must be a pair of numbers, from low to high", where, key);
  interval = {pair[0], pair[1]};
  if (!(interval.low > 0 && interval.low <= interval.high))
    return Status::error("{}: `{}` must go from a number above 0 upwards", where, key);
  return {};
}

Status readRange(const Json &range, const std::string &where, std::initializer_list<const char *> keys,
                 std::initializer_list<Interval *> intervals) {
  auto interval = intervals.begin();
  for (const char *key : keys)
    MOIRE_TRY(readInterval(range, key, where + " range", **interval++));
  if (range.size() != keys.size())
    return Status::error("{}: `range` has a key that is not used", where);
  return {};
}

Status readJoint(const Json &object, const std::string &where, JointLaw &law, RateRule &rate) {
  std::string size;
  ObjectReader reader(object, where);
  reader.text("source", law.source).text("size", size);
  for (auto [key, value] : {std::pair{"a", &law.a},
                            {"delta", &law.delta},
                            {"alpha", &law.alpha},
                            {"gamma", &law.gamma},
                            {"b", &law.b},
                            {"omega", &law.omega},
                            {"beta", &law.beta},
                            {"zeta", &law.zeta},
                            {"c", &law.c}})
    reader.number(key, *value, -most, most);
  reader.number("experts_start", law.expertsStart, 1, most).number("experts_max", law.expertsMax, 1, most);
  reader.number("rmse", law.rmse, 0, most);
  const Json &range = reader.value("range"), &rule = reader.value("learning_rate");
  MOIRE_TRY(reader.finish());
  if (!(law.expertsStart < law.expertsMax))
    return Status::error("{}: `experts_start` must be below `experts_max`", where);
  MOIRE_TRY(readRange(range, where, {"experts", "size", "tokens"}, {&law.experts, &law.size, &law.tokens}));
  return ObjectReader(rule, where + " learning_rate")
      .text("size", size)
      .number("intercept", rate.intercept, -most, most)
      .number("size_power", rate.sizePower, -most, most)
      .number("experts_power", rate.expertsPower, -most, most)
      .finish();
}

Result<GrainLaw> readGrain(const Json &object, const std::string &where) {
  GrainLaw law;
  std::string size;
  ObjectReader reader(object, where);
  reader.text("source", law.source).text("size", size);
  for (auto [key, value] : {std::pair{"experts", &law.experts},
                            {"a", &law.a},
                            {"alpha", &law.alpha},
                            {"b", &law.b},
                            {"beta", &law.beta},
                            {"g", &law.g},
                            {"gamma", &law.gamma},
                            {"c", &law.c},
                            {"flops_per_weight", &law.flopsPerWeight},
                            {"flops_per_route", &law.flopsPerRoute},
                            {"rmse", &law.rmse}})
    reader.number(key, *value, 0, most);
  const Json &range = reader.value("range");
  MOIRE_TRY(reader.finish());
  MOIRE_TRY(readRange(range, where, {"granularity", "size", "tokens"}, {&law.granularity, &law.size, &law.tokens}));
  return law;
}

Result<Laws> readLaws(const Json &file, const std::string &where) {
  Laws laws;
  ObjectReader reader(file, where);
  const Json &joint = reader.value("joint"), &grains = reader.value("granularity");
  const Json &reasoning = reader.value("reasoning"), &machines = reader.value("machines");
  MOIRE_TRY(reader.finish());
  MOIRE_TRY(readJoint(joint, where + " joint", laws.joint, laws.rate));
  if (!grains.is_array() || grains.empty())
    return Status::error("{}: `granularity` must be a list of at least one law", where);
  for (const Json &grain : grains) {
    MOIRE_ASSIGN(GrainLaw law, readGrain(grain, where + " granularity"));
    laws.grains.push_back(std::move(law));
  }
  std::string source;
  MOIRE_TRY(ObjectReader(reasoning, where + " reasoning")
                .text("source", source)
                .number("tokens_per_parameter", laws.tokensPerParameter, 0, most)
                .finish());
  if (!machines.is_object())
    return Status::error("{}: `machines` must be an object", where);
  for (const auto &item : machines.items()) {
    Machine machine;
    MOIRE_TRY(ObjectReader(item.value(), where + " machine " + item.key())
                  .text("source", machine.source)
                  .number("flops", machine.flops, 1, most)
                  .number("bytes", machine.bytes, 1, most)
                  .number("element", machine.element, 1, 8)
                  .finish());
    laws.machines[item.key()] = machine;
  }
  return laws;
}

} // namespace

Result<Laws> Laws::load(const std::string &path) {
  if (path.empty()) {
    MOIRE_ASSIGN(const Json file, parseJson(builtIn(), "laws"));
    return readLaws(file, "laws");
  }
  MOIRE_ASSIGN(const Json file, readJson(path));
  return readLaws(file, fmt::format("`{}`", path));
}

} // namespace moire::runtime
