//===- test/bench/kernels/Peak.cpp - what this machine can do at most -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints one JSON line: multiply-adds on registers alone, all threads at once,
// in the fastest instructions that the kernels use for each precision, and the
// bandwidth of reading memory. Short enough to stand beside every measurement:
// on a shared machine these numbers change from minute to minute.
//
//   moire-peak            {"threads": 2, "isa": "avx512bf16", "f32_gflops": ..., "bf16_gflops": ..., "read_gbytes": ...}
//
// Environment: MOIRE_THREADS, MOIRE_ISA.
//===----------------------------------------------------------------------===//
#include "Timing.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <thread>

using namespace moire;
using namespace moire::bench;

namespace {

constexpr double budgetSeconds = 0.1;

/// Units of `work` per second of all threads together, the best of the slices that fit in the budget. All threads start
/// a slice at once and time themselves; a slice counts as long as the slowest of them took.
template <typename Work> double rate(double units, Work work) {
  int threads = moire_threads();
  std::barrier<> meet(threads);
  std::atomic<bool> done{false};
  std::vector<double> took(size_t(threads), 0);
  auto now = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  auto slice = [&](int i) {
    double start = now();
    work(i);
    took[size_t(i)] = now() - start;
  };
  std::vector<std::thread> crew;
  for (int i = 1; i < threads; ++i)
    crew.emplace_back([&, i] {
      for (meet.arrive_and_wait(); !done; meet.arrive_and_wait()) {
        slice(i);
        meet.arrive_and_wait();
      }
    });
  double best = 1e9;
  for (double end = now() + budgetSeconds; now() < end;) {
    meet.arrive_and_wait();
    slice(0);
    meet.arrive_and_wait();
    best = std::min(best, *std::max_element(took.begin(), took.end()));
  }
  done = true;
  meet.arrive_and_wait();
  for (std::thread &one : crew)
    one.join();
  return units * threads / best;
}

double scalarRate() {
  constexpr int turns = 400000, chains = 8;
  return rate(2.0 * turns * chains, [](int) {
    float sum[chains] = {}, x = 1e-9f;
    for (int t = 0; t < turns; ++t)
      for (float &s : sum) {
        s += x * x;
        __asm__ volatile("" : "+m"(s));
      }
  });
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void runAvx2(int) {
  constexpr int chains = 12;
  __m256 sum[chains], x = _mm256_set1_ps(1e-9f);
  for (__m256 &s : sum)
    s = _mm256_setzero_ps();
  for (int t = 0; t < fmaTurns; ++t)
#pragma GCC unroll 12
    for (int i = 0; i < chains; ++i) {
      sum[i] = _mm256_fmadd_ps(x, x, sum[i]);
      __asm__ volatile("" : "+x"(sum[i]));
    }
}

/// Products of 16 x 32 by 32 x 16 bf16 tiles.
__attribute__((target("amx-tile,amx-bf16"))) void runTiles(int) {
  alignas(64) struct {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } configuration;
  _tile_loadconfig(&configuration);
  _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
  _tile_zero(4), _tile_zero(5), _tile_zero(6), _tile_zero(7);
  for (int t = 0; t < fmaTurns; ++t) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}
#endif

double f32Rate() {
#if defined(__x86_64__)
  if (cpu::isa() >= cpu::Isa::Avx512)
    return rate(32.0 * fmaChains * fmaTurns, [](int) { runFma<false>(); });
  if (cpu::isa() >= cpu::Isa::Avx2)
    return rate(16.0 * 12 * fmaTurns, runAvx2);
#endif
  return scalarRate();
}

double bf16Rate() {
#if defined(__x86_64__)
  if (cpu::isa() >= cpu::Isa::Amx)
    return rate(4 * 2.0 * 16 * 16 * 32 * fmaTurns, runTiles);
  if (cpu::isa() >= cpu::Isa::Avx512Bf16)
    return rate(64.0 * fmaChains * fmaTurns, [](int) { runFma<true>(); });
#endif
  return f32Rate();
}

/// Bytes per second of summing an array that no cache holds.
double readRate() {
  constexpr int64_t words = int64_t(32) << 20;
  std::vector<Values<float>> arrays(size_t(moire_threads()), Values<float>(size_t(words), 1.0f));
  return rate(4.0 * words, [&](int i) {
    const float *p = arrays[size_t(i)].data();
    uint64_t sum = 0;
    for (int64_t w = 0; w < words; w += 16) {
      uint64_t word;
      __builtin_memcpy(&word, p + w, sizeof(word));
      sum += word;
    }
    __asm__ volatile("" : : "r"(sum));
  });
}

} // namespace

int main() {
  double f32 = f32Rate(), bf16 = bf16Rate(), read = readRate();
  std::printf("{\"threads\": %d, \"isa\": \"%s\", \"f32_gflops\": %.1f, \"bf16_gflops\": %.1f, \"read_gbytes\": %.1f}\n",
              moire_threads(), cpu::isaName(cpu::isa()), f32 * 1e-9, bf16 * 1e-9, read * 1e-9);
}
