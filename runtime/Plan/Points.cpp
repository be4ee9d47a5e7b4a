//===- runtime/Plan/Points.cpp - what fits are made of -------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sizes come from the bill in a run's package, so that they are the compiler's.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Points.h"
#include "runtime/Core/File.h"
#include "runtime/Core/Package.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace moire::runtime {
namespace {

std::vector<std::string> cellsOf(const std::string &line) {
  std::vector<std::string> cells;
  std::stringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) {
    size_t first = cell.find_first_not_of(" \t\r"), last = cell.find_last_not_of(" \t\r");
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

struct Column {
  const char *name;
  double missing; ///< its value when the file has no such column; NaN: an error
};

/// The rows of a file, each with a number for each of `columns`.
Result<std::vector<std::vector<double>>> readTable(const std::string &path, const std::vector<Column> &columns) {
  MOIRE_ASSIGN(const std::string text, readFile(path));
  std::stringstream stream(text);
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> names = cellsOf(line);
  for (const std::string &name : names)
    if (std::none_of(columns.begin(), columns.end(), [&](const Column &column) { return name == column.name; }))
      return Status::error("`{}`: the column `{}` is not used", path, name);
  std::vector<std::vector<double>> rows;
  for (int number = 2; std::getline(stream, line); ++number) {
    const std::vector<std::string> cells = cellsOf(line);
    if (cells.empty())
      continue;
    if (cells.size() != names.size())
      return Status::error("`{}`, line {}: {} numbers for {} columns", path, number, cells.size(), names.size());
    std::vector<double> row;
    for (const Column &column : columns) {
      auto found = std::find(names.begin(), names.end(), column.name);
      if (found == names.end()) {
        if (std::isnan(column.missing))
          return Status::error("`{}`: the column `{}` is missing", path, column.name);
        row.push_back(column.missing);
        continue;
      }
      const std::string &cell = cells[size_t(found - names.begin())];
      char *rest = nullptr;
      double value = std::strtod(cell.c_str(), &rest);
      if (cell.empty() || *rest || !std::isfinite(value) || value <= 0)
        return Status::error("`{}`, line {}: `{}` is no number above 0", path, number, cell);
      row.push_back(value);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<RunPoint> readRun(const std::string &folder) {
  MOIRE_ASSIGN(const std::string text, readFile(folder + "/metrics.jsonl"));
  RunPoint point{0, 0, 1, NAN};
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    MOIRE_ASSIGN(const Json step, parseJson(line, fmt::format("`{}/metrics.jsonl`", folder)));
    if (step.contains("eval_loss"))
      point.loss = step["eval_loss"], point.tokens = step["tokens"];
  }
  if (std::isnan(point.loss))
    return Status::error("`{}` has no evaluation: its training held no data out", folder);
  MOIRE_ASSIGN(const Package package, Package::load(folder + "/package.so"));
  MOIRE_ASSIGN(const Json cost, parseJson(package->cost_json, fmt::format("cost of `{}`", folder)));
  const Json &parameters = cost["parameters"];
  point.size = parameters["active"];
  if (parameters["by_role"].contains("expert")) {
    double all = parameters["by_role"]["expert"], idle = double(parameters["total"]) - point.size;
    point.experts = all / (all - idle);
  }
  return point;
}

} // namespace

Result<std::vector<RunPoint>> readRuns(const std::vector<std::string> &paths) {
  std::vector<RunPoint> points;
  for (const std::string &path : paths) {
    const std::filesystem::path file(path);
    if (file.extension() == ".csv") {
      MOIRE_ASSIGN(const auto rows, readTable(path, {{"size", NAN}, {"tokens", NAN}, {"experts", 1}, {"loss", NAN}}));
      for (const auto &row : rows)
        points.push_back({row[0], row[1], row[2], row[3]});
    } else {
      MOIRE_ASSIGN(const RunPoint point,
                   readRun(file.filename() == "metrics.jsonl" ? file.parent_path().string() : path));
      points.push_back(point);
    }
  }
  return points;
}

Result<std::vector<ScorePoint>> readScores(const std::string &path) {
  MOIRE_ASSIGN(const auto rows, readTable(path, {{"flops", NAN}, {"k", 1}, {"score", NAN}}));
  std::vector<ScorePoint> points;
  for (const auto &row : rows)
    points.push_back({row[0], row[1], row[2]});
  return points;
}

} // namespace moire::runtime
