//===- runtime/Transform/Sides.h - what the extents of parameters count ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model gets smaller by features: those of the stream, which all layers share,
// and those inside of one feed-forward layer or of one expert. Here is which
// extent of which parameter counts which.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_SIDES_H
#define MOIRE_RUNTIME_TRANSFORM_SIDES_H

#include "runtime/Transform/Source.h"

namespace moire::runtime {

/// The features of the stream, as the name of a set.
inline const std::string streamSet = "the stream";

/// What one extent of a parameter counts.
struct Side {
  std::string set;   ///< `streamSet`, or "layers.3.mlp" for the features inside of that layer
  int64_t times = 1; ///< how often the set comes, one after the other: twice for gate and up
};

/// What extent `dim` of a parameter of `layer` counts; `suffix` is its path behind the layer's. A set of an expert is
/// `set` + `expertSuffix(e)`.
Side sideOf(const Layer &layer, const std::string &suffix, size_t rank, size_t dim);

/// Whether the first extent counts experts, each of which has hidden features of its own.
bool isOfExperts(const Layer &layer, const std::string &suffix);
std::string expertSuffix(int64_t expert);

/// Widths of the columns of several kinds that a matrix has side by side: queries, keys and values; gate and up. One,
/// all `columns`, where they are of one kind. As moire-expand-blocks notes them in `moire.pieces`.
std::vector<int64_t> piecesOf(const Layer &layer, const std::string &suffix, int64_t columns);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_SIDES_H
