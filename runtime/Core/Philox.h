//===- runtime/Core/Philox.h - random numbers by counting -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy
// as 1, 2, 3; SC 2011): a keyed function from a 128-bit counter to 128 random
// bits. A random number is addressed, never drawn in order, so nothing depends
// on threads, on the order of parameters, or on what was drawn before a resume.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_PHILOX_H
#define MOIRE_RUNTIME_CORE_PHILOX_H

#include "runtime/Core/Hash.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace moire::runtime {

/// The finaliser of splitmix64: mixes all bits of `x`.
constexpr uint64_t mixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

/// One stream of random numbers; streams differ by seed and name.
class Philox {
public:
  using Block = std::array<uint32_t, 4>;

  /// The raw generator with key (low word, high word of `key`).
  explicit constexpr Philox(uint64_t key) : key(key) {}
  /// The stream called `name` of a run's seed: key = mixBits(seed + mixBits(fnv1a64(name))).
  constexpr Philox(uint64_t seed, std::string_view name) : key(mixBits(seed + mixBits(fnv1a64(name)))) {}

  /// The block at a counter.
  constexpr Block at(Block counter) const {
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9e3779b9u, k1 += 0xbb67ae85u) {
      const uint64_t p0 = 0xd2511f53ull * counter[0], p1 = 0xcd9e8d57ull * counter[2];
      counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<uint32_t>(p1),
                 static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<uint32_t>(p0)};
    }
    return counter;
  }
  /// The block at (low and high word of `index`, low and high word of `lane`).
  constexpr Block at(uint64_t index, uint64_t lane = 0) const {
    return at(Block{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(lane),
                    static_cast<uint32_t>(lane >> 32)});
  }

private:
  uint64_t key;
};

/// The first two words of a block as a number in [0, bound): the high half of a 64 by 64 bit product.
constexpr uint64_t boundedBy(uint64_t bound, const Philox::Block &block) {
  const uint64_t bits = uint64_t(block[1]) << 32 | block[0];
  return static_cast<uint64_t>(static_cast<unsigned __int128>(bits) * bound >> 64);
}

/// A word as a double strictly between 0 and 1.
constexpr double openUnit(uint32_t word) { return (word + 0.5) * 0x1p-32; }

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_PHILOX_H
