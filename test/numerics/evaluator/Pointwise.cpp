//===- test/numerics/evaluator/Pointwise.cpp - pointwise ops and shapes -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of single elements, and ops that move elements.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace moire::evaluator {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double apply(Unary kind, double x) {
  switch (kind) {
  case Unary::Neg:
    return -x;
  case Unary::Exp:
    return std::exp(x);
  case Unary::Log:
    return std::log(x);
  case Unary::Relu:
    return x > 0 ? x : 0;
  case Unary::Relu2:
    return x > 0 ? x * x : 0;
  case Unary::Gelu:
    return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  case Unary::Silu:
    return x * sigmoid(x);
  case Unary::Sigmoid:
    return sigmoid(x);
  case Unary::Softplus:
    return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
  case Unary::Tanh:
    return std::tanh(x);
  }
  llvm_unreachable("every kind is a case");
}

double derivative(Unary kind, double x) {
  switch (kind) {
  case Unary::Neg:
    return -1;
  case Unary::Exp:
    return std::exp(x);
  case Unary::Log:
    return 1 / x;
  case Unary::Relu:
    return x > 0 ? 1 : 0;
  case Unary::Relu2:
    return x > 0 ? 2 * x : 0;
  case Unary::Gelu:
    return 0.5 * (1 + std::erf(x / std::sqrt(2.0))) + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
  case Unary::Silu:
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  case Unary::Sigmoid:
    return sigmoid(x) * (1 - sigmoid(x));
  case Unary::Softplus:
    return sigmoid(x);
  case Unary::Tanh:
    return 1 - std::tanh(x) * std::tanh(x);
  }
  llvm_unreachable("every kind is a case");
}

/// Which bound x is beyond, if any.
std::optional<double> beyond(double x, std::optional<llvm::APFloat> low, std::optional<llvm::APFloat> high) {
  if (low && x < low->convertToDouble())
    return low->convertToDouble();
  if (high && x > high->convertToDouble())
    return high->convertToDouble();
  return std::nullopt;
}

double apply(Binary kind, double a, double b) {
  return kind == Binary::Add ? a + b : kind == Binary::Sub ? a - b : a * b;
}

/// A tensor seen as [outer, extent, inner] around one dimension.
struct Around {
  int64_t outer = 1, extent, inner = 1;
  Around(RankedTensorType type, int64_t dim) : extent(type.getDimSize(dim)) {
    for (int64_t i = 0; i < dim; ++i)
      outer *= type.getDimSize(i);
    for (int64_t i = dim + 1; i < type.getRank(); ++i)
      inner *= type.getDimSize(i);
  }
};

/// Copies `count` indices of `dim`, from `fromAt` of `from` to `toAt` of `to`.
template <typename T>
void copyRange(const std::vector<T> &from, Around source, int64_t fromAt, std::vector<T> &to, Around target,
               int64_t toAt, int64_t count) {
  if (from.empty())
    return;
  for (int64_t o = 0; o < source.outer; ++o)
    std::copy_n(from.begin() + (o * source.extent + fromAt) * source.inner, count * source.inner,
                to.begin() + (o * target.extent + toAt) * target.inner);
}

void copyRange(const Tensor &from, int64_t fromAt, Tensor &to, int64_t toAt, int64_t dim, int64_t count) {
  Around source(from.type, dim), target(to.type, dim);
  copyRange(from.floats, source, fromAt, to.floats, target, toAt, count);
  copyRange(from.ints, source, fromAt, to.ints, target, toAt, count);
}

/// y[i] = function(i) for every element.
template <typename Function> void fill(Tensor &y, Function function) {
  for (int64_t i = 0; i < y.size(); ++i)
    y.floats[i] = function(i);
}

} // namespace

bool evaluatePointwise(Operation *op, Frame &frame) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<UnaryOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        fill(frame.make(op.getY()), [&](int64_t i) { return apply(op.getKind(), x.floats[i]); });
        return true;
      })
      .Case<UnaryGradOp>([&](auto op) {
        Tensor x = frame.get(op.getX()), dy = frame.get(op.getDy());
        fill(frame.make(op.getDx()), [&](int64_t i) { return derivative(op.getKind(), x.floats[i]) * dy.floats[i]; });
        return true;
      })
      .Case<BinaryOp>([&](auto op) {
        Tensor a = frame.get(op.getA()), b = frame.get(op.getB());
        fill(frame.make(op.getY()),
             [&](int64_t i) { return apply(op.getKind(), a.floats[i], b.floats[i % b.size()]); });
        return true;
      })
      .Case<ScaleOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        double factor = op.getFactor().convertToDouble();
        fill(frame.make(op.getY()), [&](int64_t i) { return factor * x.floats[i]; });
        return true;
      })
      .Case<ClampOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        fill(frame.make(op.getY()),
             [&](int64_t i) { return beyond(x.floats[i], op.getLow(), op.getHigh()).value_or(x.floats[i]); });
        return true;
      })
      .Case<ClampGradOp>([&](auto op) {
        Tensor x = frame.get(op.getX()), dy = frame.get(op.getDy());
        fill(frame.make(op.getDx()),
             [&](int64_t i) { return beyond(x.floats[i], op.getLow(), op.getHigh()) ? 0 : dy.floats[i]; });
        return true;
      })
      .Case<CastOp, BroadcastOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        fill(frame.make(op.getY()), [&](int64_t i) { return x.floats[i % x.size()]; });
        return true;
      })
      .Case<ReduceLeadingOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        Tensor &y = frame.make(op.getY());
        for (int64_t i = 0; i < x.size(); ++i)
          y.floats[i % y.size()] += x.floats[i];
        return true;
      })
      .Case<FillOp>([&](auto op) {
        double value = op.getValue().convertToDouble();
        fill(frame.make(op.getY()), [&](int64_t) { return value; });
        return true;
      })
      .Case<ReshapeOp>([&](auto op) {
        Tensor y = frame.get(op.getX());
        y.type = op.getY().getType();
        frame.set(op.getY(), std::move(y));
        return true;
      })
      .Case<SliceOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        Tensor &y = frame.make(op.getY());
        copyRange(x, op.getOffset(), y, 0, op.getDim(), y.type.getDimSize(op.getDim()));
        return true;
      })
      .Case<ConcatOp>([&](auto op) {
        int64_t offset = 0, dim = op.getDim();
        Tensor y(op.getY().getType());
        for (Value value : op.getXs()) {
          const Tensor &x = frame.get(value);
          copyRange(x, 0, y, offset, dim, x.type.getDimSize(dim));
          offset += x.type.getDimSize(dim);
        }
        frame.set(op.getY(), std::move(y));
        return true;
      })
      .Case<DynamicSliceOp>([&](auto op) {
        Tensor x = frame.get(op.getX());
        int64_t position = frame.ints(op.getPosition())[0];
        Tensor &y = frame.make(op.getY());
        copyRange(x, position, y, 0, 0, y.type.getDimSize(0));
        return true;
      })
      .Default([](Operation *) { return false; });
}

} // namespace moire::evaluator
