//===- test/bench/kernels/ProductsBench.cpp - speed of the products --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Prints, shape by shape, the best GFLOP/s of our products and of oneDNN's, and
// two ratios: the share of what the same threads reach on registers alone, and
// the speed against oneDNN. For the ratios the three take turns, and their total
// times are compared: on a machine that others use too, that says more than the
// best of each. Usage: moire_bench_products [f32/ or bf16/][part of a name];
// MOIRE_THREADS and OMP_NUM_THREADS set the threads, MOIRE_BENCH_MS the time
// per shape.
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
  return (ms ? std::atof(ms) : 500) * 1e-3;
}

/// Best and total times of some calls that take turns.
struct Times {
  double best = 1e9, total = 0;

  void run(const std::function<void()> &call) {
    double start = seconds();
    call();
    double time = seconds() - start;
    best = std::min(best, time);
    total += time;
  }
};

#if defined(__x86_64__)
constexpr int chains = 24;

__attribute__((target("avx512f"))) float runFma(int64_t turns) {
  __m512 sum[chains], x = _mm512_set1_ps(1e-9f), y = _mm512_set1_ps(0.5f);
  for (int i = 0; i < chains; ++i)
    sum[i] = _mm512_set1_ps(float(i));
  for (int64_t t = 0; t < turns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) {
      sum[i] = _mm512_fmadd_ps(x, y, sum[i]);
      __asm__ volatile("" : "+v"(sum[i]));
    }
  for (int i = 1; i < chains; ++i)
    sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) float runPairs(int64_t turns) {
  __m512 sum[chains];
  __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80), y = x;
  for (int i = 0; i < chains; ++i)
    sum[i] = _mm512_set1_ps(float(i));
  for (int64_t t = 0; t < turns; ++t)
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) {
      sum[i] = _mm512_dpbf16_ps(sum[i], x, y);
      __asm__ volatile("" : "+v"(sum[i]));
    }
  for (int i = 1; i < chains; ++i)
    sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return _mm512_cvtss_f32(sum[0]);
}

/// Computes `flops` on all threads without touching memory; empty if the processor lacks the instruction.
std::function<void()> onRegisters(bool bf16, double flops) {
  if (cpu::supportedIsa() < (bf16 ? cpu::Isa::Avx512Bf16 : cpu::Isa::Avx512))
    return {};
  int64_t turns = int64_t(flops / (moire_threads() * double(chains) * (bf16 ? 64 : 32))) + 1;
  return [=] {
    cpu::parallelRegion([&](int, int) {
      volatile float kept = bf16 ? runPairs(turns) : runFma(turns);
      (void)kept;
    });
  };
}
#else
std::function<void()> onRegisters(bool, double) { return {}; }
#endif

/// Measures and prints one line.
void measure(const char *type, const std::string &what, bool bf16, double flops, double bytes,
             const std::function<void()> &ours, const std::function<void()> &theirs) {
  std::function<void()> registers = onRegisters(bf16, flops);
  Times a, b, c;
  ours();
  if (theirs)
    theirs();
  double end = seconds() + budget();
  do {
    a.run(ours);
    if (registers)
      b.run(registers);
    if (theirs)
      c.run(theirs);
  } while (seconds() < end);
  std::printf("%-9s %-34s %9.1f us %7.1f GF/s", type, what.c_str(), a.best * 1e6, flops / a.best * 1e-9);
  if (registers)
    std::printf("  %5.1f%% of registers' %6.1f", 100 * b.total / a.total, flops / b.best * 1e-9);
  if (theirs)
    std::printf("  %5.2f x oneDNN's %7.1f", c.total / a.total, flops / c.best * 1e-9);
  if (bytes > 0)
    std::printf("  B at %.1f GB/s", bytes / a.best * 1e-9);
  std::printf("\n");
  std::fflush(stdout);
}

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
  template <typename U> struct rebind { using other = Aligned<U>; };
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

void plain(const Shape &s, bool bf16, bool bf16Out) {
  auto a = values(s.m * s.k, bf16), b = values(s.k * s.n, bf16), c = values(s.m * s.n, false);
  int64_t lda = s.transA ? s.m : s.k, ldb = s.transB ? s.k : s.n;
  auto *a16 = reinterpret_cast<uint16_t *>(a.data()), *b16 = reinterpret_cast<uint16_t *>(b.data());
  auto ours = [&] {
    if (!bf16)
      moire_gemm_f32_f32(s.m, s.n, s.k, a.data(), lda, s.transA, b.data(), ldb, s.transB, c.data(), s.n, 0);
    else if (!bf16Out)
      moire_gemm_bf16_f32(s.m, s.n, s.k, a16, lda, s.transA, b16, ldb, s.transB, c.data(), s.n, 0);
    else
      moire_gemm_bf16_bf16(s.m, s.n, s.k, a16, lda, s.transA, b16, ldb, s.transB,
                           reinterpret_cast<uint16_t *>(c.data()), s.n, 0);
  };
  auto theirs = bench::oneDnnProduct(s.m, s.n, s.k, s.transA, s.transB, bf16, bf16Out, a.data(), b.data(), c.data());
  std::string what = std::string(s.what) + " " + std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                     std::to_string(s.k) + (s.transA ? " At" : "") + (s.transB ? " Bt" : "");
  measure(!bf16     ? "f32"
          : bf16Out ? "bf16"
                    : "bf16_f32",
          what, bf16, 2.0 * double(s.m) * double(s.n) * double(s.k), s.m == 1 ? double(s.k * s.n * (bf16 ? 2 : 4)) : 0,
          ours, theirs);
}

void grouped(const Experts &g, bool bf16) {
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
  auto rivals = [&](int form) -> std::function<void()> {
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
        return {};
      calls.push_back(call);
    }
    return [calls] {
      for (auto &call : calls)
        call();
    };
  };
  auto ours = [&](int form) {
    return [&, form] {
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
    };
  };
  const char *forms[] = {"", " dx", " dw"};
  for (int form = 0; form < 3; ++form)
    measure(bf16 ? "bf16" : "f32", std::string("experts ") + g.what + forms[form] + " " + size, bf16, flops, 0,
            ours(form), rivals(form));
}

} // namespace

int main(int argc, char **argv) {
  const char *filter = argc > 1 ? argv[1] : "";
  std::printf("%s, %d threads\n", cpu::isaName(cpu::isa()), moire_threads());
  for (int bf16 = 0; bf16 < 2; ++bf16) {
    if ((!std::strncmp(filter, "f32/", 4) && bf16) || (!std::strncmp(filter, "bf16/", 5) && !bf16))
      continue;
    const char *slash = std::strchr(filter, '/'), *name = slash ? slash + 1 : filter;
    for (const Shape &s : shapes)
      if (std::strstr(s.what, name))
        plain(s, bf16, bf16 && !s.transA);
    for (const Experts &g : groups)
      if (std::strstr((std::string("experts ") + g.what).c_str(), name))
        grouped(g, bf16);
  }
}
