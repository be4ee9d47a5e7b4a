//===- test/bench/kernels/OneDnnProducts.cpp - the rival -------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// oneDNN gets the same plain layouts as we do, so what it reorders inside the
// call counts for it as our packing counts for us.
//
//===----------------------------------------------------------------------===//
#include "test/bench/kernels/OneDnnProducts.h"

#ifdef MOIRE_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

#include <memory>
#endif

namespace moire::bench {

#ifdef MOIRE_HAVE_ONEDNN
std::function<void()> oneDnnProduct(int64_t m, int64_t n, int64_t k, bool transA, bool transB, bool bf16,
                                    bool narrowOutput, const void *a, const void *b, void *c) {
  using namespace dnnl;
  static engine cpu(engine::kind::cpu, 0);
  static stream queue(cpu);
  auto type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  auto outType = narrowOutput ? memory::data_type::bf16 : memory::data_type::f32;
  auto layout = [](bool transposed) { return transposed ? memory::format_tag::ba : memory::format_tag::ab; };
  memory::desc da({m, k}, type, layout(transA)), db({k, n}, type, layout(transB));
  memory::desc dc({m, n}, outType, memory::format_tag::ab);
  auto multiply = std::make_shared<matmul>(matmul::primitive_desc(matmul::desc(da, db, dc), cpu));
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, memory(da, cpu, const_cast<void *>(a))},
                                               {DNNL_ARG_WEIGHTS, memory(db, cpu, const_cast<void *>(b))},
                                               {DNNL_ARG_DST, memory(dc, cpu, c)}};
  return [multiply, arguments] {
    multiply->execute(queue, arguments);
    queue.wait();
  };
}
#else
std::function<void()> oneDnnProduct(int64_t, int64_t, int64_t, bool, bool, bool, bool, const void *, const void *,
                                    void *) {
  return {};
}
#endif

} // namespace moire::bench
