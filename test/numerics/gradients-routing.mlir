// Routing and its losses: gradients agree with differences, unfused and fused, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff,canonicalize,cse,func.func(moire-fuse-routing)" %s
// RUN: moire-evaluate --gradients --passes="func.func(moire-fuse-combine),moire-autodiff,canonicalize,cse,func.func(moire-fuse-routing)" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @softmax_topk(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %probs, %y, %chosen = moire.route softmax_topk %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %z = moire.binary mul %y, %c : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %l = moire.reduce_leading %z : tensor<2x3x2xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @softmax_topk_probs(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route softmax_topk %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @renormalized(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %probs, %y, %chosen = moire.route softmax_topk %x renormalize : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %z = moire.binary mul %y, %c : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %l = moire.reduce_leading %z : tensor<2x3x2xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @renormalized_probs(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route softmax_topk %x renormalize : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @topk_softmax(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %probs, %y, %chosen = moire.route topk_softmax %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %z = moire.binary mul %y, %c : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %l = moire.reduce_leading %z : tensor<2x3x2xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @topk_softmax_probs(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route topk_softmax %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Only the probabilities are read: the weights have no cotangent.
func.func @probs_only(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route softmax_topk %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @gather_rows(%choice: tensor<2x3x2xi32> {moire.below = 4 : i64}, %x: tensor<2x3x5xf64> {moire.differentiate}, %c: tensor<12x5xf64>) -> (tensor<f64> {moire.objective}) {
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<2x3x2xi32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %y = moire.gather_rows %x, %rows, %position : (tensor<2x3x5xf64>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x5xf64>
  %z = moire.binary mul %y, %c : (tensor<12x5xf64>, tensor<12x5xf64>) -> tensor<12x5xf64>
  %l = moire.reduce_leading %z : tensor<12x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @combine(%choice: tensor<2x3x2xi32> {moire.below = 4 : i64}, %x: tensor<12x5xf64> {moire.differentiate}, %w: tensor<2x3x2xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<2x3x2xi32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %y = moire.combine %x, %w, %position : (tensor<12x5xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}

// The load is constant for the gradient; differences see it constant too, away from ties.
func.func @balance_loss(%x: tensor<2x3x4xf64> {moire.differentiate}) -> (tensor<f64> {moire.objective}) {
  %probs, %weights, %chosen = moire.route softmax_topk %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x3x2xi32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %load = moire.expert_load %offsets : (tensor<5xi32>) -> tensor<4xf64>
  %l = moire.balance_loss %probs, %load factor 0.3 : (tensor<2x3x4xf64>, tensor<4xf64>) -> tensor<f64>
  return %l : tensor<f64>
}

// A whole layer of experts with both of its losses.
func.func @moe(%x: tensor<2x3x5xf64> {moire.differentiate}, %router: tensor<5x4xf64> {moire.differentiate}, %up: tensor<4x5x6xf64> {moire.differentiate}, %down: tensor<4x3x5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %logits1 = moire.linear %x, %router : (tensor<2x3x5xf64>, tensor<5x4xf64>) -> tensor<2x3x4xf64>
  %probs1, %weights1, %chosen1 = moire.route softmax_topk %logits1 renormalize : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %offsets1, %rows1, %slots1, %position1 = moire.dispatch %chosen1 : (tensor<2x3x2xi32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %load1 = moire.expert_load %offsets1 : (tensor<5xi32>) -> tensor<4xf64>
  %sorted1 = moire.gather_rows %x, %rows1, %position1 : (tensor<2x3x5xf64>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x5xf64>
  %hid1 = moire.grouped_linear %sorted1, %up, %offsets1 : (tensor<12x5xf64>, tensor<4x5x6xf64>, tensor<5xi32>) -> tensor<12x6xf64>
  %g1 = moire.slice %hid1 dim 1 at 0 : tensor<12x6xf64> to tensor<12x3xf64>
  %u1 = moire.slice %hid1 dim 1 at 3 : tensor<12x6xf64> to tensor<12x3xf64>
  %s1 = moire.unary silu %g1 : tensor<12x3xf64>
  %h1 = moire.binary mul %s1, %u1 : (tensor<12x3xf64>, tensor<12x3xf64>) -> tensor<12x3xf64>
  %down1 = moire.grouped_linear %h1, %down, %offsets1 : (tensor<12x3xf64>, tensor<4x3x5xf64>, tensor<5xi32>) -> tensor<12x5xf64>
  %moe1 = moire.combine %down1, %weights1, %position1 : (tensor<12x5xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>) -> tensor<2x3x5xf64>
  %balance1 = moire.balance_loss %probs1, %load1 factor 0.3 : (tensor<2x3x4xf64>, tensor<4xf64>) -> tensor<f64>
  %zl1, %lse1 = moire.z_loss %logits1 coefficient 0.1 tokens 6 : (tensor<2x3x4xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
  %zs1 = moire.reduce_leading %zl1 : tensor<2x3xf64> to tensor<f64>
  %aux1 = moire.binary add %balance1, %zs1 : (tensor<f64>, tensor<f64>) -> tensor<f64>
  %z = moire.binary mul %moe1, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %m = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  %l = moire.binary add %m, %aux1 : (tensor<f64>, tensor<f64>) -> tensor<f64>
  return %l : tensor<f64>
}

// Layers of experts in a loop, stacked parameters, losses carried along, the load of each layer stacked as a metric.
func.func @moe_loop(%x: tensor<2x3x5xf64> {moire.differentiate}, %routers: tensor<2x5x4xf64> {moire.differentiate}, %ups: tensor<2x4x5x6xf64> {moire.differentiate}, %downs: tensor<2x4x3x5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}, tensor<2x4xf64> {moire.metric = "load"}) {
  %zero = moire.fill 0.0 : tensor<f64>
  %r:3 = moire.repeat 2 carried(%a = %x : tensor<2x3x5xf64>, %loss = %zero : tensor<f64>) slices(%router = %routers : tensor<2x5x4xf64>, %upw = %ups : tensor<2x4x5x6xf64>, %downw = %downs : tensor<2x4x3x5xf64>) -> (tensor<2x3x5xf64>, tensor<f64>, tensor<2x4xf64>) {
    %logits1 = moire.linear %a, %router : (tensor<2x3x5xf64>, tensor<5x4xf64>) -> tensor<2x3x4xf64>
    %probs1, %weights1, %chosen1 = moire.route softmax_topk %logits1 renormalize : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
    %offsets1, %rows1, %slots1, %position1 = moire.dispatch %chosen1 : (tensor<2x3x2xi32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
    %load1 = moire.expert_load %offsets1 : (tensor<5xi32>) -> tensor<4xf64>
    %sorted1 = moire.gather_rows %a, %rows1, %position1 : (tensor<2x3x5xf64>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x5xf64>
    %up1 = moire.grouped_linear %sorted1, %upw, %offsets1 : (tensor<12x5xf64>, tensor<4x5x6xf64>, tensor<5xi32>) -> tensor<12x6xf64>
    %g1 = moire.slice %up1 dim 1 at 0 : tensor<12x6xf64> to tensor<12x3xf64>
    %u1 = moire.slice %up1 dim 1 at 3 : tensor<12x6xf64> to tensor<12x3xf64>
    %s1 = moire.unary silu %g1 : tensor<12x3xf64>
    %h1 = moire.binary mul %s1, %u1 : (tensor<12x3xf64>, tensor<12x3xf64>) -> tensor<12x3xf64>
    %down1 = moire.grouped_linear %h1, %downw, %offsets1 : (tensor<12x3xf64>, tensor<4x3x5xf64>, tensor<5xi32>) -> tensor<12x5xf64>
    %moe1 = moire.combine %down1, %weights1, %position1 : (tensor<12x5xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>) -> tensor<2x3x5xf64>
    %balance1 = moire.balance_loss %probs1, %load1 factor 0.3 : (tensor<2x3x4xf64>, tensor<4xf64>) -> tensor<f64>
    %zl1, %lse1 = moire.z_loss %logits1 coefficient 0.1 tokens 6 : (tensor<2x3x4xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
    %zs1 = moire.reduce_leading %zl1 : tensor<2x3xf64> to tensor<f64>
    %aux1 = moire.binary add %balance1, %zs1 : (tensor<f64>, tensor<f64>) -> tensor<f64>
    %o = moire.binary add %a, %moe1 : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
    %sum = moire.binary add %loss, %aux1 : (tensor<f64>, tensor<f64>) -> tensor<f64>
    moire.yield %o, %sum, %load1 : tensor<2x3x5xf64>, tensor<f64>, tensor<4xf64>
  }
  %z = moire.binary mul %r#0, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %m = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  %l = moire.binary add %m, %r#1 : (tensor<f64>, tensor<f64>) -> tensor<f64>
  return %l, %r#2 : tensor<f64>, tensor<2x4xf64>
}

// Scores of one expert each, a scale, groups, a bias on the choice, experts that are assigned.
func.func @scaled(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route softmax_topk %x renormalize scale 2.5 : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @late_scaled(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route topk_softmax %x scale 2.5 : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sigmoid(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route sigmoid_topk %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sigmoid_renormalized(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route sigmoid_topk %x renormalize scale 2.5 : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sqrt_softplus(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route sqrt_softplus_topk %x scale 0.5 : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sqrt_softplus_renormalized(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route sqrt_softplus_topk %x renormalize : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @groups(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route sigmoid_topk %x groups 2 best 1 : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @bias(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>, %b: tensor<4xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route sigmoid_topk %x bias %b : (tensor<2x3x4xf64>, tensor<4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @assigned(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>, %e: tensor<2x3x2xf64>, %a: tensor<2x3x2xi32> {moire.below = 4 : i64}) -> (tensor<f64> {moire.objective}) {
  %y, %weights, %chosen = moire.route softmax_topk %x assigned %a renormalize : (tensor<2x3x4xf64>, tensor<2x3x2xi32>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %v = moire.binary mul %weights, %e : (tensor<2x3x2xf64>, tensor<2x3x2xf64>) -> tensor<2x3x2xf64>
  %m = moire.reduce_leading %v : tensor<2x3x2xf64> to tensor<f64>
  %q = moire.binary add %y, %m : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %q, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// What is above the capacity, or null, has no row: it adds nothing, and has no gradient.
func.func @limited(%x: tensor<2x3x5xf64> {moire.differentiate}, %logits: tensor<2x3x4xf64> {moire.differentiate}, %w: tensor<3x5x5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %weights capacity 2 nulls : (tensor<2x3x2xi32>, tensor<2x3x2xf64>) -> (tensor<4xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %sorted = moire.gather_rows %x, %rows, %position : (tensor<2x3x5xf64>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x5xf64>
  %h = moire.grouped_linear %sorted, %w, %offsets : (tensor<12x5xf64>, tensor<3x5x5xf64>, tensor<4xi32>) -> tensor<12x5xf64>
  %s = moire.unary silu %h : tensor<12x5xf64>
  %y = moire.combine %s, %weights, %position : (tensor<12x5xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}

// What is not above the threshold has no row: it adds nothing, and has no gradient.
func.func @threshold(%x: tensor<2x3x5xf64> {moire.differentiate}, %logits: tensor<2x3x4xf64> {moire.differentiate}, %w: tensor<4x5x5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x3xf64>, tensor<2x3x3xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %weights threshold 0.2 : (tensor<2x3x3xi32>, tensor<2x3x3xf64>) -> (tensor<5xi32>, tensor<18xi32>, tensor<18xi32>, tensor<2x3x3xi32>)
  %sorted = moire.gather_rows %x, %rows, %position : (tensor<2x3x5xf64>, tensor<18xi32>, tensor<2x3x3xi32>) -> tensor<18x5xf64>
  %h = moire.grouped_linear %sorted, %w, %offsets : (tensor<18x5xf64>, tensor<4x5x5xf64>, tensor<5xi32>) -> tensor<18x5xf64>
  %y = moire.combine %h, %weights, %position : (tensor<18x5xf64>, tensor<2x3x3xf64>, tensor<2x3x3xi32>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}

// The loads of the sequences are constant for the gradient.
func.func @sequence_balance_loss(%x: tensor<2x3x4xf64> {moire.differentiate}) -> (tensor<f64> {moire.objective}) {
  %probs, %weights, %chosen = moire.route sigmoid_topk %x : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %load = moire.choice_load %chosen : (tensor<2x3x2xi32>) -> tensor<2x4xf64>
  %l = moire.sequence_balance_loss %probs, %load factor 0.3 : (tensor<2x3x4xf64>, tensor<2x4xf64>) -> tensor<f64>
  return %l : tensor<f64>
}

// By a hash of the token, and by position.
func.func @assign(%tokens: tensor<2x3xi32> {moire.below = 9 : i64}, %x: tensor<2x3x5xf64> {moire.differentiate}, %c: tensor<12x5xf64>) -> (tensor<f64> {moire.objective}) {
  %chosen = moire.assign hash %tokens experts 4 : (tensor<2x3xi32>) -> tensor<2x3x2xi32>
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x3x2xi32>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %y = moire.gather_rows %x, %rows, %position : (tensor<2x3x5xf64>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x5xf64>
  %z = moire.binary mul %y, %c : (tensor<12x5xf64>, tensor<12x5xf64>) -> tensor<12x5xf64>
  %l = moire.reduce_leading %z : tensor<12x5xf64> to tensor<f64>
  return %l : tensor<f64>
}

// The gates' gradient comes from the product's own gradient, not from the experts' outputs; what is dropped has none.
func.func @grouped_combine(%logits: tensor<2x3x4xf64>, %x: tensor<2x3x3xf64> {moire.differentiate}, %w: tensor<4x3x5xf64> {moire.differentiate}, %g: tensor<2x3x2xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<2x3x4xf64>) -> (tensor<2x3x4xf64>, tensor<2x3x2xf64>, tensor<2x3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %weights capacity 2 : (tensor<2x3x2xi32>, tensor<2x3x2xf64>) -> (tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %sorted = moire.gather_rows %x, %rows, %position : (tensor<2x3x3xf64>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x3xf64>
  %y = moire.grouped_combine %sorted, %w, %offsets rows %rows slots %slots weights %g position %position : (tensor<12x3xf64>, tensor<4x3x5xf64>, tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xf64>, tensor<2x3x2xi32>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
