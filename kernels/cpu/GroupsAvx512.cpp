//===- kernels/cpu/GroupsAvx512.cpp - groups compiled for AVX-512 -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One instantiation of the templates of groups; see kernels/CMakeLists.txt for how it is compiled.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GroupsInstance.h"
