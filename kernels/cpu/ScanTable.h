//===- kernels/cpu/ScanTable.h - the scans of each instruction set -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arguments of a scan as plain structs, and the table of functions that every
// instruction set fills in. Nothing here depends on an instruction set.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SCANTABLE_H
#define MOIRE_KERNELS_CPU_SCANTABLE_H

#include <cstdint>

namespace moire::cpu {

/// The arguments of moire_scan, with its names and shapes (KernelList.inc).
template <typename X, typename S> struct ScanArguments {
  int64_t batch, time, channels, state;
  const X *u;
  int64_t uStride;
  const S *dt, *a;
  const X *b;
  int64_t bStride;
  const X *c;
  int64_t cStride;
  const S *d;
  const int32_t *ages;
  const S *initial;
  X *y;
  S *finalState, *states;
};

/// The arguments of moire_scan_backward.
template <typename X, typename S> struct ScanGradientArguments {
  int64_t batch, time, channels, state;
  const X *u;
  int64_t uStride;
  const S *dt, *a;
  const X *b;
  int64_t bStride;
  const X *c;
  int64_t cStride;
  const S *d;
  const int32_t *ages;
  const S *states;
  const X *dy;
  X *du;
  int64_t duStride;
  S *ddt, *da;
  X *db;
  int64_t dbStride;
  X *dc;
  int64_t dcStride;
  S *dd, *workspace;
};

/// The scans of one instruction set.
struct ScanTable {
  void (*forwardF32)(const ScanArguments<float, float> &);
  void (*forwardF64)(const ScanArguments<double, double> &);
  void (*forwardBf16)(const ScanArguments<uint16_t, float> &);
  void (*backwardF32)(const ScanGradientArguments<float, float> &);
  void (*backwardF64)(const ScanGradientArguments<double, double> &);
  void (*backwardBf16)(const ScanGradientArguments<uint16_t, float> &);
};

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANTABLE_H
