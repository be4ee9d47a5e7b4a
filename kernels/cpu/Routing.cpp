//===- kernels/cpu/Routing.cpp - the routing that packages call --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C functions of routing: they choose the instruction set and hand the
// arguments on. This source is also the instance for plain C++.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/ByIsa.h"
#include "kernels/cpu/RoutingInstance.h"
#include "kernels/include/Kernels.h"

namespace moire::cpu {

MOIRE_TABLE_BY_ISA(RoutingTable, routingTable)

} // namespace moire::cpu

extern "C" {

#define MOIRE_DEFINE_ROUTE(SUFFIX, FIELD, S)                                                                           \
  void moire_route_##SUFFIX(int64_t tokens, int64_t experts, int64_t top_k, int32_t gate, int32_t renormalize,         \
                            S scale, int64_t groups, int64_t best, const S *logits, const S *bias,                     \
                            const int32_t *assigned, S *probs, S *weights, int32_t *chosen) {                          \
    moire::cpu::table().route##FIELD({tokens, experts, top_k, gate, renormalize != 0, scale, groups, best, logits,     \
                                      bias, assigned, probs, weights, chosen});                                        \
  }                                                                                                                    \
  void moire_route_backward_##SUFFIX(int64_t tokens, int64_t experts, int64_t top_k, int32_t gate,                     \
                                     int32_t renormalize, S scale, const S *logits, const S *probs, const S *weights,  \
                                     const int32_t *chosen, const S *dweights, const S *dprobs, S *dlogits) {          \
    moire::cpu::table().routeBackward##FIELD({tokens, experts, top_k, gate, renormalize != 0, scale, logits, probs,    \
                                              weights, chosen, dweights, dprobs, dlogits});                            \
  }
MOIRE_DEFINE_ROUTE(f32, F32, float)
MOIRE_DEFINE_ROUTE(f64, F64, double)

#define MOIRE_DEFINE_ROWS(SUFFIX, FIELD, X, S)                                                                         \
  void moire_gather_rows_backward_##SUFFIX(int64_t tokens, int64_t top_k, int64_t width, const int32_t *position,      \
                                           const X *dy, int64_t lddy, X *dx, int64_t lddx) {                           \
    moire::cpu::table().rows##FIELD.gatherBackward(                                                                    \
        {tokens, top_k, width, position, nullptr, nullptr, 0, dy, lddy, dx, lddx, nullptr});                           \
  }                                                                                                                    \
  void moire_combine_##SUFFIX(int64_t tokens, int64_t top_k, int64_t width, const int32_t *position, const S *weights, \
                              const X *x, int64_t ldx, X *y, int64_t ldy) {                                            \
    moire::cpu::table().rows##FIELD.combine(                                                                           \
        {tokens, top_k, width, position, weights, x, ldx, nullptr, 0, y, ldy, nullptr});                               \
  }                                                                                                                    \
  void moire_combine_backward_##SUFFIX(int64_t tokens, int64_t top_k, int64_t width, const int32_t *position,          \
                                       const S *weights, const X *x, int64_t ldx, const X *dy, int64_t lddy, X *dx,    \
                                       int64_t lddx, S *dweights) {                                                    \
    moire::cpu::table().rows##FIELD.combineBackward(                                                                   \
        {tokens, top_k, width, position, weights, x, ldx, dy, lddy, dx, lddx, dweights});                              \
  }
MOIRE_DEFINE_ROWS(f32, F32, float, float)
MOIRE_DEFINE_ROWS(f64, F64, double, double)
MOIRE_DEFINE_ROWS(bf16, Bf16, uint16_t, float)

} // extern "C"
