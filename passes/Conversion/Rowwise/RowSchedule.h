//===- passes/Conversion/Rowwise/RowSchedule.h - sweeps over a row ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Orders a row's graph into sweeps: one pass over the columns that computes everything of one level (one count of
// finished reductions) and one length at once. A row that a later sweep needs again is either computed again from the
// inputs, which then come from the L1 cache, or kept: in the output that it is stored to anyway, or in a row buffer.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_ROWSCHEDULE_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_ROWSCHEDULE_H

#include "passes/Conversion/Rowwise/RowBody.h"
#include "llvm/ADT/DenseMap.h"

namespace moire::rows {

/// Where a row lies: columns from `offset` of result `index`, or of row buffer `index`.
struct Place {
  enum Kind { Output, Buffer } kind;
  unsigned index;
  int64_t offset;
};

/// One row that a sweep writes. `add` accumulates into what is there (a result summed over rows).
struct RowStore {
  Node *node;
  Place place;
  bool add;
};

/// One pass over `length` columns.
struct Sweep {
  unsigned level;
  int64_t length;
  llvm::SmallVector<RowStore> stores;
  llvm::SmallVector<Node *> reductions;
};

/// One number per row that is written when the sweeps of its level are done.
struct NumberStore {
  Node *node;
  unsigned output;
  bool add;
};

/// The plan of a kernel.
struct RowSchedule {
  llvm::SmallVector<Sweep> sweeps;        ///< in order of execution
  llvm::SmallVector<NumberStore> numbers; ///< results of rank 0
  llvm::DenseMap<Node *, Place> kept;     ///< rows that later sweeps load instead of computing them again
  llvm::SmallVector<int64_t> buffers;     ///< columns of each row buffer
};

/// What the schedule must know of a result.
struct OutputTraits {
  bool summed;  ///< accumulated over rows
  bool rounded; ///< stored in a narrower type than values are computed in
};

/// Plans the sweeps of `body`. Row buffers use at most `bufferBytes`, of elements of `realBytes`.
RowSchedule scheduleRow(RowBody &body, llvm::ArrayRef<OutputTraits> outputs, int64_t bufferBytes, int64_t realBytes);

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_ROWSCHEDULE_H
