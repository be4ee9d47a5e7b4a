//===- runtime/Plan/Shape.cpp - models that a plan can ask for --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts of the family, as moirec counts the specs that a plan emits: a test
// compares the two.
//
//===------------------------------------------------------------------------===//
#include "runtime/Plan/Shape.h"

#include <algorithm>
#include <cmath>

namespace moire::runtime {

/// Attention, norms and router of a layer.
static double besideExperts(const Shape &s) {
  double d = double(s.width);
  return 4 * d * d + 2 * d + (s.experts > 1 ? d * double(s.experts * s.granularity) : 0);
}

double Shape::active() const {
  double d = double(width);
  return double(depth) * (besideExperts(*this) + 9 * d * d) + d + 2 * table();
}

double Shape::total() const {
  double d = double(width);
  return double(depth) * (besideExperts(*this) + 9 * d * d * double(experts)) + d + 2 * table();
}

Shape Shape::near(double active, int64_t experts, int64_t granularity, int64_t vocab) {
  auto off = [&](const Shape &s) { return std::abs(s.active() / active - 1); };
  auto skew = [](const Shape &s) { return std::abs(std::log(double(s.width) / (64 * double(s.depth)))); };
  Shape best{64, 1, experts, granularity, vocab};
  for (int64_t width = 64; width <= 32768; width += 64) {
    Shape shape{width, 1, experts, granularity, vocab};
    double layer = besideExperts(shape) + 9 * double(width) * double(width);
    shape.depth = std::max<int64_t>(1, std::llround((active - 2 * shape.table() - double(width)) / layer));
    bool close = off(shape) <= 0.01, bestClose = off(best) <= 0.01;
    if (close != bestClose ? close : close ? skew(shape) < skew(best) : off(shape) < off(best))
      best = shape;
  }
  return best;
}

double layerSeconds(const Shape &shape, const Machine &machine, double tokens, double context) {
  double d = double(shape.width), k = double(shape.granularity), n = 3 * d / k;
  double e = double(shape.experts * shape.granularity), rows = tokens * k;
  double x = rows * d, h = rows * n, w = e * d * n, flop = 2 * rows * d * n;
  struct Kernel {
    double flops, elements;
  };
  const Kernel kernels[] = {
      {2 * flop, x + 2 * w + 3 * h}, // up, SwiGLU in its epilogue
      {flop, h + w + x},             // down
      {0, x + tokens * d},           // weighted sum
      {flop, x + w + 5 * h},         // back through down and SwiGLU
      {flop, x + h + w},             // gradient of down
      {2 * flop, 2 * h + 2 * w + x}, // back through up
      {2 * flop, x + 2 * h + 2 * w}, // gradient of up
      {0, x + tokens * d},           // sum of the rows' gradients
      {6 * tokens * d * (e > 1 ? e : 0), 3 * tokens * d},
      {6 * tokens * (4 * d * d + context * d), 12 * tokens * d},
  };
  double seconds = 0;
  for (const Kernel &kernel : kernels)
    seconds += std::max(kernel.flops / machine.flops, kernel.elements * machine.element / machine.bytes);
  return seconds;
}

} // namespace moire::runtime
