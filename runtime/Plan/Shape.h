//===- runtime/Plan/Shape.h - models that a plan can ask for ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The family that the joint law was fitted on (arXiv 2502.05172): pre-norm layers
// of rotary attention, heads of 64, and a SwiGLU of three times the width, dense
// or one of `experts`, cut into `granularity` pieces.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_PLAN_SHAPE_H
#define MOIRE_RUNTIME_PLAN_SHAPE_H

#include "runtime/Plan/Law.h"

namespace moire::runtime {

struct Shape {
  int64_t width = 0, depth = 0, experts = 1, granularity = 1, vocab = 50257;

  /// Parameters that a token meets, embedding and head included.
  double active() const;
  double total() const;
  /// Parameters in embedding, or in the head.
  double table() const { return double(vocab) * double(width); }

  /// The shape with about `active` parameters, width / depth as close to 64 as 1 % of them allows.
  static Shape near(double active, int64_t experts, int64_t granularity, int64_t vocab);
};

/// Seconds of a training step of `tokens` tokens in one layer, forward and backward: each grouped product of the
/// experts takes its operations or its bytes, whichever is longer (the eight kernels of arXiv 2512.14080), attention
/// and router their operations. What it says is in the ratio of two granularities, not in the seconds.
double layerSeconds(const Shape &shape, const Machine &machine, double tokens, double context);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_PLAN_SHAPE_H
