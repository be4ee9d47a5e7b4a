//===- kernels/cpu/Scratch.h - scratch memory of the kernels ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels allocate nothing: each thread of the pool owns an arena that was
// reserved with the pool, and takes pieces of it as from a stack.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_SCRATCH_H
#define MOIRE_KERNELS_CPU_SCRATCH_H

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace moire::cpu {

/// A stack of scratch memory. The pages of its end cost nothing until they are touched.
class Arena {
public:
  /// Bytes that one thread can have in use at a time.
  static constexpr size_t capacity = size_t(16) << 20;

  Arena();
  ~Arena();
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;

  /// `bytes` of memory, aligned to 128 bytes; ends the process if the arena is too small, a mistake of the kernel.
  void *take(size_t bytes);
  size_t mark() const { return used; }
  void release(size_t oldMark) { used = oldMark; }

private:
  unsigned char *base = nullptr;
  size_t used = 0;
};

/// The arena of the calling thread, which must be inside a parallel region (ThreadPool.h).
Arena &threadArena();

/// Takes scratch memory inside a region and gives it back at the end of its scope:
///   ScratchFrame frame;  float *row = frame.take<float>(width);
class ScratchFrame {
public:
  __attribute__((always_inline)) ScratchFrame() : arena(threadArena()), start(arena.mark()) {}
  __attribute__((always_inline)) ~ScratchFrame() { arena.release(start); }
  ScratchFrame(const ScratchFrame &) = delete;
  ScratchFrame &operator=(const ScratchFrame &) = delete;

  /// Uninitialised memory for `count` values, aligned to 128 bytes.
  template <typename T> __attribute__((always_inline)) T *take(size_t count) {
    static_assert(std::is_trivial_v<T>, "scratch memory is neither constructed nor destroyed");
    return static_cast<T *>(arena.take(count * sizeof(T)));
  }

private:
  Arena &arena;
  size_t start;
};

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_SCRATCH_H
