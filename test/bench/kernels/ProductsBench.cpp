//===- test/bench/kernels/ProductsBench.cpp - speed of the products --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints, shape by shape, GFLOP/s of our products, their share of what the same
// threads reach on registers alone in the same minute, and GFLOP/s of oneDNN.
// Usage: moire_bench_products [substring of the shapes wanted]; MOIRE_THREADS
// and OMP_NUM_THREADS set the threads, MOIRE_BENCH_MS the time per figure.
//
//===----------------------------------------------------------------------===//
#include "kernels/cpu/Features.h"
#include "kernels/cpu/ThreadPool.h"
#include "kernels/include/Kernels.h"
#include "test/bench/kernels/OneDnnProducts.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <new>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using namespace moire;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double budget() {
  const char *ms = std::getenv("MOIRE_BENCH_MS");
  return (ms ? std::atof(ms) : 150) * 1e-3;
}

/// Shortest of the calls that fit in the time budget.
double shortest(const std::function<void()> &call) {
  call();
  call();
  double best = 1e9, end = seconds() + budget();
  do {
    double start = seconds();
    call();
    best = std::min(best, seconds() - start);
  } while (seconds() < end);
  return best;
}

#if defined(__x86_64__)
constexpr int chains = 24, turns = 20000;

__attribute__((target("avx512f"))) float runFma() {
  __m512 sum[chains], x = _mm512_set1_ps(1e-9f), y = _mm512_set1_ps(0.5f);
  for (int i = 0; i < chains; ++i)
    sum[i] = _mm512_set1_ps(float(i));
  for (int t = 0; t < turns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) {
      sum[i] = _mm512_fmadd_ps(x, y, sum[i]);
      __asm__ volatile("" : "+v"(sum[i]));
    }
  for (int i = 1; i < chains; ++i)
    sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) float runPairs() {
  __m512 sum[chains];
  __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80), y = x;
  for (int i = 0; i < chains; ++i)
    sum[i] = _mm512_set1_ps(float(i));
  for (int t = 0; t < turns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) {
      sum[i] = _mm512_dpbf16_ps(sum[i], x, y);
      __asm__ volatile("" : "+v"(sum[i]));
    }
  for (int i = 1; i < chains; ++i)
    sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

/// GFLOP/s of all threads without any memory access; 0 if the processor lacks the instruction.
double peak(bool bf16) {
  if (cpu::supportedIsa() < (bf16 ? cpu::Isa::Avx512Bf16 : cpu::Isa::Avx512))
    return 0;
  volatile float sink = 0;
  double time = shortest([&] { cpu::parallelRegion([&](int, int) { sink = bf16 ? runPairs() : runFma(); }); });
  return moire_threads() * double(chains) * turns * (bf16 ? 64 : 32) / time * 1e-9;
}
#else
double peak(bool) { return 0; }
#endif

struct Shape {
  const char *what;
  int64_t m, n, k;
  bool transA, transB;
};

const Shape shapes[] = {
    {"qkv", 2048, 768, 256, false, false},         {"square", 2048, 256, 256, false, false},
    {"up", 2048, 2048, 256, false, false},         {"down", 2048, 256, 1024, false, false},
    {"dx qkv", 2048, 256, 768, false, true},       {"dx square", 2048, 256, 256, false, true},
    {"dx up", 2048, 256, 2048, false, true},       {"dx down", 2048, 1024, 256, false, true},
    {"dw up", 256, 2048, 2048, true, false},       {"dw qkv", 256, 768, 2048, true, false},
    {"dw square", 256, 256, 2048, true, false},    {"dw down", 1024, 256, 2048, true, false},
    {"router", 2048, 16, 256, false, false},       {"wide 512", 2048, 2048, 512, false, false},
    {"wide 1024", 2048, 1024, 1024, false, false}, {"dx 1024", 2048, 1024, 1024, false, true},
    {"dw 1024", 1024, 1024, 2048, true, false},    {"head 32k", 512, 32768, 512, false, true},
    {"decode", 1, 2048, 256, false, false},        {"decode big", 1, 8192, 2048, false, false},
    {"decode dx", 1, 8192, 2048, false, true},     {"decode 4", 4, 8192, 2048, false, false},
};

struct Experts {
  const char *what;
  int64_t experts, rows, k, n;
};
const Experts groups[] = {
    {"16 up", 16, 4096, 256, 2048},
    {"16 down", 16, 4096, 1024, 256},
    {"64 up", 64, 4096, 256, 512},
    {"512 tiny", 512, 4096, 256, 128},
};

