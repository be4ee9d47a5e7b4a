//===- kernels/cpu/RoutingAvx512.cpp - routing compiled for AVX512 -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One instantiation of the routing templates; see kernels/CMakeLists.txt for how it is compiled.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/RoutingInstance.h"
