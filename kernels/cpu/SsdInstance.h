//===- kernels/cpu/SsdInstance.h - Mamba-2's scan of one instruction set -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by one source for each instruction set: instantiates the templates
// and fills in the table that Ssd.cpp chooses by.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SSDINSTANCE_H
#define MOIRE_KERNELS_CPU_SSDINSTANCE_H

#include "kernels/cpu/SsdBackward.h"
#include "kernels/cpu/SsdForward.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

extern const SsdTable ssdTable;
const SsdTable ssdTable = {ssdForward<float, float>,  ssdForward<double, double>,  ssdForward<uint16_t, float>,
                           ssdBackward<float, float>, ssdBackward<double, double>, ssdBackward<uint16_t, float>};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SSDINSTANCE_H
