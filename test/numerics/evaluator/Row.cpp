//===- test/numerics/evaluator/Row.cpp - normalisation and lookups ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ops that work on one row at a time, by their formulas.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Evaluator.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace moire::evaluator {
namespace {

/// y = (x - mean) rstd w + b per row; without `mean` the mean is taken for zero (RMSNorm).
void normalise(int64_t rows, int64_t width, double eps, const double *x, const double *weight, const double *bias,
               double *y, double *mean, double *rstd) {
  for (int64_t r = 0; r < rows; ++r) {
    const double *row = x + r * width;
    double center = 0, square = 0;
    if (mean) {
      for (int64_t i = 0; i < width; ++i)
        center += row[i] / width;
      mean[r] = center;
    }
    for (int64_t i = 0; i < width; ++i)
      square += (row[i] - center) * (row[i] - center) / width;
    rstd[r] = 1 / std::sqrt(square + eps);
    for (int64_t i = 0; i < width; ++i)
      y[r * width + i] = (row[i] - center) * rstd[r] * weight[i] + (bias ? bias[i] : 0);
  }
}

void normaliseGrad(int64_t rows, int64_t width, const double *dy, const double *x, const double *weight,
                   const double *mean, const double *rstd, double *dx, double *dweight, double *dbias) {
  for (int64_t r = 0; r < rows; ++r) {
    double center = mean ? mean[r] : 0, meanG = 0, meanGx = 0;
    auto xHat = [&](int64_t i) { return (x[r * width + i] - center) * rstd[r]; };
    auto g = [&](int64_t i) { return dy[r * width + i] * weight[i]; };
    for (int64_t i = 0; i < width; ++i) {
      meanG += mean ? g(i) / width : 0;
      meanGx += g(i) * xHat(i) / width;
      dweight[i] += dy[r * width + i] * xHat(i);
      if (dbias)
        dbias[i] += dy[r * width + i];
    }
    for (int64_t i = 0; i < width; ++i)
      dx[r * width + i] = rstd[r] * (g(i) - meanG - xHat(i) * meanGx);
  }
}

/// Rotates pairs of the last dimension; `heads` rows of x share a row of the tables.
void rotate(RankedTensorType type, bool inverse, const double *x, const double *cosine, const double *sine,
            int64_t tableRows, double *y) {
  int64_t half = type.getShape().back() / 2, rows = type.getNumElements() / (2 * half);
  int64_t heads = type.getRank() == 4 ? type.getDimSize(2) : 1;
  double sign = inverse ? -1 : 1;
  for (int64_t r = 0; r < rows; ++r) {
    int64_t time = r / heads % tableRows;
    for (int64_t i = 0; i < half; ++i) {
      double c = cosine[time * half + i], s = sign * sine[time * half + i];
      double a = x[2 * half * r + i], b = x[2 * half * r + half + i];
      y[2 * half * r + i] = a * c - b * s;
      y[2 * half * r + half + i] = b * c + a * s;
    }
  }
}

void softmax(int64_t rows, int64_t width, const double *x, double *y) {
  for (int64_t r = 0; r < rows; ++r) {
    double largest = *std::max_element(x + r * width, x + (r + 1) * width), sum = 0;
    for (int64_t i = 0; i < width; ++i)
      sum += y[r * width + i] = std::exp(x[r * width + i] - largest);
    for (int64_t i = 0; i < width; ++i)
      y[r * width + i] /= sum;
  }
}

} // namespace

