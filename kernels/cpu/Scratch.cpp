//===- kernels/cpu/Scratch.cpp - scratch memory of the kernels -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arenas come in huge pages where the system has them: packed panels are walked
// by several streams at once, and few page entries serve them all.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Scratch.h"

#include <cstdio>
#include <cstdlib>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace moire::cpu {
namespace {
constexpr size_t hugePage = size_t(2) << 20;
} // namespace

Arena::Arena() {
  base = static_cast<unsigned char *>(std::aligned_alloc(hugePage, capacity));
  if (!base)
    throw std::bad_alloc();
#if defined(__linux__)
  madvise(base, capacity, MADV_HUGEPAGE);
#endif
}

Arena::~Arena() { std::free(base); }

void *Arena::take(size_t bytes) {
  size_t rounded = (bytes + 127) / 128 * 128;
  if (rounded > capacity - used) {
    std::fprintf(stderr, "moire: a kernel asked for %zu bytes of scratch memory, %zu are left\n", bytes,
                 capacity - used);
    std::abort();
  }
  unsigned char *piece = base + used;
  used += rounded;
  return piece;
}

} // namespace moire::cpu
