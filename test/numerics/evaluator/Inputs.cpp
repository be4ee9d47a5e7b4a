//===- test/numerics/evaluator/Inputs.cpp - reproducible inputs ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A counter-based generator: element i of argument k depends on nothing but the seed, k and i.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Inputs.h"

using namespace mlir;

namespace moire::evaluator {
namespace {

/// Scrambles a counter (the finaliser of splitmix64).
uint64_t scramble(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Uniform in [0, 1).
double uniform(uint64_t seed, uint64_t argument, uint64_t element) {
  return static_cast<double>(scramble(scramble(scramble(seed) + argument) + element) >> 11) * 0x1p-53;
}

double number(func::FuncOp function, unsigned argument, StringRef name, double otherwise) {
  auto attribute = function.getArgAttrOfType<FloatAttr>(argument, name);
  return attribute ? attribute.getValueAsDouble() : otherwise;
}

int64_t integer(func::FuncOp function, unsigned argument, StringRef name, int64_t otherwise) {
  auto attribute = function.getArgAttrOfType<IntegerAttr>(argument, name);
  return attribute ? attribute.getInt() : otherwise;
}

} // namespace

std::vector<Tensor> makeInputs(func::FuncOp function, uint64_t seed) {
  std::vector<Tensor> inputs;
  for (unsigned k = 0; k < function.getNumArguments(); ++k) {
    Tensor tensor(cast<RankedTensorType>(function.getArgumentTypes()[k]));
    double mean = number(function, k, "moire.mean", 0), spread = number(function, k, "moire.spread", 1);
    int64_t least = integer(function, k, "moire.at_least", 0), below = integer(function, k, "moire.below", 3);
    for (auto [i, x] : llvm::enumerate(tensor.floats))
      x = mean + spread * (2 * uniform(seed, k, i) - 1);
    for (auto [i, x] : llvm::enumerate(tensor.ints))
      x = static_cast<int32_t>(least + static_cast<int64_t>(uniform(seed, k, i) * static_cast<double>(below - least)));
    if (auto values = function.getArgAttrOfType<DenseF64ArrayAttr>(k, "moire.values")) {
      assert(values.size() == tensor.size() && "one value per element");
      std::copy(values.asArrayRef().begin(), values.asArrayRef().end(), tensor.floats.begin());
    }
    tensor.round();
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

} // namespace moire::evaluator
