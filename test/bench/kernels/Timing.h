//===- test/bench/kernels/Timing.h - how the kernels' benchmarks measure ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The shortest of the calls that fit in a time budget, and what the processor
// could do at most, measured in the same minute. With one thread the time is the
// thread's own, so a busy neighbour disturbs little.
// Environment: MOIRE_THREADS sets the threads, MOIRE_BENCH_MS the budget per figure.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_BENCH_KERNELS_TIMING_H
#define MOIRE_TEST_BENCH_KERNELS_TIMING_H

#include "kernels/cpu/Features.h"
#include "kernels/include/Kernels.h"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moire::bench {

/// Seconds on a clock that only differences make sense of.
inline double seconds() {
  if (moire_threads() == 1) {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of the shortest of the calls that fit in the budget (300 ms, or MOIRE_BENCH_MS). Short calls are timed
/// several at once, because the clock of a thread is coarse.
inline double shortest(const std::function<void()> &call) {
  const char *ms = std::getenv("MOIRE_BENCH_MS");
  double budget = (ms ? std::atof(ms) : 300) * 1e-3, best = 1e9, start = seconds();
  call();
  double once = seconds() - start, end = seconds() + budget;
  int64_t calls = once < 1e-3 ? 1 + int64_t(1e-3 / (once + 1e-6)) : 1;
  do {
    start = seconds();
    for (int64_t i = 0; i < calls; ++i)
      call();
    double took = (seconds() - start) / double(calls);
    best = took < best ? took : best;
  } while (seconds() < end);
  return best;
}

#if defined(__x86_64__)
/// Fused multiply-adds of 16 floats (or of 32 bf16) in registers.
inline constexpr int fmaChains = 24, fmaTurns = 20000;

template <bool pairs> __attribute__((target("avx512f,avx512bf16"))) inline void runFma() {
  __m512 sum[fmaChains], x = _mm512_set1_ps(1e-9f);
  for (int i = 0; i < fmaChains; ++i)
    sum[i] = _mm512_set1_ps(float(i));
  for (int t = 0; t < fmaTurns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < fmaChains; ++i) {
      if constexpr (pairs)
        sum[i] = _mm512_dpbf16_ps(sum[i], __m512bh(_mm512_castps_si512(x)), __m512bh(_mm512_castps_si512(x)));
      else
        sum[i] = _mm512_fmadd_ps(x, x, sum[i]);
      __asm__ volatile("" : "+v"(sum[i]));
    }
}
#endif

/// 512-bit multiply-adds (float, or pairs of bf16) per second of one thread; 0 where the processor lacks them.
inline double vectorRate(bool pairs = false) {
#if defined(__x86_64__)
  if (cpu::supportedIsa() >= (pairs ? cpu::Isa::Avx512Bf16 : cpu::Isa::Avx512))
    return fmaChains * double(fmaTurns) / shortest(pairs ? runFma<true> : runFma<false>);
#endif
  return 0;
}

/// Memory as the runtime gives it: in huge pages where the system has them.
template <typename T> struct HugePages {
  using value_type = T;
  static constexpr size_t page = size_t(2) << 20;
  HugePages() = default;
  template <typename U> HugePages(const HugePages<U> &) {}
  T *allocate(size_t count) {
    size_t bytes = (count * sizeof(T) + page - 1) / page * page;
    void *memory = std::aligned_alloc(page, bytes);
    if (!memory)
      std::abort();
#if defined(__linux__)
    madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<T *>(memory);
  }
  void deallocate(T *memory, size_t) { std::free(memory); }
  template <typename U> bool operator==(const HugePages<U> &) const { return true; }
};
template <typename T> using Values = std::vector<T, HugePages<T>>;

/// Random floats in [low, high).
inline Values<float> randomFloats(int64_t count, float low, float high) {
  static std::mt19937 engine(1);
  std::uniform_real_distribution<float> distribution(low, high);
  Values<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = distribution(engine);
  return values;
}

/// What kernels are told of documents of `length` tokens; null for a length of 0.
class DocumentAges {
  Values<int32_t> ages;

public:
  DocumentAges(int64_t batch, int64_t time, int64_t length) {
    for (int64_t t = 0; length > 0 && t < batch * time; ++t)
      ages.push_back(int32_t(t % time % length));
  }
  const int32_t *get() const { return ages.empty() ? nullptr : ages.data(); }
};

/// The upper halves of the same values: bf16, rounded towards zero.
inline Values<uint16_t> toBf16(const Values<float> &values) {
  Values<uint16_t> halves(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t bits;
    __builtin_memcpy(&bits, &values[i], sizeof(bits));
    halves[i] = uint16_t(bits >> 16);
  }
  return halves;
}

} // namespace moire::bench
#endif // MOIRE_TEST_BENCH_KERNELS_TIMING_H