uint32_t state = 1;
float random() {
  state = state * 1664525u + 1013904223u;
  return float(state >> 8) / float(1 << 24) - 0.5f;
}

/// Memory as aligned as that of the runtime.
template <typename T> struct Aligned {
  using value_type = T;
  template <typename U> struct rebind {
    using other = Aligned<U>;
  };
  T *allocate(size_t n) { return static_cast<T *>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T *p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const Aligned &) const { return true; }
};
using Values = std::vector<float, Aligned<float>>;

/// `count` values in [-1/2, 1/2), as float or bf16.
Values values(int64_t count, bool bf16) {
  Values all(bf16 ? (count + 1) / 2 : count);
  for (float &x : all) {
    x = random();
    if (bf16) { // two halves that are both tame
      uint32_t bits;
      std::memcpy(&bits, &x, 4);
      bits = (bits & 0xffff0000u) | (bits >> 16);
      std::memcpy(&x, &bits, 4);
    }
  }
  return all;
}

void row(const char *type, const std::string &what, double flops, double time, double top, double rival) {
  double ours = flops / time * 1e-9, theirs = rival > 0 ? flops / rival * 1e-9 : 0;
  std::printf("%-9s %-34s %9.1f us %8.1f GF/s %5.1f%%", type, what.c_str(), time * 1e6, ours,
              top > 0 ? 100 * ours / top : 0);
  if (theirs > 0)
    std::printf("   oneDNN %8.1f GF/s  %5.2fx", theirs, ours / theirs);
  std::printf("\n");
  std::fflush(stdout);
}

void plain(const Shape &s, bool bf16, double top, bool bf16Out) {
  int64_t size = bf16 ? 2 : 4;
  auto a = values(s.m * s.k, bf16), b = values(s.k * s.n, bf16), c = values(s.m * s.n, false);
  int64_t lda = s.transA ? s.m : s.k, ldb = s.transB ? s.k : s.n;
  auto *a16 = reinterpret_cast<uint16_t *>(a.data()), *b16 = reinterpret_cast<uint16_t *>(b.data());
  double time = shortest([&] {
    if (!bf16)
      moire_gemm_f32_f32(s.m, s.n, s.k, a.data(), lda, s.transA, b.data(), ldb, s.transB, c.data(), s.n, 0);
    else if (!bf16Out)
      moire_gemm_bf16_f32(s.m, s.n, s.k, a16, lda, s.transA, b16, ldb, s.transB, c.data(), s.n, 0);
    else
      moire_gemm_bf16_bf16(s.m, s.n, s.k, a16, lda, s.transA, b16, ldb, s.transB,
                           reinterpret_cast<uint16_t *>(c.data()), s.n, 0);
  });
  auto rival = bench::oneDnnProduct(s.m, s.n, s.k, s.transA, s.transB, bf16, bf16Out, a.data(), b.data(), c.data());
  std::string what = std::string(s.what) + " " + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                     std::to_string(s.k) + (s.transA ? " At" : "") + (s.transB ? " Bt" : "");
  double rivalTime = rival ? shortest(rival) : 0;
  row(!bf16     ? "f32"
      : bf16Out ? "bf16"
                : "bf16_f32",
      what, 2.0 * double(s.m) * double(s.n) * double(s.k), time, top, rivalTime);
  if (s.m == 1)
    std::printf("%44s %9.1f GB/s of B\n", "", double(s.k * s.n * size) / time * 1e-9);
}

