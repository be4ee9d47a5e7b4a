// Each constraint of blocks and of the loop, broken once.
// RUN: moire-opt %s -allow-unregistered-dialect -split-input-file -verify-diagnostics

// model.C1: one argument
// expected-error @+1 {{expects one block argument, the tokens, got 2}}
moire.model @m batch 2 context 3 vocab 16 {
^bb0(%t: tensor<2x3xi32>, %u: tensor<2x3xi32>):
  %l = "test.logits"() : () -> tensor<2x3x16xf32>
  moire.return %l : tensor<2x3x16xf32>
}

// -----

// model.C1: its type
// expected-error @+1 {{expects `tokens` of type 'tensor<2x3xi32>', got 'tensor<2x4xi32>'}}
moire.model @m batch 2 context 3 vocab 16 {
^bb0(%t: tensor<2x4xi32>):
  %l = "test.logits"() : () -> tensor<2x3x16xf32>
  moire.return %l : tensor<2x3x16xf32>
}

// -----

// model.C2: shape
// expected-error @+1 {{expects `logits` of shape [2, 3, 17], got [2, 3, 16]}}
moire.model @m batch 2 context 3 vocab 17 {
^bb0(%t: tensor<2x3xi32>):
  %l = "test.logits"() : () -> tensor<2x3x16xf32>
  moire.return %l : tensor<2x3x16xf32>
}

// -----

// model.C2: precision
// expected-error @+1 {{expects logits in full precision, got 'bf16'}}
moire.model @m batch 2 context 3 vocab 16 {
^bb0(%t: tensor<2x3xi32>):
  %l = "test.logits"() : () -> tensor<2x3x16xbf16>
  moire.return %l : tensor<2x3x16xbf16>
}

// -----

// embed.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3xi32>'}}
func.func @f(%t: tensor<2x3xi32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.embed %t path "a" {paths = ["a"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x4xf32>
  return
}

// -----

// learned_positions.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.learned_positions %x path "a" {paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// norm.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.norm rms %x path "a" {bias = false, eps = 1.0e-05, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// norm.C2
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `eps` above 0, got 0}}
  %y = moire.norm rms %x path "a" {bias = false, eps = 0.0, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// norm.C3
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects no bias with kind rms, got `bias = true`}}
  %y = moire.norm rms %x path "a" {bias = true, eps = 1.0e-05, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 4, 8]}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 1 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x4x8xf32>
  return
}

// -----

// attention.C2
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `kv_heads` to divide `heads`, got 2 and 3}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 3 : i64, kv_heads = 2 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C3
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects an even `head_dim` under rotary positions, got 3}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 3 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], rope_base = 1.0e+04} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// dense.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 6], got [2, 3, 4]}}
  %y = moire.dense %x path "a" {bias = false, paths = ["a"], width = 6 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// mlp.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.mlp relu %x path "a" {bias = false, hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// mlp.C2
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects the activation relu, relu2, gelu or silu, got log}}
  %y = moire.mlp log %x path "a" {bias = false, hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// swiglu.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.swiglu %x path "a" {bias = false, hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// router.C1: extents
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects a routing of 2 x 3 tokens, as the stream has, got one of 2 x 4}}
  %r = moire.router token %x gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 4, experts = 4>
  return
}

// -----

// router.C1: experts
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects a routing over 4 experts, got one over 8}}
  %r = moire.router token %x gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 8>
  return
}

// -----

