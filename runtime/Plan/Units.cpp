//===- runtime/Plan/Units.cpp - quantities as people write them ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A number, then exactly one of the units that fit.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Units.h"

#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace moire::runtime {
namespace {

using Units = std::vector<std::pair<std::string_view, double>>;

Result<double> parse(const std::string &text, const std::string &what, const Units &units, const char *example) {
  char *rest = nullptr;
  const double number = std::strtod(text.c_str(), &rest);
  if (rest == text.c_str() || !std::isfinite(number))
    return Status::error("{}: `{}` is no number; {} would be one", what, text, example);
  if (number <= 0)
    return Status::error("{}: `{}` is not above 0", what, text);
  while (*rest == ' ')
    ++rest;
  for (auto [name, factor] : units)
    if (name == rest)
      return number * factor;
  return Status::error("{}: `{}` {}; {} would do", what, text,
                       *rest ? fmt::format("has the unit `{}`, which is none here", rest) : "has no unit", example);
}

} // namespace

Result<double> parseCount(const std::string &text, const std::string &what) {
  return parse(text, what,
               {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"B", 1e9}, {"G", 1e9}, {"T", 1e12}, {"P", 1e15}, {"E", 1e18}},
               "`20B`");
}

Result<double> parseBytes(const std::string &text, const std::string &what) {
  return parse(text, what,
               {{"B", 1},
                {"kB", 1e3},
                {"MB", 1e6},
                {"GB", 1e9},
                {"TB", 1e12},
                {"KiB", 0x1p10},
                {"MiB", 0x1p20},
                {"GiB", 0x1p30},
                {"TiB", 0x1p40}},
               "`24GiB`");
}

Result<double> parseSpeed(const std::string &text, const std::string &what) {
  return parse(text, what, {{"MFLOP/s", 1e6}, {"GFLOP/s", 1e9}, {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}}, "`400TFLOP/s`");
}

std::string spelled(double value) {
  if (value >= 1e15 || value < 1)
    return fmt::format("{:.3g}", value);
  for (auto [name, factor] : Units{{"T", 1e12}, {"B", 1e9}, {"M", 1e6}, {"k", 1e3}})
    if (value >= 0.9995 * factor)
      return fmt::format("{:.3g}{}", value / factor, name);
  return fmt::format("{:.3g}", value);
}

} // namespace moire::runtime
