//===- runtime/Core/Buffer.cpp - memory for tensors -----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Anonymous mappings: zeroed by the kernel and resident only where touched.
//
//===------------------------------------------------------------------------===//
#include "runtime/Core/Buffer.h"

#include <cerrno>
#include <cstdint>
#include <sys/mman.h>

namespace moire::runtime {

static constexpr size_t hugePage = size_t(2) << 20;

Result<Buffer> Buffer::allocate(size_t bytes, std::string_view what) {
  Buffer buffer;
  if (bytes == 0)
    return buffer;
  const bool large = bytes >= hugePage;
  const size_t extent = bytes + (large ? hugePage : 0);
  void *base =
      extent < bytes ? MAP_FAILED : ::mmap(nullptr, extent, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED)
    return Status::error("not enough memory: the {} takes {} bytes", what, bytes);
  buffer.base = base;
  buffer.mapped = extent;
  buffer.start = base;
  buffer.length = bytes;
  if (large) {
    const uintptr_t aligned = (reinterpret_cast<uintptr_t>(base) + hugePage - 1) / hugePage * hugePage;
    buffer.start = reinterpret_cast<void *>(aligned);
    // Only advice: where huge pages are switched off the buffer works as well, slower.
    (void)::madvise(buffer.start, bytes, MADV_HUGEPAGE);
  }
  return buffer;
}

Buffer::~Buffer() {
  if (base)
    ::munmap(base, mapped);
}

} // namespace moire::runtime
