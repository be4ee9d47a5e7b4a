//===- passes/Pipelines/VerifyLevel.cpp - levels as contracts ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A level is closed by listing what may no longer occur.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "passes/Pipelines/Passes.h"

namespace moire {
#define GEN_PASS_DEF_VERIFYLEVELPASS
#include "passes/Pipelines/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

bool isBlock(Operation *op) {
  return isa<ModelOp, ReturnOp, EmbedOp, LearnedPositionsOp, SinusoidalPositionsOp, NormOp, AttentionOp,
             LatentAttentionOp, DenseOp, MlpOp, SwigluOp, RouterOp, ExpertsOp, MambaOp, Mamba2Op, Conv1dOp, StackOp,
             UnstackOp, ShiftOp, HeadOp>(op);
}

/// Row ops that are bookkeeping on buffers, and so may stand alone.
bool isPlacement(Operation *op) { return isa<SliceOp, ConcatOp>(op); }

/// Tensor ops that neither a kernel nor a view carries out.
bool needsRowKernel(Operation *op) {
  if (isPlacement(op))
    return false;
  return isa<RowOpInterface>(op) ||
         isa<ConvOp, ConvGradInputOp, ConvGradWeightOp, LookupGradOp, BalanceLossOp, BalanceLossGradOp>(op);
}

bool hasTensors(Operation *op) {
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  return llvm::any_of(op->getOperandTypes(), isTensor) || llvm::any_of(op->getResultTypes(), isTensor);
}

bool isOffender(Operation *op, StringRef level) {
  if (level == "llvm")
    return !isa<LLVM::LLVMDialect>(op->getDialect()) && !isa<ModuleOp, ParamOp>(op);
  if (isBlock(op))
    return true;
  if (level == "fused")
    return needsRowKernel(op) && !op->getParentOfType<RowwiseOp>();
  if (level != "linalg")
    return false;
  if (isa<memref::AllocOp>(op)) {
    auto function = op->getParentOfType<func::FuncOp>();
    return function && function.isPublic();
  }
  return isa<RowwiseOp, ProductRowsOp, RepeatOp>(op) || hasTensors(op);
}

struct VerifyLevel final : moire::impl::VerifyLevelPassBase<VerifyLevel> {
  using VerifyLevelPassBase::VerifyLevelPassBase;

  void runOnOperation() override {
    if (!llvm::is_contained({"tensor", "fused", "linalg", "llvm"}, level)) {
      getOperation().emitError("there is no level `")
          << level << "` to close; there are tensor, fused, linalg and llvm";
      return signalPassFailure();
    }
    bool clean = true;
    getOperation().walk([&](Operation *op) {
      if (!isOffender(op, level))
        return;
      op->emitOpError("may not occur at level `") << level << "`";
      clean = false;
    });
    if (!clean)
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
