//===- passes/Pipelines/Pipelines.h - named pipelines -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stages in their order, spelt alike by moire-opt, the driver and tests. Each takes a module from one level to
// the next and closes that level; each leaves alone what is past it already.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_PIPELINES_H
#define MOIRE_PASSES_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace moire {

struct TensorPipelineOptions : mlir::PassPipelineOptions<TensorPipelineOptions> {
  Option<std::string> precision{*this, "precision", llvm::cl::desc("f32, bf16 or f64"), llvm::cl::init("f32")};
  Option<int64_t> prefillTokens{*this, "prefill-tokens", llvm::cl::desc("tokens that a call of @prefill reads"),
                                llvm::cl::init(16)};
  Option<int64_t> decodeContext{*this, "decode-context",
                                llvm::cl::desc("positions that decoding has room for; 0: the model's context"),
                                llvm::cl::init(0)};
  ListOption<std::string> skipProofs{*this, "skip-proofs",
                                     llvm::cl::desc("proofs to leave out: causality, gradients, precision")};
  Option<bool> fuseRouting{*this, "fuse-routing", llvm::cl::desc("join the experts' last product and its weighted sum"),
                           llvm::cl::init(true)};
  Option<bool> recompute{*this, "recompute", llvm::cl::desc("keep of an iteration of layers only what entered it"),
                         llvm::cl::init(false)};
  Option<bool> probe{*this, "probe", llvm::cl::desc("report activations as metrics of @train"), llvm::cl::init(false)};
};

struct FusePipelineOptions : mlir::PassPipelineOptions<FusePipelineOptions> {
  ListOption<std::string> skipProofs{*this, "skip-proofs", llvm::cl::desc("proofs to leave out: precision")};
  Option<bool> fuseRouting{*this, "fuse-routing", llvm::cl::desc("join routing, gathers and products over experts"),
                           llvm::cl::init(true)};
};

/// Of the pipelines that write code for a processor.
struct CodePipelineOptions : mlir::PassPipelineOptions<CodePipelineOptions> {
  Option<unsigned> vectorBits{*this, "vector-bits", llvm::cl::desc("width of vectors: 128, 256 or 512"),
                              llvm::cl::init(512)};
  Option<bool> nativeBf16{*this, "native-bf16", llvm::cl::desc("the processor rounds f32 to bf16"),
                          llvm::cl::init(true)};
  Option<bool> noReuse{*this, "no-reuse", llvm::cl::desc("give every buffer bytes of its own"), llvm::cl::init(false)};
};

/// Model to tensor: blocks expanded, reverse mode, costs noted. `moire-tensor-pipeline`.
void buildTensorPipeline(mlir::OpPassManager &manager, const TensorPipelineOptions &options);
/// Tensor to fused: routing and row kernels. `moire-fuse-pipeline`.
void buildFusePipeline(mlir::OpPassManager &manager, const FusePipelineOptions &options);
/// Fused to linalg: buffers, loops, one arena per function, and the optimizer's code. `moire-buffer-pipeline`.
void buildBufferPipeline(mlir::OpPassManager &manager, const CodePipelineOptions &options);
/// Linalg to LLVM: vectors, then the LLVM dialect. `moire-llvm-pipeline`.
void buildLLVMPipeline(mlir::OpPassManager &manager, const CodePipelineOptions &options);

/// Registers all four with the names above.
void registerMoirePipelines();

} // namespace moire

#endif // MOIRE_PASSES_PIPELINES_PIPELINES_H
