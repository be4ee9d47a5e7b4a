//===- BaseShapes.cpp - the extents of a model's parameters -----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Only expansion knows which parameters a block owns, so the model is expanded.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Scaling/BaseShapes.h"
#include "dialect/IR/MoireOps.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Transforms/Expand/Passes.h"

using namespace mlir;

llvm::FailureOr<std::vector<moire::NamedExtents>> moire::expandForExtents(ModuleOp module) {
  std::vector<NamedExtents> extents;
  module.walk([&](AttentionOp op) {
    if (!op.getScale())
      extents.push_back({op.getPath().str(), {int64_t(op.getHeadDim())}});
  });
  module.walk([&](LatentAttentionOp op) {
    extents.push_back({op.getPath().str(), {int64_t(op.getNopeDim() + op.getRopeDim())}});
  });
  PassManager manager(module.getContext());
  ExpandBlocksPassOptions options;
  options.functions = {"eval"};
  manager.addPass(createExpandBlocksPass(options));
  if (failed(manager.run(module)))
    return failure();
  for (auto param : module.getOps<ParamOp>()) {
    auto shape = cast<RankedTensorType>(param.getType()).getShape().drop_front(param.getStack());
    if (!shape.empty()) // the extents of scalars say nothing
      extents.push_back({param.getSymName().str(), shape.vec()});
  }
  return extents;
}
