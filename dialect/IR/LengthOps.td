//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model level: blocks that move positions, or change how many there are.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_LENGTH_OPS_TD
#define MOIRE_LENGTH_OPS_TD

include "dialect/IR/ModelOps.td"

def Moire_Conv1dOp : Moire_BlockOp<"conv1d"> {
  let summary = "Dense convolution along time";
  let description = [{
    `y[b, t, :] = sum_k x[b, stride t + k - before, :] W_k (+ b)`, zeros outside of x; the W_k lie one below the other
    in one matrix `kernel features x width`. `before` is `kernel - 1` with `causal`, else `(kernel - 1) / 2` rounded
    down, so that with stride 1 and an odd kernel y sees as much on both sides (arXiv 2212.04356, section 2.2, has
    kernel 3).
    - (C1) stride divides the time of x, and `shape(y) = [batch, time / stride, width]`
    - (C2) kernel >= stride >= 1

    Example:
    ```mlir
    %c = moire.conv1d %w path "conv1d" {bias = true, causal = true, kernel = 3 : i64, paths = ["conv1d"], stride =
        2 : i64, width = 8 : i64} : (tensor<2x6x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$width, I64Attr:$kernel, I64Attr:$stride, BoolAttr:$causal,
                        BoolAttr:$bias), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_StackOp : Moire_Op<"stack", [Pure]> {
  let summary = "Neighbouring positions side by side";
  let description = [{
    `y[b, t, :]` is `x[b, factor t, :], .., x[b, factor t + factor - 1, :]`, one after the other.
    - (C1) factor divides the time of x, and `shape(y) = [batch, time / factor, factor features]`

    Example:
    ```mlir
    %s = moire.stack %w by 2 : (tensor<2x6x8xbf16>) -> tensor<2x3x16xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, I64Attr:$factor);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `by` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_UnstackOp : Moire_Op<"unstack", [Pure]> {
  let summary = "Slices of the features, as positions";
  let description = [{
    The inverse of `moire.stack`.
    - (C1) factor divides the features of x, and `shape(y) = [batch, factor time, features / factor]`

    Example:
    ```mlir
    %u = moire.unstack %s by 2 : (tensor<2x3x16xbf16>) -> tensor<2x6x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, I64Attr:$factor);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `by` $factor attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_ShiftOp : Moire_Op<"shift", [Pure, SameOperandsAndResultType]> {
  let summary = "A stream some positions later";
  let description = [{
    `y[b, t, :] = x[b, t - positions, :]`, zeros for the first ones.
    - (C1) `shape(y) = shape(x)`
    - (C2) positions is 1 or more and less than the time of x

    Example:
    ```mlir
    %later = moire.shift %w by 1 : tensor<2x6x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, I64Attr:$positions);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `by` $positions attr-dict `:` type($y)";
  let hasVerifier = 1;
}

#endif