// router.C2
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `top_k` from 1 to the 4 choices, got 5}}
  %r = moire.router token %x gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], top_k = 5 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C3: renormalize
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects no `renormalize` with the gate topk_softmax}}
  %r = moire.router token %x gate topk_softmax path "a" {renormalize, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C3: one weight
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `top_k` above 1 with the gate topk_softmax, got 1}}
  %r = moire.router token %x gate topk_softmax path "a" {experts = 4 : i64, paths = ["a"], top_k = 1 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C4: balance
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `balance` of 0 or more, got -1}}
  %r = moire.router token %x gate softmax_topk path "a" {balance = -1.0, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C4: z
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `z` of 0 or more, got -1}}
  %r = moire.router token %x gate softmax_topk path "a" {z = -1.0, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C4: scale
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `scale` above 0, got 0}}
  %r = moire.router token %x gate softmax_topk path "a" {scale = 0.0, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C5: groups
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `groups` to divide the 4 experts, without nulls, got 3}}
  %r = moire.router token %x gate softmax_topk path "a" {groups = 3 : i64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C5: room
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `top_groups` from 1 to the 4 groups, holding at least 2 experts, got 1}}
  %r = moire.router token %x gate softmax_topk path "a" {groups = 4 : i64, top_groups = 1 : i64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C6
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `tokens` with the choice hash, and only with it}}
  %r = moire.router hash %x gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C6: extents
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>, %t: tensor<2x4xi32>) {
  // expected-error @+1 {{expects `tokens` of shape [2, 3], got [2, 4]}}
  %r = moire.router hash %x tokens %t gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>, tensor<2x4xi32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C7
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects no bias_rate, groups, nulls, balance or sequence_balance with the choice balanced}}
  %r = moire.router balanced %x gate softmax_topk path "a" {balance = 0.1, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C7: no logits
func.func @f(%x: tensor<2x3x8xf32>, %t: tensor<2x3xi32>) {
  // expected-error @+1 {{expects no z and no mutual_information with the choice hash}}
  %r = moire.router hash %x tokens %t gate softmax_topk path "a" {z = 0.1, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>, tensor<2x3xi32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C8
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects a capacity of at least one row per expert, got 1.0}}
  %r = moire.router token %x gate softmax_topk path "a" {capacity = 0.1, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<2x3x8xf32>) -> !moire.routing<batch = 2, time = 3, experts = 4>
  return
}

// -----

// router.C9
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects `group` to divide the batch of 4, of 2 or more with the choices expert and mixture and of 1 with others, got 3}}
  %r = moire.router mixture %x gate softmax_topk path "a" {group = 3 : i64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// router.C9: a group where tokens choose
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{of 1 with others, got 2}}
  %r = moire.router token %x gate softmax_topk path "a" {group = 2 : i64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// router.C10
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects experts to take a whole number of the 2 tokens of a group, 1 or more}}
  %r = moire.router expert %x gate softmax_topk path "a" {group = 2 : i64, capacity = 0.6 : f64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// router.C11
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects `temperature` above 0, got 0}}
  %r = moire.router mixture %x gate softmax_topk path "a" {group = 2 : i64, temperature = 0.0 : f64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// router.C11: without a mixture
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects a temperature and `emit` with the choice mixture only}}
  %r = moire.router dense %x gate softmax_topk path "a" {learned_temperature, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// router.C12
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects the gate softmax_topk and no `renormalize`, and a capacity with the choice expert only, with the choice dense}}
  %r = moire.router dense %x gate softmax_topk path "a" {capacity = 1.0 : f64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// router.C12: losses
func.func @f(%x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects no z and no mutual_information with the choice mixture}}
  %r = moire.router mixture %x gate softmax_topk path "a" {group = 2 : i64, z = 0.1 : f64, experts = 4 : i64, paths = ["a"], top_k = 2 : i64} : (tensor<4x3x8xf32>) -> !moire.routing<batch = 4, time = 3, experts = 4>
  return
}

// -----

// experts.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>, %r: !moire.routing<batch = 2, time = 3, experts = 4>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.experts %x, %r activation relu path "a" {hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x4xf32>
  return
}

// -----

// experts.C2
func.func @f(%x: tensor<2x3x8xf32>, %r: !moire.routing<batch = 2, time = 6, experts = 4>) {
  // expected-error @+1 {{expects a routing of 2 x 3 tokens, as the stream has, got one of 2 x 6}}
  %y = moire.experts %x, %r activation relu path "a" {hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>, !moire.routing<batch = 2, time = 6, experts = 4>) -> tensor<2x3x8xf32>
  return
}

// -----

