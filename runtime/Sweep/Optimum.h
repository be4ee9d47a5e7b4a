//===- runtime/Sweep/Optimum.h - where a curve is lowest ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The best of the values that were tried, and what a parabola says of those between.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_SWEEP_OPTIMUM_H
#define MOIRE_RUNTIME_SWEEP_OPTIMUM_H

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace moire::runtime {

/// Where a curve is lowest.
struct Optimum {
  size_t best;                                      ///< the lowest point
  bool edge;                                        ///< it is the first or last: what lies beyond may be lower
  std::optional<std::pair<double, double>> between; ///< (x, y) at the bottom of the parabola through the best and its
                                                    ///< neighbours, in log x; absent at an edge or beside a gap
};

/// The optimum of `points`, (x, y) by ascending x above 0, of which those whose y is NaN count as gaps. Nothing when
/// all are gaps.
std::optional<Optimum> findOptimum(const std::vector<std::pair<double, double>> &points);

/// Slope of the straight line of least squares through (x, y); at least two different x.
double slopeOf(const std::vector<std::pair<double, double>> &points);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_SWEEP_OPTIMUM_H
