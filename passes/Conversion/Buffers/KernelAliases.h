//===- passes/Conversion/Buffers/KernelAliases.h - what kernels may assume --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds, from all launches of a kernel, which of its buffers are memory of their own.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_KERNELALIASES_H
#define MOIRE_PASSES_CONVERSION_BUFFERS_KERNELALIASES_H

#include "mlir/IR/BuiltinOps.h"

namespace moire {

/// Marks (`llvm.noalias`) every argument of a launched kernel that, at each launch, shares no byte with another one in
/// a way that a write could show, and no other. Expects planned memory: bytes are told apart by their offset in the
/// arena.
void markDistinctBuffers(mlir::ModuleOp module);

} // namespace moire

#endif // MOIRE_PASSES_CONVERSION_BUFFERS_KERNELALIASES_H
