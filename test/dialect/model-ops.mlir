// Blocks of models and the loop parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: moire.model @plain batch 2 context 3 vocab 16 {
moire.model @plain batch 2 context 3 vocab 16 {
^bb0(%tokens: tensor<2x3xi32>):
  %h = moire.embed %tokens path "in" {paths = ["in"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xf32>
  %out = moire.head %h path "out" {bias = false, paths = ["out"], vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xf32>
  moire.return %out : tensor<2x3x16xf32>
}

// CHECK-LABEL: moire.model @mixture batch 2 context 3 vocab 16
// CHECK-SAME: attributes {spec = "mixture", train = "{}"}
moire.model @mixture batch 2 context 3 vocab 16 attributes {spec = "mixture", train = "{}"} {
^bb0(%tokens: tensor<2x3xi32>):
  // CHECK: moire.embed %{{.*}} path "embed"
  %x = moire.embed %tokens path "embed" {paths = ["embed"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xbf16>
  // CHECK: moire.learned_positions %{{.*}} path "positions"
  %p = moire.learned_positions %x path "positions" {paths = ["positions"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
  // CHECK: moire.sinusoidal_positions %{{.*}} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
  %waves = moire.sinusoidal_positions %x : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
  // CHECK: moire.repeat 2 carried(%[[H:.*]] = %{{.*}} : tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16> {
  %y = moire.repeat 2 carried(%h = %x : tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16> {
    // CHECK: moire.norm rms %[[H]] path "layers.#.norm"
    %n = moire.norm rms %h path "layers.#.norm" {bias = false, eps = 1.000000e-05 : f64, paths = ["layers.0.norm", "layers.1.norm"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.attention
    %a = moire.attention %n path "layers.#.attn" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 1 : i64, paths = ["layers.0.attn", "layers.1.attn"], rope_base = 1.000000e+04 : f64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.latent_attention
    %l = moire.latent_attention %n path "layers.#.mla" {heads = 2 : i64, kv_latent = 6 : i64, nope_dim = 4 : i64, paths = ["layers.0.mla", "layers.1.mla"], q_latent = 5 : i64, rope_base = 1.000000e+04 : f64, rope_dim = 2 : i64, value_dim = 3 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.attention
    // CHECK-SAME: alibi, bias = false, bidirectional, gate = #moire<output_gate{{ *}}element>, {{.*}}qk_norm = #moire<qk_norm{{ *}}full>, {{.*}}rope_scaling = #moire<rope_scaling{{ *}}yarn>, scale = 5.000000e-01 : f64, sinks, softcap = 3.000000e+01 : f64, value_dim = 3 : i64, window = 2 : i64
    %every = moire.attention %n path "layers.#.all" {alibi, bias = false, bidirectional, gate = #moire<output_gate element>, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 1 : i64, paths = ["layers.0.all", "layers.1.all"], qk_norm = #moire<qk_norm full>, rope_base = 1.000000e+04 : f64, rope_dim = 4 : i64, rope_factor = 2.0 : f64, rope_original = 16 : i64, rope_scaling = #moire<rope_scaling yarn>, scale = 0.5 : f64, sinks, softcap = 30.0 : f64, value_dim = 3 : i64, window = 2 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.dense
    %d = moire.dense %a path "layers.#.dense" {bias = true, paths = ["layers.0.dense", "layers.1.dense"], width = 8 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.mlp gelu
    %m = moire.mlp gelu %d path "layers.#.mlp" {bias = true, hidden = 32 : i64, paths = ["layers.0.mlp", "layers.1.mlp"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.swiglu
    %s = moire.swiglu %m path "layers.#.swiglu" {bias = false, hidden = 24 : i64, paths = ["layers.0.swiglu", "layers.1.swiglu"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.swiglu %{{.*}} activation gelu path "layers.#.clamped" {bias = false, hidden = 24 : i64, limit = 7.000000e+00 : f64, offset = 1.000000e+00 : f64, paths
    %o = moire.swiglu %m activation gelu path "layers.#.clamped" {alpha = 1.0 : f64, bias = false, hidden = 24 : i64, limit = 7.0 : f64, offset = 1.0 : f64, paths = ["layers.0.clamped", "layers.1.clamped"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.attention %{{.*}} path "layers.#.wide" {{.*}} rope_exact, rope_factor = {{.*}} rope_fast = 1.600000e+01 : f64, rope_interleaved, {{.*}} -> tensor<2x3x4xbf16>
    %wide = moire.attention %m path "layers.#.wide" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 1 : i64, paths = ["layers.0.wide", "layers.1.wide"], rope_base = 1.000000e+04 : f64, rope_exact, rope_factor = 2.0 : f64, rope_fast = 16.0 : f64, rope_interleaved, rope_original = 16 : i64, rope_scaling = #moire<rope_scaling yarn>} : (tensor<2x3x8xbf16>) -> tensor<2x3x4xbf16>
    // CHECK: %[[R:.*]] = moire.router token %{{.*}} gate softmax_topk path "layers.#.moe.router"
    // CHECK-SAME: !moire.routing<batch = 2, time = 3, experts = 4>
    %q = moire.router token %s gate softmax_topk path "layers.#.moe.router" {balance = 1.000000e-02 : f64, experts = 4 : i64, nested, paths = ["layers.0.moe.router", "layers.1.moe.router"], renormalize, top_k = 2 : i64, z = 1.000000e-03 : f64} : (tensor<2x3x8xbf16>) -> !moire.routing<batch = 2, time = 3, experts = 4>
    // CHECK: moire.experts %{{.*}}, %[[R]] activation relu path
    %e = moire.experts %s, %q activation relu path "layers.#.moe.experts" {hidden = 16 : i64, paths = ["layers.0.moe.experts", "layers.1.moe.experts"]} : (tensor<2x3x8xbf16>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x8xbf16>
    // CHECK: moire.router hash %{{.*}} tokens %{{.*}} gate softmax_topk path "layers.#.hashed" {experts = 4 : i64,
    %k = moire.router hash %e tokens %tokens gate softmax_topk path "layers.#.hashed" {experts = 4 : i64, paths = ["layers.0.hashed", "layers.1.hashed"], top_k = 2 : i64} : (tensor<2x3x8xbf16>, tensor<2x3xi32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
    // CHECK: moire.router token %{{.*}} gate sigmoid_topk path {{.*}} {bias_rate = 1.000000e-03 : f64, capacity = 1.250000e+00 : f64, experts = 8 : i64, groups = 4 : i64, {{.*}} scale = 2.500000e+00 : f64, sequence_balance = 1.000000e-04 : f64, top_groups = 2 : i64, top_k = 2 : i64}
    %v = moire.router token %e gate sigmoid_topk path "layers.#.route" {bias_rate = 1.000000e-03 : f64, capacity = 1.250000e+00 : f64, experts = 8 : i64, groups = 4 : i64, paths = ["layers.0.route", "layers.1.route"], scale = 2.500000e+00 : f64, sequence_balance = 1.000000e-04 : f64, top_groups = 2 : i64, top_k = 2 : i64} : (tensor<2x3x8xbf16>) -> !moire.routing<batch = 2, time = 3, experts = 8>
    // CHECK: moire.experts %{{.*}}, %{{.*}} activation silu path "pool" {gated, hidden = 16 : i64, latent = 4 : i64, paths = ["pool"], shared_activation = #moire<unary gelu>, shared_gate, shared_hidden = 8 : i64}
    %w = moire.experts %e, %k activation silu path "pool" {gated, hidden = 16 : i64, latent = 4 : i64, paths = ["pool"], shared_activation = #moire<unary gelu>, shared_gate, shared_hidden = 8 : i64} : (tensor<2x3x8xbf16>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x8xbf16>
    // CHECK: moire.router mixture %{{.*}} learned_temperature, logit_bias, {{.*}} temperature_per_expert
    %t = moire.router mixture %e gate softmax_topk path "layers.#.mixture" {experts = 4 : i64, group = 2 : i64, learned_temperature, logit_bias, paths = ["layers.0.mixture", "layers.1.mixture"], temperature_per_expert, top_k = 1 : i64} : (tensor<2x3x8xbf16>) -> !moire.routing<batch = 2, time = 3, experts = 4>
    // CHECK: moire.experts %{{.*}} activation silu path "layers.#.clamps" {alpha = 1.702000e+00 : f64, bias, gated, {{.*}} limit = 7.000000e+00 : f64, offset = 1.000000e+00 : f64, {{.*}} shared_bias, {{.*}} shared_limit = 7.000000e+00 : f64
    %clamps = moire.experts %e, %t activation silu path "layers.#.clamps" {alpha = 1.702 : f64, bias, gated, hidden = 16 : i64, limit = 7.0 : f64, offset = 1.0 : f64, paths = ["layers.0.clamps", "layers.1.clamps"], shared_bias, shared_gated, shared_hidden = 8 : i64, shared_limit = 7.0 : f64} : (tensor<2x3x8xbf16>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x8xbf16>
    // CHECK: moire.mamba
    %r = moire.mamba %e path "layers.#.mamba" {conv = 4 : i64, dt_rank = 1 : i64, expand = 2 : i64, paths = ["layers.0.mamba", "layers.1.mamba"], state = 4 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.mamba %{{.*}} inner_norm
    %j = moire.mamba %r path "layers.#.jamba" {conv = 4 : i64, dt_rank = 1 : i64, expand = 2 : i64, inner_norm, paths = ["layers.0.jamba", "layers.1.jamba"], state = 4 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.mamba2 %{{.*}} path "layers.#.mamba2"
    %z = moire.mamba2 %j path "layers.#.mamba2" {chunk = 64 : i64, conv = 4 : i64, expand = 2 : i64, groups = 2 : i64, head_dim = 4 : i64, norm = true, paths = ["layers.0.mamba2", "layers.1.mamba2"], state = 16 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.norm rms %{{.*}} groups = 2
    %g = moire.norm rms %z path "layers.#.grouped" {bias = false, eps = 1.000000e-05 : f64, groups = 2 : i64, paths = ["layers.0.grouped", "layers.1.grouped"]} : (tensor<2x3x8xbf16>) -> tensor<2x3x8xbf16>
    // CHECK: moire.yield
    moire.yield %g : tensor<2x3x8xbf16>
  }
  // CHECK: moire.head %{{.*}} path "head"
  %logits = moire.head %y path "head" {bias = false, paths = ["head"], tied = "embed", vocab = 16 : i64} : (tensor<2x3x8xbf16>) -> tensor<2x3x16xf32>
  // CHECK: moire.return %{{.*}} : tensor<2x3x16xf32>
  moire.return %logits : tensor<2x3x16xf32>
}

// Carried values, slices and stacked results, in reverse, with a value captured from above.
// CHECK-LABEL: func.func @reverse
func.func @reverse(%a: tensor<8xf32>, %ws: tensor<4x8xf32>) -> (tensor<8xf32>, tensor<4x8xf32>) {
  // CHECK: moire.repeat 4 reverse carried(%[[X:.*]] = %arg0 : tensor<8xf32>) slices(%[[W:.*]] = %arg1 : tensor<4x8xf32>) -> (tensor<8xf32>, tensor<4x8xf32>) {
  %y, %products = moire.repeat 4 reverse carried(%x = %a : tensor<8xf32>) slices(%w = %ws : tensor<4x8xf32>) -> (tensor<8xf32>, tensor<4x8xf32>) {
    // CHECK: moire.binary mul %[[X]], %[[W]]
    %p = moire.binary mul %x, %w : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    // CHECK: moire.binary add %{{.*}}, %arg0
    %s = moire.binary add %p, %a : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %s, %p : tensor<8xf32>, tensor<8xf32>
  }
  return %y, %products : tensor<8xf32>, tensor<4x8xf32>
}

// CHECK-LABEL: func.func @slices_only
func.func @slices_only(%ws: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: moire.repeat 4 slices(%{{.*}} = %arg0 : tensor<4x8xf32>) -> tensor<4x8xf32> attributes {note = "kept"} {
  %r = moire.repeat 4 slices(%w = %ws : tensor<4x8xf32>) -> tensor<4x8xf32> attributes {note = "kept"} {
    %s = moire.scale %w by 2.000000e+00 : tensor<8xf32>
    moire.yield %s : tensor<8xf32>
  }
  return %r : tensor<4x8xf32>
}
