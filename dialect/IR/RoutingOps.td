//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: routing of tokens to experts, and its losses.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_ROUTING_OPS_TD
#define MOIRE_ROUTING_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/PointwiseOps.td"

def Moire_RouteOp : Moire_TensorOp<"route", [Differentiable, AttrSizedOperandSegments]> {
  let summary = "Choice of experts by tokens";
  let description = [{
    Logits `[tokens.., experts]`. Scores are their softmax, or `sigmoid(logit)`, or `sqrt(softplus(logit))`; `probs`
    are the scores over their sum. The top_k experts of the largest key are chosen, ties to the lower expert; `chosen`
    lists them from best to worst. The key is the score, or with topk_softmax the logit, plus `bias`; with `groups`
    only experts of the `best` groups are chosen, by the sum of the two largest keys of a group. `assigned` names the
    experts instead. Weights are the scores of the chosen (topk_softmax: the softmax of their logits), without the
    bias, over their sum with `renormalize`, times `scale`. The gradient of `bias` is no derivative: it is each
    expert's share of the choices less the mean, for the optimizer's sign rule.
    - (C1) 1 <= top_k <= experts, where top_k = dim(weights, -1)
    - (C2) weights and chosen are `[tokens.., top_k]`, probs like logits
    - (C3) renormalize not with topk_softmax; scale is above 0
    - (C4) bias has a value for each expert
    - (C5) groups divides experts; best is from 1 to groups, and as many groups hold top_k experts
    - (C6) assigned is like chosen, without bias and groups

    Example:
    ```mlir
    %probs, %weights, %chosen = moire.route softmax_topk %logits renormalize : (tensor<2x3x8xf32>) ->
        (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>)
    ```
  }];
  let arguments = (ins Moire_FullTensor:$logits, Optional<Moire_FullTensor>:$bias, Optional<Moire_Index>:$assigned,
                       Moire_GateAttr:$gate, UnitAttr:$renormalize, DefaultValuedAttr<F64Attr, "1.0">:$scale,
                       DefaultValuedAttr<I64Attr, "1">:$groups, DefaultValuedAttr<I64Attr, "1">:$best);
  let results = (outs Moire_FullTensor:$probs, Moire_FullTensor:$weights, Moire_Index:$chosen);
  let assemblyFormat = [{
    `` $gate $logits (`bias` $bias^)? (`assigned` $assigned^)? (`renormalize` $renormalize^)? (`scale` $scale^)?
    (`groups` $groups^ `best` $best)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_RouteGradOp : Moire_TensorOp<"route_grad", [AttrSizedOperandSegments]> {
  let summary = "Reverse of a choice of experts";
  let description = [{
    The choice itself is constant; gradients flow through probabilities and weights.
    - (C1) as route, with dlogits in the place of the logits; dweights and dprobs have the types of weights and probs
    - (C2) logits are given with the gates that score each expert by itself, and only with them

    Example:
    ```mlir
    %dlogits = moire.route_grad softmax_topk %probs, %weights, %chosen dweights %dweights dprobs %dprobs :
        (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<6x2xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$probs, Moire_FullTensor:$weights, Moire_Index:$chosen,
                       Optional<Moire_FullTensor>:$logits, Optional<Moire_FullTensor>:$dweights,
                       Optional<Moire_FullTensor>:$dprobs, Moire_GateAttr:$gate, UnitAttr:$renormalize,
                       DefaultValuedAttr<F64Attr, "1.0">:$scale);
  let results = (outs Moire_FullTensor:$dlogits);
  let assemblyFormat = [{
    `` $gate $probs `,` $weights `,` $chosen (`logits` $logits^)? (`dweights` $dweights^)? (`dprobs` $dprobs^)?
    (`renormalize` $renormalize^)? (`scale` $scale^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_AssignOp : Moire_TensorOp<"assign", [AttrSizedOperandSegments]> {
  let summary = "Experts without a router";
  let description = [{
    `hash`: experts by the token's id alone, the same for the same id: the j-th by a hash of id and j, the next free
    one where that is taken. `balanced`: token t of a sequence gets `(t * top_k + j) mod experts`; t counts from
    `position` when that is given.
    - (C1) 1 <= top_k <= experts, where top_k = dim(chosen, -1)
    - (C2) hash reads tokens of the extents of chosen but the last; balanced reads none
    - (C3) a position is a scalar, given with balanced only
    - (C4) chosen is `[batch, time, top_k]`, the way is hash or balanced

    Example:
    ```mlir
    %chosen = moire.assign hash %tokens experts 8 : (tensor<2x3xi32>) -> tensor<2x3x2xi32>
    ```
  }];
  let arguments = (ins Optional<Moire_Index>:$tokens, Optional<Moire_Index>:$position, Moire_ChoiceAttr:$choice,
                       I64Attr:$experts);
  let results = (outs Moire_Index:$chosen);
  let assemblyFormat = [{
    `` $choice ($tokens^)? (`at` $position^)? `experts` $experts attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_DispatchOp : Moire_TensorOp<"dispatch", []> {
  let summary = "Sorting of assignments by expert";
  let description = [{
    A stable sort of the `tokens * top_k` assignments: `offsets[experts + 1]`, the token of every sorted row, the
    assignment of every sorted row, and the sorted row of every assignment `[tokens.., top_k]`. With `nulls` choices
    from `experts` on have no expert: their position is -1. So it is for what `capacity` drops: of an expert's
    assignments only so many stay, those of the largest gates, ties to the earlier assignment; and, before that, for
    assignments whose gate is `threshold` or less (arXiv 2404.05567). Rows and slots from `offsets[experts]` on hold 0,
    and what is computed in such rows is read by nobody.
    - (C1) extents agree; experts = dim(offsets, 0) - 1
    - (C2) gates come with a capacity of 1 or more, or a threshold above 0, or both; they have the extents of chosen

    Example:
    ```mlir
    %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x3x2xi32>) -> (tensor<9xi32>,
        tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
    ```
  }];
  let arguments = (ins Moire_Index:$chosen, Optional<Moire_FullTensor>:$gates, OptionalAttr<I64Attr>:$capacity,
                       OptionalAttr<F64Attr>:$threshold, UnitAttr:$nulls);
  let results = (outs Moire_Index:$offsets, Moire_Index:$rows, Moire_Index:$slots, Moire_Index:$position);
  let assemblyFormat = [{
    $chosen (`gates` $gates^)? (`capacity` $capacity^)? (`threshold` $threshold^)? (`nulls` $nulls^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_GatherRowsOp : Moire_TensorOp<"gather_rows", [Differentiable]> {
  let summary = "Tokens in the order of experts";
  let description = [{
    `y[r, :] = x[rows[r], :]`, leading extents of x flattened. `position` is there for the reverse.
    - (C1) `shape(y) = [dim(rows, 0), dim(x, -1)]`, element type of x
    - (C2) position has the leading extents of x, and then the rows that a token may have

    Example:
    ```mlir
    %y = moire.gather_rows %x, %rows, %position : (tensor<2x3x4xbf16>, tensor<12xi32>, tensor<2x3x2xi32>) ->
        tensor<12x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Index:$rows, Moire_Index:$position);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `,` $rows `,` $position attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_GatherRowsGradOp : Moire_TensorOp<"gather_rows_grad", []> {
  let summary = "Reverse of the gather";
  let description = [{
    `dx[t, :] = sum_j dy[position[t, j], :]`, j ascending; positions of -1 are left out.
    - (C1) dy is `[rows, width]`, leading extents of dx and position agree, `dim(dx, -1) = width`, one element type

    Example:
    ```mlir
    %dx = moire.gather_rows_grad %dy, %position : (tensor<12x4xf32>, tensor<2x3x2xi32>) -> tensor<2x3x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_Index:$position);
  let results = (outs Moire_Tensor:$dx);
  let assemblyFormat = "$dy `,` $position attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_CombineOp : Moire_TensorOp<"combine", [Differentiable]> {
  let summary = "Weighted sum of a token's expert outputs";
  let description = [{
    `y[t, :] = sum_j weights[t, j] x[position[t, j], :]`; positions of -1 are left out.
    - (C1) shapes of weights and position agree; x is `[rows, width]`; `shape(y) = shape(position)[:-1] ++ [width]`,
      element type of x

    Example:
    ```mlir
    %y = moire.combine %x, %weights, %position : (tensor<12x4xbf16>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) ->
        tensor<2x3x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$weights, Moire_Index:$position);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `,` $weights `,` $position attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_CombineGradOp : Moire_TensorOp<"combine_grad", []> {
  let summary = "Reverse of the weighted sum";
  let description = [{
    `dx[position[t, j], :] = weights[t, j] dy[t, :]`, `dweights[t, j] = <dy[t], x[position[t, j]]>`, 0 at a position of
    -1. Rows of dx that no position names are not written.
    - (C1) as combine
    - (C2) `type(dx) = type(x)`, `type(dweights) = type(weights)`

    Example:
    ```mlir
    %dx, %dweights = moire.combine_grad %dy, %x, %weights, %position : (tensor<2x3x4xf32>, tensor<12x4xf32>,
        tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> (tensor<12x4xf32>, tensor<2x3x2xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_Tensor:$x, Moire_FullTensor:$weights, Moire_Index:$position);
  let results = (outs Moire_Tensor:$dx, Moire_FullTensor:$dweights);
  let assemblyFormat = "$dy `,` $x `,` $weights `,` $position attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_GroupedCombineOp : Moire_TensorOp<"grouped_combine", [Differentiable]> {
  let summary = "The experts' last matrices and the weighted sum of their outputs";
  let description = [{
    `y[t, :] = sum_j weights[t, j] x[position[t, j], :] w[e]`, e the expert of that row; positions of -1 are left out:
    `moire.grouped_linear` and `moire.combine` together. What the two do not share is the reverse. The gradient of the
    product with the weights left out, `da[r, :] = dy[token(r), :] w[e]^T`, gives that of the weights as `<da[r], x[r]>`,
    so the experts' outputs are not needed (the structure of arXiv 2512.14080); that of x is `s[r] da[r]` with the
    row's weight s, and that of w sums `s[r] x[r]` times the token's dy.
    - (C1) as grouped_linear without rows and transpose, with y and x of one element type
    - (C2) as combine
    - (C3) rows and slots are those of the dispatch, one entry for each row of x

    Example:
    ```mlir
    %y = moire.grouped_combine %x, %w, %offsets rows %rows slots %slots weights %weights position %position :
        (tensor<12x4xbf16>, tensor<5x4x8xbf16>, tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xf32>,
        tensor<2x3x2xi32>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$w, Moire_Index:$offsets, Moire_Index:$rows, Moire_Index:$slots,
                       Moire_FullTensor:$weights, Moire_Index:$position);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = [{
    $x `,` $w `,` $offsets `rows` $rows `slots` $slots `weights` $weights `position` $position attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_ExpertLoadOp : Moire_TensorOp<"expert_load", []> {
  let summary = "Share of the assignments that each expert got";
  let description = [{
    `y[e] = (offsets[e+1] - offsets[e]) / offsets[experts]`; no gradient flows through it.
    - (C1) `dim(y, 0) = dim(offsets, 0) - 1`

    Example:
    ```mlir
    %y = moire.expert_load %offsets : (tensor<9xi32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Moire_Index:$offsets);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$offsets attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_ChoiceLoadOp : Moire_TensorOp<"choice_load", []> {
  let summary = "Share of the choices that each expert got";
  let description = [{
    `y[e]` counts how often `chosen` says e, over the number of its entries: what was dropped or null counts too. With
    two extents `y[s, e]` is the share among the entries of first index s. No gradient flows through it.
    - (C1) y has rank 1, or rank 2 and the first extent of chosen

    Example:
    ```mlir
    %y = moire.choice_load %chosen : (tensor<2x3x2xi32>) -> tensor<2x8xf32>
    ```
  }];
  let arguments = (ins Moire_Index:$chosen);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$chosen attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_BalanceLossOp : Moire_TensorOp<"balance_loss", [Differentiable]> {
  let summary = "Load-balancing loss of Switch";
  let description = [{
    `loss = factor * sum_e mean_t(probs[t, e]) * load[e]`; the block sets `factor = coefficient * experts * top_k`, so
    that counts over tokens enter as published. Load is constant for the gradient.
    - (C1) `shape(load) = [dim(probs, -1)]`, loss is a scalar, all of one element type

    Example:
    ```mlir
    %loss = moire.balance_loss %probs, %load factor 1.600000e-01 : (tensor<2x3x8xf32>, tensor<8xf32>) ->
        tensor<f32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$probs, Moire_FullTensor:$load, F64Attr:$factor);
  let results = (outs Moire_FullTensor:$loss);
  let assemblyFormat = "$probs `,` $load `factor` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_BalanceLossGradOp : Moire_TensorOp<"balance_loss_grad", []> {
  let summary = "Reverse of the load-balancing loss";
  let description = [{
    `dprobs[t, e] = dloss * factor * load[e] / tokens`.
    - (C1) as balance_loss

    Example:
    ```mlir
    %dprobs = moire.balance_loss_grad %dloss, %load factor 1.600000e-01 : (tensor<f32>, tensor<8xf32>) ->
        tensor<2x3x8xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$dloss, Moire_FullTensor:$load, F64Attr:$factor);
  let results = (outs Moire_FullTensor:$dprobs);
  let assemblyFormat = "$dloss `,` $load `factor` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_SequenceBalanceLossOp : Moire_TensorOp<"sequence_balance_loss", [Differentiable]> {
  let summary = "Load-balancing loss of each sequence by itself";
  let description = [{
    `loss = factor * mean_s sum_e mean_t(probs[s, t, e]) * load[s, e]` (DeepSeek-V3, arXiv 2412.19437, eq. 17 to 20).
    Load is constant for the gradient.
    - (C1) probs are `[batch, time, experts]`, load `[batch, experts]`, loss is a scalar, all of one element type

    Example:
    ```mlir
    %loss = moire.sequence_balance_loss %probs, %load factor 1.600000e-01 : (tensor<2x3x8xf32>, tensor<2x8xf32>) ->
        tensor<f32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$probs, Moire_FullTensor:$load, F64Attr:$factor);
  let results = (outs Moire_FullTensor:$loss);
  let assemblyFormat = "$probs `,` $load `factor` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_SequenceBalanceLossGradOp : Moire_TensorOp<"sequence_balance_loss_grad", []> {
  let summary = "Reverse of the load-balancing loss of sequences";
  let description = [{
    `dprobs[s, t, e] = dloss * factor * load[s, e] / tokens`.
    - (C1) as sequence_balance_loss

    Example:
    ```mlir
    %dprobs = moire.sequence_balance_loss_grad %dloss, %load factor 1.600000e-01 : (tensor<f32>, tensor<2x8xf32>) ->
        tensor<2x3x8xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$dloss, Moire_FullTensor:$load, F64Attr:$factor);
  let results = (outs Moire_FullTensor:$dprobs);
  let assemblyFormat = "$dloss `,` $load `factor` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
