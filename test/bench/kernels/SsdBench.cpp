//===- test/bench/kernels/SsdBench.cpp - speed of Mamba-2's scan ------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Nanoseconds per token, operations per second, and the share of what register-only fused multiply-adds reach. Counted
// are the operations of the chunked algorithm: per token and head forward 4 state head_dim through the
// state and chunk (head_dim + state / 4 heads) within a chunk, backward twice as many. `per step` is the recurrence
// as a plain loop over time, three operations for each element of the state, for comparison.
//===----------------------------------------------------------------------===//
#include "test/bench/kernels/Timing.h"

#include <cstdio>
#include <string>

using namespace moire::bench;

namespace {

struct Size {
  int64_t batch, time, heads, dim, groups, state, chunk;
};
const Size sizes[] = {{1, 1024, 24, 64, 1, 128, 32},  {1, 1024, 24, 64, 1, 128, 64}, {1, 1024, 24, 64, 1, 128, 128},
                      {1, 1024, 24, 64, 1, 128, 256}, {4, 256, 8, 64, 1, 64, 64},    {1, 1024, 32, 64, 8, 128, 64}};

double forwardOperations(const Size &z) {
  double perHead = double(4 * z.state * z.dim + z.chunk * z.dim) + double(z.chunk * z.state) / MOIRE_SSD_HEADS;
  return double(z.batch * z.time * z.heads) * perHead;
}

void report(const char *what, const Size &z, double time, double operations) {
  double tokens = double(z.batch * z.time), rate = operations / time;
  std::printf(
      "%-14s B=%lld T=%-5lld H=%-3lld P=%-3lld G=%lld N=%-4lld chunk=%-4lld %9.1f us %8.1f ns/token %7.1f GFLOP/s",
      what, (long long)z.batch, (long long)z.time, (long long)z.heads, (long long)z.dim, (long long)z.groups,
      (long long)z.state, (long long)z.chunk, time * 1e6, time * 1e9 / tokens, rate * 1e-9);
  double peak = 2 * 16 * moire_threads() * vectorRate();
  if (peak > 0)
    std::printf("  %3.0f %% of %.0f", 100 * rate / peak, peak * 1e-9);
  std::printf("\n");
}

/// The recurrence as a loop over time, vectorised by the compiler along head_dim.
void perStep(const Size &z, const float *x, const float *dt, const float *a, const float *b, const float *c,
             const float *d, float *y) {
  for (int64_t i = 0; i < z.batch; ++i)
    for (int64_t h = 0; h < z.heads; ++h) {
      Values<float> state(size_t(z.state * z.dim), 0.0f);
      int64_t g = h * z.groups / z.heads;
      for (int64_t t = 0; t < z.time; ++t) {
        int64_t row = i * z.time + t;
        float step = dt[row * z.heads + h], decay = std::exp(step * a[h]);
        const float *input = x + (row * z.heads + h) * z.dim;
        float *out = y + (row * z.heads + h) * z.dim;
        for (int64_t p = 0; p < z.dim; ++p)
          out[p] = d[h] * input[p];
        for (int64_t n = 0; n < z.state; ++n) {
          float weight = step * b[(row * z.groups + g) * z.state + n], gain = c[(row * z.groups + g) * z.state + n];
          float *line = state.data() + n * z.dim;
          for (int64_t p = 0; p < z.dim; ++p) {
            line[p] = decay * line[p] + weight * input[p];
            out[p] += gain * line[p];
          }
        }
      }
    }
}

template <typename X, typename Forward, typename Backward>
void run(const char *type, const Size &z, int64_t document, Forward forward, Backward backward,
         Values<X> (*convert)(const Values<float> &)) {
  int64_t rows = z.batch * z.time, row = z.heads * z.dim, stateRow = z.groups * z.state;
  Values<X> x = convert(randomFloats(rows * row, -1, 1)), b = convert(randomFloats(rows * stateRow, -1, 1));
  Values<X> c = convert(randomFloats(rows * stateRow, -1, 1)), dy = convert(randomFloats(rows * row, -1, 1));
  Values<float> dt = randomFloats(rows * z.heads, 0.001f, 0.1f), d = randomFloats(z.heads, -1, 1);
  Values<float> a = randomFloats(z.heads, -16, -1), ddt(dt.size()), da(a.size()), dd(d.size());
  Values<float> states(size_t(moire_ssd_states(z.batch, z.time, z.heads, z.dim, z.state, z.chunk)));
  Values<float> workspace(size_t(moire_ssd_backward_workspace(z.batch, z.time, z.heads, z.groups, z.state)));
  Values<X> y(x.size()), dx(x.size()), db(b.size()), dc(c.size());
  DocumentAges ages(z.batch, z.time, document);
  double time = shortest([&] {
    forward(z.batch, z.time, z.heads, z.dim, z.groups, z.state, z.chunk, x.data(), row, dt.data(), a.data(), b.data(),
            stateRow, c.data(), stateRow, d.data(), ages.get(), nullptr, y.data(), nullptr, states.data());
  });
  report((std::string(type) + " forward").c_str(), z, time, forwardOperations(z));
  time = shortest([&] {
    backward(z.batch, z.time, z.heads, z.dim, z.groups, z.state, z.chunk, x.data(), row, dt.data(), a.data(), b.data(),
             stateRow, c.data(), stateRow, d.data(), ages.get(), states.data(), dy.data(), dx.data(), row, ddt.data(),
             da.data(), db.data(), stateRow, dc.data(), stateRow, dd.data(), workspace.data());
  });
  report((std::string(type) + " backward").c_str(), z, time, 2 * forwardOperations(z));
  if constexpr (std::is_same_v<X, float>)
    if (moire_threads() == 1) {
      time = shortest([&] { perStep(z, x.data(), dt.data(), a.data(), b.data(), c.data(), d.data(), y.data()); });
      report("f32 per step", z, time, 5.0 * double(rows * z.heads * z.state * z.dim));
    }
}

Values<float> same(const Values<float> &values) { return values; }

} // namespace

/// With an argument: the length of the documents that the sequences hold.
int main(int count, char **arguments) {
  int64_t document = count > 1 ? std::atoll(arguments[1]) : 0;
  std::printf("%d thread(s), %s\n", moire_threads(), moire::cpu::isaName(moire::cpu::isa()));
  for (const Size &z : sizes) {
    run<float>("f32", z, document, moire_ssd_scan_f32, moire_ssd_scan_backward_f32, same);
    run<uint16_t>("bf16", z, document, moire_ssd_scan_bf16, moire_ssd_scan_backward_bf16, toBf16);
  }
}
