//===- runtime/Sweep/Optimum.cpp - where a curve is lowest -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With its neighbours on both sides higher, the bottom of the parabola lies between them.
//
//===------------------------------------------------------------------------===//
#include "runtime/Sweep/Optimum.h"

#include <cmath>

namespace moire::runtime {

std::optional<Optimum> findOptimum(const std::vector<std::pair<double, double>> &points) {
  std::optional<size_t> best;
  for (size_t i = 0; i < points.size(); ++i)
    if (!std::isnan(points[i].second) && (!best || points[i].second < points[*best].second))
      best = i;
  if (!best)
    return std::nullopt;
  Optimum found{*best, *best == 0 || *best + 1 == points.size(), std::nullopt};
  if (found.edge)
    return found;
  const auto [x1, y1] = points[*best];
  const double left = std::log(points[*best - 1].first / x1), right = std::log(points[*best + 1].first / x1);
  const double rise1 = points[*best - 1].second - y1, rise2 = points[*best + 1].second - y1;
  if (std::isnan(rise1) || std::isnan(rise2))
    return found;
  // y1 + b u + a u^2 with u = log(x / x1), through (left, rise1) and (right, rise2).
  const double a = (rise1 / left - rise2 / right) / (left - right), b = rise1 / left - a * left;
  if (a > 0)
    found.between = {x1 * std::exp(-b / (2 * a)), y1 - b * b / (4 * a)};
  return found;
}

double slopeOf(const std::vector<std::pair<double, double>> &points) {
  double meanX = 0, meanY = 0, together = 0, square = 0;
  for (auto [x, y] : points)
    meanX += x / double(points.size()), meanY += y / double(points.size());
  for (auto [x, y] : points)
    together += (x - meanX) * (y - meanY), square += (x - meanX) * (x - meanX);
  return together / square;
}

} // namespace moire::runtime
