//===- runtime/tools/Parameters.cpp - what is said of parameters -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rules of runtime/abi.h in words and numbers.
//
//===------------------------------------------------------------------------===//
#include "runtime/tools/Parameters.h"

#include <cmath>
#include <fmt/format.h>

namespace moire::runtime {

std::string initialText(const moire_parameter &parameter) {
  const double a = parameter.init_a, b = parameter.init_b;
  switch (parameter.init) {
  case MOIRE_INIT_CONSTANT:
    return fmt::format("constant {}", a);
  case MOIRE_INIT_NORMAL:
    return fmt::format("normal {:.6g}", a);
  case MOIRE_INIT_TRUNCATED_NORMAL:
    return fmt::format("normal {:.6g} within {:.6g}", a, b);
  case MOIRE_INIT_UNIFORM:
    return fmt::format("uniform {:.6g} to {:.6g}", a, b);
  case MOIRE_INIT_LOG_ARANGE:
    return "log 1..n";
  case MOIRE_INIT_DT_BIAS:
    return fmt::format("dt bias {:.6g} to {:.6g}", a, b);
  case MOIRE_INIT_LOG_UNIFORM:
    return fmt::format("log of uniform {:.6g} to {:.6g}", a, b);
  default:
    return fmt::format("unknown {}", parameter.init);
  }
}

std::optional<double> initialDeviation(const moire_parameter &parameter) {
  switch (parameter.init) {
  case MOIRE_INIT_CONSTANT:
    return 0;
  case MOIRE_INIT_NORMAL:
  case MOIRE_INIT_TRUNCATED_NORMAL:
    return parameter.init_a;
  case MOIRE_INIT_UNIFORM:
    return (parameter.init_b - parameter.init_a) / std::sqrt(12.0);
  default:
    return std::nullopt;
  }
}

} // namespace moire::runtime
