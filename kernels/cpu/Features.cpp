//===- kernels/cpu/Features.cpp - which instructions the kernels use -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads CPUID and XCR0 by hand: a feature counts only when the operating system
// also saves the registers that it needs.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Features.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace moire::cpu {
namespace {

constexpr const char *names[] = {"scalar", "avx2", "avx512", "avx512bf16", "amx"};

#if defined(__x86_64__)
bool bit(uint32_t word, int position) { return (word >> position) & 1; }

uint64_t enabledStates() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

/// Linux hands out the tile registers on request only; the permission holds for all threads started later.
bool requestTiles() {
#if defined(__linux__)
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
#else
  return false;
#endif
}

Isa detect() {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27))
    return Isa::Scalar;
  bool fma = bit(c, 12), f16c = bit(c, 29);
  uint64_t states = enabledStates();
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (states & 0x6) != 0x6)
    return Isa::Scalar;
  uint32_t b7 = b, d7 = d;
  if (!fma || !f16c || !bit(b7, 3) || !bit(b7, 5) || !bit(b7, 8))
    return Isa::Scalar;
  bool wide = bit(b7, 16) && bit(b7, 17) && bit(b7, 30) && bit(b7, 31) && (states & 0xe0) == 0xe0;
  if (!wide)
    return Isa::Avx2;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !bit(a, 5))
    return Isa::Avx512;
  bool tiles = bit(d7, 22) && bit(d7, 24) && (states & 0x60000) == 0x60000;
  return tiles && requestTiles() ? Isa::Amx : Isa::Avx512Bf16;
}
#else
Isa detect() { return Isa::Scalar; }
#endif

Isa choose() {
  Isa best = supportedIsa();
  const char *wanted = std::getenv("MOIRE_ISA");
  if (!wanted || !*wanted)
    return best;
  for (int set = 0; set <= int(Isa::Amx); ++set)
    if (std::strcmp(wanted, names[set]) == 0) {
      if (set <= int(best))
        return Isa(set);
      std::fprintf(stderr, "moire: MOIRE_ISA=%s, but this processor supports no more than %s\n", wanted, isaName(best));
      std::exit(1);
    }
  std::fprintf(stderr, "moire: MOIRE_ISA=%s is none of scalar, avx2, avx512, avx512bf16, amx\n", wanted);
  std::exit(1);
}

} // namespace

Isa supportedIsa() {
  static const Isa set = detect();
  return set;
}

Isa isa() {
  static const Isa set = choose();
  return set;
}

const char *isaName(Isa set) { return names[int(set)]; }

} // namespace moire::cpu
