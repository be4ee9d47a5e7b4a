//===- kernels/cpu/Documents.cpp - where documents begin ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One pass over the tokens of a sequence. It happens once in a step and is small
// beside anything else, so sequences are all that is shared among threads.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"

extern "C" void moire_document_positions(int64_t batch, int64_t time, int64_t separator, const int32_t *tokens,
                                         const int32_t *count, int32_t *ages, int32_t *next) {
  moire::cpu::parallelFor(batch, 1 + 65536 / (time + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int32_t age = count ? count[i] : 0;
      for (int64_t t = i * time; t < (i + 1) * time; ++t) {
        if (tokens[t] == separator)
          age = 0;
        ages[t] = age++;
      }
      if (next)
        next[i] = age;
    }
  });
}
