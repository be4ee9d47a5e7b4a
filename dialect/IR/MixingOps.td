//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: products, attention, convolution and scans, with the forms that their reverse rules need.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_MIXING_OPS_TD
#define MOIRE_MIXING_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/PointwiseOps.td"

def Moire_LinearOp : Moire_TensorOp<"linear", [Differentiable]> {
  let summary = "Affine map of the last dimension";
  let description = [{
    `y[.., o] = sum_i x[.., i] w[i, o] (+ bias[o])`, summed in full precision; with `transpose` w is `[out, in]`.
    - (C1) `dim(x, -1) = dim(w, 0)` (`dim(w, 1)` with transpose)
    - (C2) `shape(y) = shape(x)[:-1] ++ [out]`
    - (C3) if bias is present, `shape(bias) = [out]`
    - (C4) x and w have one element type; y has it too, or full precision

    Example:
    ```mlir
    %y = moire.linear %x, %w bias %bias : (tensor<2x3x8xbf16>, tensor<8x4xbf16>, tensor<4xf32>) ->
        tensor<2x3x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$w, Optional<Moire_FullTensor>:$bias, UnitAttr:$transpose);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = [{
    $x `,` $w (`bias` $bias^)? (`transpose` $transpose^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_LinearGradWeightOp : Moire_TensorOp<"linear_grad_weight", []> {
  let summary = "Gradient of a linear map's matrix";
  let description = [{
    `dw[i, o] = sum over rows of x[.., i] dy[.., o]`, in full precision.
    - (C1) leading extents of x and dy agree
    - (C2) `shape(dw) = [dim(x, -1), dim(dy, -1)]`, f64 when x is f64, else f32

    Example:
    ```mlir
    %dw = moire.linear_grad_weight %x, %dy : (tensor<2x3x8xbf16>, tensor<2x3x4xbf16>) -> tensor<8x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$dy);
  let results = (outs Moire_FullTensor:$dw);
  let assemblyFormat = "$x `,` $dy attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_GroupedLinearOp : Moire_TensorOp<"grouped_linear", [AttrSizedOperandSegments, Differentiable]> {
  let summary = "A matrix per expert, rows sorted by expert";
  let description = [{
    Row r with `offsets[e] <= r < offsets[e+1]`: `y[r, :] = x[src(r), :] w[e]`, src(r) = rows[r] when given, else r;
    with `transpose` w[e] is `[out, in]`. x may have any leading extents when rows is given (rows counts them
    flattened).
    - (C1) `offsets` has experts + 1 entries
    - (C2) features agree; `shape(y) = [rows, out]`
    - (C3) without rows x has rank 2 and as many rows as y
    - (C4) x and w have one element type; y has it too, or full precision
    - (C5) if position is present, it has the leading extents of x, and then the rows that a token may have

    Example:
    ```mlir
    %y = moire.grouped_linear %x, %w, %offsets rows %rows position %position : (tensor<2x3x8xf32>,
        tensor<5x8x4xf32>, tensor<6xi32>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$w, Moire_Index:$offsets, Optional<Moire_Index>:$rows,
                       Optional<Moire_Index>:$position, UnitAttr:$transpose);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = [{
    $x `,` $w `,` $offsets (`rows` $rows^)? (`position` $position^)? (`transpose` $transpose^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_GroupedLinearGradWeightOp : Moire_TensorOp<"grouped_linear_grad_weight", [AttrSizedOperandSegments]> {
  let summary = "Gradient of the experts' matrices";
  let description = [{
    `dw[e, i, o] = sum over rows r of e of x[xsrc(r), i] dy[ysrc(r), o]`; experts without rows get zero.
    - (C1) `offsets` has experts + 1 entries
    - (C2) `shape(dw) = [experts, in, out]`, full precision
    - (C3) as many rows on both sides, counted through x_rows and dy_rows where given

    Example:
    ```mlir
    %dw = moire.grouped_linear_grad_weight %x, %dy, %offsets x_rows %rows : (tensor<2x3x8xf32>,
        tensor<12x4xf32>, tensor<6xi32>, tensor<12xi32>) -> tensor<5x8x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$dy, Moire_Index:$offsets, Optional<Moire_Index>:$x_rows,
                       Optional<Moire_Index>:$dy_rows);
  let results = (outs Moire_FullTensor:$dw);
  let assemblyFormat = [{
    $x `,` $dy `,` $offsets (`x_rows` $x_rows^)? (`dy_rows` $dy_rows^)? attr-dict `:` functional-type(operands,
    results)
  }];
  let hasVerifier = 1;
}

/// What an attention is besides its operands.
defvar attentionForm = (ins OptionalAttr<I64Attr>:$window, F64Attr:$scale, OptionalAttr<F64Attr>:$softcap,
                            UnitAttr:$alibi);
defvar attentionFormText = [{
    (`window` $window^)? `scale` $scale (`softcap` $softcap^)? (`alibi` $alibi^)? attr-dict `:`
    functional-type(operands, results)
}];

def Moire_SoftmaxAttentionOp : Moire_TensorOp<"softmax_attention", [AttrSizedOperandSegments, Differentiable,
                                                                    InferTypes]> {
  let summary = "Softmax attention over the positions of a sequence";
  let description = [{
    q is `[batch, time, heads, dim]`, k `[batch, time, kv_heads, dim]`, v `[batch, time, kv_heads, value_dim]`; head h
    reads kv head `h kv_heads / heads`. `y = sum_u exp(s(t,u) - lse) v_u` over the positions u that t sees, with
    `s(t,u) = cap(scale q_t.k_u) - slope(h) |t - u|`; lse `[batch, heads, time]` is the log of the sum of `exp(s(t,u))`,
    and of `exp(sinks[h])` where sinks are given.
    - t sees u <= t, with `bidirectional` all; with `window` only `|t - u| < window` of these, and with `documents`
      (moire.document_positions) only those of its document.
    - `cap(x) = softcap tanh(x / softcap)` with `softcap`, else x.
    - with `alibi` (arXiv 2108.12409) `slope(h) = 2^(-8 (h+1) / n)` for the first n heads, n the largest power of two up
      to heads, and `2^(-4 (2 (h-n) + 1) / n)` for the others; else 0.

    - (C1) kv_heads divides heads, other extents agree
    - (C2) `type(y) = type(q)` with value_dim for dim, lse in the full precision of q
    - (C3) window >= 1, softcap > 0
    - (C4) if sinks is present, it is `[heads]` in the full precision of q
    - (C5) if documents is present, it is `[batch, time]`

    Example:
    ```mlir
    %y, %lse = moire.softmax_attention %q, %k, %v scale 3.535000e-01 : (tensor<2x6x4x8xbf16>,
        tensor<2x6x2x8xbf16>, tensor<2x6x2x8xbf16>) -> (tensor<2x6x4x8xbf16>, tensor<2x4x6xf32>)
    %z, %m = moire.softmax_attention %q, %k, %v sinks %sinks window 3 scale 3.535000e-01 softcap 5.000000e+01 alibi :
        (tensor<2x6x4x8xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x2x8xbf16>, tensor<4xf32>) -> (tensor<2x6x4x8xbf16>,
        tensor<2x4x6xf32>)
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$q, Moire_Tensor:$k, Moire_Tensor:$v, Optional<Moire_FullTensor>:$sinks,
                            Optional<Moire_Index>:$documents, UnitAttr:$bidirectional), attentionForm);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$lse);
  let assemblyFormat = !strconcat("$q `,` $k `,` $v (`sinks` $sinks^)? (`documents` $documents^)? ",
                                  "(`bidirectional` $bidirectional^)?",
                                  attentionFormText);
  let hasVerifier = 1;
}

def Moire_SoftmaxAttentionGradOp : Moire_TensorOp<"softmax_attention_grad", [AttrSizedOperandSegments, InferTypes]> {
  let summary = "Reverse of softmax attention";
  let description = [{
    Gradients of q, k, v and the sinks, recomputing the probabilities from lse.
    - (C1) as softmax_attention; y and dy have the type that softmax_attention gives y, lse the one of its lse
    - (C2) the types of the results are those of q, k, v, sinks

    Example:
    ```mlir
    %dq, %dk, %dv = moire.softmax_attention_grad %dy, %q, %k, %v, %y, %lse scale 3.535000e-01 :
        (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>,
        tensor<2x6x4x8xf32>, tensor<2x4x6xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>,
        tensor<2x6x2x8xf32>)
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$dy, Moire_Tensor:$q, Moire_Tensor:$k, Moire_Tensor:$v, Moire_Tensor:$y,
                            Moire_FullTensor:$lse, Optional<Moire_FullTensor>:$sinks,
                            Optional<Moire_Index>:$documents, UnitAttr:$bidirectional),
                       attentionForm);
  let results = (outs Moire_Tensor:$dq, Moire_Tensor:$dk, Moire_Tensor:$dv, Optional<Moire_FullTensor>:$dsinks);
  let assemblyFormat = !strconcat("$dy `,` $q `,` $k `,` $v `,` $y `,` $lse (`sinks` $sinks^)? ",
                                  "(`documents` $documents^)? (`bidirectional` $bidirectional^)?", attentionFormText);
  let hasVerifier = 1;
}

def Moire_CachedAttentionOp : Moire_TensorOp<"cached_attention", [AttrSizedOperandSegments, InferTypes]> {
  let summary = "Attention of new tokens over a cache";
  let description = [{
    q `[1, new, heads, dim]`, k `[1, new, kv_heads, dim]`, v `[1, new, kv_heads, value_dim]`, caches `[capacity,
    kv_heads, dim]` and `[capacity, kv_heads, value_dim]` holding `position` tokens: stores k and v at position, then
    attends as softmax_attention. The caches that come out are the ones that went in, extended.
    - (C1) extents agree as in softmax_attention, the batch is 1, the caches have room, position is `tensor<i32>`
    - (C2) `type(y) = type(q)` with value_dim for dim, and the caches keep their types
    - (C3) window, softcap, sinks and documents, of the new tokens, as in softmax_attention

    Example:
    ```mlir
    %y, %k_out, %v_out = moire.cached_attention %q, %k, %v, %k_cache, %v_cache at %position scale 3.535000e-01 :
        (tensor<1x1x4x8xf32>, tensor<1x1x2x8xf32>, tensor<1x1x2x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>,
        tensor<i32>) -> (tensor<1x1x4x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>)
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$q, Moire_Tensor:$k, Moire_Tensor:$v, Moire_Tensor:$k_cache,
                            Moire_Tensor:$v_cache, Moire_Index:$position, Optional<Moire_FullTensor>:$sinks,
                            Optional<Moire_Index>:$documents),
                       attentionForm);
  let results = (outs Moire_Tensor:$y, Moire_Tensor:$k_out, Moire_Tensor:$v_out);
  let assemblyFormat = !strconcat("$q `,` $k `,` $v `,` $k_cache `,` $v_cache `at` $position (`sinks` $sinks^)? ",
                                  "(`documents` $documents^)?",
                                  attentionFormText);
  let hasVerifier = 1;
}

def Moire_ConvOp : Moire_TensorOp<"conv", [Differentiable]> {
  let summary = "Depthwise convolution along time";
  let description = [{
    `y[b, t, c] = bias[c] + sum_k w[k, c] x[b, t + k - (taps - 1), c]` with `causal` padding (zeros before the
    beginning); with `valid`, `x[b, t + k, c]` and dim(x, 1) = dim(y, 1) + taps - 1. With `documents`
    (moire.document_positions) of y's tokens, taps before the beginning of a token's document read zeros.
    - (C1) w is `[taps, channels]`, bias `[channels]`, in the full precision of x
    - (C2) batch, channels and element type of y are those of x, its time what the padding says
    - (C3) if documents is present, it is `[batch, time]` of y

    Example:
    ```mlir
    %y = moire.conv causal %x, %w, %bias : (tensor<2x6x8xbf16>, tensor<4x8xf32>, tensor<8xf32>) ->
        tensor<2x6x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$w, Moire_FullTensor:$bias, Optional<Moire_Index>:$documents,
                       Moire_PaddingAttr:$padding);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = [{
    `` $padding $x `,` $w `,` $bias (`documents` $documents^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_ConvGradInputOp : Moire_TensorOp<"conv_grad_input", []> {
  let summary = "Reverse of a causal convolution, input";
  let description = [{
    `dx[b, t, c] = sum_k w[k, c] dy[b, t - k + (taps - 1), c]`, zeros past the end; with `documents` without the terms
    that conv left out.
    - (C1) extents as conv

    Example:
    ```mlir
    %dx = moire.conv_grad_input %dy, %w : (tensor<2x6x8xf32>, tensor<4x8xf32>) -> tensor<2x6x8xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_FullTensor:$w, Optional<Moire_Index>:$documents);
  let results = (outs Moire_Tensor:$dx);
  let assemblyFormat = [{
    $dy `,` $w (`documents` $documents^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_ConvGradWeightOp : Moire_TensorOp<"conv_grad_weight", []> {
  let summary = "Reverse of a causal convolution, taps and bias";
  let description = [{
    `dw[k, c] = sum_{b,t} x[b, t + k - (taps - 1), c] dy[b, t, c]`, `dbias[c] = sum dy`; with `documents` without the
    terms that conv left out.
    - (C1) extents as conv

    Example:
    ```mlir
    %dw, %dbias = moire.conv_grad_weight %x, %dy : (tensor<2x6x8xbf16>, tensor<2x6x8xbf16>) -> (tensor<4x8xf32>,
        tensor<8xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$dy, Optional<Moire_Index>:$documents);
  let results = (outs Moire_FullTensor:$dw, Moire_FullTensor:$dbias);
  let assemblyFormat = [{
    $x `,` $dy (`documents` $documents^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_SelectiveScanOp : Moire_TensorOp<"selective_scan", [Differentiable, InferTypes]> {
  let summary = "The scan of Mamba-1";
  let description = [{
    Per channel c: `h_n <- exp(dt a[c,n]) h_n + dt B_n u`; `y = sum_n C_n h_n + d[c] u`, h = 0 at first, in full
    precision. u, y `[batch, time, channels]`, dt the same in full precision, B and C `[batch, time, state]`, a
    `[channels, state]`, d `[channels]`. `states` keeps h at the start of every chunk of 64 tokens, `[batch, chunks,
    channels, state]`. With `documents` (moire.document_positions) h is zero before the first token of a document.
    - (C1) extents agree; dt, a, d in the full precision of u; b and c of one type
    - (C2) `type(y) = type(u)`, states in the full precision of u
    - (C3) if documents is present, it is `[batch, time]`

    Example:
    ```mlir
    %y, %states = moire.selective_scan %u, %dt, %a, %b, %c, %d : (tensor<2x65x8xbf16>, tensor<2x65x8xf32>,
        tensor<8x4xf32>, tensor<2x65x4xbf16>, tensor<2x65x4xbf16>, tensor<8xf32>) -> (tensor<2x65x8xbf16>,
        tensor<2x2x8x4xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$u, Moire_FullTensor:$dt, Moire_FullTensor:$a, Moire_Tensor:$b, Moire_Tensor:$c,
                       Moire_FullTensor:$d, Optional<Moire_Index>:$documents);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$states);
  let assemblyFormat = [{
    $u `,` $dt `,` $a `,` $b `,` $c `,` $d (`documents` $documents^)? attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Tokens between two kept states: the memory that the reverse scan recomputes within.
    static constexpr int64_t chunkTokens = 64;
  }];
}

def Moire_SelectiveScanGradOp : Moire_TensorOp<"selective_scan_grad", [InferTypes]> {
  let summary = "Reverse of the scan";
  let description = [{
    Gradients of u, dt, a, B, C, d; h is recomputed chunk by chunk from `states`.
    - (C1) as selective_scan; dy has the type of u, states the one that selective_scan gives
    - (C2) the types of the results are those of u, dt, a, b, c, d

    Example:
    ```mlir
    %du, %ddt, %da, %db, %dc, %dd = moire.selective_scan_grad %dy, %u, %dt, %a, %b, %c, %d, %states :
        (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>,
        tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x1x8x4xf32>) -> (tensor<2x6x8xf32>, tensor<2x6x8xf32>,
        tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_Tensor:$u, Moire_FullTensor:$dt, Moire_FullTensor:$a, Moire_Tensor:$b,
                       Moire_Tensor:$c, Moire_FullTensor:$d, Moire_FullTensor:$states,
                       Optional<Moire_Index>:$documents);
  let results = (outs Moire_Tensor:$du, Moire_FullTensor:$ddt, Moire_FullTensor:$da, Moire_Tensor:$db,
                      Moire_Tensor:$dc, Moire_FullTensor:$dd);
  let assemblyFormat = [{
    $dy `,` $u `,` $dt `,` $a `,` $b `,` $c `,` $d `,` $states (`documents` $documents^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_StatefulScanOp : Moire_TensorOp<"stateful_scan", [InferTypes]> {
  let summary = "The scan, from and to a state";
  let description = [{
    As selective_scan, starting from `state` `[batch, channels, state]` and returning the state after the last token.
    - (C1) extents agree, as in selective_scan; state is `[batch, channels, state]` in the full precision of u
    - (C2) `type(y) = type(u)`, `type(state_out) = type(state)`

    Example:
    ```mlir
    %y, %state_out = moire.stateful_scan %u, %dt, %a, %b, %c, %d from %state : (tensor<1x1x8xf32>,
        tensor<1x1x8xf32>, tensor<8x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>, tensor<8xf32>,
        tensor<1x8x4xf32>) -> (tensor<1x1x8xf32>, tensor<1x8x4xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$u, Moire_FullTensor:$dt, Moire_FullTensor:$a, Moire_Tensor:$b, Moire_Tensor:$c,
                       Moire_FullTensor:$d, Moire_FullTensor:$state, Optional<Moire_Index>:$documents);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$state_out);
  let assemblyFormat = [{
    $u `,` $dt `,` $a `,` $b `,` $c `,` $d `from` $state (`documents` $documents^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif
