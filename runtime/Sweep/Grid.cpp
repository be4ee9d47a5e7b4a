//===- runtime/Sweep/Grid.cpp - what a sweep varies --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Values stay text: the compiler reads them as expressions.
//
//===------------------------------------------------------------------------===//
#include "runtime/Sweep/Grid.h"

#include "runtime/Core/Hash.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/ranges.h>
#include <set>

namespace moire::runtime {

std::optional<std::vector<double>> Axis::numbers() const {
  std::vector<double> numbers;
  for (const std::string &value : values) {
    char *rest = nullptr;
    numbers.push_back(std::strtod(value.c_str(), &rest));
    if (value.empty() || *rest || !std::isfinite(numbers.back()))
      return std::nullopt;
  }
  return numbers;
}

Result<Axis> parseAxis(const std::string &text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return Status::error("`{}` is no axis; `lr=1e-3,2e-3` would be one", text);
  Axis axis{text.substr(0, equals), {""}};
  int depth = 0;
  for (const char c : text.substr(equals + 1)) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ',' && depth == 0)
      axis.values.emplace_back();
    else if (c != ' ' || depth > 0)
      axis.values.back() += c;
  }
  for (const std::string &value : axis.values)
    if (value.empty())
      return Status::error("`{}` has an empty value", text);
  return axis;
}

Status Grid::check() const {
  std::set<std::string> names;
  for (const Axis &axis : axes) {
    if (!names.insert(axis.name).second)
      return Status::error("`{}` is varied twice", axis.name);
    const auto numbers = axis.numbers();
    for (size_t i = 0; i < axis.values.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (axis.values[i] == axis.values[j] || (numbers && (*numbers)[i] == (*numbers)[j]))
          return Status::error("`{}` has the value {} twice", axis.name, axis.values[i]);
  }
  if (std::set<int64_t>(seeds.begin(), seeds.end()).size() != seeds.size())
    return Status::error("a seed is there twice");
  return {};
}

std::vector<GridPoint> Grid::points() const {
  std::vector<size_t> order; // axes, outermost first
  for (const bool ofRun : {false, true})
    for (size_t i = 0; i < axes.size(); ++i)
      if (axes[i].ofRun == ofRun)
        order.push_back(i);
  std::vector<GridPoint> points{{std::vector<size_t>(axes.size()), 0}};
  for (const size_t axis : order) {
    std::vector<GridPoint> longer;
    for (const GridPoint &point : points)
      for (size_t value = 0; value < axes[axis].values.size(); ++value) {
        longer.push_back(point);
        longer.back().at[axis] = value;
      }
    points = std::move(longer);
  }
  std::vector<GridPoint> all;
  for (const GridPoint &point : points)
    for (const int64_t seed : seeds)
      all.push_back({point.at, seed});
  return all;
}

std::string Grid::name(const GridPoint &point) const {
  std::string text;
  for (size_t i = 0; i < axes.size(); ++i)
    text += fmt::format("{}={} ", axes[i].name, axes[i].values[point.at[i]]);
  return text + fmt::format("seed={}", point.seed);
}

std::string Grid::folder(const GridPoint &point) const {
  const std::string plain = name(point);
  std::string text;
  bool changed = false;
  for (const char c : plain) {
    const bool kept =
        std::isalnum(static_cast<unsigned char>(c)) || std::string_view("=._+-").find(c) != std::string_view::npos;
    changed |= !kept && c != ' ';
    text += kept ? c : c == ' ' ? ',' : '_';
  }
  return changed ? text + "," + sha256(plain).substr(0, 8) : text;
}

std::vector<std::string> Grid::defines(const GridPoint &point) const {
  std::vector<std::string> list;
  for (size_t i = 0; i < axes.size(); ++i)
    if (!axes[i].ofRun)
      list.push_back(axes[i].name + "=" + axes[i].values[point.at[i]]);
  return list;
}

int Grid::axis(const std::string &name) const {
  const auto found = std::find_if(axes.begin(), axes.end(), [&](const Axis &axis) { return axis.name == name; });
  return found == axes.end() ? -1 : int(found - axes.begin());
}

} // namespace moire::runtime
