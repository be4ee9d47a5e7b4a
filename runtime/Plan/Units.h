//===- runtime/Plan/Units.h - quantities as people write them --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `1e20`, `20B`, `24GiB`, `400TFLOP/s`: a quantity that needs a unit is refused
// without one, for nobody sees from `24` what it is.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_UNITS_H
#define MOIRE_RUNTIME_PLAN_UNITS_H

#include "runtime/Core/Status.h"

namespace moire::runtime {

/// A count above 0: a number with k, M, B or G, T, P, E behind it, powers of 1000. `what` begins messages.
Result<double> parseCount(const std::string &text, const std::string &what);
/// Bytes: a number and B, kB, MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (of 1024).
Result<double> parseBytes(const std::string &text, const std::string &what);
/// Operations a second: a number and FLOP/s with M, G, T or P before it.
Result<double> parseSpeed(const std::string &text, const std::string &what);

/// `text` as people write it: 17.3B, 1.2e+20 above 1e18; three digits.
std::string spelled(double value);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_UNITS_H
