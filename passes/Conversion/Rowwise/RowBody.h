//===- passes/Conversion/Rowwise/RowBody.h - formulas of the row ops --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From the body of a `moire.rowwise` to a graph of scalar arithmetic. The one place of the compiler that knows how each
// row op is computed.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_ROWBODY_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_ROWBODY_H

#include "dialect/IR/MoireOps.h"
#include "passes/Conversion/Rowwise/RowGraph.h"
#include <optional>

namespace moire::rows {

/// The graph of a body and the values that it yields, one per result. Between ops values stay in full precision:
/// they are rounded to narrower types only where they are stored.
struct RowBody {
  RowGraph graph;
  llvm::SmallVector<RowValue> yields;
};

/// Builds the graph of `op`'s body. With `rowLength`, rows have that many columns instead of those that the types say
/// (only for bodies that `isElementwise`). Fails with an error at an op that is not a row op.
llvm::LogicalResult buildRowBody(RowwiseOp op, std::optional<int64_t> rowLength, RowBody &body);

/// Whether every column of every result depends on the same column of the inputs only, whatever the row's length.
bool isElementwise(RowwiseOp op);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_ROWBODY_H
