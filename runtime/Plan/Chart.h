//===- runtime/Plan/Chart.h - curves as SVG ----------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A line chart in one SVG file, readable on its own: axes with round numbers, a
// legend, no fonts or scripts from elsewhere.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_CHART_H
#define MOIRE_RUNTIME_PLAN_CHART_H

#include <string>
#include <vector>

namespace moire::runtime {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points; ///< (x, y); x above 0 on a logarithmic axis
  int marked = -1;                               ///< a point to be drawn as a ring
};

struct Chart {
  std::string title, xLabel, yLabel;
  bool logX = true, logY = false;
  std::vector<Curve> curves; ///< with at least one point among them

  /// The text of the SVG file.
  std::string svg() const;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_CHART_H
