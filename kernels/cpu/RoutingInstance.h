//===- kernels/cpu/RoutingInstance.h - routing on one instruction set --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by one source for each instruction set: instantiates the templates
// and fills in the table that Routing.cpp chooses by.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_ROUTINGINSTANCE_H
#define MOIRE_KERNELS_CPU_ROUTINGINSTANCE_H

#include "kernels/cpu/RoutingChoice.h"
#include "kernels/cpu/RoutingGradient.h"
#include "kernels/cpu/RoutingRows.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

extern const RoutingTable routingTable;
const RoutingTable routingTable = {
    route<float>,
    route<double>,
    routeBackward<float>,
    routeBackward<double>,
    {gatherBackward<float, float>, combine<float, float>, combineBackward<float, float>},
    {gatherBackward<double, double>, combine<double, double>, combineBackward<double, double>},
    {gatherBackward<uint16_t, float>, combine<uint16_t, float>, combineBackward<uint16_t, float>},
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_ROUTINGINSTANCE_H
