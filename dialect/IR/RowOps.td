//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: ops that normalise, reduce or look up one row at a time, and the losses.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_ROW_OPS_TD
#define MOIRE_ROW_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/PointwiseOps.td"

def Moire_RmsNormOp : Moire_TensorOp<"rms_norm", [Differentiable, Rows, InferTypes]> {
  let summary = "RMSNorm over the last dimension";
  let description = [{
    `rstd = 1 / sqrt(mean(x^2) + eps)`, `y = x * rstd * weight`; rstd in full precision.
    - (C1) `shape(weight) = [dim(x, -1)]`, in the full precision of x
    - (C2) eps > 0
    - (C3) `type(y) = type(x)`, `shape(rstd) = shape(x)[:-1]`

    Example:
    ```mlir
    %y, %rstd = moire.rms_norm %x, %weight eps 1.000000e-05 : (tensor<2x3x8xbf16>, tensor<8xf32>) ->
        (tensor<2x3x8xbf16>, tensor<2x3xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$weight, F64Attr:$eps);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$rstd);
  let assemblyFormat = "$x `,` $weight `eps` $eps attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_RmsNormGradOp : Moire_TensorOp<"rms_norm_grad", [SummedRows, InferTypes]> {
  let summary = "Reverse of RMSNorm";
  let description = [{
    With `xh = x rstd`, `g = dy weight`: `dx = rstd (g - xh mean(g xh))`; `dweight = sum over rows of dy xh`.
    - (C1) weight and rstd as in rms_norm; type(dy) = type(x)
    - (C2) `type(dx) = type(x)`, `type(dweight) = type(weight)`

    Example:
    ```mlir
    %dx, %dweight = moire.rms_norm_grad %dy, %x, %weight, %rstd : (tensor<2x3x8xf32>, tensor<2x3x8xf32>,
        tensor<8xf32>, tensor<2x3xf32>) -> (tensor<2x3x8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_Tensor:$x, Moire_FullTensor:$weight, Moire_FullTensor:$rstd);
  let results = (outs Moire_Tensor:$dx, Moire_FullTensor:$dweight);
  let assemblyFormat = "$dy `,` $x `,` $weight `,` $rstd attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_LayerNormOp : Moire_TensorOp<"layer_norm", [Differentiable, Rows, InferTypes]> {
  let summary = "LayerNorm over the last dimension";
  let description = [{
    `y = (x - mean) rstd weight + bias`, `rstd = 1 / sqrt(var + eps)`, biased variance; statistics in full precision.
    - (C1) `shape(weight) = shape(bias) = [dim(x, -1)]`, in the full precision of x
    - (C2) eps > 0
    - (C3) `type(y) = type(x)`, `shape(mean) = shape(rstd) = shape(x)[:-1]`

    Example:
    ```mlir
    %y, %mean, %rstd = moire.layer_norm %x, %weight, %bias eps 1.000000e-05 : (tensor<6x8xf32>, tensor<8xf32>,
        tensor<8xf32>) -> (tensor<6x8xf32>, tensor<6xf32>, tensor<6xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$weight, Moire_FullTensor:$bias, F64Attr:$eps);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$mean, Moire_FullTensor:$rstd);
  let assemblyFormat = "$x `,` $weight `,` $bias `eps` $eps attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_LayerNormGradOp : Moire_TensorOp<"layer_norm_grad", [SummedRows, InferTypes]> {
  let summary = "Reverse of LayerNorm";
  let description = [{
    With `xh = (x - mean) rstd`, `g = dy weight`: `dx = rstd (g - mean(g) - xh mean(g xh))`; `dweight = sum dy xh`,
    `dbias = sum dy`.
    - (C1) weight, mean and rstd as in layer_norm; type(dy) = type(x)
    - (C2) `type(dx) = type(x)`, `type(dweight) = type(dbias) = type(weight)`

    Example:
    ```mlir
    %dx, %dweight, %dbias = moire.layer_norm_grad %dy, %x, %weight, %mean, %rstd : (tensor<6x8xf32>,
        tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>, tensor<6xf32>) -> (tensor<6x8xf32>, tensor<8xf32>,
        tensor<8xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_Tensor:$x, Moire_FullTensor:$weight, Moire_FullTensor:$mean,
                       Moire_FullTensor:$rstd);
  let results = (outs Moire_Tensor:$dx, Moire_FullTensor:$dweight, Moire_FullTensor:$dbias);
  let assemblyFormat = "$dy `,` $x `,` $weight `,` $mean `,` $rstd attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_LookupOp : Moire_TensorOp<"lookup", [Differentiable, Rows, InferTypes]> {
  let summary = "Rows of a table by number";
  let description = [{
    `y[i.., :] = table[index[i..], :]`. Numbers are in range by contract of the caller.
    - (C1) table has rank 2
    - (C2) `shape(y) = shape(index) ++ [dim(table, 1)]`, element type of the table

    Example:
    ```mlir
    %y = moire.lookup %index, %table : (tensor<2x3xi32>, tensor<16x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Index:$index, Moire_Tensor:$table);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$index `,` $table attr-dict `:` functional-type(operands, results)";
}

def Moire_LookupGradOp : Moire_TensorOp<"lookup_grad", []> {
  let summary = "Reverse of a lookup";
  let description = [{
    `dtable[v, :] = sum over i with index[i] = v of dy[i, :]`, i ascending, in full precision.
    - (C1) shapes as lookup; dtable is f64 when dy is, else f32

    Example:
    ```mlir
    %dtable = moire.lookup_grad %index, %dy : (tensor<2x3xi32>, tensor<2x3x8xbf16>) -> tensor<16x8xf32>
    ```
  }];
  let arguments = (ins Moire_Index:$index, Moire_Tensor:$dy);
  let results = (outs Moire_FullTensor:$dtable);
  let assemblyFormat = "$index `,` $dy attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_RotaryTableOp : Moire_TensorOp<"rotary_table", []> {
  let summary = "Cosines and sines of rotary positions";
  let description = [{
    `cos[t, i] = cos(t f(i))` for i < dim/2, and sin likewise; computed at compile time in double and rounded once.
    `dim = 2 dim(cos, 1)`. With `g(i) = base^(-2i/dim)` and s the factor, f is
    - without scaling `g(i)` (arXiv 2104.09864);
    - `linear`: `g(i) / s` (arXiv 2306.15595);
    - `ntk`: g of the base `base s^(dim/(dim-2))` (arXiv 2309.00071, section 3.1);
    - `yarn`: `g(i) (m(i) / s + 1 - m(i))`, `m(i) = min(1, max(0, (i - low) / (high - low)))`, where low and high are
      the pairs that turn `fast` times (32) and `slow` times (1) within `original` positions: with `p(r) = dim
      log(original / (2 pi r)) / (2 log base)`, low = floor p(fast) and high = ceil p(slow), with `exact` not rounded,
      kept within 0 and dim - 1, high at least 0.001 above low (arXiv 2309.00071, section 3.2, in the form of its
      reference code).

    - (C1) both results are rank 2 and of one type
    - (C2) base > 0; base > 1 and dim > 2 with ntk and yarn
    - (C3) factor is given with scaling and only then, and is at least 1; original with yarn and only then, and is at
      least 1
    - (C4) fast, slow and exact are for yarn only, and fast > slow > 0

    Example:
    ```mlir
    %cos, %sin = moire.rotary_table 1.000000e+04 : tensor<64x4xf32>, tensor<64x4xf32>
    %c, %s = moire.rotary_table 1.000000e+04 scaling yarn factor 4.000000e+00 original 16 : tensor<64x4xf32>,
        tensor<64x4xf32>
    ```
  }];
  let arguments = (ins F64Attr:$base, OptionalAttr<Moire_RopeScalingAttr>:$scaling, OptionalAttr<F64Attr>:$factor,
                       OptionalAttr<I64Attr>:$original, DefaultValuedAttr<F64Attr, "32.0">:$fast,
                       DefaultValuedAttr<F64Attr, "1.0">:$slow, UnitAttr:$exact);
  let results = (outs Moire_FullTensor:$cos, Moire_FullTensor:$sin);
  let assemblyFormat = [{
    $base (`scaling` `` $scaling^)? (`factor` $factor^)? (`original` $original^)? (`fast` $fast^)? (`slow` $slow^)?
    (`exact` $exact^)? attr-dict `:` type(results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// f of each pair of features: the angle between neighbouring positions.
    ::llvm::SmallVector<double> frequencies();
  }];
}

def Moire_RopeOp : Moire_TensorOp<"rope", [Differentiable, Rows, AllTypesMatch<["x", "y"]> /*rope.C3*/]> {
  let summary = "Rotation of feature pairs by position";
  let description = [{
    x is `[batch, time, heads, dim]`, tables `[time, dim/2]`. With halves (a, b) of the last dimension: `y = (a cos -
    b sin, b cos + a sin)`; with `inverse` the angle is negated.
    - (C1) x has rank 4 (or 1 inside a row kernel), dim even
    - (C2) tables are `[time, dim/2]` (or `[dim/2]`), in the full precision of x
    - (C3) `type(y) = type(x)`

    Example:
    ```mlir
    %y = moire.rope %x, %cos, %sin : (tensor<2x64x3x8xbf16>, tensor<64x4xf32>, tensor<64x4xf32>) ->
        tensor<2x64x3x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$cos, Moire_FullTensor:$sin, UnitAttr:$inverse);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `,` $cos `,` $sin (`inverse` $inverse^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_TileOp : Moire_TensorOp<"tile", [Differentiable, Rows, InferTypes]> {
  let summary = "Features repeated";
  let description = [{
    `y[.., j n + i] = x[.., i]` for j below `copies`, n features of x.
    - (C1) x has a last dimension, copies >= 1
    - (C2) `shape(y) = shape(x)[:-1] ++ [copies n]`, and the element types agree

    Example:
    ```mlir
    %y = moire.tile %x by 3 : (tensor<2x3x4xbf16>) -> tensor<2x3x12xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, I64Attr:$copies);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `by` $copies attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_FoldOp : Moire_TensorOp<"fold", [Differentiable, Rows, InferTypes]> {
  let summary = "Sums of features that stand a period apart";
  let description = [{
    `y[.., i] = sum_j x[.., j n + i]` for j below `copies`, n features of y: the reverse of `moire.tile`.
    - (C1) copies divides the last dimension of x
    - (C2) `shape(y) = shape(x)[:-1] ++ [n]`, and the element types agree

    Example:
    ```mlir
    %y = moire.fold %x by 3 : (tensor<2x3x12xbf16>) -> tensor<2x3x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, I64Attr:$copies);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `by` $copies attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_SoftmaxOp : Moire_TensorOp<"softmax", [Differentiable, Rows, SameOperandsAndResultType]> {
  let summary = "Softmax over the last dimension";
  let description = [{
    `y = exp(x - max x) / sum exp(x - max x)`.

    Example:
    ```mlir
    %y = moire.softmax %x : tensor<6x8xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$x);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($y)";
}

def Moire_SoftmaxGradOp : Moire_TensorOp<"softmax_grad", [Rows, SameOperandsAndResultType]> {
  let summary = "Reverse of softmax";
  let description = [{
    `dx = y (dy - sum(dy y))`.

    Example:
    ```mlir
    %dx = moire.softmax_grad %y, %dy : tensor<6x8xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$y, Moire_FullTensor:$dy);
  let results = (outs Moire_FullTensor:$dx);
  let assemblyFormat = "$y `,` $dy attr-dict `:` type($dx)";
}

def Moire_CrossEntropyOp : Moire_TensorOp<"cross_entropy", [Differentiable, Rows, InferTypes]> {
  let summary = "Negative log-likelihood of the targets";
  let description = [{
    Per position: `lse = logsumexp(logits)`, `nll = lse - logits[target]`; a target below 0 gives nll = 0.
    - (C1) `shape(targets) = shape(logits)[:-1] = shape(nll) = shape(lse)`

    Example:
    ```mlir
    %nll, %lse = moire.cross_entropy %logits, %targets : (tensor<2x3x16xf32>, tensor<2x3xi32>) ->
        (tensor<2x3xf32>, tensor<2x3xf32>)
    ```
  }];
  let arguments = (ins Moire_FullTensor:$logits, Moire_Index:$targets);
  let results = (outs Moire_FullTensor:$nll, Moire_FullTensor:$lse);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_CrossEntropyGradOp : Moire_TensorOp<"cross_entropy_grad", [Rows]> {
  let summary = "Reverse of cross-entropy";
  let description = [{
    `dlogits = dnll (exp(logits - lse) - onehot(target))`, zero where the target is below 0. The result may be
    narrower than the logits.
    - (C1) shapes as cross_entropy

    Example:
    ```mlir
    %dlogits = moire.cross_entropy_grad %logits, %targets, %lse, %dnll : (tensor<6x16xf32>, tensor<6xi32>,
        tensor<6xf32>, tensor<6xf32>) -> tensor<6x16xbf16>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$logits, Moire_Index:$targets, Moire_FullTensor:$lse, Moire_FullTensor:$dnll);
  let results = (outs Moire_Tensor:$dlogits);
  let assemblyFormat = "$logits `,` $targets `,` $lse `,` $dnll attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_ZLossOp : Moire_TensorOp<"z_loss", [Differentiable, Rows, InferTypes]> {
  let summary = "Square of a router's log-sum-exp";
  let description = [{
    Per position `lse = logsumexp(logits)`, `loss = coefficient * lse^2 / tokens`, where tokens is the attribute.
    - (C1) `shape(loss) = shape(lse) = shape(logits)[:-1]`
    - (C2) tokens >= 1

    Example:
    ```mlir
    %loss, %lse = moire.z_loss %logits coefficient 1.000000e-03 tokens 6 : (tensor<6x8xf32>) -> (tensor<6xf32>,
        tensor<6xf32>)
    ```
  }];
  let arguments = (ins Moire_FullTensor:$logits, F64Attr:$coefficient, I64Attr:$tokens);
  let results = (outs Moire_FullTensor:$loss, Moire_FullTensor:$lse);
  let assemblyFormat = [{
    $logits `coefficient` $coefficient `tokens` $tokens attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_ZLossGradOp : Moire_TensorOp<"z_loss_grad", [Rows]> {
  let summary = "Reverse of the z-loss";
  let description = [{
    `dlogits = dloss * 2 coefficient / tokens * lse * exp(logits - lse)`.
    - (C1) shapes as z_loss

    Example:
    ```mlir
    %dlogits = moire.z_loss_grad %logits, %lse, %dloss coefficient 1.000000e-03 tokens 6 : (tensor<6x8xf32>,
        tensor<6xf32>, tensor<6xf32>) -> tensor<6x8xf32>
    ```
  }];
  let arguments = (ins Moire_FullTensor:$logits, Moire_FullTensor:$lse, Moire_FullTensor:$dloss, F64Attr:$coefficient,
                       I64Attr:$tokens);
  let results = (outs Moire_FullTensor:$dlogits);
  let assemblyFormat = [{
    $logits `,` $lse `,` $dloss `coefficient` $coefficient `tokens` $tokens attr-dict `:` functional-type(operands,
    results)
  }];
  let hasVerifier = 1;
}

def Moire_ScaleRowsOp : Moire_TensorOp<"scale_rows", [Rows, InferTypes]> {
  let summary = "Each row times a number of its own";
  let description = [{
    `y[r.., :] = s[r..] x[r.., :]`: sorted rows under their gates.
    - (C1) `shape(s) = shape(x)[:-1]`, s in the full precision of x

    Example:
    ```mlir
    %y = moire.scale_rows %x, %s : (tensor<12x4xbf16>, tensor<12xf32>) -> tensor<12x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$s);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `,` $s attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_DotRowsOp : Moire_TensorOp<"dot_rows", [Rows, InferTypes]> {
  let summary = "Inner product of each pair of rows";
  let description = [{
    `y[r..] = sum_i a[r.., i] b[r.., i]`, in full precision.
    - (C1) a and b have one type and a last dimension, `shape(y) = shape(a)[:-1]`

    Example:
    ```mlir
    %y = moire.dot_rows %a, %b : (tensor<12x4xbf16>, tensor<12x4xbf16>) -> tensor<12xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$a, Moire_Tensor:$b);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$a `,` $b attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_CountTargetsOp : Moire_TensorOp<"count_targets", [Rows]> {
  let summary = "Which targets count";
  let description = [{
    `y = 1` where the target is 0 or more, else 0.
    - (C1) shapes agree

    Example:
    ```mlir
    %y = moire.count_targets %targets : (tensor<2x3xi32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Moire_Index:$targets);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$targets attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
