//===- kernels/cpu/SsdTable.h - Mamba-2's scan on each instruction set -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arguments of the scan as plain structs, and the table of functions that every
// instruction set fills in. Nothing here depends on an instruction set.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SSDTABLE_H
#define MOIRE_KERNELS_CPU_SSDTABLE_H

#include <cstdint>

namespace moire::cpu {

/// What both directions are given, with the names and shapes of moire_ssd_scan (KernelList.inc).
template <typename X, typename S> struct SsdOperands {
  int64_t batch, time, heads, dim, groups, state, chunk;
  const X *x;
  int64_t xStride;
  const S *dt, *a;
  const X *b;
  int64_t bStride;
  const X *c;
  int64_t cStride;
  const S *d;
  const int32_t *ages;

  int64_t headsOfGroup() const { return heads / groups; }
  int64_t chunks() const { return (time + chunk - 1) / chunk; }
};

/// The rest of the arguments of moire_ssd_scan.
template <typename X, typename S> struct SsdArguments : SsdOperands<X, S> {
  const S *initial;
  X *y;
  S *finalState, *states;
};

/// The rest of the arguments of moire_ssd_scan_backward.
template <typename X, typename S> struct SsdGradientArguments : SsdOperands<X, S> {
  const S *states;
  const X *dy;
  X *dx;
  int64_t dxStride;
  S *ddt, *da;
  X *db;
  int64_t dbStride;
  X *dc;
  int64_t dcStride;
  S *dd, *workspace;
};

/// The scan of one instruction set.
struct SsdTable {
  void (*forwardF32)(const SsdArguments<float, float> &);
  void (*forwardF64)(const SsdArguments<double, double> &);
  void (*forwardBf16)(const SsdArguments<uint16_t, float> &);
  void (*backwardF32)(const SsdGradientArguments<float, float> &);
  void (*backwardF64)(const SsdGradientArguments<double, double> &);
  void (*backwardBf16)(const SsdGradientArguments<uint16_t, float> &);
};

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SSDTABLE_H
