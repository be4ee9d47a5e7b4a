//===- kernels/cpu/GemmAvx512.cpp - products in AVX-512 ---------------------- ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instances only; the register blocks are as large as the registers allow.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GemmTile.h"

namespace moire::cpu {

ProductEngines avx512Products() {
  return {TileProduct<DirectProduct<float, 14, 2>, float>::engine(),
          TileProduct<DirectProduct<double, 14, 2>, double>::engine(),
          TileProduct<WidenedProduct<14, 2>, float>::engine(), TileProduct<WidenedProduct<14, 2>, uint16_t>::engine()};
}

} // namespace moire::cpu
