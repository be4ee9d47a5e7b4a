//===- kernels/reference/Documents.cpp - where documents begin ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle: each token looks back for the separator that its document begins with.
//===----------------------------------------------------------------------===//
#include "kernels/include/Reference.h"

extern "C" void moire_reference_document_positions(int64_t batch, int64_t time, int64_t separator,
                                                   const int32_t *tokens, const int32_t *count, int32_t *ages,
                                                   int32_t *next) {
  for (int64_t i = 0; i < batch; ++i) {
    const int32_t *row = tokens + i * time;
    int32_t before = count ? count[i] : 0;
    for (int64_t t = 0; t < time; ++t) {
      int64_t start = t;
      while (start >= 0 && row[start] != separator)
        --start;
      ages[i * time + t] = start < 0 ? before + int32_t(t) : int32_t(t - start);
    }
    if (next)
      next[i] = time > 0 ? ages[i * time + time - 1] + 1 : before;
  }
}
