//===- kernels/cpu/ThreadPool.cpp - the threads of the kernels -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Start and end of a region are one atomic each: `generation` tells the workers
// that there is work, `pending` tells the caller that it is done. Both are spun
// on for a while before the thread asks the kernel to sleep.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/ThreadPool.h"
#include "kernels/cpu/Scratch.h"
#include "kernels/include/Kernels.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moire::cpu {
namespace {

constexpr int maxThreads = 256;
/// Longer than the pointwise loops between two kernels of a small step, shorter than anybody notices.
constexpr std::chrono::microseconds spinTime{100};

thread_local int currentIndex = 0;
/// Threads of the region that the calling thread is in; 0 outside of regions.
thread_local int currentThreads = 0;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

/// The processors that this process may run on, by number; empty where the system does not tell.
std::vector<int> allowedProcessors() {
  std::vector<int> allowed;
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set))
        allowed.push_back(i);
#endif
  return allowed;
}

int processors() {
  size_t allowed = allowedProcessors().size();
  unsigned count = allowed ? unsigned(allowed) : std::thread::hardware_concurrency();
  return count ? int(count) : 1;
}

/// Keeps the workers of a pool that fills the machine off the caller's processor. On a machine that others use too,
/// the system likes to wake a thread beside the one that woke it, and then they run in turns.
class Placement {
public:
  explicit Placement(int threads) {
    allowed = allowedProcessors();
    if (int(allowed.size()) != threads)
      allowed.clear();
  }

  /// By the caller, before the workers start.
  void noteCaller() {
#if defined(__linux__)
    if (!allowed.empty())
      caller = sched_getcpu();
#endif
  }

  /// By a worker, which remembers in `bound` where it was put last.
  void moveWorker(int index, int &bound) const {
#if defined(__linux__)
    for (size_t i = 0; i < allowed.size(); ++i)
      if (allowed[i] == caller) {
        int wanted = allowed[(i + size_t(index)) % allowed.size()];
        if (wanted == bound)
          return;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(wanted, &set);
        sched_setaffinity(0, sizeof(set), &set); // a mere hint: if it fails, all still works
        bound = wanted;
      }
#endif
  }

private:
  std::vector<int> allowed;
  int caller = -1;
};

