//===- runtime/Core/Hash.h - digests -----------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FNV-1a names random streams (short, fixed, easy to repeat in any language);
// SHA-256 identifies contents: packages in the cache, data files in a checkpoint.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_HASH_H
#define MOIRE_RUNTIME_CORE_HASH_H

#include "runtime/Core/Status.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace moire::runtime {

/// 64-bit FNV-1a of the bytes of `text`.
constexpr uint64_t fnv1a64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

/// SHA-256 (FIPS 180-4) over bytes given in pieces.
class Sha256 {
public:
  Sha256 &update(std::string_view bytes);
  /// The digest as 64 hex digits; the object is spent afterwards.
  std::string hex();

private:
  void block(const unsigned char *bytes);

  std::array<uint32_t, 8> state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> pending{};
  uint64_t length = 0;
};

/// SHA-256 of all of `bytes`, as hex digits.
std::string sha256(std::string_view bytes);

/// SHA-256 of a file's first `limit` bytes, as hex digits.
Result<std::string> sha256File(const std::string &path, uint64_t limit = UINT64_MAX);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_HASH_H
