//===- kernels/cpu/ScanInstance.h - the scans of one instruction set ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by one source for each instruction set: instantiates the templates
// and fills in the table that Scan.cpp chooses by.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SCANINSTANCE_H
#define MOIRE_KERNELS_CPU_SCANINSTANCE_H

#include "kernels/cpu/ScanBackward.h"
#include "kernels/cpu/ScanForward.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

extern const ScanTable scanTable;
const ScanTable scanTable = {scanForward<float, float>,  scanForward<double, double>,  scanForward<uint16_t, float>,
                             scanBackward<float, float>, scanBackward<double, double>, scanBackward<uint16_t, float>};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCANINSTANCE_H
