//===- passes/Transforms/Rowwise/RowGroups.h - which ops share a kernel -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Partition of a block's row ops into kernels. Every op starts alone; producers join consumers, then ops that read the
// same rows join, as long as one loop over rows can compute them all.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_ROWWISE_ROWGROUPS_H
#define MOIRE_PASSES_TRANSFORMS_ROWWISE_ROWGROUPS_H

#include "passes/Transforms/Rowwise/RowForms.h"
#include "llvm/ADT/DenseMap.h"
#include <memory>
#include <string>

namespace moire {

/// Ops that become one kernel.
struct RowGroup {
  llvm::SmallVector<mlir::Operation *> ops;  ///< in the order of the block
  llvm::SmallVector<Domain, 2> domains;      ///< over which all of them can run, best first

  llvm::ArrayRef<int64_t> domain() const { return domains.front(); }
};

/// A merge that was wanted and declined: a producer (or sibling), a consumer, and why not.
struct DeclinedMerge {
  mlir::Operation *first, *second;
  std::string reason;
};

/// The partition of one block.
class RowGroups {
public:
  /// Groups of `block`, merged greedily; a kernel reads at most `maxInputs` different rows.
  RowGroups(mlir::Block &block, unsigned maxInputs);

  llvm::ArrayRef<std::unique_ptr<RowGroup>> getGroups() const { return groups; }
  llvm::ArrayRef<DeclinedMerge> getDeclined() const { return declined; }

  /// What remains to be read by `op` over `domain` when free ops are written into the kernel, in place of its own reads.
  static llvm::SmallVector<RowRead> resolvedReads(mlir::Operation *op, llvm::ArrayRef<int64_t> domain);
  /// Whether a use of `value`, directly or through free ops, lies outside `group`: then the kernel must write it.
  bool isNeededOutside(mlir::Value value, const RowGroup &group) const;
  /// Whether someone reads the result of a free op from memory, and not from inside a kernel.
  bool isReadFromMemory(mlir::Operation *freeOp) const;
  const RowGroup *groupOf(mlir::Operation *op) const { return memberOf.lookup(op); }

private:
  void mergeProducers();
  void mergeSiblings();
  bool tryMerge(RowGroup *a, RowGroup *b, bool report);
  std::string whyNot(RowGroup *a, RowGroup *b, llvm::SmallVectorImpl<Domain> &common);
  bool edgesFit(RowGroup *a, RowGroup *b, llvm::ArrayRef<int64_t> domain) const;
  bool makesCycle(RowGroup *a, RowGroup *b) const;
  unsigned countReads(RowGroup *a, RowGroup *b, llvm::ArrayRef<int64_t> domain) const;
  llvm::SmallVector<mlir::Operation *> dependencies(mlir::Operation *op) const;

  mlir::Block &block;
  unsigned maxInputs;
  llvm::SmallVector<std::unique_ptr<RowGroup>> groups;
  llvm::DenseMap<mlir::Operation *, RowGroup *> memberOf;
  llvm::DenseMap<mlir::Operation *, unsigned> order;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Operation *>> dependsOn;
  llvm::SmallVector<DeclinedMerge> declined;
};

/// Copies cheap producers into the kernels that read them where that saves memory traffic; to be called before a block is
/// partitioned for good. Only `candidates` are copied, each once: a copy is not among them, so calling this until it
/// returns false ends. Returns whether something was copied.
bool copyCheapProducers(mlir::Block &block, unsigned maxInputs, llvm::DenseSet<mlir::Operation *> &candidates);

} // namespace moire

#endif // MOIRE_PASSES_TRANSFORMS_ROWWISE_ROWGROUPS_H
