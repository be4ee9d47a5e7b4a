//===- test/kernels/Main.cpp - entry of the kernels' tests -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Skips the whole program, with exit code 77, if MOIRE_ISA names an instruction
// set that this processor lacks.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Features.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char **argv) {
  using namespace moire::cpu;
  const char *wanted = std::getenv("MOIRE_ISA");
  if (wanted && *wanted)
    for (int set = int(supportedIsa()) + 1; set <= int(Isa::Amx); ++set)
      if (std::strcmp(wanted, isaName(Isa(set))) == 0) {
        std::printf("skipped: this processor lacks %s\n", wanted);
        return 77;
      }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
