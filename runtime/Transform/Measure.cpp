//===- runtime/Transform/Measure.cpp - a transformed model on data ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts of experts are metrics of a training step, so the target takes steps
// whose gradients nobody uses.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Measure.h"

#include "runtime/Core/Model.h"
#include "runtime/Train/Evaluate.h"
#include "runtime/Transform/Activations.h"

#include <algorithm>
#include <cmath>

namespace moire::runtime {

Json Measurement::json() const {
  Json list = Json::array();
  for (const ActiveExperts &layer : active)
    list.push_back({{"path", layer.path},
                    {"active", layer.mean},
                    {"threshold", layer.threshold},
                    {"top_k", layer.topK},
                    {"experts", layer.experts}});
  return {{"tokens", tokens}, {"loss_before", before}, {"loss_after", after}, {"layers", list}};
}

std::string Measurement::text() const {
  std::string text = fmt::format("loss on {} tokens: {:.4f} before, {:.4f} after\n", tokens, before, after);
  for (size_t begin = 0; begin < active.size();) {
    // Layers of one kind, which have the same threshold, on one line.
    const ActiveExperts &first = active[begin];
    size_t end = begin;
    double sum = 0, least = first.mean, most = first.mean;
    for (; end < active.size() && generalPath(active[end].path) == generalPath(first.path) &&
           active[end].threshold == first.threshold && active[end].topK == first.topK;
         ++end) {
      sum += active[end].mean;
      least = std::min(least, active[end].mean);
      most = std::max(most, active[end].mean);
    }
    const double mean = sum / static_cast<double>(end - begin);
    text += fmt::format("{}: threshold {} leaves a token {:.2f} of {} experts ({:.2f} to {:.2f} by layer); as a fixed "
                        "number, top_k = {}\n",
                        generalPath(first.path), first.threshold, mean, first.topK, least, most,
                        std::max(int64_t(1), static_cast<int64_t>(std::llround(mean))));
    if (first.topK < first.experts)
      text += fmt::format("  of {} experts, top_k = {} lets a token choose: with top_k = {} none would be missed\n",
                          first.experts, first.topK, first.experts);
    begin = end;
  }
  return text;
}

/// The router whose quantities are reported under `path`: a nested one reports under the layer around it.
static const Layer *routerAt(const Blocks &blocks, const std::string &path) {
  for (const Layer &layer : blocks.layers())
    if (layer.op == "router" &&
        (layer.flag("nested") ? layer.path.substr(0, layer.path.rfind('.')) : layer.path) == path)
      return &layer;
  return nullptr;
}

/// The means of the metrics of kind "active" over the batches of `range`.
static Result<std::vector<ActiveExperts>> countActive(Model &target, const Blocks &blocks, const TokenStream &data,
                                                      Range range, int64_t batches, Batch &batch) {
  const moire_package &package = *target.package();
  std::vector<ActiveExperts> layers;
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i < package.metric_count; ++i) {
    const moire_metric &metric = package.metrics[i];
    if (std::string_view(metric.kind) != "active")
      continue;
    const std::string path = metric.path, layer = path.substr(0, path.rfind('.'));
    const Layer *router = routerAt(blocks, layer);
    if (!router)
      return Status::error("the package reports `{}`, but there is no router `{}`", path, layer);
    layers.push_back({layer, 0, router->number("threshold"), router->count("top_k"), router->count("experts")});
    offsets.push_back(metric.offset);
  }
  std::vector<float> metrics(static_cast<size_t>(package.metric_floats));
  for (int64_t number = 0; number < batches && !layers.empty(); ++number) {
    fillBatch(data, range, number, batch);
    MOIRE_TRY(target.check(
        package.train_step(&target.buffers(), batch.tokens.data(), batch.targets.data(), 1, metrics.data()), "train"));
    for (size_t i = 0; i < layers.size(); ++i)
      layers[i].mean += static_cast<double>(metrics[static_cast<size_t>(offsets[i])]) / static_cast<double>(batches);
  }
  return layers;
}

Result<Measurement> measure(const Model &source, Model &target, const Blocks &blocks, const TokenStream &data,
                            int64_t batches) {
  Batch batch(target.package()->batch, target.package()->context);
  MOIRE_ASSIGN(const int64_t whole, wholeBatches(data, batch));
  const int64_t size = batch.rows * batch.context, count = std::min(batches, whole);
  const Range range = {data.size() - count * size - 1, data.size()};
  Batch its(source.package()->batch, source.package()->context);
  Measurement found;
  MOIRE_ASSIGN(const Evaluation before, evaluate(source, data, range, /*most=*/0, its));
  MOIRE_ASSIGN(const Evaluation after, evaluate(target, data, range, /*most=*/0, batch));
  MOIRE_ASSIGN(found.active, countActive(target, blocks, data, range, count, batch));
  found.tokens = after.tokens;
  found.before = before.loss();
  found.after = after.loss();
  return found;
}

} // namespace moire::runtime
