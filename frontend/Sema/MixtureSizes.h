//===- frontend/Sema/MixtureSizes.h - sizes of experts, given in any way ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every consistent part of {hidden, experts, top_k, expansion, granularity, total,
// active} says the rest. The width is the stream's.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_MIXTURESIZES_H
#define MOIRE_FRONTEND_SEMA_MIXTURESIZES_H

#include "frontend/Sema/Builtins.h"

namespace moire::sema {

/// Fills in how many experts a router chooses among and how many a token goes to; false after an error.
bool solveRouter(Completion &c);
/// The same for a pool, whose experts may also be given by their parameters: `hidden` of its expert is known
/// afterwards.
bool solvePool(Completion &c);

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_MIXTURESIZES_H
