//===- runtime/Sweep/Record.h - what is known of a point of a sweep ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// point.json in the folder of the point: what was to be trained, and what came out of it.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_SWEEP_RECORD_H
#define MOIRE_RUNTIME_SWEEP_RECORD_H

#include "runtime/Core/Json.h"

#include <optional>
#include <string>

namespace moire::runtime {

/// What training a point came to.
struct PointResult {
  bool diverged = false;
  double evalLoss = 0;  ///< held out, after the last step; NaN when it diverged
  double trainLoss = 0; ///< mean over the last tenth of the steps; NaN when it diverged
  double seconds = 0;   ///< spent in steps
  int64_t parameters = 0;
};

/// The record of one point.
struct PointRecord {
  std::string name;
  Json identity; ///< what fixes the outcome: model, settings, data
  std::optional<PointResult> result;
};

/// Whether `folder` has a record.
bool hasRecord(const std::string &folder);
Result<PointRecord> readRecord(const std::string &folder);
/// Makes the folder if need be.
Status writeRecord(const std::string &folder, const PointRecord &record);

/// What is different between two identities, in words: "config.optimizer.lr is 0.1, it was 0.2"; empty when nothing is.
std::string differenceBetween(const Json &now, const Json &then, const std::string &where = "");

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_SWEEP_RECORD_H
