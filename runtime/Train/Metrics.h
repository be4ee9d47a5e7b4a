//===- runtime/Train/Metrics.h - what a run tells ----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// metrics.jsonl, one line a step, without a gap or a repetition across resumes;
// and the progress line, which is redrawn on a terminal and plain elsewhere.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_METRICS_H
#define MOIRE_RUNTIME_TRAIN_METRICS_H

#include "runtime/Core/File.h"
#include "runtime/Core/Json.h"

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace moire::runtime {

/// The open metrics.jsonl of a run.
class MetricsLog {
public:
  /// Opens `path` to go on after step `lastStep`: later lines, and a last line that was cut off, are removed.
  static Result<MetricsLog> open(const std::string &path, int64_t lastStep);
  /// Adds one line.
  Status append(const Json &line);
  /// Waits until all lines are on the disk.
  Status sync() { return writer.sync(); }

private:
  explicit MetricsLog(FileWriter writer) : writer(std::move(writer)) {}
  FileWriter writer;
};

/// What the progress line shows of a step.
struct StepReport {
  int64_t step = 0; ///< steps done
  double loss = 0, learningRate = 0, gradientNorm = 0;
  double tokensPerSecond = 0;
  double secondsPerStep = 0;
  std::optional<double> evalLoss;
};

/// `m:ss`, from an hour on `h:mm:ss`.
std::string spelledTime(double seconds);

/// Where progress goes, and what stands before each line.
struct ProgressStyle {
  std::FILE *to = stdout;
  std::string before;
};

/// Writes progress.
class ProgressLine {
public:
  /// Plain lines come every `interval` steps and at the last of `steps`.
  ProgressLine(int64_t steps, int64_t interval, ProgressStyle style = {});
  ~ProgressLine();
  void step(const StepReport &report);
  /// A message of its own line.
  void note(const std::string &text);

private:
  int64_t steps, interval;
  ProgressStyle style;
  bool terminal;
  bool open = false; ///< the terminal's line has not been ended
  double pace = 0;   ///< seconds a step, smoothed, for the time to go
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_METRICS_H
