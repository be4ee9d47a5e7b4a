//===- runtime/Transform/Importance.cpp - which features a smaller model keeps ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measures of weights, and those of activations given to the sets of features.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Importance.h"

#include "runtime/Core/Philox.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace moire::runtime {

Result<Importances> importanceByMagnitude(const std::vector<Shrinking> &shrinking, const Source &source) {
  Importances sums;
  for (const Shrinking &part : shrinking) {
    const size_t rank = part.from.size();
    const bool experts = isOfExperts(*part.layer, part.suffix);
    if (rank < (experts ? 3u : 2u))
      continue; // vectors say little of what passes through them
    MOIRE_ASSIGN(const Tensor tensor, source.read(part.path));
    for (size_t dim = rank - 2; dim < rank; ++dim) {
      if (part.from[dim] == part.to[dim])
        continue;
      const Side side = sideOf(*part.layer, part.suffix, rank, dim);
      const int64_t extent = part.from[dim], features = extent / side.times;
      const int64_t inner = dim + 1 == rank ? 1 : part.from[rank - 1];
      const int64_t each = part.from[rank - 2] * part.from[rank - 1]; // elements of one matrix
      const auto matrices = static_cast<int64_t>(tensor.values.size()) / each;
      for (int64_t matrix = 0; matrix < matrices; ++matrix) {
        std::vector<double> &sum = sums[side.set + (experts && side.set != streamSet ? expertSuffix(matrix) : "")];
        sum.resize(static_cast<size_t>(features));
        const double *const values = tensor.values.data() + matrix * each;
        for (int64_t i = 0; i < each; ++i)
          sum[static_cast<size_t>(i / inner % extent % features)] += values[i] * values[i];
      }
    }
  }
  return std::move(sums);
}

Importances importanceByActivations(const std::vector<Shrinking> &shrinking, const ActivationSums &sums) {
  Importances importances;
  auto inside = [&](const Shrinking &part, size_t dim) {
    const Side side = sideOf(*part.layer, part.suffix, part.from.size(), dim);
    const auto found = sums.find(side.set + ".hidden");
    if (side.set == streamSet || found == sums.end())
      return;
    const std::vector<double> &sizes = found->second;
    if (!isOfExperts(*part.layer, part.suffix)) {
      importances[side.set] = sizes;
      return;
    }
    const int64_t features = part.from[dim] / side.times;
    for (int64_t expert = 0; expert < static_cast<int64_t>(sizes.size()) / features; ++expert)
      importances[side.set + expertSuffix(expert)].assign(sizes.begin() + expert * features,
                                                          sizes.begin() + (expert + 1) * features);
  };
  for (const Shrinking &part : shrinking) {
    for (size_t dim = 0; dim < part.from.size(); ++dim)
      if (part.from[dim] != part.to[dim])
        inside(part, dim);
    const auto found = sums.find(part.layer->path);
    if (part.layer->op != "norm" || part.suffix != "weight" || found == sums.end())
      continue;
    std::vector<double> &stream = importances[streamSet];
    stream.resize(found->second.size());
    std::transform(stream.begin(), stream.end(), found->second.begin(), stream.begin(), std::plus<>());
  }
  return importances;
}

Importances importanceByChance(const std::map<std::string, int64_t> &sizes, int64_t seed) {
  Importances drawn;
  for (const auto &[set, size] : sizes) {
    const Philox stream(static_cast<uint64_t>(seed), "importance of " + set);
    for (int64_t i = 0; i < size; ++i)
      drawn[set].push_back(stream.at(static_cast<uint64_t>(i))[0]);
  }
  return drawn;
}

std::vector<int64_t> mostImportant(const std::vector<double> &importance, int64_t count) {
  std::vector<int64_t> order(importance.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return importance[static_cast<size_t>(a)] > importance[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

} // namespace moire::runtime
