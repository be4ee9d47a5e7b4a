//===- kernels/cpu/SsdAvx512.cpp - Mamba-2's scan compiled for AVX512 ---===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One instantiation of the templates; see kernels/CMakeLists.txt for how it is compiled.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/SsdInstance.h"
