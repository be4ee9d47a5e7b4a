//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: tokens of several sequences at one position, mixed or chosen by experts.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_GROUP_OPS_TD
#define MOIRE_GROUP_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/PointwiseOps.td"

// A group n = (b / group) * time + t holds the tokens at position t of `group` consecutive sequences, its members.
// There are groups = batch / group * time of them.

def Moire_GroupSoftmaxOp : Moire_TensorOp<"group_softmax", [Differentiable]> {
  let summary = "Softmax over the members of a group, for each expert";
  let description = [{
    `y[i, e] = exp(x[i, e]) / sum_j exp(x[j, e])`, j over the sequences of the group of i at the same position: the
    weights of a mixture of tokens (arXiv 2310.15961). Each expert's column adds up to 1.
    - (C1) x is `[batch, time, experts]`, y likewise
    - (C2) group is 1 or more and divides batch

    Example:
    ```mlir
    %y = moire.group_softmax %x group 2 : (tensor<4x3x5xf32>) -> tensor<4x3x5xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$x, I64Attr:$group);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$x `group` $group attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_GroupSoftmaxGradOp : Moire_TensorOp<"group_softmax_grad", []> {
  let summary = "Reverse of a softmax over groups";
  let description = [{
    `dx[i, e] = y[i, e] (dy[i, e] - sum_j y[j, e] dy[j, e])`.
    - (C1) as group_softmax; y, dy and dx have one type

    Example:
    ```mlir
    %dx = moire.group_softmax_grad %y, %dy group 2 : (tensor<4x3x5xf32>, tensor<4x3x5xf32>) -> tensor<4x3x5xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$y, Moire_FullTensor:$dy, I64Attr:$group);
  let results = (outs Moire_FullTensor:$dx);
  let assemblyFormat = "$y `,` $dy `group` $group attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_MixOp : Moire_TensorOp<"mix", [Differentiable]> {
  let summary = "One mixed token per expert and group";
  let description = [{
    `m[e * groups + n, :] = sum_i weights[i, e] x[i, :]`, i over the members of group n. Rows come sorted by expert, as
    many for each.
    - (C1) weights are `[batch, time, experts]` in the full precision of x, which is `[batch, time, width]`
    - (C2) group is 1 or more and divides batch
    - (C3) m is `[experts * groups, width]`, element type of x

    Example:
    ```mlir
    %m = moire.mix %weights, %x group 2 : (tensor<4x3x5xf32>, tensor<4x3x8xbf16>) -> tensor<30x8xbf16>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$weights, Moire_Tensor:$x, I64Attr:$group);
  let results = (outs Moire_Tensor:$m);
  let assemblyFormat = "$weights `,` $x `group` $group attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_UnmixOp : Moire_TensorOp<"unmix", [Differentiable]> {
  let summary = "What each token gets back from the mixtures of its group";
  let description = [{
    `x[i, :] = sum_e weights[i, e] m[e * groups + n, :]` for the members i of group n. The reverse of `moire.mix` for
    its tokens, and the other way round.
    - (C1) as mix, with x the result

    Example:
    ```mlir
    %x = moire.unmix %weights, %m group 2 : (tensor<4x3x5xf32>, tensor<30x8xbf16>) -> tensor<4x3x8xbf16>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$weights, Moire_Tensor:$m, I64Attr:$group);
  let results = (outs Moire_Tensor:$x);
  let assemblyFormat = "$weights `,` $m `group` $group attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_MixGradWeightsOp : Moire_TensorOp<"mix_grad_weights", []> {
  let summary = "Gradient of the weights of a mixture";
  let description = [{
    `dweights[i, e] = <x[i, :], m[e * groups + n, :]>` for the members i of group n: of `moire.mix` with m the gradient
    of its rows, of `moire.unmix` with x the gradient of its tokens.
    - (C1) as mix, with weights the result

    Example:
    ```mlir
    %dweights = moire.mix_grad_weights %x, %m group 2 : (tensor<4x3x8xbf16>, tensor<30x8xbf16>) -> tensor<4x3x5xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$m, I64Attr:$group);
  let results = (outs Moire_FullTensor:$dweights);
  let assemblyFormat = "$x `,` $m `group` $group attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_ChooseTokensOp : Moire_TensorOp<"choose_tokens", []> {
  let summary = "Choice of tokens by experts";
  let description = [{
    Each expert takes the `count` tokens of every group with its largest scores, ties to the lower member. Rows are
    sorted by expert, then group, then member: `offsets[e] = e * groups * count`, the token of every row, and the row
    of every token and expert, -1 where the expert did not take it. No gradient flows through the choice; the scores
    are the weights that `moire.combine` reads with this `position`. With groups of one sequence every expert takes
    every token.
    - (C1) scores are `[batch, time, experts]`
    - (C2) group is 1 or more and divides batch
    - (C3) 1 <= count <= group
    - (C4) offsets are `[experts + 1]`, rows `[experts * groups * count]`, position has the shape of scores

    Example:
    ```mlir
    %offsets, %rows, %position = moire.choose_tokens %scores group 4 count 2 : (tensor<4x3x5xf32>) -> (tensor<6xi32>,
        tensor<30xi32>, tensor<4x3x5xi32>)
    ```
  }];
  let arguments = (ins Moire_FullTensor:$scores, I64Attr:$group, I64Attr:$count);
  let results = (outs Moire_Index:$offsets, Moire_Index:$rows, Moire_Index:$position);
  let assemblyFormat = "$scores `group` $group `count` $count attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_EvenOffsetsOp : Moire_TensorOp<"even_offsets", []> {
  let summary = "Where experts begin that all have as many rows";
  let description = [{
    `offsets[e] = e * rows`: the offsets of grouped products over mixed tokens. A constant of the package.
    - (C1) rows is 1 or more
    - (C2) offsets have rank 1 and two entries or more

    Example:
    ```mlir
    %offsets = moire.even_offsets rows 6 : tensor<6xi32>
    ```
  }];
  let arguments = (ins I64Attr:$rows);
  let results = (outs Moire_Index:$offsets);
  let assemblyFormat = "`rows` $rows attr-dict `:` type($offsets)";
  let hasVerifier = 1;
}

#endif
