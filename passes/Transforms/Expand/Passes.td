//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass from the model level to the tensor level.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_EXPAND_PASSES_TD
#define MOIRE_PASSES_TRANSFORMS_EXPAND_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExpandBlocksPass : Pass<"moire-expand-blocks", "::mlir::ModuleOp"> {
  let summary = "Expand the blocks of a model into tensor-level functions";
  let description = [{
    Replaces the module's `moire.model` by `moire.param` declarations and up to four functions over tensors: `@train`
    (objective and metrics), `@eval` (loss sum and count), `@prefill` and `@decode` (logits of the last of some new
    tokens, from and to a state). Loops stay loops over stacked parameters. What a package needs to know of the model
    besides its code is kept in the module attribute `moire.package`.

    Before:
    ```mlir
    %y = moire.swiglu %x path "swiglu" {hidden = 512 : i64, ...} : (tensor<8x64x128xf32>) -> tensor<8x64x128xf32>
    ```
    After, with `precision=bf16`:
    ```mlir
    %h = moire.linear %x, %gate_up : (tensor<8x64x128xbf16>, tensor<128x1024xbf16>) -> tensor<8x64x1024xbf16>
    %g = moire.slice %h dim 2 at 0 : tensor<8x64x1024xbf16> to tensor<8x64x512xbf16>
    %u = moire.slice %h dim 2 at 512 : tensor<8x64x1024xbf16> to tensor<8x64x512xbf16>
    %s = moire.unary silu %g : tensor<8x64x512xbf16>
    %a = moire.binary mul %s, %u : ...
    %y = moire.linear %a, %down : ...
    ```

    With `probe`, `@train` also returns what it computes at the model's seams, as metrics of the kind `probe` under the
    block's path: the embeddings, the output of each block that a residual stream may add, the logits of each router, and
    the model's logits (`logits`). Of each up to 64 tokens, evenly spread, with all their features.
  }];
  let options = [
    Option<"precision", "precision", "std::string", /*default=*/"\"f32\"",
           "Element type of activations and products: f32, bf16 (full precision where the blocks ask for it) or f64">,
    ListOption<"functions", "functions", "std::string",
               "Functions to make, of train, eval, prefill, decode (default: all; where positions see later ones, or "
               "streams have lengths of their own, the first two)">,
    Option<"prefillTokens", "prefill-tokens", "int64_t", /*default=*/"16",
           "Tokens that one call of @prefill reads; at most the context">,
    Option<"decodeContext", "decode-context", "int64_t", /*default=*/"0",
           "Positions that the decoding state has room for; 0 for the model's context">,
    Option<"probe", "probe", "bool", /*default=*/"false",
           "Report activations as metrics of @train">
  ];
  let dependentDialects = ["::moire::MoireDialect", "::mlir::func::FuncDialect"];
}

#endif
