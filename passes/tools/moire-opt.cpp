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
#ifdef MOIRE_HAS_Expand
#include "passes/Transforms/Expand/Passes.h"
#endif
#ifdef MOIRE_HAS_Autodiff
#include "passes/Transforms/Autodiff/Passes.h"
#endif
#ifdef MOIRE_HAS_FuseRowwise
#include "passes/Transforms/Rowwise/Passes.h"
#endif
#ifdef MOIRE_HAS_LowerRowwise
#include "passes/Conversion/Rowwise/Passes.h"
#endif
#ifdef MOIRE_HAS_Buffers
#include "passes/Conversion/Buffers/Passes.h"
#endif
#ifdef MOIRE_HAS_Pipelines
#include "passes/Pipelines/Passes.h"
#include "passes/Pipelines/Pipelines.h"
#endif

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  registry.insert<moire::MoireDialect>();
#ifdef MOIRE_HAS_Expand
  moire::registerMoireExpandPasses();
#endif
#ifdef MOIRE_HAS_Autodiff
  moire::registerMoireAutodiffPasses();
#endif
#ifdef MOIRE_HAS_FuseRowwise
  moire::registerMoireFuseRowwisePasses();
#endif
#ifdef MOIRE_HAS_LowerRowwise
  moire::registerMoireLowerRowwisePasses();
#endif
#ifdef MOIRE_HAS_Buffers
  moire::registerMoireBuffersPasses();
#endif
#ifdef MOIRE_HAS_Pipelines
  moire::registerMoirePipelinesPasses();
  moire::registerMoirePipelines();
#endif
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Moire's passes on any level\n", registry));
}
