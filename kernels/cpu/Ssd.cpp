//===- kernels/cpu/Ssd.cpp - Mamba-2's scan that packages call ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C functions of the scan: they choose the instruction set and hand the
// arguments on. This source is also the instance for plain C++.
//===----------------------------------------------------------------------===//
#include "kernels/cpu/ByIsa.h"
#include "kernels/cpu/SsdInstance.h"

namespace moire::cpu {

MOIRE_TABLE_BY_ISA(SsdTable, ssdTable)

} // namespace moire::cpu

extern "C" {
#define MOIRE_DEFINE_SSD(SUFFIX, FIELD, X, S)                                                                          \
  void moire_ssd_scan_##SUFFIX(int64_t batch, int64_t time, int64_t heads, int64_t head_dim, int64_t groups,           \
                               int64_t state, int64_t chunk, const X *x, int64_t x_stride, const S *dt, const S *a,    \
                               const X *b, int64_t b_stride, const X *c, int64_t c_stride, const S *d,                 \
                               const int32_t *ages, const S *initial, X *y, S *final_state, S *states) {               \
    moire::cpu::table().forward##FIELD(                                                                                \
        {{batch, time, heads, head_dim, groups, state, chunk, x, x_stride, dt, a, b, b_stride, c, c_stride, d, ages},  \
         initial,                                                                                                      \
         y,                                                                                                            \
         final_state,                                                                                                  \
         states});                                                                                                     \
  }                                                                                                                    \
  void moire_ssd_scan_backward_##SUFFIX(                                                                               \
      int64_t batch, int64_t time, int64_t heads, int64_t head_dim, int64_t groups, int64_t state, int64_t chunk,      \
      const X *x, int64_t x_stride, const S *dt, const S *a, const X *b, int64_t b_stride, const X *c,                 \
      int64_t c_stride, const S *d, const int32_t *ages, const S *states, const X *dy, X *dx, int64_t dx_stride,       \
      S *ddt, S *da, X *db, int64_t db_stride, X *dc, int64_t dc_stride, S *dd, S *workspace) {                        \
    moire::cpu::table().backward##FIELD(                                                                               \
        {{batch, time, heads, head_dim, groups, state, chunk, x, x_stride, dt, a, b, b_stride, c, c_stride, d, ages},  \
         states,                                                                                                       \
         dy,                                                                                                           \
         dx,                                                                                                           \
         dx_stride,                                                                                                    \
         ddt,                                                                                                          \
         da,                                                                                                           \
         db,                                                                                                           \
         db_stride,                                                                                                    \
         dc,                                                                                                           \
         dc_stride,                                                                                                    \
         dd,                                                                                                           \
         workspace});                                                                                                  \
  }
MOIRE_DEFINE_SSD(f32, F32, float, float)
MOIRE_DEFINE_SSD(f64, F64, double, double)
MOIRE_DEFINE_SSD(bf16, Bf16, uint16_t, float)
} // extern "C"
