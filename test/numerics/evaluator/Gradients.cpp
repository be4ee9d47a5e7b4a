//===- test/numerics/evaluator/Gradients.cpp - gradients by differences -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// With a step of 1e-3 the fourth-order formula is off by about 1e-12 of the fifth derivative, and rounding adds about
// as much: far below the 1e-6 that is asked for.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Gradients.h"

#include <cmath>

using namespace mlir;

namespace moire::evaluator {
namespace {

/// Number of the argument that result `number` of the differentiated function is the gradient of; none for zeros of a
/// parameter that is no argument.
std::optional<unsigned> argumentOf(func::FuncOp gradients, unsigned number) {
  if (auto index = gradients.getResultAttrOfType<IntegerAttr>(number, "moire.gradient_of"))
    return index.getInt();
  Attribute parameter = gradients.getResultAttr(number, "moire.gradient");
  for (unsigned k = 0; k < gradients.getNumArguments(); ++k)
    if (parameter && gradients.getArgAttr(k, "moire.param") == parameter)
      return k;
  return {};
}

/// The objective with element `i` of input `k` moved by `step`.
class Objective {
public:
  Objective(func::FuncOp function, ArrayRef<Tensor> inputs, unsigned result)
      : function(function), inputs(inputs.begin(), inputs.end()), result(result) {}

  FailureOr<double> at(unsigned k, size_t i, double step) {
    double before = inputs[k].floats[i];
    inputs[k].floats[i] = before + step;
    auto results = evaluate(function, inputs);
    inputs[k].floats[i] = before;
    if (failed(results))
      return failure();
    return (*results)[result].floats[0];
  }

  FailureOr<double> derivative(unsigned k, size_t i) {
    double h = 1e-3;
    double weights[] = {8, -8, -1, 1}, steps[] = {h, -h, 2 * h, -2 * h}, sum = 0;
    for (int point = 0; point < 4; ++point) {
      FailureOr<double> value = at(k, i, steps[point]);
      if (failed(value))
        return failure();
      sum += weights[point] * *value;
    }
    return sum / (12 * h);
  }

private:
  func::FuncOp function;
  std::vector<Tensor> inputs;
  unsigned result;
};

/// The cotangent that the function starts from: the input that is the seed, or 1.
double seedOf(func::FuncOp function, ArrayRef<Tensor> inputs) {
  for (unsigned k = 0; k < function.getNumArguments(); ++k)
    if (function.getArgAttr(k, "moire.seed"))
      return inputs[k].floats[0];
  return 1;
}

} // namespace

std::optional<unsigned> objectiveOf(func::FuncOp function) {
  for (unsigned number = 0; number < function.getNumResults(); ++number)
    if (function.getResultAttr(number, "moire.objective"))
      return number;
  return {};
}

FailureOr<std::vector<GradientError>> compareGradients(func::FuncOp function, func::FuncOp gradients,
                                                       ArrayRef<Tensor> inputs) {
  auto results = evaluate(gradients, inputs);
  if (failed(results))
    return failure();
  Objective objective(function, inputs, *objectiveOf(function));
  double seed = seedOf(function, inputs);
  std::vector<GradientError> errors;
  for (unsigned number = 0; number < results->size(); ++number) {
    std::optional<unsigned> k = argumentOf(gradients, number);
    if (!k)
      continue;
    const std::vector<double> &gradient = (*results)[number].floats;
    GradientError error{"argument " + std::to_string(*k), static_cast<int64_t>(gradient.size())};
    double size = 0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      FailureOr<double> expected = objective.derivative(*k, i);
      if (failed(expected))
        return failure();
      size = std::max({size, std::abs(*expected * seed), std::abs(gradient[i])});
      double difference = std::abs(*expected * seed - gradient[i]);
      // A NaN must not pass for a small difference.
      error.largest = difference <= error.largest ? error.largest : difference;
    }
    error.zero = size == 0;
    error.largest = error.zero ? 0 : error.largest / size;
    errors.push_back(error);
  }
  return errors;
}

} // namespace moire::evaluator
