//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model level: an op is a block as a paper names it, all numbers resolved.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_MODEL_OPS_TD
#define MOIRE_MODEL_OPS_TD

include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/MoireTypes.td"

def Moire_ModelOp : Moire_Op<"model", [Symbol, IsolatedFromAbove, SingleBlock]> {
  let summary = "A language model: tokens in, logits out";
  let description = [{
    The body's one argument holds the tokens, `tensor<batch x context x i32>` with values in [0, vocab); it ends in
    `moire.return` of the logits, `tensor<batch x context x vocab>`. A document begins at each token `separator`; with
    `isolate` no position sees another document than its own. `train` is the resolved train section as a
    JSON text, `spec` the resolved spec.

    - (C1) the argument is `tensor<batch x context x i32>`
    - (C2) the returned logits are `tensor<batch x context x vocab>` in full precision
    - (C3) separator is in [0, vocab), and present with isolate

    Example:
    ```mlir
    moire.model @plain batch 2 context 3 vocab 16 {
    ^bb0(%tokens: tensor<2x3xi32>):
      %h = moire.embed %tokens path "in" {paths = ["in"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>)
          -> tensor<2x3x8xf32>
      %out = moire.head %h path "out" {bias = false, paths = ["out"], vocab = 16 : i64} : (tensor<2x3x8xf32>) ->
          tensor<2x3x16xf32>
      moire.return %out : tensor<2x3x16xf32>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$batch, I64Attr:$context_length, I64Attr:$vocab,
                       OptionalAttr<I64Attr>:$separator, UnitAttr:$isolate,
                       DefaultValuedStrAttr<StrAttr, "">:$train, DefaultValuedStrAttr<StrAttr, "">:$spec);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `batch` $batch `context` $context_length `vocab` $vocab (`separator` $separator^)?
    (`isolate` $isolate^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Moire_ReturnOp : Moire_Op<"return", [Pure, Terminator, HasParent<"ModelOp">]> {
  let summary = "Ends a model with its logits";
  let description = [{
    See `moire.model`.

    Example:
    ```mlir
    moire.return %logits : tensor<2x3x16xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$logits);
  let assemblyFormat = "$logits attr-dict `:` type($logits)";
}

/// A block that owns parameters. `path` names them with a '#' per enclosing repeat that has copies of its own;
/// `paths` lists the concrete names, one per copy, in the order of iteration. Ops with equal paths share parameters:
/// they must be of the same kind and sizes.
class Moire_BlockOp<string mnemonic, list<Trait> traits = []> : Moire_Op<mnemonic, !listconcat([Pure], traits)> {
  dag blockArguments = (ins StrAttr:$path, StrArrayAttr:$paths);
}

def Moire_EmbedOp : Moire_BlockOp<"embed"> {
  let summary = "Rows of an embedding table, by token";
  let description = [{
    `y[b, t, :] = table[tokens[b, t], :]`, table `vocab x width`, normal(0.02).
    - (C1) `shape(y) = shape(tokens) ++ [width]`

    Example:
    ```mlir
    %x = moire.embed %tokens path "embed" {paths = ["embed"], vocab = 16 : i64, width = 8 : i64} :
        (tensor<2x3xi32>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Index:$tokens, I64Attr:$vocab, I64Attr:$width), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$tokens `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_LearnedPositionsOp : Moire_BlockOp<"learned_positions"> {
  let summary = "A learned row per position";
  let description = [{
    `y[b, t, :] = table[t, :]`, table `context x width`, normal(0.02); `x` gives the shape only.
    - (C1) `shape(y) = shape(x)`

    Example:
    ```mlir
    %p = moire.learned_positions %x path "positions" {paths = ["positions"]} : (tensor<2x3x8xbf16>) ->
        tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_SinusoidalPositionsOp : Moire_Op<"sinusoidal_positions", [Pure]> {
  let summary = "A fixed row of sines and cosines per position";
  let description = [{
    `y[b, t, 2i] = sin(t / 10000^(2i/width))`, `y[b, t, 2i+1]` the cosine (arXiv 1706.03762, section 3.5); `x` gives the
    shape only.
    - (C1) `shape(y) = shape(x)`, and its last dimension is even

    Example:
    ```mlir
    %waves = moire.sinusoidal_positions %x : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_NormOp : Moire_BlockOp<"norm"> {
  let summary = "RMSNorm or LayerNorm over the features";
  let description = [{
    `rms`: `y = x / sqrt(mean(x^2) + eps) * weight`; `layer`: `y = (x - mean) / sqrt(var + eps) * weight (+ bias)`.
    With `groups` the features are that many equal slices, each with a mean of its own. Weight 1, bias 0 at first.
    - (C1) `shape(y) = shape(x)`
    - (C2) eps > 0
    - (C3) rms has no bias
    - (C4) groups divides the features; layer has one group

    Example:
    ```mlir
    %n = moire.norm rms %h path "layers.#.norm" {bias = false, eps = 1.000000e-05 : f64, paths =
        ["layers.0.norm", "layers.1.norm"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, Moire_NormKindAttr:$kind, F64Attr:$eps, BoolAttr:$bias), blockArguments,
                       (ins DefaultValuedAttr<I64Attr, "1">:$groups));
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "`` $kind $x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

/// Rotary positions, stretched or not: see moire.rotary_table. `rope_interleaved` turns neighbouring features in the
/// place of halves.
defvar rotaryArguments = (ins OptionalAttr<Moire_RopeScalingAttr>:$rope_scaling, OptionalAttr<F64Attr>:$rope_factor,
                              OptionalAttr<I64Attr>:$rope_original,
                              DefaultValuedAttr<F64Attr, "32.0">:$rope_fast,
                              DefaultValuedAttr<F64Attr, "1.0">:$rope_slow, UnitAttr:$rope_exact,
                              UnitAttr:$rope_interleaved);

/// How a gated layer makes its gate g and its values u: `(clamp(u, -limit, limit) + offset) * act(min(g, limit))`,
/// with alpha `silu(alpha g) / alpha` for silu.
defvar gateArguments = (ins OptionalAttr<F64Attr>:$limit, DefaultValuedAttr<F64Attr, "1.0">:$alpha,
                            DefaultValuedAttr<F64Attr, "0.0">:$offset);

def Moire_AttentionOp : Moire_BlockOp<"attention"> {
  let summary = "Multi-head attention with grouped-query heads, in the variants of the public model families";
  let description = [{
    Projections q (`heads * head_dim`), k (`kv_heads * head_dim`) and v (`kv_heads * value_dim`; value_dim is head_dim
    when it is not given) of x, side by side in one matrix; `moire.softmax_attention` of them, causal unless
    `bidirectional`, with its `window`, `softcap`, `alibi`, `sinks` (a parameter of one number per head, 0 at first) and
    scale (`1/sqrt(head_dim)` when it is not given); output projection to the features of the result.
    - `qk_norm`: RMSNorm (eps 1e-6) of q and of k before the rotation, per head with a weight of head_dim that all heads
      share, or over all features at once.
    - `rope_base`: rotary positions on the first `rope_dim` (when not given: all) features of each head of q and k,
      halves of these rotated: `(a, b) -> (a cos - b sin, b cos + a sin)`; with `rope_interleaved` a are the even ones
      and b the odd ones of these features (arXiv 2104.09864). Angles and scalings of `moire.rotary_table`.
      Yarn also multiplies the scale by `(0.1 log(factor) + 1)^2` (arXiv 2309.00071, equation 15).
    - `gate`: what the heads give is multiplied, before the output projection, by `sigmoid(x W)`: one number for each
      head (in full precision), or for each feature.

    - (C1) `shape(y) = shape(x)[:-1] ++ [1 or more]`
    - (C2) kv_heads divides heads
    - (C3) as many features as rope_base turns are even in number and at most head_dim; rope_dim, rope_scaling and
      rope_interleaved need rope_base
    - (C4) window >= 1; softcap, scale > 0
    - (C5) rope_factor is given with rope_scaling and only then, and is at least 1; rope_original with yarn and only
      then; rope_fast, rope_slow and rope_exact are for yarn only, rope_fast > rope_slow > 0

    Example:
    ```mlir
    %a = moire.attention %n path "layers.#.attn" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads =
        1 : i64, paths = ["layers.0.attn", "layers.1.attn"], rope_base = 1.000000e+04 : f64} :
        (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$head_dim,
                        OptionalAttr<I64Attr>:$value_dim, UnitAttr:$bidirectional, OptionalAttr<I64Attr>:$window,
                        UnitAttr:$sinks, OptionalAttr<F64Attr>:$softcap, UnitAttr:$alibi, OptionalAttr<F64Attr>:$scale,
                        OptionalAttr<Moire_QkNormAttr>:$qk_norm, OptionalAttr<Moire_OutputGateAttr>:$gate,
                        OptionalAttr<F64Attr>:$rope_base, OptionalAttr<I64Attr>:$rope_dim), rotaryArguments,
                       (ins BoolAttr:$bias), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Features of a head of v.
    int64_t valueSize() { return getValueDim().value_or(getHeadDim()); }
    /// Features of a head that are rotated.
    int64_t rotatedSize() { return getRopeBase() ? getRopeDim().value_or(getHeadDim()) : 0; }
  }];
}

def Moire_LatentAttentionOp : Moire_BlockOp<"latent_attention"> {
  let summary = "Attention whose keys and values come from one small latent (MLA)";
  let description = [{
    Multi-head latent attention (arXiv 2405.04434, section 2.1; 2412.19437). With an RMSNorm (eps 1e-6) on each latent:
    - `(c, r) = x W_kv_down`, kv_latent and rope_dim features; `(k_h, v_h) = norm(c) W_kv_up`, nope_dim and value_dim
      features for each head h; the key of h is `(k_h, rope(r))`: its rotated part is shared by all heads.
    - `(q_h, p_h) = norm(x W_q_down) W_q_up`, or `x W_q` without q_latent; the query of h is `(q_h, rope(p_h))`.
    - causal softmax attention with the scale `1/sqrt(nope_dim + rope_dim)`, output projection back to the width.
    Rotary positions and their scaling as in moire.attention. Decoding keeps the keys and values of all heads.

    - (C1) `shape(y) = shape(x)`
    - (C2) all sizes are at least 1, rope_dim is even
    - (C3) rope_factor is given with rope_scaling and only then, and is at least 1; rope_original with yarn and only
      then; rope_fast, rope_slow and rope_exact are for yarn only, rope_fast > rope_slow > 0

    Example:
    ```mlir
    %l = moire.latent_attention %n path "layers.#.mla" {heads = 2 : i64, kv_latent = 6 : i64, nope_dim = 4 : i64, paths
        = ["layers.0.mla", "layers.1.mla"], q_latent = 5 : i64, rope_base = 1.000000e+04 : f64, rope_dim = 2 : i64,
        value_dim = 3 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$heads, I64Attr:$kv_latent, OptionalAttr<I64Attr>:$q_latent,
                        I64Attr:$nope_dim, I64Attr:$rope_dim, I64Attr:$value_dim, F64Attr:$rope_base), rotaryArguments,
                       blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_DenseOp : Moire_BlockOp<"dense"> {
  let summary = "Affine map of the features";
  let description = [{
    `y = x W (+ b)`, W `in x width`.
    - (C1) `shape(y) = shape(x)[:-1] ++ [width]`

    Example:
    ```mlir
    %d = moire.dense %a path "layers.#.dense" {bias = true, paths = ["layers.0.dense", "layers.1.dense"], width
        = 8 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$width, BoolAttr:$bias), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_MlpOp : Moire_BlockOp<"mlp"> {
  let summary = "Two-matrix feed-forward layer";
  let description = [{
    `y = act(x W1 (+ b1)) W2 (+ b2)`, act one of relu, relu2, gelu (exact), silu.
    - (C1) `shape(y) = shape(x)`
    - (C2) the activation is relu, relu2, gelu or silu

    Example:
    ```mlir
    %m = moire.mlp gelu %d path "layers.#.mlp" {bias = true, hidden = 32 : i64, paths = ["layers.0.mlp",
        "layers.1.mlp"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$hidden, Moire_UnaryAttr:$activation, BoolAttr:$bias),
                       blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "`` $activation $x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_SwigluOp : Moire_BlockOp<"swiglu"> {
  let summary = "Gated feed-forward layer";
  let description = [{
    `y = (act(g) * u) Wd (+ bd)`, `g = x Wg (+ bg)`, `u = x Wu (+ bu)`; Wg and Wu lie side by side in one matrix
    `width x 2 hidden`. The activation is silu when it is not given. With `limit` L, g is first made at most L and u
    kept within -L and L; `offset` is added to u; with `alpha` a, silu becomes `silu(a g) / a`.
    - (C1) `shape(y) = shape(x)`
    - (C2) the activation is silu, gelu, relu, relu2 or sigmoid
    - (C3) limit > 0; alpha > 0, and 1 unless the activation is silu

    Example:
    ```mlir
    %s = moire.swiglu %m path "layers.#.swiglu" {bias = false, hidden = 24 : i64, paths = ["layers.0.swiglu",
        "layers.1.swiglu"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$hidden,
                        DefaultValuedAttr<Moire_UnaryAttr, "::moire::Unary::Silu">:$activation, BoolAttr:$bias),
                       gateArguments, blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = [{
    $x (`activation` `` $activation^)? `path` $path attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_RouterOp : Moire_BlockOp<"router"> {
  let summary = "Choice of experts for every token";
  let description = [{
    `token`: logits `x W` (with `logit_bias` plus a vector) in full precision over `experts + nulls` choices; each
    token takes its `top_k` (see `moire.route`: gate, renormalize, scale, groups). With `bias_rate` a vector `bias` is
    added to the scores for the choice alone, and after each step moves by `bias_rate` against the sign of each
    choice's excess load. Null choices have no expert: they add nothing. `capacity` limits, in training, the rows of an
    expert to `floor(capacity * tokens * top_k / experts)`: the largest gates stay. `threshold` leaves those of the
    top_k out whose score times experts is not above it (arXiv 2404.05567). `hash`: experts by the token's id,
    all gates `1 / top_k`, no parameters. `balanced`: the scores of `token`, the experts by position.

    The tokens at one position of `group` consecutive sequences form a group. `expert`: scores as of `token`; each
    expert takes the `capacity * group * top_k / experts` tokens of a group with its largest scores, which weigh what
    comes back. `mixture` (arXiv 2310.15961): each expert gets one mixed token of each group, weighed by the softmax
    over the group of `logits / temperature`; what comes back is weighed as `emit` says: the same weights, those of a
    controller `emit.weight` of its own, or the softmax of the same logits over experts. A learned temperature is
    `exp(t - 1)`, t at first 1, one number or with `temperature_per_expert` one for each choice. `dense`: every expert
    sees every token, weighed by the softmax of the logits.

    Losses, each a coefficient times: `balance`: `choices * sum_e mean_t(p_te) * count_e/tokens`; `sequence_balance`:
    `choices / top_k` times the same for each sequence by itself, averaged; `z`: `mean_t logsumexp(logits_t)^2`;
    `mutual_information`: `sum_e m_e log m_e - mean_t sum_e p_te log p_te`, `m = mean_t p_t`. `p` are the scores over
    their sum. `nested` says that the block's path is one part longer than what its quantities are reported under.
    - (C1) the routing has the extents of x, and `experts`
    - (C2) 1 <= top_k <= experts + nulls
    - (C3) renormalize not with topk_softmax; topk_softmax only with top_k > 1
    - (C4) bias_rate and the coefficients of losses are 0 or more; scale is above 0
    - (C5) groups divides experts, without nulls; the top_groups hold at least top_k experts
    - (C6) `tokens` is given with the choice hash alone, with the extents of x
    - (C7) no bias_rate, groups, nulls, balance or sequence_balance but with the choice token; with hash no z and no
      mutual_information
    - (C8) the capacity makes room for a row of each expert
    - (C9) group divides the batch; with expert and mixture it is 2 or more, else 1
    - (C10) `capacity * group * top_k / experts` is a whole number from 1 to group with the choice expert
    - (C11) temperature is above 0; it, learned_temperature and emit go with the choice mixture alone;
      temperature_per_expert goes with learned_temperature
    - (C12) expert, mixture and dense have the gate softmax_topk without renormalize; mixture and dense no capacity;
      mixture no z and no mutual_information
    - (C13) logit_bias not with hash
    - (C14) threshold is from 0 to below experts; above 0 it goes with the choice token and the gate softmax_topk,
      without renormalize and nulls

    Example:
    ```mlir
    %q = moire.router token %s gate softmax_topk path "layers.#.moe.router" {balance = 1.000000e-02 : f64,
        experts = 4 : i64, nested, paths = ["layers.0.moe.router", "layers.1.moe.router"], renormalize, top_k =
        2 : i64, z = 1.000000e-03 : f64} : (tensor<2x3x8xbf16>) -> !moire.routing<batch = 2, time = 3, experts = 4>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, Optional<Moire_Index>:$tokens, Moire_ChoiceAttr:$choice,
                        Moire_GateAttr:$gate, I64Attr:$experts, I64Attr:$top_k, UnitAttr:$renormalize,
                        DefaultValuedAttr<F64Attr, "1.0">:$scale, DefaultValuedAttr<F64Attr, "0.0">:$bias_rate,
                        DefaultValuedAttr<I64Attr, "1">:$groups, DefaultValuedAttr<I64Attr, "1">:$top_groups,
                        DefaultValuedAttr<I64Attr, "0">:$nulls, OptionalAttr<F64Attr>:$capacity,
                        DefaultValuedAttr<I64Attr, "1">:$group, DefaultValuedAttr<F64Attr, "1.0">:$temperature,
                        UnitAttr:$learned_temperature, UnitAttr:$temperature_per_expert, UnitAttr:$logit_bias,
                        DefaultValuedAttr<Moire_EmitAttr, "Emit::Same">:$emit,
                        DefaultValuedAttr<F64Attr, "0.0">:$balance,
                        DefaultValuedAttr<F64Attr, "0.0">:$sequence_balance, DefaultValuedAttr<F64Attr, "0.0">:$z,
                        DefaultValuedAttr<F64Attr, "0.0">:$mutual_information,
                        DefaultValuedAttr<F64Attr, "0.0">:$threshold, UnitAttr:$nested), blockArguments);
  let results = (outs Moire_Routing:$routing);
  let assemblyFormat = [{
    `` $choice $x (`tokens` $tokens^)? `gate` `` $gate (`emit` `` $emit^)? `path` $path attr-dict `:`
    functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Choices of a token: experts, and null ones.
    int64_t getChoices() { return getExperts() + getNulls(); }
    /// Rows that an expert takes in training, by the capacity; none when it takes all, or chooses itself.
    std::optional<int64_t> getRowLimit();
    /// Tokens of a group that an expert takes when experts choose; none when that is no whole number from 1 to group.
    std::optional<int64_t> getTokensPerGroup();
    /// Whether tokens of several sequences meet, so that there is no decoding of one sequence.
    bool mixesSequences() { return getGroup() > 1; }
  }];
}

def Moire_ExpertsOp : Moire_BlockOp<"experts"> {
  let summary = "A pool of experts, applied as a routing says";
  let description = [{
    `y[t] = sum_j gate[t, j] * expert[chosen[t, j]](x[t])`. Experts are two-matrix (as `moire.mlp`) or gated (`gated`,
    as `moire.swiglu` with its limit, alpha and offset) layers of `hidden` features; with `bias` each product of each
    expert adds a vector. With `latent` they work on `x D` of so many features,
    and `U` brings their sum back. With `shared_hidden` one more expert, with arguments of its own, sees every token,
    times `sigmoid(x g)` with `shared_gate`. Ops with equal paths are uses of one pool.
    - (C1) `shape(y) = shape(x)`
    - (C2) the routing has the batch and time of x
    - (C3) activations are those of moire.swiglu for gated experts, else those of moire.mlp, for the shared one too
    - (C4) shared_gate and shared_bias only with a shared expert
    - (C5) limit, alpha and offset as in moire.swiglu, and only of gated experts

    Example:
    ```mlir
    %e = moire.experts %s, %q activation relu path "layers.#.moe.experts" {hidden = 16 : i64, paths =
        ["layers.0.moe.experts", "layers.1.moe.experts"]} : (tensor<2x3x8xbf16>, !moire.routing<batch = 2, time = 3,
        experts = 4>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, Moire_Routing:$routing, I64Attr:$hidden, UnitAttr:$gated,
                        Moire_UnaryAttr:$activation, UnitAttr:$bias), gateArguments,
                       (ins DefaultValuedAttr<I64Attr, "0">:$latent,
                        DefaultValuedAttr<I64Attr, "0">:$shared_hidden, UnitAttr:$shared_gated,
                        DefaultValuedAttr<Moire_UnaryAttr, "::moire::Unary::Silu">:$shared_activation,
                        UnitAttr:$shared_bias, OptionalAttr<F64Attr>:$shared_limit,
                        DefaultValuedAttr<F64Attr, "1.0">:$shared_alpha,
                        DefaultValuedAttr<F64Attr, "0.0">:$shared_offset, UnitAttr:$shared_gate), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = [{
    $x `,` $routing `activation` `` $activation `path` $path attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_MambaOp : Moire_BlockOp<"mamba"> {
  let summary = "Selective state-space layer (Mamba-1)";
  let description = [{
    With `D = expand * width`, `N = state`, `R = dt_rank`: `(u, g) = x W_in`; `u = silu(conv(u))`, causal, depthwise,
    `conv` taps
    with bias; `(r, B, C) = u W_x`; `dt = softplus(r W_dt + b_dt)`; `y = scan(u, dt, -exp(A_log), B, C, D)` in full
    precision (see `moire.selective_scan`); result `(y * silu(g)) W_out`. With `inner_norm` r, B and C go through an
    RMSNorm each before they are used, eps 1e-6 (arXiv 2403.19887).
    - (C1) `shape(y) = shape(x)`

    Example:
    ```mlir
    %r = moire.mamba %e path "layers.#.mamba" {conv = 4 : i64, dt_rank = 1 : i64, expand = 2 : i64, paths =
        ["layers.0.mamba", "layers.1.mamba"], state = 4 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$state, I64Attr:$conv, I64Attr:$expand, I64Attr:$dt_rank),
                       blockArguments, (ins UnitAttr:$inner_norm));
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_Mamba2Op : Moire_BlockOp<"mamba2"> {
  let summary = "State-space layer with one decay a head (Mamba-2)";
  let description = [{
    With `D = expand * width`, `P = head_dim`, `H = D / P` heads, `N = state`: `(z, x, B, C, dt) = u W_in` of D, D,
    groups N, groups N and H features; `(x, B, C) = silu(conv(x, B, C))`, causal, depthwise, `conv` taps with bias;
    `dt = softplus(dt + dt_bias)`; `y = scan(x, dt, -exp(A_log), B, C, D)` in full precision, `chunk` tokens at a time
    (see `moire.ssd_scan`); result `norm(y * silu(z)) W_out`, an RMSNorm of `groups` slices, eps 1e-5, or without `norm`
    `(y * silu(z)) W_out` (arXiv 2405.21060).
    - (C1) `shape(y) = shape(x)`
    - (C2) head_dim divides `expand * width`
    - (C3) groups divides the heads
    - (C4) state, head_dim and chunk from 1 to 256

    Example:
    ```mlir
    %z = moire.mamba2 %j path "layers.#.mamba2" {chunk = 64 : i64, conv = 4 : i64, expand = 2 : i64, groups = 2 : i64,
        head_dim = 4 : i64, norm = true, paths = ["layers.0.mamba2", "layers.1.mamba2"], state = 16 : i64} :
        (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$state, I64Attr:$head_dim, I64Attr:$expand, I64Attr:$groups,
                        I64Attr:$conv, I64Attr:$chunk, BoolAttr:$norm), blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getInner() { return static_cast<int64_t>(getExpand()) * getX().getType().getShape().back(); }
    int64_t getHeads() { return getInner() / static_cast<int64_t>(getHeadDim()); }
    /// Channels of the convolution: x, B and C.
    int64_t getConvolved() { return getInner() + 2 * static_cast<int64_t>(getGroups() * getState()); }
  }];
}

def Moire_HeadOp : Moire_BlockOp<"head"> {
  let summary = "Logits over the vocabulary";
  let description = [{
    `y = x W (+ b)` in full precision out; `tied` is the path of an embedding whose transposed table serves as W. With
    `softcap` c the result is `c tanh(y / c)`.
    - (C1) `shape(y) = shape(x)[:-1] ++ [vocab]`, in full precision
    - (C2) `tied` names a `moire.embed` of the same model, with the same vocab and width
    - (C3) softcap > 0

    Example:
    ```mlir
    %logits = moire.head %y path "head" {bias = false, paths = ["head"], tied = "embed", vocab = 16 : i64} :
        (tensor<2x3x8xbf16>) -> tensor<2x3x16xf32>
    ```
  }];
  let arguments = !con((ins Moire_Tensor:$x, I64Attr:$vocab, BoolAttr:$bias, OptionalAttr<StrAttr>:$tied,
                        OptionalAttr<F64Attr>:$softcap),
                       blockArguments);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `path` $path attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Moire_RepeatOp : Moire_Op<"repeat", [SingleBlock, AttrSizedOperandSegments, RecursiveMemoryEffects]> {
  let summary = "A loop over layers, at the model and at the tensor level";
  let description = [{
    Runs its body `count` times, in order, or in reverse order when `reverse` is set. Block arguments are: the carried
    values, then one slice per stacked operand (`slices`, `tensor<count x S>` gives `tensor<S>` of the current
    iteration). `moire.yield` gives the next
    carried values, then what is stacked: `tensor<S>` of iteration i becomes row i of a result `tensor<count x S>`
    (row i also when running in reverse). Values defined above may be used freely.

    - (C1) block arguments: types of `carried`, then element slices of `slices`
    - (C2) yielded: types of `carried`, then slices of the remaining results
    - (C3) every slice operand and every stacked result has `count` as its first extent
    - (C4) count >= 1

    Example:
    ```mlir
    %y, %products = moire.repeat 4 reverse carried(%x = %a : tensor<8xf32>) slices(%w = %ws : tensor<4x8xf32>)
        -> (tensor<8xf32>, tensor<4x8xf32>) {
      %p = moire.binary mul %x, %w : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      %s = moire.binary add %p, %a : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      moire.yield %s, %p : tensor<8xf32>, tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins I64Attr:$count, Variadic<Moire_AnyTensor>:$carried, Variadic<Moire_AnyTensor>:$slices,
                       UnitAttr:$reverse);
  let results = (outs Variadic<Moire_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    unsigned getNumCarried() { return getCarried().size(); }
    unsigned getNumStacked() { return getNumResults() - getNumCarried(); }
    ::mlir::ResultRange getCarriedResults() { return getResults().take_front(getNumCarried()); }
    ::mlir::ResultRange getStackedResults() { return getResults().drop_front(getNumCarried()); }
    ::mlir::Block::BlockArgListType getCarriedArgs() {
      return getBody().front().getArguments().take_front(getNumCarried());
    }
    ::mlir::Block::BlockArgListType getSliceArgs() {
      return getBody().front().getArguments().drop_front(getNumCarried());
    }
    ::moire::YieldOp getYield();
  }];
  let hasCanonicalizer = 1;
}

def Moire_YieldOp : Moire_Op<"yield", [Pure, Terminator, ParentOneOf<["RepeatOp", "RowwiseOp", "ProductRowsOp"]>]> {
  let summary = "Ends the body of a loop or of a row kernel";
  let description = [{
    See `moire.repeat` and `moire.rowwise`.

    Example:
    ```mlir
    moire.yield %n, %r, %n : tensor<4xbf16>, tensor<f32>, tensor<4xbf16>
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

#endif
