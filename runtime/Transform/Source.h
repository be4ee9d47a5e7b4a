//===- runtime/Transform/Source.h - the model that is transformed -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tensors of a checkpoint, with what they are parts of. The source's code is
// not run: it may be for another processor.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TRANSFORM_SOURCE_H
#define MOIRE_RUNTIME_TRANSFORM_SOURCE_H

#include "runtime/Train/Safetensors.h"
#include "runtime/Transform/Blocks.h"

namespace moire::runtime {

/// Numbers in row-major order. Always double: master weights of f32 and f64 pass through it unchanged.
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<double> values;

  int64_t dim(size_t i) const { return shape[i]; }
};

/// What a transformation takes values from.
class Source {
public:
  /// The tensors of `file`, which belong to `blocks`. `multipliers` are what the products of parameters are scaled by
  /// (muP), where that is not 1.
  Source(Safetensors file, Blocks blocks, std::map<std::string, double> multipliers = {})
      : file(std::move(file)), described(std::move(blocks)), multipliers(std::move(multipliers)) {}

  const Blocks &blocks() const { return described; }
  /// All tensors, in the order of the file.
  const std::vector<StoredTensor> &tensors() const { return file.tensors(); }
  bool has(const std::string &path) const { return file.find(path) != nullptr; }
  /// What the products of a parameter are scaled by.
  double multiplier(const std::string &path) const;
  /// The shape of a tensor; empty when there is none.
  std::vector<int64_t> shape(const std::string &path) const;
  /// A tensor; no tensor of that name, or one that is neither f32 nor f64, is an error.
  Result<Tensor> read(const std::string &path) const;

private:
  Safetensors file;
  Blocks described;
  std::map<std::string, double> multipliers;
};

/// A shape as text: "[4, 32]".
std::string shapeText(const std::vector<int64_t> &shape);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TRANSFORM_SOURCE_H