/// Waits until `word` differs from `old`: first spinning, unless told not to, then asleep.
void await(std::atomic<uint32_t> &word, uint32_t old, bool spin) {
  if (spin) {
    auto end = std::chrono::steady_clock::now() + spinTime;
    do {
      for (int i = 0; i < 64; ++i) {
        if (word.load(std::memory_order_acquire) != old)
          return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  while (word.load(std::memory_order_acquire) == old)
    word.wait(old, std::memory_order_acquire);
}

class Pool {
public:
  explicit Pool(int threads) : count(threads), spin(threads <= processors()), placement(threads), arenas(threads) {
    for (int index = 1; index < threads; ++index)
      workers.emplace_back([this, index] { work(index); });
  }
  ~Pool() {
    body = nullptr;
    start();
    for (std::thread &worker : workers)
      worker.join();
  }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  int size() const { return count; }
  Arena &arena(int index) { return arenas[index]; }

  void run(void (*newBody)(int, int, void *), void *newContext) {
    body = newBody;
    context = newContext;
    placement.noteCaller();
    pending.store(uint32_t(count - 1), std::memory_order_relaxed);
    start();
    newBody(0, count, newContext);
    for (uint32_t left; (left = pending.load(std::memory_order_acquire)) != 0;)
      await(pending, left, spin);
  }

  void barrier() {
    uint32_t phase = barrierPhase.load(std::memory_order_relaxed);
    if (barrierCount.fetch_add(1, std::memory_order_acq_rel) + 1 == uint32_t(count)) {
      barrierCount.store(0, std::memory_order_relaxed);
      barrierPhase.store(phase + 1, std::memory_order_release);
      barrierPhase.notify_all();
      return;
    }
    await(barrierPhase, phase, spin);
  }

private:
  void start() {
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
  }

  void work(int index) {
    currentIndex = index;
    currentThreads = count;
    int bound = -1;
    for (uint32_t seen = 0;; ++seen) {
      await(generation, seen, spin);
      if (!body)
        return;
      placement.moveWorker(index, bound);
      body(index, count, context);
      if (pending.fetch_sub(1, std::memory_order_acq_rel) == 1)
        pending.notify_one();
    }
  }

  int count;
  bool spin;
  Placement placement;
  std::vector<Arena> arenas;
  std::vector<std::thread> workers;
  void (*body)(int, int, void *) = nullptr;
  void *context = nullptr;
  // On lines of their own: each is spun on by some threads while others write the next.
  alignas(128) std::atomic<uint32_t> generation{0};
  alignas(128) std::atomic<uint32_t> pending{0};
  alignas(128) std::atomic<uint32_t> barrierCount{0};
  alignas(128) std::atomic<uint32_t> barrierPhase{0};
};

/// Held while a region runs, so that regions of different callers take turns.
std::mutex &regionMutex() {
  static std::mutex mutex;
  return mutex;
}

int defaultThreads() {
  const char *wanted = std::getenv("MOIRE_THREADS");
  if (!wanted || !*wanted)
    return processors() < maxThreads ? processors() : maxThreads;
  char *end;
  long value = std::strtol(wanted, &end, 10);
  if (*end || value < 1 || value > maxThreads) {
    std::fprintf(stderr, "moire: MOIRE_THREADS=%s is not a number from 1 to %d\n", wanted, maxThreads);
    std::exit(1);
  }
  return int(value);
}

/// The pool; never destroyed, since threads may still run while the process exits.
Pool *&poolSlot() {
  static Pool *pool = nullptr;
  return pool;
}

/// Called with the region mutex held.
Pool &pool() {
  Pool *&slot = poolSlot();
  if (!slot)
    slot = new Pool(defaultThreads());
  return *slot;
}

} // namespace

int regionThreads() {
  if (currentThreads)
    return 1;
  std::lock_guard<std::mutex> lock(regionMutex());
  return pool().size();
}

int threadIndex() { return currentIndex; }

bool insideRegion() { return currentThreads != 0; }

void runRegion(void (*body)(int, int, void *), void *context, int64_t wanted) {
  if (currentThreads) {
    int outer = currentThreads;
    currentThreads = 1; // so that a barrier in place waits for nobody
    body(0, 1, context);
    currentThreads = outer;
    return;
  }
  std::lock_guard<std::mutex> lock(regionMutex());
  Pool &all = pool();
  bool alone = wanted <= 1 || all.size() == 1;
  currentThreads = alone ? 1 : all.size();
  if (alone)
    body(0, 1, context);
  else
    all.run(body, context);
  currentThreads = 0;
}

void regionBarrier() {
  if (currentThreads > 1)
    poolSlot()->barrier();
}

Arena &threadArena() {
  if (!currentThreads) {
    std::fprintf(stderr, "moire: a kernel asked for scratch memory outside of a parallel region\n");
    std::abort();
  }
  return poolSlot()->arena(currentIndex);
}

} // namespace moire::cpu

extern "C" {

void moire_set_threads(int32_t threads) {
  using namespace moire::cpu;
  if (threads < 1 || threads > maxThreads || insideRegion()) {
    std::fprintf(stderr, "moire: moire_set_threads(%d): from 1 to %d threads, and not from inside a kernel\n", threads,
                 maxThreads);
    std::abort();
  }
  std::lock_guard<std::mutex> lock(regionMutex());
  Pool *&slot = poolSlot();
  if (slot && slot->size() == threads)
    return;
  delete slot;
  slot = new Pool(threads);
}

int32_t moire_threads(void) {
  using namespace moire::cpu;
  if (insideRegion())
    return poolSlot()->size();
  std::lock_guard<std::mutex> lock(regionMutex());
  return pool().size();
}

void moire_parallel_for(int64_t count, int64_t grain, void (*body)(int64_t, int64_t, void *), void *context) {
  moire::cpu::parallelFor(count, grain, [=](int64_t begin, int64_t end) { body(begin, end, context); });
}

} // extern "C"
