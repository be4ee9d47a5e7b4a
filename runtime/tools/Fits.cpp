//===- runtime/tools/Fits.cpp - whether a model fits a memory -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The batch is looked for among powers of two: memory grows with it, so halving
// and doubling find the border.
//
//===------------------------------------------------------------------------===//
#include "runtime/tools/Fits.h"
#include "runtime/Core/File.h"

#include <regex>

namespace moire::runtime {
namespace {

std::string spelledBytes(double bytes) {
  return bytes < 0x1p30 ? fmt::format("{:.3g} MiB", bytes / 0x1p20) : fmt::format("{:.3g} GiB", bytes / 0x1p30);
}

/// Peak of the spec with more settings.
Result<double> peakWith(const std::string &spec, CompileOptions options, const std::vector<std::string> &defines,
                        const std::string &precision = "") {
  auto nameOf = [](const std::string &define) { return define.substr(0, define.find('=')); };
  for (const std::string &define : defines) {
    std::erase_if(options.defines, [&](const std::string &given) { return nameOf(given) == nameOf(define); });
    options.defines.push_back(define);
  }
  if (!precision.empty())
    options.precision = precision;
  MOIRE_ASSIGN(const std::string text, runCompiler(spec, options, {"--cost=json"}));
  MOIRE_ASSIGN(const Json cost, parseJson(text, "cost"));
  return cost["bytes"]["peak"].get<double>();
}

/// A count of the resolved train section.
Result<int64_t> settingOf(const std::string &resolved, const char *name) {
  std::smatch found;
  if (!std::regex_search(resolved, found, std::regex(fmt::format("\\n  {} = ([0-9]+)\\n", name))))
    return Status::error("the resolved spec has no `{}`", name);
  return std::stoll(found[1]);
}

/// The largest count that an argument called `name` has in the resolved spec; 0 when there is none.
int64_t wordOf(const std::string &resolved, const char *name) {
  int64_t largest = 0;
  const std::regex pattern(fmt::format("\\b{} = ([0-9]+)", name));
  for (std::sregex_iterator it(resolved.begin(), resolved.end(), pattern), end; it != end; ++it)
    largest = std::max<int64_t>(largest, std::stoll((*it)[1]));
  return largest;
}

/// How many experts there are, where the model has a hyperparameter of that name; else 0.
Result<int64_t> expertsToVary(const std::string &spec, const std::string &resolved) {
  MOIRE_ASSIGN(const std::string text, readFile(spec));
  const bool varies = std::regex_search(text, std::regex("\\bmodel\\s+\\w+\\s*\\([^{]*\\bexperts\\s*="));
  return varies ? wordOf(resolved, "experts") : int64_t(0);
}

} // namespace

Result<Verdict> judge(const std::string &spec, const CompileOptions &options, const Json &cost, double limit) {
  Verdict verdict{.limit = limit, .peak = cost["bytes"]["peak"]};
  verdict.fits = verdict.peak <= limit;
  MOIRE_ASSIGN(const std::string resolved, runCompiler(spec, options, {"--emit=spec"}));
  MOIRE_ASSIGN(const int64_t batch, settingOf(resolved, "batch"));
  MOIRE_ASSIGN(const int64_t context, settingOf(resolved, "context"));
  MOIRE_ASSIGN(const int64_t accumulate, settingOf(resolved, "accumulate"));

  // What does not depend on the batch must fit by itself.
  double fixed = verdict.peak - cost["bytes"]["arena"].get<double>();
  if (verdict.fits) {
    verdict.largestBatch = batch;
    while (verdict.largestBatch < batch << 20) {
      MOIRE_ASSIGN(const double peak, peakWith(spec, options, {fmt::format("batch={}", 2 * verdict.largestBatch)}));
      if (peak > limit)
        break;
      verdict.largestBatch *= 2;
    }
    return verdict;
  }
  MOIRE_ASSIGN(const int64_t experts, expertsToVary(spec, resolved));
  for (int64_t fewer = experts / 2; fewer >= std::max<int64_t>(1, wordOf(resolved, "top_k")); fewer /= 2) {
    MOIRE_ASSIGN(const double peak, peakWith(spec, options, {fmt::format("experts={}", fewer)}));
    if (peak <= limit) {
      verdict.changes.push_back({fmt::format("-D experts={}", fewer), peak});
      break;
    }
  }
  if (fixed > limit)
    return verdict; // no batch is small enough
  for (int64_t fewer = batch / 2; fewer >= 1 && verdict.largestBatch == 0; fewer /= 2) {
    std::vector<std::string> defines = {fmt::format("batch={}", fewer),
                                        fmt::format("accumulate={}", accumulate * (batch / fewer))};
    MOIRE_ASSIGN(const double peak, peakWith(spec, options, defines));
    if (peak <= limit) {
      verdict.largestBatch = fewer;
      verdict.changes.push_back({fmt::format("-D {} -D {}", defines[0], defines[1]), peak});
    }
  }
  if (!options.recompute) {
    CompileOptions again = options;
    again.recompute = true;
    MOIRE_ASSIGN(const double peak, peakWith(spec, again, {}));
    if (peak <= limit)
      verdict.changes.push_back({"--recompute", peak});
  }
  if (options.precision.empty() || options.precision == "f32") {
    MOIRE_ASSIGN(const double peak, peakWith(spec, options, {}, "bf16"));
    if (peak <= limit)
      verdict.changes.push_back({"--precision bf16", peak});
  }
  for (int64_t shorter = context / 2; shorter >= 16; shorter /= 2) {
    MOIRE_ASSIGN(const double peak, peakWith(spec, options, {fmt::format("context={}", shorter)}));
    if (peak <= limit) {
      verdict.changes.push_back({fmt::format("-D context={}", shorter), peak});
      break;
    }
  }
  return verdict;
}

Json Verdict::json() const {
  Json list = Json::array();
  for (const auto &[change, bytes] : changes)
    list.push_back({{"change", change}, {"peak", bytes}});
  return {{"limit", limit}, {"peak", peak}, {"fits", fits}, {"largest_batch", largestBatch}, {"changes", list}};
}

void Verdict::print() const {
  if (fits) {
    fmt::print("fits {}: yes, it takes {}; batches fit up to {}\n", spelledBytes(limit), spelledBytes(peak),
               largestBatch);
    return;
  }
  fmt::print("fits {}: no, it takes {}\n", spelledBytes(limit), spelledBytes(peak));
  for (const auto &[change, bytes] : changes)
    fmt::print("  {} would: {}\n", change, spelledBytes(bytes));
  if (changes.empty())
    fmt::print(
        "  no batch is small enough: weights, gradients and moments alone are too many; fewer parameters would do\n");
}

} // namespace moire::runtime