bool evaluateRow(Operation *op, Frame &f) {
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<RmsNormOp>([&](auto op) {
        Type type = op.getX().getType();
        normalise(rowsOf(type), lastExtent(type), op.getEps().convertToDouble(), f.in(op.getX()), f.in(op.getWeight()),
                  nullptr, f.out(op.getY()), nullptr, f.out(op.getRstd()));
        return true;
      })
      .Case<LayerNormOp>([&](auto op) {
        Type type = op.getX().getType();
        normalise(rowsOf(type), lastExtent(type), op.getEps().convertToDouble(), f.in(op.getX()), f.in(op.getWeight()),
                  f.in(op.getBias()), f.out(op.getY()), f.out(op.getMean()), f.out(op.getRstd()));
        return true;
      })
      .Case<RmsNormGradOp>([&](auto op) {
        Type type = op.getX().getType();
        normaliseGrad(rowsOf(type), lastExtent(type), f.in(op.getDy()), f.in(op.getX()), f.in(op.getWeight()), nullptr,
                      f.in(op.getRstd()), f.out(op.getDx()), f.out(op.getDweight()), nullptr);
        return true;
      })
      .Case<LayerNormGradOp>([&](auto op) {
        Type type = op.getX().getType();
        normaliseGrad(rowsOf(type), lastExtent(type), f.in(op.getDy()), f.in(op.getX()), f.in(op.getWeight()),
                      f.in(op.getMean()), f.in(op.getRstd()), f.out(op.getDx()), f.out(op.getDweight()),
                      f.out(op.getDbias()));
        return true;
      })
      .Case<LookupOp>([&](auto op) {
        int64_t width = lastExtent(op.getTable().getType()), count = elementsOf(op.getIndex().getType());
        const double *table = f.in(op.getTable());
        const int32_t *index = f.ints(op.getIndex());
        double *y = f.out(op.getY());
        for (int64_t i = 0; i < count; ++i)
          std::copy_n(table + index[i] * width, width, y + i * width);
        return true;
      })
      .Case<LookupGradOp>([&](auto op) {
        int64_t width = lastExtent(op.getDy().getType()), count = elementsOf(op.getIndex().getType());
        const double *dy = f.in(op.getDy());
        const int32_t *index = f.ints(op.getIndex());
        double *table = f.out(op.getDtable());
        for (int64_t i = 0; i < count * width; ++i)
          table[index[i / width] * width + i % width] += dy[i];
        return true;
      })
      .Case<RotaryTableOp>([&](auto op) {
        int64_t half = lastExtent(op.getCos().getType()), rows = rowsOf(op.getCos().getType());
        double *cosine = f.out(op.getCos()), *sine = f.out(op.getSin());
        SmallVector<double> frequencies = op.frequencies();
        for (int64_t i = 0; i < rows * half; ++i) {
          double angle = (i / half) * frequencies[i % half];
          cosine[i] = std::cos(angle);
          sine[i] = std::sin(angle);
        }
        return true;
      })
      .Case<TileOp>([&](auto op) {
        int64_t width = lastExtent(op.getX().getType()), rows = rowsOf(op.getX().getType()), copies = op.getCopies();
        const double *x = f.in(op.getX());
        double *y = f.out(op.getY());
        for (int64_t i = 0; i < rows * copies; ++i)
          std::copy_n(x + i / copies * width, width, y + i * width);
        return true;
      })
      .Case<FoldOp>([&](auto op) {
        int64_t width = lastExtent(op.getY().getType()), rows = rowsOf(op.getX().getType()), copies = op.getCopies();
        const double *x = f.in(op.getX());
        double *y = f.out(op.getY());
        for (int64_t i = 0; i < rows * copies * width; ++i)
          y[i / (copies * width) * width + i % width] += x[i];
        return true;
      })
      .Case<RopeOp>([&](auto op) {
        rotate(op.getX().getType(), op.getInverse(), f.in(op.getX()), f.in(op.getCos()), f.in(op.getSin()),
               rowsOf(op.getCos().getType()), f.out(op.getY()));
        return true;
      })
      .Case<ScaleRowsOp>([&](auto op) {
        int64_t width = lastExtent(op.getX().getType()), rows = rowsOf(op.getX().getType());
        const double *x = f.in(op.getX()), *s = f.in(op.getS());
        double *y = f.out(op.getY());
        for (int64_t i = 0; i < rows * width; ++i)
          y[i] = s[i / width] * x[i];
        return true;
      })
      .Case<DotRowsOp>([&](auto op) {
        int64_t width = lastExtent(op.getA().getType()), rows = rowsOf(op.getA().getType());
        const double *a = f.in(op.getA()), *b = f.in(op.getB());
        double *y = f.out(op.getY());
        for (int64_t i = 0; i < rows * width; ++i)
          y[i / width] += a[i] * b[i];
        return true;
      })
      .Case<SoftmaxOp>([&](auto op) {
        Type type = op.getX().getType();
        softmax(rowsOf(type), lastExtent(type), f.in(op.getX()), f.out(op.getY()));
        return true;
      })
      .Case<SoftmaxGradOp>([&](auto op) {
        int64_t width = lastExtent(op.getY().getType()), rows = rowsOf(op.getY().getType());
        const double *y = f.in(op.getY()), *dy = f.in(op.getDy());
        double *dx = f.out(op.getDx());
        for (int64_t r = 0; r < rows; ++r, y += width, dy += width, dx += width) {
          double mean = 0;
          for (int64_t i = 0; i < width; ++i)
            mean += dy[i] * y[i];
          for (int64_t i = 0; i < width; ++i)
            dx[i] = y[i] * (dy[i] - mean);
        }
        return true;
      })
      .Default([](Operation *) { return false; });
}

} // namespace moire::evaluator
