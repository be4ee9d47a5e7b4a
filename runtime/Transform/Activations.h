//===- runtime/Transform/Activations.h - how large the activations of a model are -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a model on text and adds up what it reports of its features.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_ACTIVATIONS_H
#define MOIRE_RUNTIME_TRANSFORM_ACTIVATIONS_H

#include "runtime/Train/Data.h"

#include <map>

namespace moire::runtime {

class Model;

/// Sums of |x| over tokens, for each feature, by path: of a norm's outputs under "layers.3.rms_norm", of the features
/// inside of a feed-forward layer under "layers.3.mlp.hidden"; of experts' [experts][features].
using ActivationSums = std::map<std::string, std::vector<double>>;

/// How many whole batches of the shape of `batch` the data have; none is an error.
Result<int64_t> wholeBatches(const TokenStream &data, const Batch &batch);

/// Sums over up to `batches` whole batches, evenly spread over `data`. `source` is made for training, of a package with
/// probes.
Result<ActivationSums> sumActivations(Model &source, const TokenStream &data, int64_t batches);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_ACTIVATIONS_H
