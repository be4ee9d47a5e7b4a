//===- BaseShapes.h - the extents of a model's parameters -------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a model is compared with when it grows: another model's parameters, by name.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_SCALING_BASESHAPES_H
#define MOIRE_PASSES_TRANSFORMS_SCALING_BASESHAPES_H

#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <utility>
#include <vector>

namespace moire {

/// A symbolic path with extents: of one copy of a parameter, or the size of a head for a block of attention whose scale
/// follows from it.
using NamedExtents = std::pair<std::string, std::vector<int64_t>>;

/// Extents of all parameters of a module at the model level, in the order of declaration, and heads of attention.
/// Expands the blocks of `module` in place. Errors are diagnostics.
llvm::FailureOr<std::vector<NamedExtents>> expandForExtents(mlir::ModuleOp module);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_SCALING_BASESHAPES_H
