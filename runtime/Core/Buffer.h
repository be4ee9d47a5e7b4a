//===- runtime/Core/Buffer.h - memory for tensors -------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Zeroed anonymous memory. Large buffers begin at a multiple of 2 MiB and ask
// for huge pages, because a step walks all of its memory and page walks cost.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_BUFFER_H
#define MOIRE_RUNTIME_CORE_BUFFER_H

#include "runtime/Core/Status.h"

#include <cstddef>
#include <string_view>

namespace moire::runtime {

/// Owned memory, aligned to at least 64 bytes, zero when made.
class Buffer {
public:
  /// `bytes` of zeros; `what` names the buffer when there is not enough memory. 0 bytes gives a null pointer.
  static Result<Buffer> allocate(size_t bytes, std::string_view what);
  Buffer() = default;
  Buffer(Buffer &&other) noexcept
      : base(std::exchange(other.base, nullptr)), mapped(std::exchange(other.mapped, 0)),
        start(std::exchange(other.start, nullptr)), length(std::exchange(other.length, 0)) {}
  Buffer &operator=(Buffer &&other) noexcept {
    std::swap(base, other.base);
    std::swap(mapped, other.mapped);
    std::swap(start, other.start);
    std::swap(length, other.length);
    return *this;
  }
  ~Buffer();

  void *data() const { return start; }
  size_t bytes() const { return length; }

private:
  void *base = nullptr;
  size_t mapped = 0;
  void *start = nullptr;
  size_t length = 0;
};

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_BUFFER_H
