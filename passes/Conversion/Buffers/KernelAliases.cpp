//===- passes/Conversion/Buffers/KernelAliases.cpp - what kernels may assume ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Traces launch operands to the buffer they view. Buffers of one function are distinct when they are different
// arguments (the package's contract), or ranges of the arena that do not meet.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/KernelAliases.h"
#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace moire;

namespace {
/// Bytes [begin, end) of what `root` names.
struct Extent {
  Value root;
  int64_t begin = 0, end = INT64_MAX;

  bool meets(const Extent &other) const { return root == other.root && begin < other.end && other.begin < end; }
};
} // namespace

static Extent extentOf(Value buffer) {
  while (Operation *op = buffer.getDefiningOp()) {
    if (auto view = dyn_cast<memref::ViewOp>(op)) {
      auto type = cast<MemRefType>(view.getType());
      APInt offset;
      if (!matchPattern(view.getByteShift(), m_ConstantInt(&offset)))
        return {view.getSource()};
      int64_t begin = offset.getSExtValue();
      return {view.getSource(), begin, begin + type.getNumElements() * type.getElementTypeBitWidth() / 8};
    }
    if (auto global = dyn_cast<memref::GetGlobalOp>(op)) // never written
      return {Value()};
    if (!isa<ViewLikeOpInterface>(op))
      return {buffer};
    buffer = op->getOperand(0);
  }
  return {buffer};
}

/// Whether anything is written through `argument` or a view of it; calls and unknown ops count as writing.
static bool isWritten(Value argument) {
  SmallVector<Value> pending{argument};
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    for (Operation *user : value.getUsers()) {
      if (isa<ViewLikeOpInterface>(user)) {
        pending.push_back(user->getResult(0));
        continue;
      }
      auto effects = dyn_cast<MemoryEffectOpInterface>(user);
      if (!effects || effects.getEffectOnValue<MemoryEffects::Write>(value))
        return true;
    }
  }
  return false;
}

void moire::markDistinctBuffers(ModuleOp module) {
  llvm::MapVector<StringRef, SmallVector<OperandRange>> launches;
  module.walk([&](Operation *op) {
    if (auto launch = dyn_cast<LaunchOp>(op))
      launches[launch.getKernel()].push_back(launch.getBuffers());
    else if (auto call = dyn_cast<KernelCallOp>(op); call && call.getThen())
      launches[*call.getThen()].push_back(call.getThenBuffers());
  });
  SymbolTable symbols(module);
  for (auto &[name, sites] : launches) {
    auto kernel = symbols.lookup<func::FuncOp>(name);
    unsigned buffers = kernel.getNumArguments() - 2;
    SmallVector<bool> written(buffers), distinct(buffers, true);
    for (unsigned i = 0; i < buffers; ++i)
      written[i] = isWritten(kernel.getArgument(i + 2));
    for (OperandRange site : sites) {
      SmallVector<Extent> extents = llvm::map_to_vector(site, extentOf);
      for (unsigned i = 0; i < buffers; ++i)
        for (unsigned j = i + 1; j < buffers; ++j)
          if ((written[i] || written[j]) && extents[i].root && extents[i].meets(extents[j]))
            distinct[i] = distinct[j] = false;
    }
    for (unsigned i = 0; i < buffers; ++i)
      if (distinct[i])
        kernel.setArgAttr(i + 2, "llvm.noalias", UnitAttr::get(module.getContext()));
      else // whoever wrote the kernel did not know of this launch
        kernel.removeArgAttr(i + 2, StringAttr::get(module.getContext(), "llvm.noalias"));
  }
}