// experts.C3
func.func @f(%x: tensor<2x3x8xf32>, %r: !moire.routing<batch = 2, time = 3, experts = 4>) {
  // expected-error @+1 {{expects `activation` of relu, relu2, gelu or silu, or sigmoid where it is a gate, got tanh}}
  %y = moire.experts %x, %r activation tanh path "a" {gated, hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x8xf32>
  return
}

// -----

// experts.C3: shared
func.func @f(%x: tensor<2x3x8xf32>, %r: !moire.routing<batch = 2, time = 3, experts = 4>) {
  // expected-error @+1 {{expects `shared_activation` of relu, relu2, gelu or silu, or sigmoid where it is a gate, got sigmoid}}
  %y = moire.experts %x, %r activation relu path "a" {shared_activation = #moire<unary sigmoid>, shared_hidden = 8 : i64, hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x8xf32>
  return
}

// -----

// experts.C4
func.func @f(%x: tensor<2x3x8xf32>, %r: !moire.routing<batch = 2, time = 3, experts = 4>) {
  // expected-error @+1 {{expects `shared_gate` and `shared_bias` with a shared expert only}}
  %y = moire.experts %x, %r activation relu path "a" {shared_gate, hidden = 16 : i64, paths = ["a"]} : (tensor<2x3x8xf32>, !moire.routing<batch = 2, time = 3, experts = 4>) -> tensor<2x3x8xf32>
  return
}

// -----

// mamba.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.mamba %x path "a" {conv = 4 : i64, dt_rank = 1 : i64, expand = 2 : i64, paths = ["a"], state = 4 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// mamba2.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.mamba2 %x path "a" {chunk = 64 : i64, conv = 4 : i64, expand = 2 : i64, groups = 1 : i64, head_dim = 4 : i64, norm = true, paths = ["a"], state = 4 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// mamba2.C2
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `head_dim` to divide the 16 channels, got 5}}
  %y = moire.mamba2 %x path "a" {chunk = 64 : i64, conv = 4 : i64, expand = 2 : i64, groups = 1 : i64, head_dim = 5 : i64, norm = true, paths = ["a"], state = 4 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// mamba2.C3
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `groups` to divide the 4 heads, got 3}}
  %y = moire.mamba2 %x path "a" {chunk = 64 : i64, conv = 4 : i64, expand = 2 : i64, groups = 3 : i64, head_dim = 4 : i64, norm = true, paths = ["a"], state = 4 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// mamba2.C4
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `state` from 1 to 256, got 512}}
  %y = moire.mamba2 %x path "a" {chunk = 64 : i64, conv = 4 : i64, expand = 2 : i64, groups = 1 : i64, head_dim = 4 : i64, norm = true, paths = ["a"], state = 512 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// norm.C4: groups
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `groups` to divide the 8 features, got 3}}
  %y = moire.norm rms %x path "a" {bias = false, eps = 1.000000e-05 : f64, groups = 3 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// norm.C4: kind
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects one group with kind layer, got 2}}
  %y = moire.norm layer %x path "a" {bias = false, eps = 1.000000e-05 : f64, groups = 2 : i64, paths = ["a"]} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C3: a base
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `rope_base` beside `rope_dim`, `rope_scaling` and `rope_interleaved`}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], rope_dim = 2 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C3: pairs
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects an even `rope_dim` of at most the 4 features, got 3}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, rope_dim = 3 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C4: window
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects a `window` of 1 or more, got 0}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], window = 0 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C4: scale
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `scale` above 0, got -1}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], scale = -1.0 : f64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C5: factor
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `rope_scaling` and `rope_factor` together}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, rope_scaling = #moire<rope_scaling linear>} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C5: stretching
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `rope_factor` of 1 or more, got 5.000000e-01}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, rope_factor = 0.5 : f64, rope_scaling = #moire<rope_scaling linear>} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// attention.C5: the original context
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `rope_original` with the scaling yarn, and only there}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, rope_factor = 2.0 : f64, rope_scaling = #moire<rope_scaling yarn>} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// latent_attention.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.latent_attention %x path "a" {heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, kv_latent = 4 : i64, nope_dim = 3 : i64, rope_dim = 2 : i64, value_dim = 3 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// latent_attention.C2: sizes
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects sizes of 1 or more, got 0}}
  %y = moire.latent_attention %x path "a" {heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, kv_latent = 0 : i64, nope_dim = 3 : i64, rope_dim = 2 : i64, value_dim = 3 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// latent_attention.C2: pairs
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects an even `rope_dim`, got 3}}
  %y = moire.latent_attention %x path "a" {heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, kv_latent = 4 : i64, nope_dim = 3 : i64, rope_dim = 3 : i64, value_dim = 3 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// latent_attention.C3
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `rope_scaling` and `rope_factor` together}}
  %y = moire.latent_attention %x path "a" {heads = 2 : i64, paths = ["a"], rope_base = 10.0 : f64, kv_latent = 4 : i64, nope_dim = 3 : i64, rope_dim = 2 : i64, value_dim = 3 : i64, rope_factor = 2.0 : f64} : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// sinusoidal_positions.C1: shape
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 3, 4]}}
  %y = moire.sinusoidal_positions %x : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// sinusoidal_positions.C1: pairs
