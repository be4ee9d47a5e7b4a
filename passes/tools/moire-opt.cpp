//===- passes/tools/moire-opt.cpp - run any pass on any level ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// mlir-opt with the dialect, the passes and the pipelines of Moire.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Conversion/Buffers/Passes.h"
#include "passes/Conversion/Rowwise/Passes.h"
#include "passes/Pipelines/Passes.h"
#include "passes/Pipelines/Pipelines.h"
#include "passes/Proofs/Passes.h"
#include "passes/Transforms/Autodiff/Passes.h"
#include "passes/Transforms/Expand/Passes.h"
#include "passes/Transforms/Rowwise/Passes.h"
#include "passes/Transforms/Scaling/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  registry.insert<moire::MoireDialect>();
  moire::registerMoireProofsPasses();
  moire::registerMoireExpandPasses();
  moire::registerMoireScalingPasses();
  moire::registerMoireAutodiffPasses();
  moire::registerMoireFuseRowwisePasses();
  moire::registerMoireBuffersPasses();
  moire::registerMoireLowerRowwisePasses();
  moire::registerMoirePipelinesPasses();
  moire::registerMoirePipelines();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Moire's passes on any level\n", registry));
}
