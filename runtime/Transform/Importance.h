//===- runtime/Transform/Importance.h - which features a smaller model keeps --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured pruning keeps the most important features of the stream, the same in
// all layers, and the most important ones inside of each layer (arXiv 2506.22255,
// section 3). How importance is measured is a choice.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_IMPORTANCE_H
#define MOIRE_RUNTIME_TRANSFORM_IMPORTANCE_H

#include "runtime/Transform/Rule.h"
#include "runtime/Transform/Sides.h"

#include <map>

namespace moire::runtime {

/// Importance of each feature of each set, by the set's name.
using Importances = std::map<std::string, std::vector<double>>;

/// A parameter that gets smaller: `path` in the source, with the shape that it is to have.
struct Shrinking {
  std::string path;
  std::vector<int64_t> from, to;
  const Layer *layer;
  std::string suffix;
};

/// Features by weights: the sum of the squares of all weights that read or write a feature, over the parameters that
/// shrink along it.
Result<Importances> importanceByMagnitude(const std::vector<Shrinking> &shrinking, const Source &source);

/// Features by activations: of the stream, what the norms that shrink give, all together; of a feed-forward layer or
/// expert, what it has before its last product (arXiv 2506.22255). Sets that nothing is known of are left out.
Importances importanceByActivations(const std::vector<Shrinking> &shrinking, const ActivationSums &sums);

/// Random numbers in the place of importances, of a seed: what any measure is to be compared with.
Importances importanceByChance(const std::map<std::string, int64_t> &sizes, int64_t seed);

/// The `count` most important features, in ascending order; of equals the first.
std::vector<int64_t> mostImportant(const std::vector<double> &importance, int64_t count);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_IMPORTANCE_H
