//===- runtime/tools/Parameters.h - what is said of parameters -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// First values of a parameter, for people.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TOOLS_PARAMETERS_H
#define MOIRE_RUNTIME_TOOLS_PARAMETERS_H

#include "runtime/abi.h"

#include <optional>
#include <string>

namespace moire::runtime {

/// The rule of the first values: "normal 0.02".
std::string initialText(const moire_parameter &parameter);

/// Standard deviation of the first values (of the normal, where it is truncated); nothing where the rule is another
/// distribution than a normal, a uniform or a constant.
std::optional<double> initialDeviation(const moire_parameter &parameter);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TOOLS_PARAMETERS_H
