//===- runtime/Sweep/Report.h - what a sweep found ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Seeds are averaged; one axis becomes the rows, each combination of the others a curve.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_SWEEP_REPORT_H
#define MOIRE_RUNTIME_SWEEP_REPORT_H

#include "runtime/Plan/Chart.h"
#include "runtime/Sweep/Optimum.h"
#include "runtime/Sweep/Sweep.h"

namespace moire::runtime {

/// Losses of one combination of all axes but the seeds.
struct SweepCell {
  double evalLoss = 0, trainLoss = 0; ///< means over the seeds; NaN when one of them diverged
  double error = 0;                   ///< standard error of evalLoss; 0 with one seed
  int diverged = 0;                   ///< seeds that did
};

/// The cells along the axis of the rows.
struct SweepCurve {
  std::vector<size_t> at;       ///< values of the other axes (that of the row axis is 0)
  std::string name;             ///< `width=64`; empty when there is no other axis
  std::vector<SweepCell> cells; ///< in the order of the rows
  std::optional<Optimum> optimum;
};

/// How far the best value moves from the least to the largest width.
struct Drift {
  std::string narrow, wide;      ///< names of the two curves
  double tried;                  ///< best of the widest over best of the narrowest, of the values tried
  std::optional<double> between; ///< the same of the bottoms of the parabolas
  bool edge;                     ///< one of the two is at an edge of the grid
};

/// A sweep, ordered for reading.
class SweepReport {
public:
  /// Rows are the axis `lr` if it is there, else the first one.
  SweepReport(const Grid &grid, const SweepOutcome &outcome);

  void print() const;
  /// `spec` is for the record.
  Json json(const std::string &spec) const;
  /// Held-out loss over the rows, a curve for each combination of the others. Needs an axis of numbers above 0.
  Result<Chart> chart() const;

  const std::vector<SweepCurve> &curves() const { return all; }
  const std::vector<Drift> &drifts() const { return moves; }

private:
  void findCurves();
  void findDrifts();
  void printTable(const char *title, double SweepCell::*loss) const;

  const Grid &grid;
  const SweepOutcome &outcome;
  size_t row = 0;                       ///< axis of the rows
  std::vector<size_t> order;            ///< its values, ascending when they are numbers
  std::optional<std::vector<double>> x; ///< its values in that order, when they are numbers above 0
  std::vector<SweepCurve> all;
  std::vector<Drift> moves;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_SWEEP_REPORT_H
