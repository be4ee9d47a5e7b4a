//===- kernels/cpu/RoutingTable.h - routing on each instruction set ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arguments of the routing kernels as plain structs, and the table of functions
// that every instruction set fills in.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ROUTINGTABLE_H
#define MOIRE_KERNELS_CPU_ROUTINGTABLE_H

#include <cstdint>

namespace moire::cpu {

/// The arguments of moire_route, with its names and shapes (KernelList.inc).
template <typename S> struct RouteArguments {
  int64_t tokens, experts, topK;
  int32_t gate;
  bool renormalize;
  S scale;
  int64_t groups, best;
  const S *logits, *bias;
  const int32_t *assigned;
  S *probs, *weights;
  int32_t *chosen;
};

/// The arguments of moire_route_backward.
template <typename S> struct RouteGradientArguments {
  int64_t tokens, experts, topK;
  int32_t gate;
  bool renormalize;
  S scale;
  const S *logits, *probs, *weights;
  const int32_t *chosen;
  const S *dweights, *dprobs;
  S *dlogits;
};

/// Rows of activations on their way to the experts and back. Of gather_rows_backward, combine and combine_backward;
/// what a kernel does not have is null.
template <typename X, typename S> struct RowsArguments {
  int64_t tokens, topK, width;
  const int32_t *position;
  const S *weights;
  const X *x;
  int64_t ldx;
  const X *dy;
  int64_t lddy;
  X *out;
  int64_t ldout;
  S *dweights;
};

/// The row kernels of one element type.
template <typename X, typename S> struct RowsTable {
  void (*gatherBackward)(const RowsArguments<X, S> &);
  void (*combine)(const RowsArguments<X, S> &);
  void (*combineBackward)(const RowsArguments<X, S> &);
};

/// Routing on one instruction set.
struct RoutingTable {
  void (*routeF32)(const RouteArguments<float> &);
  void (*routeF64)(const RouteArguments<double> &);
  void (*routeBackwardF32)(const RouteGradientArguments<float> &);
  void (*routeBackwardF64)(const RouteGradientArguments<double> &);
  RowsTable<float, float> rowsF32;
  RowsTable<double, double> rowsF64;
  RowsTable<uint16_t, float> rowsBf16;
};

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGTABLE_H
