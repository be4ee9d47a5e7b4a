//===- kernels/cpu/ThreadPool.h - the threads of the kernels ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One pool for the process. A parallel region runs one body on every thread;
// the caller is thread 0. Idle threads spin for some microseconds, because the
// next region of a training step is usually that near, and then sleep. Regions
// of different callers run one after the other; a region started inside a region
// runs in place, on the thread that started it.
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_KERNELS_CPU_THREADPOOL_H
#define MOIRE_KERNELS_CPU_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace moire::cpu {

/// The threads that a region started now would use: the size of the pool, or 1 inside a region.
int regionThreads();

/// The number of the calling thread in the pool: 0 outside of regions. In a region that runs in place, this is still
/// the number of the thread that it runs on.
int threadIndex();

/// Whether the calling thread is inside a region.
bool insideRegion();

/// Calls body(thread, threads, context) once on every thread and returns when all are done. The pool is woken unless
/// `wanted`, the most threads that there is work for, is 1; then, and inside a region, body(0, 1, context) runs here.
void runRegion(void (*body)(int thread, int threads, void *context), void *context, int64_t wanted = INT64_MAX);

/// Waits, inside a region, until all its threads have come here. Every thread must come equally often. What threads
/// wrote before it is visible to all after it. Does nothing in a region that runs in place.
void regionBarrier();

/// runRegion for a callable: body(int thread, int threads).
template <typename Body> void parallelRegion(Body &&body, int64_t wanted = INT64_MAX) {
  runRegion([](int thread, int threads,
               void *context) { (*static_cast<std::remove_reference_t<Body> *>(context))(thread, threads); },
            const_cast<void *>(static_cast<const void *>(&body)), wanted);
}

/// Calls body(begin, end) so that [0, count) is covered once, in ranges that begin at multiples of `grain`. Ranges are
/// handed out as threads become free, so nothing may depend on which go together or where they run.
template <typename Body> void parallelFor(int64_t count, int64_t grain, Body &&body) {
  if (count <= 0)
    return;
  grain = grain < 1 ? 1 : grain;
  int64_t grains = (count + grain - 1) / grain;
  std::atomic<int64_t> next{0};
  parallelRegion(
      [&](int, int threads) {
        if (threads == 1)
          return body(int64_t(0), count);
        // About eight claims a thread: few enough to cost nothing, many enough to even out a slow thread.
        int64_t step = grains / (int64_t(threads) * 8);
        step = (step < 1 ? 1 : step) * grain;
        for (int64_t begin; (begin = next.fetch_add(step, std::memory_order_relaxed)) < count;)
          body(begin, begin + step < count ? begin + step : count);
      },
      grains);
}

} // namespace moire::cpu
#endif // MOIRE_KERNELS_CPU_THREADPOOL_H
