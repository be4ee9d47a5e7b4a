//===- test/bench/kernels/AttentionBench.cpp - speed of attention -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Microseconds, nanoseconds per token and GFLOP/s of attention and its gradients,
// counting the half of the scores that causality leaves (2 products forward, 5
// backward), and their share of what the threads multiply in registers alone.
//===----------------------------------------------------------------------===//
#include "test/bench/kernels/Timing.h"

#include <cmath>
#include <cstdio>
#include <string>

using namespace moire::bench;

namespace {

struct Size {
  int64_t batch, time, heads, kvHeads, dim;
};
const Size sizes[] = {
    {8, 256, 4, 4, 64}, {8, 1024, 4, 4, 64}, {1, 1024, 4, 4, 64}, {8, 256, 8, 2, 32}, {4, 512, 4, 4, 128}};

void report(const char *what, const Size &z, double products, double time, double peak) {
  double flops = products * 2 * double(z.batch * z.heads * z.dim) * double(z.time) * double(z.time + 1) / 2;
  std::printf("%-14s B=%lld T=%-5lld H=%lld/%lld D=%-4lld %9.1f us %8.1f ns/token %7.1f GF/s", what, (long long)z.batch,
              (long long)z.time, (long long)z.heads, (long long)z.kvHeads, (long long)z.dim, time * 1e6,
              time * 1e9 / double(z.batch * z.time), flops / time * 1e-9);
  std::printf(peak > 0 ? "  %4.1f%% of peak\n" : "\n", 100 * flops / time / peak);
}

template <typename X, typename Forward, typename Backward>
void run(const char *type, const Size &z, const Values<X> &qkv, const Values<X> &dout, int64_t document, double peak,
         Forward forward, Backward backward) {
  int64_t stride = (z.heads + 2 * z.kvHeads) * z.dim, width = z.heads * z.dim, value = width + z.kvHeads * z.dim;
  Values<X> out(dout.size()), dqkv(qkv.size());
  Values<float> lse(size_t(z.batch * z.heads * z.time));
  DocumentAges ages(z.batch, z.time, document);
  float scale = float(1 / std::sqrt(double(z.dim)));
  double time = shortest([&] {
    forward(z.batch, z.time, z.heads, z.kvHeads, z.dim, z.dim, 1, 0, 0, scale, 0.0f, nullptr, ages.get(), qkv.data(),
            stride, qkv.data() + width, stride, qkv.data() + value, stride, out.data(), width, lse.data());
  });
  report((std::string(type) + " forward").c_str(), z, 2, time, peak);
  time = shortest([&] {
    backward(z.batch, z.time, z.heads, z.kvHeads, z.dim, z.dim, 1, 0, 0, scale, 0.0f, nullptr, ages.get(), qkv.data(),
             stride, qkv.data() + width, stride, qkv.data() + value, stride, out.data(), width, lse.data(), dout.data(),
             width, dqkv.data(), stride, dqkv.data() + width, stride, dqkv.data() + value, stride, nullptr);
  });
  report((std::string(type) + " backward").c_str(), z, 5, time, peak);
}

} // namespace

/// With an argument: the length of the documents that the sequences hold.
int main(int count, char **arguments) {
  int64_t document = count > 1 ? std::atoll(arguments[1]) : 0;
  std::printf("%d thread(s), %s\n", moire_threads(), moire::cpu::isaName(moire::cpu::isa()));
  for (const Size &z : sizes) {
    Values<float> qkv = randomFloats(z.batch * z.time * (z.heads + 2 * z.kvHeads) * z.dim, -1, 1);
    Values<float> dout = randomFloats(z.batch * z.time * z.heads * z.dim, -1, 1);
    double threads = moire_threads();
    run("f32", z, qkv, dout, document, 32 * threads * vectorRate(), moire_attention_f32, moire_attention_backward_f32);
    run("bf16", z, toBf16(qkv), toBf16(dout), document, 64 * threads * vectorRate(true), moire_attention_bf16,
        moire_attention_backward_bf16);
  }
}
