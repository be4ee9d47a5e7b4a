//===- runtime/Sweep/Record.cpp - what is known of a point of a sweep --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Numbers that are not finite have no place in JSON: a point that diverged has none.
//
//===------------------------------------------------------------------------===//
#include "runtime/Sweep/Record.h"

#include "runtime/Core/File.h"

#include <cmath>
#include <filesystem>

namespace moire::runtime {

static std::string fileOf(const std::string &folder) { return folder + "/point.json"; }

bool hasRecord(const std::string &folder) {
  std::error_code code;
  return std::filesystem::exists(fileOf(folder), code);
}

Result<PointRecord> readRecord(const std::string &folder) {
  const std::string where = fmt::format("`{}`", fileOf(folder));
  MOIRE_ASSIGN(const Json json, readJson(fileOf(folder)));
  PointRecord record;
  ObjectReader reader(json, where);
  reader.text("point", record.name);
  record.identity = reader.value("identity");
  const Json &found = reader.value("result");
  MOIRE_TRY(reader.finish());
  if (found.is_null())
    return record;
  std::string outcome;
  PointResult result;
  ObjectReader inner(found, where + ": result");
  inner.text("outcome", outcome)
      .number("seconds", result.seconds, 0, INFINITY)
      .count("parameters", result.parameters, 0);
  result.diverged = outcome == "diverged";
  result.evalLoss = result.trainLoss = NAN;
  if (!result.diverged)
    inner.number("eval_loss", result.evalLoss, -INFINITY, INFINITY)
        .number("train_loss", result.trainLoss, -INFINITY, INFINITY);
  MOIRE_TRY(inner.finish());
  record.result = result;
  return record;
}

Status writeRecord(const std::string &folder, const PointRecord &record) {
  Json result;
  if (record.result) {
    const PointResult &r = *record.result;
    result = {{"outcome", r.diverged ? "diverged" : "trained"}};
    if (!r.diverged) {
      result["eval_loss"] = r.evalLoss;
      result["train_loss"] = r.trainLoss;
    }
    result["seconds"] = r.seconds;
    result["parameters"] = r.parameters;
  }
  const Json json = {{"point", record.name}, {"identity", record.identity}, {"result", result}};
  MOIRE_TRY(makeFolders(folder));
  return replaceFile(fileOf(folder), json.dump(2) + "\n");
}

std::string differenceBetween(const Json &now, const Json &then, const std::string &where) {
  if (now == then)
    return "";
  if (!now.is_object() || !then.is_object())
    return fmt::format("{} is {}, it was {}", where, now.dump(), then.dump());
  const std::string under = where.empty() ? "" : where + ".";
  for (const auto &[key, value] : now.items())
    if (std::string found = differenceBetween(value, then.value(key, Json()), under + key); !found.empty())
      return found;
  for (const auto &[key, value] : then.items())
    if (!now.contains(key))
      return fmt::format("{}{} is not there, it was {}", under, key, value.dump());
  return fmt::format("{} is in another order", where);
}

} // namespace moire::runtime
