//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes from the model level to the tensor level that autodiff reads.
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
    the model's logits (`logits`). Of each up to 64 tokens, evenly spread, with all their features. Metrics of
    the kind `importance` hold sums of |x| over all tokens: of what norms give, [features], under the norm's path; of what
    feed-forward layers have before their last product, under the layer's path and `.hidden`, and `.shared.hidden` for a
    shared expert. Those of experts are [experts, features], over the rows that each is sent.
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

def ProjectWeightsPass : Pass<"moire-project-weights", "::mlir::ModuleOp"> {
  let summary = "Compose weights from larger, frozen ones";
  let description = [{
    Projected compression (arXiv 2506.22255). The module attribute `moire.source_shapes` gives, for every parameter by
    its name, the extents of one copy in the larger model that this one is to be made from. A matrix (in x out, the last
    two extents) that is larger there becomes

    `weight = in * source * out + aux`

    with four parameters for one: `X.source` is frozen (its factors of rate and decay are 0), `X.in` and `X.out` are there
    for a side that shrinks, `X.aux` has the place and the size of X. Experts are composed one by one. Columns of
    several kinds, side by side (queries, keys and values; gate and up), which the parameter's `moire.pieces` counts,
    have an `in` and an `out` each, one below the other. Vectors stay as they are: attaching a source cuts them.

    A weight is composed where it is first read whole, once for a function, or once for an iteration of the loop that it
    belongs to; products read the same type as before, the sum is of full precision. A table that fewer tokens look up
    than it has rows is not composed; the rows that they find are: `source[t] out + aux[t]`. Autodiff differentiates the
    composition like everything else, and computes no gradient of what is frozen.

    What cannot be projected is an error that names the parameter: sizes that grow, heads, experts and vocabularies that
    become fewer, state-space layers, layers that the other model has not. A module without the attribute is left alone.

    Before:
    ```mlir
    moire.param @w : tensor<4x6xf32> role ffn init normal {init_a = 0.1 : f64, paths = ["w"], stack = 0 : i64}
    func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x6xf32> {moire.param = @w}) -> tensor<2x6xf32> {
      %y = moire.linear %x, %w : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
    ```
    After, with `moire.source_shapes = {w = array<i64: 8, 6>}`:
    ```mlir
    func.func @f(%x: tensor<2x4xf32>, %source: tensor<8x6xf32> {moire.param = @w.source},
                 %in: tensor<4x8xf32> {moire.param = @w.in}, %aux: tensor<4x6xf32> {moire.param = @w.aux}) -> ... {
      %p = moire.linear %in, %source : (tensor<4x8xf32>, tensor<8x6xf32>) -> tensor<4x6xf32>
      %w = moire.binary add %p, %aux : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
      %y = moire.linear %x, %w : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
    ```
  }];
  let dependentDialects = ["::moire::MoireDialect"];
}

#endif
