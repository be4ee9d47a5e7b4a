//===- kernels/cpu/Features.h - which instructions the kernels use ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One choice for the whole process, made from feature bits at the first call.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_FEATURES_H
#define MOIRE_KERNELS_CPU_FEATURES_H

namespace moire::cpu {

/// Instruction sets, each including those before it.
enum class Isa {
  Scalar,     ///< C++ and nothing else
  Avx2,       ///< AVX2, FMA, F16C, BMI2
  Avx512,     ///< AVX-512 F, BW, VL, DQ
  Avx512Bf16, ///< AVX-512 BF16: dot products of bf16 pairs
  Amx         ///< AMX tiles with BF16
};

/// The best set that both processor and operating system support.
Isa supportedIsa();

/// The set in use: the supported one, or the one that the environment variable MOIRE_ISA names (scalar, avx2, avx512,
/// avx512bf16, amx). Ends the process with a message if MOIRE_ISA names an unknown or unsupported set.
Isa isa();

/// The name that MOIRE_ISA knows the set by.
const char *isaName(Isa set);

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_FEATURES_H
