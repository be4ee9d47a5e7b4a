//===- runtime/Transform/Source.cpp - the model that is transformed ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One tensor at a time is in memory, so that a model is not there twice.
//
//===------------------------------------------------------------------------===//
#include "runtime/Transform/Source.h"

namespace moire::runtime {

std::string shapeText(const std::vector<int64_t> &shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

double Source::multiplier(const std::string &path) const {
  const auto found = multipliers.find(path);
  return found == multipliers.end() ? 1 : found->second;
}

std::vector<int64_t> Source::shape(const std::string &path) const {
  const StoredTensor *found = file.find(path);
  return found ? found->shape : std::vector<int64_t>();
}

Result<Tensor> Source::read(const std::string &path) const {
  const StoredTensor *found = file.find(path);
  if (!found)
    return Status::error("the source has no `{}`", path);
  Tensor tensor{found->shape, {}};
  if (found->dtype == "F64") {
    tensor.values.resize(found->bytes / sizeof(double));
    file.read(*found, tensor.values.data());
  } else if (found->dtype == "F32") {
    std::vector<float> narrow(found->bytes / sizeof(float));
    file.read(*found, narrow.data());
    tensor.values.assign(narrow.begin(), narrow.end());
  } else {
    return Status::error("`{}` of the source is {}; master weights are F32 or F64", path, found->dtype);
  }
  return tensor;
}

} // namespace moire::runtime
