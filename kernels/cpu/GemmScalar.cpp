//===- kernels/cpu/GemmScalar.cpp - products without an instruction set ------ ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Instances only; the register blocks are as large as the registers allow.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/GemmTile.h"

namespace moire::cpu {

ProductEngines scalarProducts() {
  return {TileProduct<DirectProduct<float, 4, 2>, float>::engine(),
          TileProduct<DirectProduct<double, 4, 2>, double>::engine(),
          TileProduct<WidenedProduct<4, 2>, float>::engine(), TileProduct<WidenedProduct<4, 2>, uint16_t>::engine()};
}

} // namespace moire::cpu
