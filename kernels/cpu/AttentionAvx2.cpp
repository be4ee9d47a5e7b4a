//===- kernels/cpu/AttentionAvx2.cpp - attention compiled for AVX2 -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One instantiation of the attention templates; see kernels/CMakeLists.txt for how it is compiled.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/AttentionInstance.h"
