//===- runtime/Transform/Activations.cpp - how large the activations of a model are ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums are metrics of a training step, so the model takes steps whose gradients
// nobody uses.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Activations.h"

#include "runtime/Core/Model.h"

#include <algorithm>

namespace moire::runtime {

Result<int64_t> wholeBatches(const TokenStream &data, const Batch &batch) {
  const int64_t size = batch.rows * batch.context, whole = (data.size() - 1) / size;
  if (whole < 1)
    return Status::error("the data have {} tokens, a batch of {} x {} takes {}", data.size(), batch.rows, batch.context,
                         size + 1);
  return whole;
}

Result<ActivationSums> sumActivations(Model &source, const TokenStream &data, int64_t batches) {
  const moire_package &package = *source.package();
  Batch batch(package.batch, package.context);
  MOIRE_ASSIGN(const int64_t whole, wholeBatches(data, batch));
  const int64_t count = std::min(batches, whole);
  ActivationSums sums;
  std::vector<float> metrics(static_cast<size_t>(package.metric_floats));
  for (int64_t i = 0; i < count; ++i) {
    fillBatch(data, {0, data.size()}, i * whole / count, batch);
    MOIRE_TRY(source.check(
        package.train_step(&source.buffers(), batch.tokens.data(), batch.targets.data(), 1, metrics.data()), "train"));
    for (int64_t number = 0; number < package.metric_count; ++number) {
      const moire_metric &metric = package.metrics[number];
      if (std::string_view(metric.kind) != "importance")
        continue;
      // The executions of a shared block are numbered: `path@1`.
      const std::string_view path = metric.path;
      std::vector<double> &sum = sums[std::string(path.substr(0, path.find('@')))];
      sum.resize(static_cast<size_t>(metric.count));
      for (size_t feature = 0; feature < sum.size(); ++feature)
        sum[feature] += static_cast<double>(metrics[static_cast<size_t>(metric.offset) + feature]);
    }
  }
  return std::move(sums);
}

} // namespace moire::runtime
