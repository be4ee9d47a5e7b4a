//===- kernels/reference/Element.h - reading and writing elements ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracles compute in S whatever the elements X are: float and double as
// they stand, uint16_t as bf16. These two functions are the only difference.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_REFERENCE_ELEMENT_H
#define MOIRE_KERNELS_REFERENCE_ELEMENT_H

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace moire::reference {

/// The value of one element; uint16_t holds a bf16.
template <typename S, typename X> S load(X x) {
  if constexpr (std::is_same_v<X, uint16_t>) {
    uint32_t bits = static_cast<uint32_t>(x) << 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  } else {
    return x;
  }
}

/// Stores a value in one element; a bf16 is rounded to nearest, ties to even, and a NaN stays one.
template <typename X, typename S> void store(X &x, S value) {
  if constexpr (std::is_same_v<X, uint16_t>) {
    uint32_t bits;
    float narrow = static_cast<float>(value);
    std::memcpy(&bits, &narrow, sizeof bits);
    bool isNan = (bits & 0x7fffffffu) > 0x7f800000u;
    x = static_cast<uint16_t>(isNan ? (bits >> 16) | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
  } else {
    x = value;
  }
}

} // namespace moire::reference

#endif // MOIRE_KERNELS_REFERENCE_ELEMENT_H
