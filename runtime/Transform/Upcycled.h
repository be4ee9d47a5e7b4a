//===- runtime/Transform/Upcycled.h - which dense layers become which experts -----------
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The plan of upcycling: pairs of layers, into how many slices the dense one is
// cut, and what its down projection is multiplied by, or why that cannot be.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_UPCYCLED_H
#define MOIRE_RUNTIME_TRANSFORM_UPCYCLED_H

#include "runtime/Transform/Rule.h"

namespace moire::runtime {

/// A dense layer, the pool it becomes, and how.
struct Upcycled {
  const Layer *dense = nullptr, *pool = nullptr;
  int64_t first = 0;     ///< hidden features of the shared expert, which come before the slices
  int64_t hidden = 0;    ///< of an expert
  int64_t slices = 1;    ///< G
  double factor = 1;     ///< of down projections
  double biasFactor = 1; ///< of their biases, of which a token meets as many as experts, not slices
  bool exact = true;
};

/// The path that a user sees for a pool: `layers.3.moe` rather than `layers.3.moe.experts`.
std::string placeOf(const Layer &pool, const Blocks &target);

/// All pairs, places of the model in order. An error says what cannot give the values of the dense layer, and which
/// spec would.
Result<std::vector<Upcycled>> findUpcycled(const Blocks &source, const Blocks &target, const TransformOptions &options);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_UPCYCLED_H
