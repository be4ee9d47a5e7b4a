//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: the scan of Mamba-2, with its reverse and its stateful form.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_SSD_OPS_TD
#define MOIRE_SSD_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/PointwiseOps.td"

def Moire_SsdScanOp : Moire_TensorOp<"ssd_scan", [Differentiable, InferTypes]> {
  let summary = "The scan of Mamba-2";
  let description = [{
    Per head h of group g: `H <- exp(dt a[h]) H + dt B_g x^T`; `y = C_g^T H + d[h] x`, H = 0 at first, in full
    precision. x, y `[batch, time, heads, head_dim]`, dt `[batch, time, heads]` in full precision, B and C `[batch,
    time, groups, state]`, a and d `[heads]`; head h belongs to group `h groups / heads`. `chunk` tokens are taken
    together as products of matrices; the result does not depend on it but for rounding. `states` keeps H at the start
    of every chunk, `[batch, chunks, heads, state, head_dim]`. With `documents` (moire.document_positions) H is zero
    before the first token of a document.
    - (C1) extents agree; dt, a, d in the full precision of x; b and c of one type
    - (C2) groups divides heads
    - (C3) chunk, state and head_dim from 1 to 256
    - (C4) `type(y) = type(x)`, states in the full precision of x
    - (C5) if documents is present, it is `[batch, time]`

    Example:
    ```mlir
    %y, %states = moire.ssd_scan %x, %dt, %a, %b, %c, %d chunk 4 : (tensor<2x6x4x8xbf16>, tensor<2x6x4xf32>,
        tensor<4xf32>, tensor<2x6x2x3xbf16>, tensor<2x6x2x3xbf16>, tensor<4xf32>) -> (tensor<2x6x4x8xbf16>,
        tensor<2x2x4x3x8xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$dt, Moire_FullTensor:$a, Moire_Tensor:$b, Moire_Tensor:$c,
                       Moire_FullTensor:$d, Optional<Moire_Index>:$documents, I64Attr:$chunk);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$states);
  let assemblyFormat = [{
    $x `,` $dt `,` $a `,` $b `,` $c `,` $d `chunk` $chunk (`documents` $documents^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The largest chunk, state and head_dim that kernels are made for.
    static constexpr int64_t most = 256;
  }];
}

def Moire_SsdScanGradOp : Moire_TensorOp<"ssd_scan_grad", [InferTypes]> {
  let summary = "Reverse of the scan of Mamba-2";
  let description = [{
    Gradients of x, dt, a, B, C, d, chunk by chunk from the last, each from the state kept at its start.
    - (C1) as ssd_scan; dy has the type of x, states the one that ssd_scan gives
    - (C2) the types of the results are those of x, dt, a, b, c, d

    Example:
    ```mlir
    %dx, %ddt, %da, %db, %dc, %dd = moire.ssd_scan_grad %dy, %x, %dt, %a, %b, %c, %d, %states chunk 4 :
        (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>,
        tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x2x4x3x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>,
        tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$dy, Moire_Tensor:$x, Moire_FullTensor:$dt, Moire_FullTensor:$a, Moire_Tensor:$b,
                       Moire_Tensor:$c, Moire_FullTensor:$d, Moire_FullTensor:$states,
                       Optional<Moire_Index>:$documents, I64Attr:$chunk);
  let results = (outs Moire_Tensor:$dx, Moire_FullTensor:$ddt, Moire_FullTensor:$da, Moire_Tensor:$db,
                      Moire_Tensor:$dc, Moire_FullTensor:$dd);
  let assemblyFormat = [{
    $dy `,` $x `,` $dt `,` $a `,` $b `,` $c `,` $d `,` $states `chunk` $chunk (`documents` $documents^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_StatefulSsdScanOp : Moire_TensorOp<"stateful_ssd_scan", [InferTypes]> {
  let summary = "The scan of Mamba-2, from and to a state";
  let description = [{
    As ssd_scan, starting from `state` `[batch, heads, state, head_dim]` and returning the state after the last token.
    - (C1) as ssd_scan; state is `[batch, heads, state, head_dim]` in the full precision of x
    - (C2) `type(y) = type(x)`, `type(state_out) = type(state)`

    Example:
    ```mlir
    %y, %state_out = moire.stateful_ssd_scan %x, %dt, %a, %b, %c, %d from %state chunk 64 : (tensor<1x1x4x8xf32>,
        tensor<1x1x4xf32>, tensor<4xf32>, tensor<1x1x2x3xf32>, tensor<1x1x2x3xf32>, tensor<4xf32>,
        tensor<1x4x3x8xf32>) -> (tensor<1x1x4x8xf32>, tensor<1x4x3x8xf32>)
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_FullTensor:$dt, Moire_FullTensor:$a, Moire_Tensor:$b, Moire_Tensor:$c,
                       Moire_FullTensor:$d, Moire_FullTensor:$state,
                       Optional<Moire_Index>:$documents, I64Attr:$chunk);
  let results = (outs Moire_Tensor:$y, Moire_FullTensor:$state_out);
  let assemblyFormat = [{
    $x `,` $dt `,` $a `,` $b `,` $c `,` $d `from` $state `chunk` $chunk (`documents` $documents^)? attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

#endif
