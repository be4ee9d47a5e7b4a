//===- runtime/Train/Initialise.h - first values of parameters -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fills parameters as the package's table says. A value depends on the seed, the
// path of its instance and its place in it, and on nothing else.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRAIN_INITIALISE_H
#define MOIRE_RUNTIME_TRAIN_INITIALISE_H

#include "runtime/Core/Model.h"

namespace moire::runtime {

/// Writes the first values of one instance to `out`: `elements` numbers, double when `wide`, else float.
///
/// With B(j, a) the block of stream (seed, path) at index j, lane a, and u(w) = (w + 1/2) / 2^32:
///   uniform: element i is lo + (hi - lo) u(B(i / 4, 0)[i mod 4]);
///   log uniform: the logarithm of that;
///   normal: with (p, q) the first or second pair of words of B(i / 4, 0) as i mod 4 is below 2 or not,
///   a sqrt(-2 ln u(p)) times cos(2 pi u(q)) for even i, sin for odd; redrawn values use lanes 1, 2, …
Status initialiseInstance(const Instance &instance, int64_t seed, bool wide, void *out);

/// Gives every parameter its first value and rebuilds the compute copies.
Status initialise(Model &model, int64_t seed);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRAIN_INITIALISE_H
