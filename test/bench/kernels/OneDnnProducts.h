//===- test/bench/kernels/OneDnnProducts.h - the rival ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TEST_BENCH_KERNELS_ONEDNNPRODUCTS_H
#define MOIRE_TEST_BENCH_KERNELS_ONEDNNPRODUCTS_H

#include <cstdint>
#include <functional>

namespace moire::bench {

/// A call of oneDNN's matmul, set up beforehand, for C(m,n) = A B on dense row-major matrices that are transposed where
/// said; float, or bf16 with a C of floats or bf16. Empty where the benchmark was built without oneDNN.
std::function<void()> oneDnnProduct(int64_t m, int64_t n, int64_t k, bool transA, bool transB, bool bf16,
                                    bool narrowOutput, const void *a, const void *b, void *c);

} // namespace moire::bench
#endif // MOIRE_TEST_BENCH_KERNELS_ONEDNNPRODUCTS_H
