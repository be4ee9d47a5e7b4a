//===- kernels/cpu/Bf16.h - bf16 conversions, one value at a time ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// bf16 is the upper half of a float. Vectors of them are in Simd.h.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_BF16_H
#define MOIRE_KERNELS_CPU_BF16_H

#include <cstdint>
#include <cstring>

#ifndef MOIRE_ISA_NAMESPACE
#define MOIRE_ISA_NAMESPACE scalar
#endif

// In the namespace of the including source's instruction set: see kernels/CMakeLists.txt.
namespace moire::cpu {
inline namespace MOIRE_ISA_NAMESPACE {

/// The float with the value of `bits`; exact.
inline float bf16ToFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

/// The bf16 nearest to `value`, ties to even. Overflow gives infinity; a NaN stays a NaN of the same sign, made quiet.
inline uint16_t floatToBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return uint16_t((bits >> 16) | 0x40u);
  return uint16_t((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

} // namespace MOIRE_ISA_NAMESPACE
} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_BF16_H
