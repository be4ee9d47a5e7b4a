//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass from row ops on tensors to row kernels.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_ROWWISE_PASSES_TD
#define MOIRE_PASSES_TRANSFORMS_ROWWISE_PASSES_TD

include "mlir/Pass/PassBase.td"

def FuseRowwisePass : Pass<"moire-fuse-rowwise"> {
  let summary = "Fuse pointwise, row-wise and reducing ops into row kernels";
  let description = [{
    Every op that works row by row (and convolutions, lookups and the balance loss, which can be written so) goes into a
    `moire.rowwise`. Producers join their consumers, and readers of the same rows join each other, when

    - they can run over one domain (pointwise ops adapt: feature by feature, or number by number),
    - what passes between them is the row that is being computed, and not yet summed over rows,
    - no op outside the kernel stands between them,
    - the kernel reads at most `max-inputs` different rows.

    Slices of the last dimension, constants and repetitions are written into every kernel that reads them. Kernels of
    cheap pointwise ops are copied into several readers when that moves fewer bytes; reductions are never done twice.
    Reshapes and slices of other dimensions stay outside: they are views.

    Each kernel is a remark (passed), each producer that stays apart from a consumer another (missed), with the reason.

    Before:
    ```mlir
    %s = moire.binary add %x, %r : (tensor<8x64x256xf32>, tensor<8x64x256xf32>) -> tensor<8x64x256xf32>
    %y, %rstd = moire.rms_norm %s, %w eps 1.0e-5 : (tensor<8x64x256xf32>, tensor<256xf32>) ->
        (tensor<8x64x256xf32>, tensor<8x64xf32>)
    ```
    After:
    ```mlir
    %o:3 = moire.rowwise domain [8, 64] maps [#id, #id, #none] summed [false, false, false] ins(%x, %r, %w : ...) {
    ^bb0(%a: tensor<256xf32>, %b: tensor<256xf32>, %c: tensor<256xf32>):
      %s = moire.binary add %a, %b : (tensor<256xf32>, tensor<256xf32>) -> tensor<256xf32>
      %y, %rstd = moire.rms_norm %s, %c eps 1.0e-5 : (tensor<256xf32>, tensor<256xf32>) -> (tensor<256xf32>,
          tensor<f32>)
      moire.yield %s, %y, %rstd : tensor<256xf32>, tensor<256xf32>, tensor<f32>
    } -> tensor<8x64x256xf32>, tensor<8x64x256xf32>, tensor<8x64xf32>
    ```
  }];
  let options = [
    Option<"maxInputs", "max-inputs", "unsigned", /*default=*/"16", "Most rows that one kernel reads">
  ];
  let dependentDialects = ["::moire::MoireDialect"];
}

def FuseEpiloguesPass : Pass<"moire-fuse-epilogues"> {
  let summary = "Run row kernels on the rows of a product over experts while they are in the cache";
  let description = [{
    A `moire.grouped_linear` and the first `moire.rowwise` that reads its rows, one by one, become `moire.product_rows`:
    the activation after the experts' first product, its reverse after the product that gives the gradients of the
    activations. A product that nobody else reads is in no memory then. It declines, with a remark that says why, when

    - the row kernel sums over rows, or runs over something else than the product's rows,
    - the row kernel needs something that is computed from the product in another way,
    - there are fewer than `least-rows` rows: the experts' rows are cut for the threads, and columns are not,
    - a row has more than 16384 bytes: too few rows would fit the cache of a thread.

    It runs after `moire-fuse-rowwise`, which decides what a row kernel is.

    Before:
    ```mlir
    %h = moire.grouped_linear %x, %w, %offsets rows %rows : ...
    %a = moire.rowwise domain [4096] ... ins(%h : ...) {...}
    ```
    After:
    ```mlir
    %a = moire.product_rows {
      %h = moire.grouped_linear %x, %w, %offsets rows %rows : ...
      %r = moire.rowwise domain [4096] ... ins(%h : ...) {...}
      moire.yield %r : ...
    } -> ...
    ```
  }];
  let options = [
    Option<"leastRows", "least-rows", "int64_t", /*default=*/"256", "Rows below which products keep to themselves">
  ];
  let dependentDialects = ["::moire::MoireDialect"];
}

#endif
