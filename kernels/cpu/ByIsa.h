//===- kernels/cpu/ByIsa.h - the table of the instruction set in use ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A family of kernels has a table of functions for each instruction set that it is compiled for: plain C++, AVX2 and
// AVX-512. The namespaces are those that its sources are compiled with.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_BYISA_H
#define MOIRE_KERNELS_CPU_BYISA_H

#include "kernels/cpu/Features.h"

/// Defines, in namespace moire::cpu, `table()`: the TYPE called NAME of the set in use. A processor with more than
/// AVX-512 gets that of AVX-512.
#if defined(__x86_64__)
#define MOIRE_TABLE_BY_ISA(TYPE, NAME)                                                                                 \
  namespace avx2 {                                                                                                     \
  extern const TYPE NAME;                                                                                              \
  }                                                                                                                    \
  namespace avx512 {                                                                                                   \
  extern const TYPE NAME;                                                                                              \
  }                                                                                                                    \
  static const TYPE &table() {                                                                                         \
    return isa() >= Isa::Avx512 ? avx512::NAME : isa() >= Isa::Avx2 ? avx2::NAME : scalar::NAME;                       \
  }
#else
#define MOIRE_TABLE_BY_ISA(TYPE, NAME)                                                                                 \
  static const TYPE &table() { return scalar::NAME; }
#endif

#endif // MOIRE_KERNELS_CPU_BYISA_H
