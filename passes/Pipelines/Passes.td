//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes that stand between the stages.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PIPELINES_PASSES_TD
#define MOIRE_PASSES_PIPELINES_PASSES_TD

include "mlir/Pass/PassBase.td"

def NoteCostsPass : Pass<"moire-note-costs", "::mlir::ModuleOp"> {
  let summary = "Note on functions what a call of them costs";
  let description = [{
    Sums the operations that the ops of each function of tensors say they take (CostedOpInterface), loops as often
    as they run. A function that still has its objective gets `moire.forward_flops`, any other `moire.flops`: run
    once before and once after differentiation, the pass leaves both on a training step. Expert parameters get
    `moire.active_elements`, the elements that one token passes through. Nothing else changes.

    Before:
    ```mlir
    func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) -> tensor<2x4xf32> {
      %y = moire.linear %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
      return %y : tensor<2x4xf32>
    }
    ```
    After:
    ```mlir
    func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) -> tensor<2x4xf32>
        attributes {moire.flops = 4.800000e+01 : f64} {
    ```
  }];
}

def SplitBiasPass : Pass<"moire-split-bias", "::mlir::ModuleOp"> {
  let summary = "Give the bias of a linear map to the row kernels";
  let description = [{
    `moire.linear` with a bias becomes one without and a `moire.binary add`, which row fusion merges with whatever reads
    the sum. Fires on every biased linear map.

    Before:
    ```mlir
    %y = moire.linear %x, %w bias %b : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ```
    After:
    ```mlir
    %p = moire.linear %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
    %y = moire.binary add %p, %b : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    ```
  }];
  let dependentDialects = ["::moire::MoireDialect"];
}

def VerifyLevelPass : Pass<"moire-verify-level", "::mlir::ModuleOp"> {
  let summary = "Check that a module has reached a level";
  let description = [{
    Closes a level by what may no longer occur in it. `tensor`: no blocks. `fused`: besides, no row ops outside of
    `moire.rowwise`, only what has a form on buffers. `linalg`: no tensors outside of kernels' bodies, no
    `moire.rowwise`, no allocation in public functions. `llvm`: the LLVM dialect and parameters only. Every offender
    is an error; nothing is changed.

    Example:
    ```mlir
    // moire-opt --moire-verify-level="level=tensor"
    %y = moire.norm rms %x path "norm" ... // error: 'moire.norm' op may not occur at level `tensor`
    ```
  }];
  let options = [Option<"level", "level", "std::string", /*default=*/"\"tensor\"",
                        "The level to close: tensor, fused, linalg or llvm">];
}

#endif
