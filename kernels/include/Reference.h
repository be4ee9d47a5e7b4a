/*===- kernels/include/Reference.h - plain-loop oracles of the kernels -------===*
 *
 * Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * `moire_reference_<name>` computes what `moire_<name>` promises, with loops
 * that follow the formula and nothing else. Tests compare the two.
 *===------------------------------------------------------------------------===*/
#ifndef MOIRE_KERNELS_INCLUDE_REFERENCE_H
#define MOIRE_KERNELS_INCLUDE_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#define MOIRE_KERNEL(name) moire_reference_##name
#include "kernels/include/KernelList.inc"
#undef MOIRE_KERNEL
#ifdef __cplusplus
}
#endif
#endif /* MOIRE_KERNELS_INCLUDE_REFERENCE_H */
