// Every parameter learns and every loss teaches, or an error says which does not.
// RUN: moire-opt %s --moire-prove-gradients --split-input-file --verify-diagnostics --remarks-filter=moire-prove-gradients

// A router that both losses teach, a matrix that only the first one teaches.
// expected-remark @below {{`moe.router.weight` learns from the next-token loss, `moe.balance_loss`}}
moire.param @moe.router.weight : tensor<8x4xf32> role router init normal {paths = ["moe.router.weight"], stack = 0 : i64}
// expected-remark @below {{`moe.experts` learns from the next-token loss}}
moire.param @moe.experts : tensor<4x8x8xf32> role expert init normal {paths = ["moe.experts"], stack = 0 : i64}
// expected-remark @below {{proved of `train`: every parameter learns, and every loss teaches}}
func.func @train(%x: tensor<2x4x8xf32>, %targets: tensor<2x4xi32>, %wr: tensor<8x4xf32> {moire.param = @moe.router.weight},
                 %we: tensor<4x8x8xf32> {moire.param = @moe.experts})
    -> (tensor<f32> {moire.objective}, tensor<f32> {moire.metric = "loss", moire.metric_kind = "loss"},
        tensor<f32> {moire.metric = "moe.balance_loss", moire.metric_kind = "aux_loss"}) {
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  %probs, %weights, %chosen = moire.route softmax_topk %s : (tensor<2x4x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x4x1xi32>) -> (tensor<5xi32>, tensor<8xi32>, tensor<8xi32>, tensor<2x4x1xi32>)
  %g = moire.gather_rows %x, %rows, %position : (tensor<2x4x8xf32>, tensor<8xi32>, tensor<2x4x1xi32>) -> tensor<8x8xf32>
  %e = moire.grouped_linear %g, %we, %offsets : (tensor<8x8xf32>, tensor<4x8x8xf32>, tensor<5xi32>) -> tensor<8x8xf32>
  %y = moire.combine %e, %weights, %position : (tensor<8x8xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>) -> tensor<2x4x8xf32>
  %load = moire.expert_load %offsets : (tensor<5xi32>) -> tensor<4xf32>
  %balance = moire.balance_loss %probs, %load factor 4.000000e-02 : (tensor<2x4x4xf32>, tensor<4xf32>) -> tensor<f32>
  %nll, %lse = moire.cross_entropy %y, %targets : (tensor<2x4x8xf32>, tensor<2x4xi32>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
  %loss = moire.reduce_leading %nll : tensor<2x4xf32> to tensor<f32>
  %sum = moire.binary add %loss, %balance : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %sum, %loss, %balance : tensor<f32>, tensor<f32>, tensor<f32>
}

// -----

// A balancing loss cut off from its router: the probabilities are constant.
// expected-remark @below {{learns from the objective}}
moire.param @moe.router.weight : tensor<8x4xf32> role router init normal {paths = ["moe.router.weight"], stack = 0 : i64}
func.func @train(%x: tensor<2x4x8xf32>, %load: tensor<4xf32>, %wr: tensor<8x4xf32> {moire.param = @moe.router.weight})
    -> (tensor<f32> {moire.objective}, tensor<f32> {moire.metric = "moe.balance_loss", moire.metric_kind = "aux_loss"}) {
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  %z = moire.reduce_leading %s : tensor<2x4x4xf32> to tensor<f32>
  %probs = moire.fill 2.500000e-01 : tensor<2x4x4xf32>
  // expected-error @below {{`moe.balance_loss` does not reach `moe.router.weight`: it is constant in what it should balance}}
  %balance = moire.balance_loss %probs, %load factor 4.000000e-02 : (tensor<2x4x4xf32>, tensor<4xf32>) -> tensor<f32>
  %sum = moire.binary add %z, %balance : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %sum, %balance : tensor<f32>, tensor<f32>
}

// -----

// A coefficient without effect: the loss is reported, and not trained.
// expected-remark @below {{learns from the objective}}
moire.param @moe.router.weight : tensor<8x4xf32> role router init normal {paths = ["moe.router.weight"], stack = 0 : i64}
func.func @train(%x: tensor<2x4x8xf32>, %wr: tensor<8x4xf32> {moire.param = @moe.router.weight})
    -> (tensor<f32> {moire.objective}, tensor<f32> {moire.metric = "moe.balance_loss", moire.metric_kind = "aux_loss"}) {
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  %z = moire.reduce_leading %s : tensor<2x4x4xf32> to tensor<f32>
  %probs, %weights, %chosen = moire.route softmax_topk %s : (tensor<2x4x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x2xf32>, tensor<2x4x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x4x2xi32>) -> (tensor<5xi32>, tensor<16xi32>, tensor<16xi32>, tensor<2x4x2xi32>)
  %load = moire.expert_load %offsets : (tensor<5xi32>) -> tensor<4xf32>
  // expected-error @below {{`moe.balance_loss` is no part of what is trained: its coefficient has no effect}}
  %balance = moire.balance_loss %probs, %load factor 4.000000e-02 : (tensor<2x4x4xf32>, tensor<4xf32>) -> tensor<f32>
  return %z, %balance : tensor<f32>, tensor<f32>
}

// -----

// Loads that are nobody's: the sum of the probabilities is one, and so is the loss.
// expected-remark @below {{learns from}}
moire.param @moe.router.weight : tensor<8x4xf32> role router init normal {paths = ["moe.router.weight"], stack = 0 : i64}
func.func @train(%x: tensor<2x4x8xf32>, %wr: tensor<8x4xf32> {moire.param = @moe.router.weight})
    -> (tensor<f32> {moire.objective}, tensor<f32> {moire.metric = "moe.balance_loss", moire.metric_kind = "aux_loss"}) {
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  %probs = moire.softmax %s : tensor<2x4x4xf32>
  %load = moire.fill 2.500000e-01 : tensor<4xf32>
  // expected-error @below {{the loads of this balancing loss do not come from the choices of `moe.router.weight`: it pulls towards no balance}}
  %balance = moire.balance_loss %probs, %load factor 4.000000e-02 : (tensor<2x4x4xf32>, tensor<4xf32>) -> tensor<f32>
  return %balance, %balance : tensor<f32>, tensor<f32>
}

// -----

// Gates that are 1 whatever the router says.
// expected-error @below {{parameter `moe.router.weight` is reached by no loss: its gradient is zero}}
// expected-note @below {{the objective is computed from it, but only by choices, which have no gradient}}
moire.param @moe.router.weight : tensor<8x4xf32> role router init normal {paths = ["moe.router.weight"], stack = 0 : i64}
// expected-remark @below {{learns from the objective}}
moire.param @moe.experts : tensor<4x8x8xf32> role expert init normal {paths = ["moe.experts"], stack = 0 : i64}
// expected-error @below {{parameter `unread` is reached by no loss: its gradient is zero}}
// expected-note @below {{`train` does not read it}}
moire.param @unread : tensor<8xf32> role norm init constant {paths = ["unread"], stack = 0 : i64}
func.func @train(%x: tensor<2x4x8xf32>, %wr: tensor<8x4xf32> {moire.param = @moe.router.weight},
                 %we: tensor<4x8x8xf32> {moire.param = @moe.experts}) -> (tensor<f32> {moire.objective}) {
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  // expected-error @below {{the gate of the one chosen expert is the same number whatever its router says}}
  // expected-note @below {{a score divided by itself is 1: choose `renormalize = false`, or more than one expert}}
  %probs, %weights, %chosen = moire.route softmax_topk %s renormalize : (tensor<2x4x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x4x1xi32>) -> (tensor<5xi32>, tensor<8xi32>, tensor<8xi32>, tensor<2x4x1xi32>)
  %g = moire.gather_rows %x, %rows, %position : (tensor<2x4x8xf32>, tensor<8xi32>, tensor<2x4x1xi32>) -> tensor<8x8xf32>
  %e = moire.grouped_linear %g, %we, %offsets : (tensor<8x8xf32>, tensor<4x8x8xf32>, tensor<5xi32>) -> tensor<8x8xf32>
  %y = moire.combine %e, %weights, %position : (tensor<8x8xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>) -> tensor<2x4x8xf32>
  %sum = moire.reduce_leading %y : tensor<2x4x8xf32> to tensor<f32>
  return %sum : tensor<f32>
}

// -----

// In a loop: stacked losses, and a parameter that only the second iteration's value needs.
// expected-remark @below {{`layers.#.w` learns from `layers.#.z_loss`}}
moire.param @"layers.#.w" : tensor<2x8x8xf32> role ffn init normal {paths = ["layers.0.w", "layers.1.w"], stack = 1 : i64}
// expected-remark @below {{proved of `train`}}
func.func @train(%x: tensor<2x4x8xf32>, %ws: tensor<2x8x8xf32> {moire.param = @"layers.#.w"})
    -> (tensor<f32> {moire.objective}, tensor<2xf32> {moire.metric = "layers.#.z_loss", moire.metric_kind = "aux_loss"}) {
  %y, %losses = moire.repeat 2 carried(%h = %x : tensor<2x4x8xf32>) slices(%w = %ws : tensor<2x8x8xf32>) -> (tensor<2x4x8xf32>, tensor<2xf32>) {
    %n = moire.linear %h, %w : (tensor<2x4x8xf32>, tensor<8x8xf32>) -> tensor<2x4x8xf32>
    %l, %lse = moire.z_loss %n coefficient 1.000000e-03 tokens 8 : (tensor<2x4x8xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
    %z = moire.reduce_leading %l : tensor<2x4xf32> to tensor<f32>
    moire.yield %n, %z : tensor<2x4x8xf32>, tensor<f32>
  }
  %all = moire.reduce_leading %losses : tensor<2xf32> to tensor<f32>
  return %all, %losses : tensor<f32>, tensor<2xf32>
}

// -----

// Rules that refuse gradients of tables are not asked for any: the way to this parameter leads through a rotation alone.
// expected-remark @below {{`q.weight` learns from the objective}}
moire.param @q.weight : tensor<8x8xf32> role attention init normal {paths = ["q.weight"], stack = 0 : i64}
// expected-remark @below {{proved of `train`}}
func.func @train(%x: tensor<2x4x8xf32>, %w: tensor<8x8xf32> {moire.param = @q.weight}) -> (tensor<f32> {moire.objective}) {
  %p = moire.linear %x, %w : (tensor<2x4x8xf32>, tensor<8x8xf32>) -> tensor<2x4x8xf32>
  %q = moire.reshape %p : tensor<2x4x8xf32> to tensor<2x4x2x4xf32>
  %cos, %sin = moire.rotary_table 1.000000e+04 : tensor<4x2xf32>, tensor<4x2xf32>
  %r = moire.rope %q, %cos, %sin : (tensor<2x4x2x4xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<2x4x2x4xf32>
  %l = moire.reduce_leading %r : tensor<2x4x2x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// After differentiation: gradients that are known already.
// expected-error @below {{the gradient of parameter `a` is zero}}
moire.param @a : tensor<8xf32> role norm init constant {paths = ["a"], stack = 0 : i64}
// expected-error @below {{the gradient of parameter `b` is constant: it depends neither on tokens nor on parameters}}
moire.param @b : tensor<8xf32> role norm init constant {paths = ["b"], stack = 0 : i64}
moire.param @c : tensor<8xf32> role norm init constant {paths = ["c"], stack = 0 : i64}
func.func @train(%x: tensor<4x8xf32>, %seed: tensor<f32> {moire.seed})
    -> (tensor<8xf32> {moire.gradient = @a}, tensor<8xf32> {moire.gradient = @b}, tensor<8xf32> {moire.gradient = @c}) {
  %zero = moire.fill 0.000000e+00 : tensor<8xf32>
  %ones = moire.broadcast %seed : tensor<f32> to tensor<8xf32>
  %sum = moire.reduce_leading %x : tensor<4x8xf32> to tensor<8xf32>
  return %zero, %ones, %sum : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}

// -----

// What is frozen learns nothing, and is to be read all the same.
// expected-remark @below {{`w.in` learns from the objective}}
moire.param @w.in : tensor<2x4xf32> role ffn init normal {paths = ["w.in"], stack = 0 : i64}
// expected-remark @below {{`w.source` is frozen}}
moire.param @w.source : tensor<4x3xf32> role ffn init normal {lr_factor = 0.0, paths = ["w.source"], stack = 0 : i64}
// expected-error @below {{parameter `unread` is frozen, and the objective does not read it}}
moire.param @unread : tensor<4x3xf32> role ffn init normal {lr_factor = 0.0, paths = ["unread"], stack = 0 : i64}
func.func @train(%in: tensor<2x4xf32> {moire.param = @w.in}, %source: tensor<4x3xf32> {moire.param = @w.source}) -> (tensor<f32> {moire.objective}) {
  %y = moire.linear %in, %source : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %l = moire.reduce_leading %y : tensor<2x3xf32> to tensor<f32>
  return %l : tensor<f32>
}
