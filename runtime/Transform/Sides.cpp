//===- runtime/Transform/Sides.cpp - what the extents of parameters count ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows the names that layers give to their parameters (docs/language.md,
// "Names of parameters").
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Sides.h"

namespace moire::runtime {

static bool isFeedForward(const Layer &layer) {
  return layer.op == "mlp" || layer.op == "swiglu" || layer.op == "experts";
}

static bool isShared(const std::string &suffix) { return suffix.starts_with("shared."); }

bool isOfExperts(const Layer &layer, const std::string &suffix) {
  return layer.op == "experts" && !isShared(suffix) && !suffix.starts_with("latent.") &&
         !suffix.starts_with("shared_gate.");
}

std::string expertSuffix(int64_t expert) { return fmt::format("[{}]", expert); }

Side sideOf(const Layer &layer, const std::string &suffix, size_t rank, size_t dim) {
  if (!isFeedForward(layer))
    return {streamSet};
  const bool shared = isShared(suffix), last = dim + 1 == rank;
  const std::string name = shared ? suffix.substr(7) : suffix, set = layer.path + (shared ? ".shared" : "");
  if (name == "down.weight" && !last)
    return {set};
  if ((name == "up.weight" || name == "up.bias") && last)
    return {set};
  if ((name == "gate_up.weight" || name == "gate_up.bias") && last)
    return {set, 2};
  return {streamSet};
}

std::vector<int64_t> piecesOf(const Layer &layer, const std::string &suffix, int64_t columns) {
  if (suffix.ends_with("gate_up.weight"))
    return {columns / 2, columns / 2};
  if (layer.op != "attention" || suffix != "qkv.weight")
    return {columns};
  const int64_t size = layer.count("head_dim"), queries = layer.count("heads") * size;
  const int64_t keys = layer.count("kv_heads") * size;
  return {queries, keys, columns - queries - keys};
}

} // namespace moire::runtime
