//===- kernels/cpu/GemmAvx2.cpp - products in AVX2 ------------------------- ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instances only; the register blocks are as large as the registers allow.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GemmTile.h"

namespace moire::cpu {

ProductEngines avx2Products() {
  return {TileProduct<DirectProduct<float, 6, 2>, float>::engine(),
          TileProduct<DirectProduct<double, 6, 2>, double>::engine(),
          TileProduct<WidenedProduct<6, 2>, float>::engine(), TileProduct<WidenedProduct<6, 2>, uint16_t>::engine()};
}

} // namespace moire::cpu
