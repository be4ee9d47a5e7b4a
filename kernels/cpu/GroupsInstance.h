//===- kernels/cpu/GroupsInstance.h - groups on one instruction set ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Included by one source for each instruction set: instantiates the templates
// and fills in the table that Groups.cpp chooses by.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_GROUPSINSTANCE_H
#define MOIRE_KERNELS_CPU_GROUPSINSTANCE_H

#include "kernels/cpu/GroupsChoice.h"
#include "kernels/cpu/GroupsSoftmax.h"

namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

extern const GroupsTable groupsTable;
const GroupsTable groupsTable = {
    groupSoftmax<float>,          groupSoftmax<double>, groupSoftmaxBackward<float>,
    groupSoftmaxBackward<double>, chooseTokens<float>,  chooseTokens<double>,
};

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_GROUPSINSTANCE_H