func.func @f(%x: tensor<2x3x7xf32>) {
  // expected-error @+1 {{expects an even number of features, got 7}}
  %y = moire.sinusoidal_positions %x : (tensor<2x3x7xf32>) -> tensor<2x3x7xf32>
  return
}

// -----

// head.C3
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `softcap` above 0, got 0}}
  %y = moire.head %x path "a" {bias = false, paths = ["a"], softcap = 0.0 : f64, vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xf32>
  return
}

// -----

// head.C1: shape
// expected-note @+1 {{measured against this value of type 'tensor<2x3x8xf32>'}}
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 16], got [2, 3, 4]}}
  %y = moire.head %x path "a" {bias = false, paths = ["a"], vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// head.C1: precision
func.func @f(%x: tensor<2x3x8xf32>) {
  // expected-error @+1 {{expects `y` with elements of 'f32', got 'bf16'}}
  %y = moire.head %x path "a" {bias = false, paths = ["a"], vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xbf16>
  return
}

// -----

// head.C2: the embedding exists
moire.model @m batch 2 context 3 vocab 16 {
^bb0(%t: tensor<2x3xi32>):
  %x = moire.embed %t path "embed" {paths = ["embed"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xf32>
  // expected-error @+1 {{expects `tied` to name an embedding of this model, got "table"}}
  %l = moire.head %x path "head" {bias = false, paths = ["head"], tied = "table", vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xf32>
  moire.return %l : tensor<2x3x16xf32>
}

// -----

// head.C2: the embedding fits
moire.model @m batch 2 context 3 vocab 16 {
^bb0(%t: tensor<2x3xi32>):
  // expected-note @+1 {{embedding declared here}}
  %x = moire.embed %t path "embed" {paths = ["embed"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xf32>
  %n = moire.dense %x path "d" {bias = false, paths = ["d"], width = 4 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x4xf32>
  // expected-error @+1 {{expects a tied table of 16 by 4, got 16 by 8}}
  %l = moire.head %n path "head" {bias = false, paths = ["head"], tied = "embed", vocab = 16 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x16xf32>
  moire.return %l : tensor<2x3x16xf32>
}

// -----

// repeat.C1
func.func @f(%a: tensor<8xf32>) {
  // expected-error @+1 {{expects block arguments of types ('tensor<8xf32>'), got ('tensor<4xf32>')}}
  %y = "moire.repeat"(%a) <{count = 4 : i64, operandSegmentSizes = array<i32: 1, 0>}> ({
  ^bb0(%x: tensor<4xf32>):
    moire.yield %a : tensor<8xf32>
  }) : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

// repeat.C2: what is carried on
func.func @f(%a: tensor<8xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects its body to yield ('tensor<8xf32>'), got ('tensor<4xf32>')}}
  %y = moire.repeat 4 carried(%x = %a : tensor<8xf32>) -> tensor<8xf32> {
    // expected-note @+1 {{yielded here}}
    moire.yield %b : tensor<4xf32>
  }
  return
}

// -----

// repeat.C2: result types
func.func @f(%a: tensor<8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{expects result #0 to have the carried type 'tensor<8xf32>', got 'tensor<4xf32>'}}
  %y = moire.repeat 4 carried(%x = %a : tensor<8xf32>) -> tensor<4xf32> {
    moire.yield %x : tensor<8xf32>
  }
  return
}

// -----

// repeat.C2: a result per carried value
func.func @f(%a: tensor<8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{expects a result for each of 1 carried values, got 0}}
  moire.repeat 4 carried(%x = %a : tensor<8xf32>) {
    moire.yield %x : tensor<8xf32>
  }
  return
}

// -----

// repeat.C3: slices
func.func @f(%a: tensor<8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{expects slice operand #0 to have 3 as its first extent, got [4, 8]}}
  %y = moire.repeat 3 carried(%x = %a : tensor<8xf32>) slices(%v = %w : tensor<4x8xf32>) -> tensor<8xf32> {
    moire.yield %x : tensor<8xf32>
  }
  return
}

// -----

// repeat.C3: stacked results
func.func @f(%a: tensor<8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{expects stacked result #0 to have 4 as its first extent, got [3, 8]}}
  %y, %z = moire.repeat 4 carried(%x = %a : tensor<8xf32>) -> (tensor<8xf32>, tensor<3x8xf32>) {
    moire.yield %x, %x : tensor<8xf32>, tensor<8xf32>
  }
  return
}

// -----

// repeat.C3: a scalar has no slices, and no syntax
func.func @f(%w: tensor<f32>) {
  // expected-error @+1 {{slices come from tensors with a first extent, got 'tensor<f32>'}}
  moire.repeat 4 slices(%v = %w : tensor<f32>) {
    moire.yield
  }
  return
}

// -----

// repeat.C4
func.func @f(%a: tensor<8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{expects a count of at least 1, got 0}}
  %y = moire.repeat 0 carried(%x = %a : tensor<8xf32>) -> tensor<8xf32> {
    moire.yield %x : tensor<8xf32>
  }
  return
}

// -----

// swiglu.C2
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `activation` of relu, relu2, gelu or silu, or sigmoid where it is a gate, got tanh}}
  %y = moire.swiglu %x activation tanh path "a" {bias = false, hidden = 16 : i64, paths = ["a"]} : (tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  return
}

// -----

// swiglu.C3: the limit
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `limit` above 0, got 0}}
  %y = moire.swiglu %x path "a" {bias = false, hidden = 16 : i64, paths = ["a"], limit = 0.0 : f64} : (tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  return
}

// -----

// swiglu.C3: alpha
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `alpha` above 0, and 1 unless the activation is silu, got 2}}
  %y = moire.swiglu %x activation gelu path "a" {bias = false, hidden = 16 : i64, paths = ["a"], alpha = 2.0 : f64} : (tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  return
}

// -----

// experts.C5
func.func @f(%x: tensor<2x6x8xf32>, %r: !moire.routing<batch = 2, time = 6, experts = 4>) {
  // expected-error @+1 {{expects `limit`, `alpha` and `offset` of a gated layer only}}
  %y = moire.experts %x, %r activation relu path "a" {hidden = 16 : i64, paths = ["a"], limit = 7.0 : f64} : (tensor<2x6x8xf32>, !moire.routing<batch = 2, time = 6, experts = 4>) -> tensor<2x6x8xf32>
  return
}

// -----

// router.C11: one for each choice
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `temperature_per_expert` with `learned_temperature` only}}
  %q = moire.router mixture %x gate softmax_topk path "a" {group = 2 : i64, experts = 4 : i64, paths = ["a"], temperature_per_expert, top_k = 1 : i64} : (tensor<2x6x8xf32>) -> !moire.routing<batch = 2, time = 6, experts = 4>
  return
}

