//===- passes/Conversion/Buffers/PlanMemory.cpp - one arena per function ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the lifetimes of local buffers, lets ArenaLayout choose offsets, and rewrites allocations to views of the
// arena.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "passes/Conversion/Buffers/ArenaLayout.h"
#include "passes/Conversion/Buffers/Passes.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

namespace moire {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "passes/Conversion/Buffers/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

constexpr int64_t bufferAlignment = 64;

int64_t bytesOf(MemRefType type) {
  int64_t bytes = type.getNumElements() * (type.getElementTypeBitWidth() / 8);
  return llvm::alignTo(bytes, bufferAlignment);
}

/// Numbers of all ops of a function in the order of the text; an op with regions spans those inside it.
struct Clock {
  llvm::DenseMap<Operation *, std::pair<int64_t, int64_t>> spans;
  int64_t now = 0;

  void number(Operation *op) {
    int64_t begin = now++;
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &inner : block)
          number(&inner);
    spans[op] = {begin, now - 1};
  }
};

/// From the first to the last use, views included. A use inside a loop that does not hold the allocation counts
/// as a use by the whole loop, because the next iteration needs the bytes again.
Lifetime lifetimeOf(memref::AllocOp alloc, const Clock &clock) {
  Lifetime lifetime;
  lifetime.bytes = bytesOf(alloc.getType());
  lifetime.first = clock.now;
  SmallVector<Value> pending{alloc};
  while (!pending.empty())
    for (Operation *user : pending.pop_back_val().getUsers()) {
      if (isa<ViewLikeOpInterface>(user)) {
        pending.push_back(user->getResult(0));
        continue;
      }
      auto [first, last] = clock.spans.lookup(alloc->getBlock()->findAncestorOpInBlock(*user));
      lifetime.first = std::min(lifetime.first, first);
      lifetime.last = std::max(lifetime.last, last);
    }
  if (lifetime.last < lifetime.first)
    lifetime.first = lifetime.last = clock.spans.lookup(alloc).first;
  return lifetime;
}

void reportPeak(func::FuncOp function, ArrayRef<memref::AllocOp> allocs, ArrayRef<Lifetime> lifetimes, int64_t size) {
  auto [moment, alive] = peakMoment(lifetimes);
  SmallVector<unsigned> atPeak;
  for (auto [number, lifetime] : llvm::enumerate(lifetimes))
    if (lifetime.first <= moment && moment <= lifetime.last)
      atPeak.push_back(number);
  llvm::sort(atPeak, [&](unsigned a, unsigned b) {
    return std::pair(-lifetimes[a].bytes, a) < std::pair(-lifetimes[b].bytes, b);
  });
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "arena of " << size << " bytes for " << allocs.size() << " buffers; " << alive << " bytes alive at the peak";
  for (unsigned number : ArrayRef<unsigned>(atPeak).take_front(8)) {
    memref::AllocOp alloc = allocs[number];
    out << "\n  " << lifetimes[number].bytes << " bytes: " << alloc.getType() << " of " << alloc.getLoc();
  }
  remark::analysis(function.getLoc(),
                   remark::RemarkOpts::name("arena").category("moire-plan-memory").function(function.getSymName()))
      << text;
}

LogicalResult planFunction(func::FuncOp function, bool reuse) {
  Clock clock;
  clock.number(function);
  SmallVector<memref::AllocOp> allocs;
  function.walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
  SmallVector<Lifetime> lifetimes;
  for (memref::AllocOp alloc : allocs)
    lifetimes.push_back(lifetimeOf(alloc, clock));
  int64_t size = layOutArena(lifetimes, reuse);
  if (hasConflict(lifetimes))
    return function.emitError("internal error: buffers that are alive together share memory");
  reportPeak(function, allocs, lifetimes, size);

  OpBuilder builder(function.getContext());
  auto type = MemRefType::get({size}, builder.getI8Type());
  auto marker = DictionaryAttr::get(function.getContext(), builder.getNamedAttr("moire.arena", builder.getUnitAttr()));
  unsigned last = function.getNumArguments();
  if (failed(function.insertArgument(last, type, marker, function.getLoc())))
    return failure();
  Value arena = function.getArgument(last);
  for (auto [alloc, lifetime] : llvm::zip(allocs, lifetimes)) {
    builder.setInsertionPoint(alloc);
    Value offset = arith::ConstantIndexOp::create(builder, alloc.getLoc(), lifetime.offset);
    Value view = memref::ViewOp::create(builder, alloc.getLoc(), alloc.getType(), arena, offset, ValueRange());
    alloc.replaceAllUsesWith(view);
    alloc.erase();
  }
  function->setAttr("moire.arena_bytes", builder.getI64IntegerAttr(size));
  function->setAttr("moire.live_bytes", builder.getI64IntegerAttr(peakMoment(lifetimes).second));
  return success();
}

struct PlanMemory final : moire::impl::PlanMemoryPassBase<PlanMemory> {
  using PlanMemoryPassBase::PlanMemoryPassBase;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal() || function->hasAttr("moire.arena_bytes"))
        continue;
      if (!function.isPublic()) {
        // Kernels run on many threads at once: what they need is on the stack.
        WalkResult clean = function.walk([](memref::AllocOp alloc) {
          alloc.emitOpError("is inside a kernel, which must not allocate");
          return WalkResult::interrupt();
        });
        if (clean.wasInterrupted())
          return signalPassFailure();
      } else if (failed(planFunction(function, !noReuse))) {
        return signalPassFailure();
      }
    }
  }
};

} // namespace
