//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes that prove something about a model, and change nothing in it.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_PROOFS_PASSES_TD
#define MOIRE_PASSES_PROOFS_PASSES_TD

include "mlir/Pass/PassBase.td"

def ProveCausalityPass : Pass<"moire-prove-causality", "::mlir::ModuleOp"> {
  let summary = "Prove that logits see no later tokens and no other examples";
  let description = [{
    In every function with logits (the operand of a `moire.cross_entropy`, or a result marked `moire.logits`): logits
    at position t depend on tokens at positions up to t, of the same example only, and not on the targets. What ops say
    of themselves (PositionalOpInterface) is composed from the tokens on, through loops to a fixed point and through
    calls. An op that says nothing of positions is taken to mix everything.

    Fails with an error at the op that lets the future or a neighbour in, and notes on the way from there to the
    logits. An op that is there to mix across examples or to let tokens compete (`Reach::Group`) is no failure, but a
    remark and an entry of `moire.package`. Losses may read everything: only logits are asked about.

    Example:
    ```mlir
    %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
    %late = moire.slice %x dim 1 at 1 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
    // error: `moire.slice` lets a position see later ones: its result begins at position 1 of its operand
    ```
  }];
}

def ProveGradientsPass : Pass<"moire-prove-gradients", "::mlir::ModuleOp"> {
  let summary = "Prove that every parameter learns and that every loss teaches";
  let description = [{
    In a function that still has its objective (a result marked `moire.objective`):

    - every `moire.param` of the module is reached by the objective's gradient, through the reverse rules of the ops on
      the way; what reaches it, the next-token loss or which auxiliary losses, is a remark;
    - every reported loss (`moire.metric_kind` of `loss` or `aux_loss`) is part of the objective, so that no coefficient
      is accepted and without effect;
    - an auxiliary loss reaches the router of the block in its name (`layers.#.moe.balance_loss` reaches
      `layers.#.moe.router.weight`), or the block's parameters where it has no router;
    - the loads of a balancing loss come from the choices of the router that it moves;
    - no router chooses one expert and divides its gate by itself: the gate would be 1 whatever the router says.

    In a function that has been differentiated: no gradient (`moire.gradient`) is a constant.

    Fails with an error at the parameter's or the loss's place in the spec.

    Example:
    ```mlir
    %probs = moire.fill 2.500000e-01 : tensor<2x3x4xf32>
    %loss = moire.balance_loss %probs, %load factor 1.0 : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<f32>
    // error: `moe.balance_loss` does not reach `moe.router.weight`: it is constant in what it should balance
    ```
  }];
}

def ProvePrecisionPass : Pass<"moire-prove-precision", "::mlir::ModuleOp"> {
  let summary = "Prove that what must stay in full precision does";
  let description = [{
    On tensors and in row kernels alike, through loops, moves of elements and the borders of kernels:

    - router logits and selection biases, gates, the statistics of norms and of softmax, the states and steps of scans,
      loads, losses and gradients of parameters do not come from a bf16 value by a cast: what was rounded stays rounded.
      For router logits and biases, pointwise ops after the cast do not help either;
    - none of these, nor any other result that an op keeps in full precision beside bf16, is cast to bf16 and back;
    - parameters are kept in full precision, and routers are read in it (`compute` is not set).

    Fails with an error at the op that needs the precision, and a note at the cast that lost it.

    Example:
    ```mlir
    %wide = moire.cast %narrow : tensor<2x3x8xbf16> to tensor<2x3x8xf32>
    %probs, %weights, %chosen = moire.route softmax_topk %wide : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>,
        tensor<2x3x2xf32>, tensor<2x3x2xi32>)
    // error: the router logits of `moire.route` were rounded to bf16
    ```
  }];
}

#endif
