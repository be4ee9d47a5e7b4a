//===- runtime/Transform/Blocks.h - what parameters are parts of ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A package knows its parameters by path and shape; what computes with them is
// in its spec. `moirec --emit=blocks` tells: read here, one layer for each
// instance of a block.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_BLOCKS_H
#define MOIRE_RUNTIME_TRANSFORM_BLOCKS_H

#include "runtime/Core/Json.h"

#include <map>
#include <string>
#include <vector>

namespace moire::runtime {

/// One instance of a block, such as the `mlp` of layer 3.
struct Layer {
  std::string op;                   ///< "mlp", "router", "experts", …
  std::string path;                 ///< "layers.3.mlp"
  Json attributes;                  ///< as the compiler names them
  std::vector<std::string> routers; ///< of a pool of experts: the layers that send tokens to it

  /// An attribute; one that is absent or of another kind gives `otherwise`.
  int64_t count(const char *name, int64_t otherwise = 0) const;
  double number(const char *name, double otherwise = 0) const;
  std::string word(const char *name) const;
  bool flag(const char *name) const;
};

/// All layers of a model, in its order.
class Blocks {
public:
  /// Reads what `moirec --emit=blocks` prints.
  static Result<Blocks> parse(const std::string &text, const std::string &where);

  const std::vector<Layer> &layers() const { return list; }
  /// The layer at `path`, or null.
  const Layer *find(const std::string &path) const;
  /// The layer that a parameter is a part of, or null.
  const Layer *owner(const std::string &parameter) const;

private:
  std::vector<Layer> list;
  std::map<std::string, size_t> byPath;
};

/// `path` with its numbers as `#`, to speak of all layers at once: "layers.#.mlp".
std::string generalPath(const std::string &path);

/// Sentences on how layers that are in both models compute differently, such as
/// "`layers.#.moe.router`: choice mixture -> token".
std::vector<std::string> differences(const Blocks &source, const Blocks &target);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_BLOCKS_H
