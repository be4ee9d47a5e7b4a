//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How parameters start and learn.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_SCALING_PASSES_TD
#define MOIRE_PASSES_TRANSFORMS_SCALING_PASSES_TD

include "mlir/Pass/PassBase.td"

def MupPass : Pass<"moire-mup", "::mlir::ModuleOp"> {
  let summary = "Scale first values, rates and products with the width (muP)";
  let description = [{
    Does what the module's `moire.mup` asks, which it removes; without one it does nothing. Each extent of a parameter
    is compared with the base model's: it has grown by a factor m, or it is fixed. What follows for Adam (arXiv
    2203.03466, table 8) depends on the products that read the parameter:

    | the product's input | its output | first values | learning rate | decay | the product |
    | --- | --- | --- | --- | --- | --- |
    | grown by m | grown | variance 1/m of the base | 1/m | m | as it is |
    | grown by m | fixed | those of the base | 1 | 1 | times 1/m |
    | fixed | any | those of the base | 1 | 1 | as it is |

    So for embeddings, norms, biases and whatever else no product contracts, nothing changes. Products start with a
    variance of c / fan-in at every width, hence the first row needs no change of first values and the second one takes
    it back. The decay's factor keeps the product of learning rate and decay what it is in the base model. Routers are in
    the second row unless the op says otherwise. Scores of attention are scaled by `sqrt(base head) / head` where heads
    grow, which expanding the block does.

    A product is scaled at its smaller side. A model as wide as its base comes out as it went in.

    Before, and after, at 4 times the width of the base:
    ```mlir
    moire.param @head.weight : tensor<256x512xf32> role head init normal {init_a = 0.02, ...}
    %y = moire.linear %x, %head : (tensor<8x64x256xf32>, tensor<256x512xf32>) -> tensor<8x64x512xf32>

    moire.param @head.weight : tensor<256x512xf32> role head init normal {init_a = 0.04, multiplier = 0.25, ...}
    %s = moire.scale %x by 0.25 : tensor<8x64x256xf32>
    %y = moire.linear %s, %head : (tensor<8x64x256xf32>, tensor<256x512xf32>) -> tensor<8x64x512xf32>
    ```
  }];
  let dependentDialects = ["::moire::MoireDialect"];
}

def RatesPass : Pass<"moire-rates", "::mlir::ModuleOp"> {
  let summary = "Give parameters their relative learning rates";
  let description = [{
    Does what the `moire.rate` ops of the module ask, and removes them: sets `rate_start` and `rate_end` of the
    parameters that they name. A path comes before a role. It is an error when a rule names no parameter, when every one
    that it names belongs to a path, when two paths name the same parameter, and when a path names some copies of a
    stacked parameter and not others.

    Before, and after:
    ```mlir
    moire.rate role router start 0.6 end 1.0
    moire.param @r.weight : tensor<64x8xf32> role router init normal {...}

    moire.param @r.weight : tensor<64x8xf32> role router init normal {rate_start = 0.6, ...}
    ```
  }];
}

#endif
