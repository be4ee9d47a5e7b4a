//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: where the documents of a sequence begin, and how far back a token's own document reaches.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DOCUMENT_OPS_TD
#define MOIRE_DOCUMENT_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/PointwiseOps.td"

def Moire_DocumentPositionsOp : Moire_TensorOp<"document_positions", []> {
  let summary = "Positions of tokens in their documents";
  let description = [{
    `y[b, t] = 0` where `tokens[b, t]` is the separator, with which a document begins, else `y[b, t-1] + 1`; the first
    of a sequence has 0, or `count[b]` where tokens of its document came before. `next` `[batch]` is one more than the last
    y. Ops that look along a sequence take y as `documents`: then a token sees its own document only.
    - (C1) tokens are `[batch, time]`, and y likewise
    - (C2) count and next come together, `[batch]` each
    - (C3) separator >= 0

    Example:
    ```mlir
    %y = moire.document_positions %tokens separator 0 : (tensor<2x6xi32>) -> tensor<2x6xi32>
    %z, %next = moire.document_positions %tokens from %count separator 0 : (tensor<2x6xi32>, tensor<2xi32>) ->
        (tensor<2x6xi32>, tensor<2xi32>)
    ```
  }];
  let arguments = (ins Moire_Index:$tokens, Optional<Moire_Index>:$count, I64Attr:$separator);
  let results = (outs Moire_Index:$y, Optional<Moire_Index>:$next);
  let assemblyFormat = [{
    $tokens (`from` $count^)? `separator` $separator attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_ReachesBackOp : Moire_TensorOp<"reaches_back", [Rows]> {
  let summary = "Whether a token's document reaches back some tokens";
  let description = [{
    `y[b, t] = 1` where `documents[b, t] >= by`, else 0: whether token t - by belongs to the document of token t.
    - (C1) shapes agree
    - (C2) by >= 0

    Example:
    ```mlir
    %y = moire.reaches_back %documents by 3 : (tensor<2x6xi32>) -> tensor<2x6xf32>
    ```
  }];
  let arguments = (ins Moire_Index:$documents, I64Attr:$by);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$documents `by` $by attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
