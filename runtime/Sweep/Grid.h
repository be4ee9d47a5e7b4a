//===- runtime/Sweep/Grid.h - what a sweep varies ----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Axes of values, and the points between them.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_SWEEP_GRID_H
#define MOIRE_RUNTIME_SWEEP_GRID_H

#include "runtime/Core/Status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moire::runtime {

/// One thing that is varied.
struct Axis {
  std::string name;
  std::vector<std::string> values; ///< as given
  bool ofRun = false;              ///< a number of the optimizer or the schedule, which no code depends on

  /// The values as numbers; nothing when one of them is no number.
  std::optional<std::vector<double>> numbers() const;
};

/// Reads NAME=V,V,…; commas within parentheses belong to a value.
Result<Axis> parseAxis(const std::string &text);

/// One combination of values.
struct GridPoint {
  std::vector<size_t> at; ///< for each axis, which value
  int64_t seed = 0;
};

/// Axes times seeds.
struct Grid {
  std::vector<Axis> axes;
  std::vector<int64_t> seeds{0};

  /// Refuses an axis or a value that is there twice.
  Status check() const;
  /// All points; those of one package follow each other, and seeds follow each other within these.
  std::vector<GridPoint> points() const;
  /// `width=64 lr=0.001 seed=0`.
  std::string name(const GridPoint &point) const;
  /// The same as the name of a folder: other than letters, digits and `=.,+-` are told apart by a digest.
  std::string folder(const GridPoint &point) const;
  /// NAME=VALUE of the axes that the compiler is told about.
  std::vector<std::string> defines(const GridPoint &point) const;
  /// The axis called `name`, or -1.
  int axis(const std::string &name) const;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_SWEEP_GRID_H
