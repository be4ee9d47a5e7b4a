//===- runtime/Train/Metrics.cpp - what a run tells ---------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lines of JSON and lines for people.
//
//===------------------------------------------------------------------------===//
#include "runtime/Train/Metrics.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

namespace moire::runtime {

/// Bytes of `text` up to the end of the last whole line whose step is at most `lastStep`.
static size_t keptBytes(std::string_view text, int64_t lastStep) {
  size_t kept = 0;
  while (kept < text.size()) {
    const size_t end = text.find('\n', kept);
    if (end == std::string_view::npos)
      break;
    const Json line = Json::parse(text.substr(kept, end - kept), nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer() ||
        line["step"].get<int64_t>() > lastStep)
      break;
    kept = end + 1;
  }
  return kept;
}

Result<MetricsLog> MetricsLog::open(const std::string &path, int64_t lastStep) {
  if (std::filesystem::exists(path)) {
    MOIRE_ASSIGN(const std::string text, readFile(path));
    const size_t kept = keptBytes(text, lastStep);
    if (kept < text.size() && ::truncate(path.c_str(), static_cast<off_t>(kept)) != 0)
      return Status::system(fmt::format("cannot shorten `{}`", path));
  }
  MOIRE_ASSIGN(FileWriter writer, FileWriter::append(path));
  return MetricsLog(std::move(writer));
}

Status MetricsLog::append(const Json &line) { return writer.write(line.dump() + "\n"); }

ProgressLine::ProgressLine(int64_t steps, int64_t interval, ProgressStyle style)
    : steps(steps), interval(interval), style(std::move(style)), terminal(::isatty(::fileno(this->style.to)) == 1) {}

ProgressLine::~ProgressLine() {
  if (open)
    fmt::print(style.to, "\n");
}

std::string spelledTime(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

void ProgressLine::step(const StepReport &report) {
  // The first step pays for cold caches and page faults; smoothing lets its weight fade.
  pace = pace == 0 ? report.secondsPerStep : 0.9 * pace + 0.1 * report.secondsPerStep;
  const bool due = report.step % interval == 0 || report.step == steps || report.evalLoss;
  if (!terminal && !due)
    return;
  std::string line = fmt::format("{}step {:>{}}/{}  loss {:.4f}  norm {:.3f}  lr {:.2e}  {:.0f} tok/s  eta {}",
                                 style.before, report.step, fmt::formatted_size("{}", steps), steps, report.loss,
                                 report.gradientNorm, report.learningRate, report.tokensPerSecond,
                                 spelledTime(pace * static_cast<double>(steps - report.step)));
  if (report.evalLoss)
    line += fmt::format("  eval {:.4f}", *report.evalLoss);
  if (!terminal) {
    fmt::print(style.to, "{}\n", line);
  } else {
    const bool stays = report.evalLoss.has_value();
    fmt::print(style.to, "\r\x1b[K{}{}", line, stays ? "\n" : "");
    open = !stays;
  }
  std::fflush(style.to);
}

void ProgressLine::note(const std::string &text) {
  fmt::print(style.to, "{}{}{}\n", open ? "\n" : "", style.before, text);
  open = false;
  std::fflush(style.to);
}

} // namespace moire::runtime
