//===- runtime/tools/PlanOutput.h - how plans are shown --------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables for people, JSON for programs, curves for both.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TOOLS_PLANOUTPUT_H
#define MOIRE_RUNTIME_TOOLS_PLANOUTPUT_H

#include "runtime/Plan/Chart.h"
#include "runtime/Plan/Plan.h"

namespace moire::runtime {

/// A plan and all that was asked to make it.
struct PlanOutput {
  const Laws &laws; ///< `joint` is the one planned by
  const Question &q;
  const Plan &plan;
  const FittedLaw *fitted; ///< null: the published law
  const ScoreLaw *scores;  ///< null: none asked for
  std::vector<double> samples;

  void print() const;
  Json json() const;
  /// Loss over size at the budget, a curve for each number of experts, with rings at the choices.
  Chart isoFlop() const;

private:
  Json scoresOf(const Choice &choice) const;
};

/// Prints the coefficients of a fit with their intervals.
void printFit(const FittedLaw &fitted);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TOOLS_PLANOUTPUT_H
