//===- test/bench/kernels/RoutingBench.cpp - speed of routing ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Microseconds of each step of routing, and GB/s where rows move.
//===----------------------------------------------------------------------===//
#include "test/bench/kernels/Timing.h"

#include <algorithm>
#include <cstdio>

using namespace moire::bench;

namespace {

struct Size {
  int64_t tokens, experts, topK, width;
};
const Size sizes[] = {{2048, 16, 1, 256}, {2048, 16, 2, 512}, {2048, 64, 6, 512}, {2048, 512, 16, 256}};

void report(const char *what, const Size &z, double time, double bytes) {
  std::printf("%-20s tokens=%lld experts=%-4lld k=%-3lld width=%-4lld %8.1f us", what, (long long)z.tokens,
              (long long)z.experts, (long long)z.topK, (long long)z.width, time * 1e6);
  std::printf(bytes > 0 ? " %6.1f GB/s\n" : "\n", bytes / time * 1e-9);
}

void run(const Size &z) {
  int64_t count = z.tokens * z.topK;
  Values<float> logits = randomFloats(z.tokens * z.experts, -3, 3), probs(logits.size()), dlogits(logits.size());
  Values<float> weights(static_cast<size_t>(count)), dweights = randomFloats(count, -1, 1);
  Values<int32_t> chosen(weights.size()), offsets(size_t(z.experts) + 1), rows(weights.size()), slots(weights.size()),
      position(weights.size());
  double time = shortest([&] {
    moire_route_f32(z.tokens, z.experts, z.topK, 0, 1, 1, 1, 1, logits.data(), nullptr, nullptr, probs.data(),
                    weights.data(), chosen.data());
  });
  report("route", z, time, 0);
  time = shortest([&] {
    moire_route_backward_f32(z.tokens, z.experts, z.topK, 0, 1, 1, nullptr, probs.data(), weights.data(), chosen.data(),
                             dweights.data(), nullptr, dlogits.data());
  });
  report("route backward", z, time, 0);
  time = shortest([&] {
    moire_dispatch(z.tokens, z.experts, z.topK, chosen.data(), offsets.data(), rows.data(), slots.data(),
                   position.data());
  });
  report("dispatch", z, time, 0);
  Values<float> x = randomFloats(z.tokens * z.width, -1, 1), w = randomFloats(z.width * z.experts, -1, 1);
  auto product = [&](int64_t begin, int64_t end) {
    moire_gemm_f32_f32(end - begin, z.experts, z.width, x.data() + begin * z.width, z.width, 0, w.data(), z.experts, 0,
                       logits.data() + begin * z.experts, z.experts, 0);
  };
  auto route = [&](int64_t begin, int64_t end) {
    moire_route_f32(end - begin, z.experts, z.topK, 0, 1, 1, 1, 1, logits.data() + begin * z.experts, nullptr, nullptr,
                    probs.data() + begin * z.experts, weights.data() + begin * z.topK, chosen.data() + begin * z.topK);
  };
  report("router product", z, shortest([&] { product(0, z.tokens); }), 0);
  time = shortest([&] {
    product(0, z.tokens);
    route(0, z.tokens);
  });
  report("product, then route", z, time, 0);
  // What one kernel of both could reach: logits meet the choice while they are in the cache.
  auto both = [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t += 128) {
      product(t, std::min(t + 128, end));
      route(t, std::min(t + 128, end));
    }
  };
  time = shortest([&] {
    moire_parallel_for(
        z.tokens, 128, [](int64_t begin, int64_t end, void *run) { (*static_cast<decltype(both) *>(run))(begin, end); },
        &both);
  });
  report("both by 128 tokens", z, time, 0);
  Values<float> y(x.size()), big(size_t(count * z.width)), dbig = big;
  double token = 4 * double(x.size()), row = 4 * double(big.size());
  time = shortest([&] { moire_gather_rows_f32(count, z.width, rows.data(), x.data(), z.width, big.data(), z.width); });
  report("gather", z, time, token + row);
  time = shortest([&] {
    moire_combine_f32(z.tokens, z.topK, z.width, position.data(), weights.data(), big.data(), z.width, y.data(),
                      z.width);
  });
  report("combine", z, time, token + row);
  time = shortest([&] {
    moire_combine_backward_f32(z.tokens, z.topK, z.width, position.data(), weights.data(), big.data(), z.width,
                               x.data(), z.width, dbig.data(), z.width, dweights.data());
  });
  report("combine backward", z, time, token + 2 * row);
}

} // namespace

int main() {
  std::printf("%d thread(s), %s\n", moire_threads(), moire::cpu::isaName(moire::cpu::isa()));
  for (const Size &z : sizes)
    run(z);
}
