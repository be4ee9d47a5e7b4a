//===- test/bench/kernels/ScanBench.cpp - speed of the selective scan -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Nanoseconds per token and elements (time x channels x state) per second. The
// limit beside them: a vector of elements takes 9 multiplications or fused additions
// forward and 16 backward (6 of each are the exponential's), and one of these
// starts in the time that a register-only loop needs for it.
//===----------------------------------------------------------------------===//
#include "test/bench/kernels/Timing.h"

#include <cstdio>
#include <string>

using namespace moire::bench;

namespace {

struct Size {
  int64_t batch, time, channels, state;
};
const Size sizes[] = {{8, 256, 512, 16}, {1, 256, 512, 16}, {8, 1024, 1024, 16}, {8, 256, 512, 64}};

constexpr double forwardOperations = 9, backwardOperations = 16;

void report(const char *what, const Size &z, double time, double operations) {
  double tokens = double(z.batch * z.time), elements = tokens * double(z.channels * z.state);
  double limit = 16 * moire_threads() * vectorRate() / operations;
  std::printf("%-14s B=%lld T=%-5lld C=%-5lld N=%-3lld %9.1f us %8.1f ns/token %6.2f G elements/s", what,
              (long long)z.batch, (long long)z.time, (long long)z.channels, (long long)z.state, time * 1e6,
              time * 1e9 / tokens, elements / time * 1e-9);
  if (limit > 0)
    std::printf("  limit %.2f", limit * 1e-9);
  std::printf("\n");
}

template <typename X, typename Forward, typename Backward>
void run(const char *type, const Size &z, int64_t document, Forward forward, Backward backward,
         Values<X> (*convert)(const Values<float> &)) {
  int64_t rows = z.batch * z.time;
  Values<X> u = convert(randomFloats(rows * z.channels, -1, 1)), b = convert(randomFloats(rows * z.state, -1, 1));
  Values<X> c = convert(randomFloats(rows * z.state, -1, 1)), dy = convert(randomFloats(rows * z.channels, -1, 1));
  Values<float> dt = randomFloats(rows * z.channels, 0.001f, 0.1f), d = randomFloats(z.channels, -1, 1);
  Values<float> a = randomFloats(z.channels * z.state, -16, -1), ddt(dt.size()), da(a.size()), dd(d.size());
  Values<float> states(size_t(moire_scan_states(z.batch, z.time, z.channels, z.state)));
  Values<float> workspace(size_t(moire_scan_backward_workspace(z.batch, z.time, z.channels, z.state)));
  Values<X> y(u.size()), du(u.size()), db(b.size()), dc(c.size());
  DocumentAges ages(z.batch, z.time, document);
  double time = shortest([&] {
    forward(z.batch, z.time, z.channels, z.state, u.data(), z.channels, dt.data(), a.data(), b.data(), z.state,
            c.data(), z.state, d.data(), ages.get(), nullptr, y.data(), nullptr, states.data());
  });
  report((std::string(type) + " forward").c_str(), z, time, forwardOperations);
  time = shortest([&] {
    backward(z.batch, z.time, z.channels, z.state, u.data(), z.channels, dt.data(), a.data(), b.data(), z.state,
             c.data(), z.state, d.data(), ages.get(), states.data(), dy.data(), du.data(), z.channels, ddt.data(),
             da.data(), db.data(), z.state, dc.data(), z.state, dd.data(), workspace.data());
  });
  report((std::string(type) + " backward").c_str(), z, time, backwardOperations);
}

Values<float> same(const Values<float> &values) { return values; }

} // namespace

/// With an argument: the length of the documents that the sequences hold.
int main(int count, char **arguments) {
  int64_t document = count > 1 ? std::atoll(arguments[1]) : 0;
  std::printf("%d thread(s), %s\n", moire_threads(), moire::cpu::isaName(moire::cpu::isa()));
  for (const Size &z : sizes) {
    run<float>("f32", z, document, moire_scan_f32, moire_scan_backward_f32, same);
    run<uint16_t>("bf16", z, document, moire_scan_bf16, moire_scan_backward_bf16, toBf16);
  }
}