// -----

// router.C14
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `threshold` from 0 to below the 4 experts, got 4.0}}
  %q = moire.router token %x gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], threshold = 4.0 : f64, top_k = 1 : i64} : (tensor<2x6x8xf32>) -> !moire.routing<batch = 2, time = 6, experts = 4>
  return
}

// -----

// router.C14
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `threshold` with the choice token and the gate softmax_topk only, without renormalize and nulls}}
  %q = moire.router token %x gate softmax_topk path "a" {experts = 4 : i64, paths = ["a"], renormalize, threshold = 0.5 : f64, top_k = 2 : i64} : (tensor<2x6x8xf32>) -> !moire.routing<batch = 2, time = 6, experts = 4>
  return
}

// -----

// router.C13
func.func @f(%x: tensor<2x6x8xf32>, %t: tensor<2x6xi32>) {
  // expected-error @+1 {{expects no `logit_bias` with the choice hash, which has no logits}}
  %q = moire.router hash %x tokens %t gate softmax_topk path "a" {experts = 4 : i64, logit_bias, paths = ["a"], top_k = 1 : i64} : (tensor<2x6x8xf32>, tensor<2x6xi32>) -> !moire.routing<batch = 2, time = 6, experts = 4>
  return
}

// -----

// attention.C3: pairs
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `rope_base` beside `rope_dim`, `rope_scaling` and `rope_interleaved`}}
  %y = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 1 : i64, paths = ["a"], rope_interleaved} : (tensor<2x6x8xf32>) -> tensor<2x6x8xf32>
  return
}