void grouped(const Experts &g, bool bf16, double top) {
  auto a = values(g.rows * g.k, bf16), b = values(g.experts * g.k * g.n, bf16), c = values(g.rows * g.n, bf16);
  auto weight = values(g.experts * g.k * g.n, false);
  auto *a16 = reinterpret_cast<uint16_t *>(a.data()), *b16 = reinterpret_cast<uint16_t *>(b.data());
  auto *c16 = reinterpret_cast<uint16_t *>(c.data());
  // Uneven: each expert between half and one and a half times its share.
  std::vector<int32_t> offsets(g.experts + 1), index(g.rows);
  std::vector<double> share(g.experts);
  double total = 0;
  for (double &x : share)
    total += x = 1 + random();
  double sum = 0;
  for (int64_t e = 0; e < g.experts; ++e) {
    offsets[e] = int32_t(sum / total * double(g.rows));
    sum += share[e];
  }
  offsets[g.experts] = int32_t(g.rows);
  for (int64_t r = 0; r < g.rows; ++r)
    index[r] = int32_t((r * 1237) % g.rows);
  double flops = 2.0 * double(g.rows) * double(g.n) * double(g.k);
  std::string size = std::to_string(g.k) + "->" + std::to_string(g.n);
  auto rivals = [&](int form) {
    std::vector<std::function<void()>> calls;
    int64_t element = bf16 ? 2 : 4;
    auto at = [&](Values &v, int64_t i) { return reinterpret_cast<char *>(v.data()) + i * element; };
    for (int64_t e = 0; e < g.experts; ++e) {
      int64_t first = offsets[e], rows = offsets[e + 1] - first;
      if (!rows)
        continue;
      std::function<void()> call;
      if (form == 0)
        call = bench::oneDnnProduct(rows, g.n, g.k, false, false, bf16, bf16, at(a, first * g.k), at(b, e * g.k * g.n),
                                    at(c, first * g.n));
      else if (form == 1)
        call = bench::oneDnnProduct(rows, g.k, g.n, false, true, bf16, bf16, at(c, first * g.n), at(b, e * g.k * g.n),
                                    at(a, first * g.k));
      else
        call = bench::oneDnnProduct(g.k, g.n, rows, true, false, bf16, false, at(a, first * g.k), at(c, first * g.n),
                                    weight.data() + e * g.k * g.n);
      if (!call)
        return 0.0;
      calls.push_back(call);
    }
    return shortest([&] {
      for (auto &call : calls)
        call();
    });
  };
  auto ours = [&](int form) {
    return shortest([&] {
      if (form == 0 && !bf16)
        moire_grouped_gemm_f32_f32(g.rows, g.n, g.k, g.experts, offsets.data(), index.data(), a.data(), g.k, b.data(),
                                   0, c.data(), g.n);
      else if (form == 0)
        moire_grouped_gemm_bf16_bf16(g.rows, g.n, g.k, g.experts, offsets.data(), index.data(), a16, g.k, b16, 0, c16,
                                     g.n);
      else if (form == 1 && !bf16)
        moire_grouped_gemm_f32_f32(g.rows, g.k, g.n, g.experts, offsets.data(), nullptr, c.data(), g.n, b.data(), 1,
                                   a.data(), g.k);
      else if (form == 1)
        moire_grouped_gemm_bf16_bf16(g.rows, g.k, g.n, g.experts, offsets.data(), nullptr, c16, g.n, b16, 1, a16, g.k);
      else if (!bf16)
        moire_grouped_gemm_weight_f32_f32(g.k, g.n, g.experts, offsets.data(), index.data(), a.data(), g.k, nullptr,
                                          c.data(), g.n, weight.data());
      else
        moire_grouped_gemm_weight_bf16_f32(g.k, g.n, g.experts, offsets.data(), index.data(), a16, g.k, nullptr, c16,
                                           g.n, weight.data());
    });
  };
  const char *forms[] = {"", " dx", " dw"};
  for (int form = 0; form < 3; ++form) {
    double time = ours(form);
    row(bf16 ? "bf16" : "f32", std::string("experts ") + g.what + forms[form] + " " + size, flops, time, top,
        rivals(form));
  }
}

} // namespace

int main(int argc, char **argv) {
  const char *filter = argc > 1 ? argv[1] : "";
  std::printf("%s, %d threads\n", cpu::isaName(cpu::isa()), moire_threads());
  for (int bf16 = 0; bf16 < 2; ++bf16) {
    const char *type = bf16 ? "bf16" : "f32";
    if (!std::strncmp(filter, "f32", 3) && bf16)
      continue;
    if (!std::strncmp(filter, "bf16", 4) && !bf16)
      continue;
    const char *shape = std::strchr(filter, '/') ? std::strchr(filter, '/') + 1 : "";
    double top = peak(bf16);
    std::printf("peak %s %.1f GF/s\n", type, top);
    for (const Shape &s : shapes)
      if (std::strstr(s.what, shape))
        plain(s, bf16, top, bf16 && !s.transA);
    for (const Experts &g : groups)
      if (std::strstr((std::string("experts ") + g.what).c_str(), shape))
        grouped(g, bf16, top);
    std::printf("peak %s %.1f GF/s\n", type, peak(bf16));
  }
}
