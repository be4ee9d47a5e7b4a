//===- runtime/Plan/Points.h - what fits are made of ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs of `moire train`, or tables from elsewhere with a line of names.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_POINTS_H
#define MOIRE_RUNTIME_PLAN_POINTS_H

#include "runtime/Plan/Fit.h"

namespace moire::runtime {

/// Reads runs: folders of `moire train` or their metrics.jsonl (the last evaluation of each), and .csv files with the
/// columns size, tokens, loss and, if they differ, experts.
Result<std::vector<RunPoint>> readRuns(const std::vector<std::string> &paths);

/// Reads a .csv file with the columns flops, score and, for pass@k, k.
Result<std::vector<ScorePoint>> readScores(const std::string &path);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_POINTS_H
