//===- passes/Pipelines/Pipelines.cpp - named pipelines ---------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What runs, in which order, and why there.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/Pipelines.h"
#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Conversion/Buffers/Passes.h"
#include "passes/Conversion/Rowwise/Passes.h"
#include "passes/Pipelines/Passes.h"
#include "passes/Proofs/Passes.h"
#include "passes/Transforms/Autodiff/Passes.h"
#include "passes/Transforms/Expand/Passes.h"
#include "passes/Transforms/Rowwise/Passes.h"
#include "passes/Transforms/Scaling/Passes.h"

using namespace mlir;
using namespace moire;

/// Dead and repeated ops out of the way of the passes that count uses.
static void addCleanup(OpPassManager &manager) {
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

static std::unique_ptr<Pass> verify(StringRef level) {
  VerifyLevelPassOptions options;
  options.level = level.str();
  return createVerifyLevelPass(options);
}

/// Whether the proof `name` is to be done: it is, unless it is named among those to leave out.
template <typename Options> static bool proves(const Options &options, StringRef name) {
  return llvm::none_of(options.skipProofs, [&](const std::string &skipped) { return name == skipped; });
}

void moire::buildTensorPipeline(OpPassManager &manager, const TensorPipelineOptions &options) {
  ExpandBlocksPassOptions expand;
  expand.precision = options.precision;
  expand.prefillTokens = options.prefillTokens;
  expand.decodeContext = options.decodeContext;
  expand.probe = options.probe;
  manager.addPass(createExpandBlocksPass(expand));
  // Proofs about positions come first, while every op still stands for its own place in the spec.
  if (proves(options, "causality"))
    manager.addPass(createProveCausalityPass());
  addCleanup(manager);
  // While products with parameters are there to be scaled, and before they are differentiated.
  manager.addPass(createMupPass());
  manager.addPass(createRatesPass());
  // Of a weight that is composed, each part learns as the weight would.
  manager.addPass(createProjectWeightsPass());
  // The forward bill is read off before the reverse pass is there.
  manager.addPass(createNoteCostsPass());
  // Who teaches whom is asked of the losses; whether every gradient is one, of what came out.
  if (proves(options, "gradients"))
    manager.addPass(createProveGradientsPass());
  // Together they have a shorter reverse.
  if (options.fuseRouting)
    manager.addPass(createFuseCombinePass());
  AutodiffPassOptions autodiff;
  autodiff.recomputeIterations = options.recompute;
  manager.addPass(createAutodiffPass(autodiff));
  addCleanup(manager);
  if (proves(options, "gradients"))
    manager.addPass(createProveGradientsPass());
  if (proves(options, "precision"))
    manager.addPass(createProvePrecisionPass());
  manager.addPass(createNoteCostsPass());
  manager.addPass(verify("tensor"));
}

void moire::buildFusePipeline(OpPassManager &manager, const FusePipelineOptions &options) {
  // Biases first, so that row kernels see the sums; routing next, so that they do not take its parts.
  manager.addPass(createSplitBiasPass());
  if (options.fuseRouting)
    manager.addPass(createFuseRoutingPass());
  manager.addPass(createFuseRowwisePass());
  // Last: what runs behind a product is known only now.
  if (options.fuseRouting)
    manager.addPass(createFuseEpiloguesPass());
  addCleanup(manager);
  // Again: kernels have borders of their own, at which something might be rounded.
  if (proves(options, "precision"))
    manager.addPass(createProvePrecisionPass());
  manager.addPass(verify("fused"));
}

void moire::buildBufferPipeline(OpPassManager &manager, const CodePipelineOptions &options) {
  manager.addPass(createBufferizePass());
  addCleanup(manager);
  manager.addPass(createLowerRowwisePass());
  BuildOptimizerPassOptions optimizer;
  optimizer.vectorBits = options.vectorBits;
  optimizer.nativeBf16 = options.nativeBf16;
  manager.addPass(createBuildOptimizerPass(optimizer));
  addCleanup(manager);
  // Last, when every buffer there will be is there.
  PlanMemoryPassOptions memory;
  memory.noReuse = options.noReuse;
  manager.addPass(createPlanMemoryPass(memory));
  manager.addPass(verify("linalg"));
}

void moire::buildLLVMPipeline(OpPassManager &manager, const CodePipelineOptions &options) {
  VectorizeRowsPassOptions vectors;
  vectors.vectorBits = options.vectorBits;
  vectors.nativeBf16 = options.nativeBf16;
  manager.addPass(createVectorizeRowsPass(vectors));
  // What is left of linalg are fills, which LLVM makes memset of.
  manager.addPass(createConvertLinalgToLoopsPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  addCleanup(manager);
  manager.addPass(createLowerToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(verify("llvm"));
}

void moire::registerMoirePipelines() {
  PassPipelineRegistration<TensorPipelineOptions>("moire-tensor-pipeline", "From blocks to differentiated tensors",
                                                  buildTensorPipeline);
  PassPipelineRegistration<FusePipelineOptions>("moire-fuse-pipeline", "From tensors to what one kernel does",
                                                buildFusePipeline);
  PassPipelineRegistration<CodePipelineOptions>("moire-buffer-pipeline", "From tensors to planned memory and loops",
                                                buildBufferPipeline);
  PassPipelineRegistration<CodePipelineOptions>("moire-llvm-pipeline", "From loops to the LLVM dialect",
                                                buildLLVMPipeline);
}
