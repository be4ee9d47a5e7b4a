// Loops: gradients of carried, captured, sliced and stacked values agree with differences, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

// A parameter from above, read in every iteration: its gradients are summed.
func.func @captured(%x: tensor<2x4xf64> {moire.differentiate}, %w: tensor<4x4xf64> {moire.differentiate}, %c: tensor<2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.repeat 3 carried(%h = %x : tensor<2x4xf64>) -> (tensor<2x4xf64>) {
    %u = moire.linear %h, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %o = moire.unary silu %u : tensor<2x4xf64>
    moire.yield %o : tensor<2x4xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// The same parameter inside and outside of a loop, and twice in an iteration.
func.func @shared(%x: tensor<2x4xf64> {moire.differentiate}, %w: tensor<4x4xf64> {moire.differentiate}, %c: tensor<2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %a = moire.linear %x, %w transpose : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
  %r = moire.repeat 2 carried(%h = %a : tensor<2x4xf64>) -> (tensor<2x4xf64>) {
    %u = moire.linear %h, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %s = moire.unary gelu %u : tensor<2x4xf64>
    %v = moire.linear %s, %w transpose : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %o = moire.binary add %h, %v : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
    moire.yield %o : tensor<2x4xf64>
  }
  %y = moire.linear %r, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Stacked parameters.
func.func @sliced(%x: tensor<2x4xf64> {moire.differentiate}, %ws: tensor<3x4x4xf64> {moire.differentiate}, %gs: tensor<3x4xf64> {moire.differentiate}, %c: tensor<2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.repeat 3 carried(%h = %x : tensor<2x4xf64>) slices(%w = %ws : tensor<3x4x4xf64>, %g = %gs : tensor<3x4xf64>) -> (tensor<2x4xf64>) {
    %n, %rstd = moire.rms_norm %h, %g eps 1.0e-5 : (tensor<2x4xf64>, tensor<4xf64>) -> (tensor<2x4xf64>, tensor<2xf64>)
    %u = moire.linear %n, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %s = moire.unary relu2 %u : tensor<2x4xf64>
    %o = moire.binary add %h, %s : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
    moire.yield %o : tensor<2x4xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Stacked parameters, from the last copy to the first.
func.func @sliced_reverse(%x: tensor<2x4xf64> {moire.differentiate}, %ws: tensor<3x4x4xf64> {moire.differentiate}, %gs: tensor<3x4xf64> {moire.differentiate}, %c: tensor<2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.repeat 3 reverse carried(%h = %x : tensor<2x4xf64>) slices(%w = %ws : tensor<3x4x4xf64>, %g = %gs : tensor<3x4xf64>) -> (tensor<2x4xf64>) {
    %n, %rstd = moire.rms_norm %h, %g eps 1.0e-5 : (tensor<2x4xf64>, tensor<4xf64>) -> (tensor<2x4xf64>, tensor<2xf64>)
    %u = moire.linear %n, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %s = moire.unary relu2 %u : tensor<2x4xf64>
    %o = moire.binary add %h, %s : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
    moire.yield %o : tensor<2x4xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Stacked results lead to the objective, the carried one does not.
func.func @stacked(%x: tensor<2x4xf64> {moire.differentiate}, %ws: tensor<3x4x4xf64> {moire.differentiate}, %c: tensor<3x2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %r:2 = moire.repeat 3 carried(%h = %x : tensor<2x4xf64>) slices(%w = %ws : tensor<3x4x4xf64>) -> (tensor<2x4xf64>, tensor<3x2x4xf64>) {
    %u = moire.linear %h, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %s = moire.unary sigmoid %u : tensor<2x4xf64>
    %v = moire.binary mul %u, %s : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
    moire.yield %v, %s : tensor<2x4xf64>, tensor<2x4xf64>
  }
  %z = moire.binary mul %r#1, %c : (tensor<3x2x4xf64>, tensor<3x2x4xf64>) -> tensor<3x2x4xf64>
  %l = moire.reduce_leading %z : tensor<3x2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Carried values change places, and one of them starts as a constant.
func.func @swapped(%x: tensor<2x4xf64> {moire.differentiate}, %w: tensor<4x4xf64> {moire.differentiate}, %c: tensor<2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %one = moire.fill 1.0 : tensor<2x4xf64>
  %r:2 = moire.repeat 3 carried(%a = %x : tensor<2x4xf64>, %b = %one : tensor<2x4xf64>) -> (tensor<2x4xf64>, tensor<2x4xf64>) {
    %u = moire.linear %a, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %v = moire.binary mul %u, %b : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
    moire.yield %b, %v : tensor<2x4xf64>, tensor<2x4xf64>
  }
  %y = moire.binary sub %r#0, %r#1 : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// A loop in a loop: parameters stacked twice, one stacked for the outer loop only, one for none, one value captured
// from the outer body.
func.func @nested(%x: tensor<2x4xf64> {moire.differentiate}, %ws: tensor<2x3x4x4xf64> {moire.differentiate}, %vs: tensor<2x4x4xf64> {moire.differentiate}, %g: tensor<4xf64> {moire.differentiate}, %c: tensor<2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.repeat 2 carried(%h = %x : tensor<2x4xf64>) slices(%wi = %ws : tensor<2x3x4x4xf64>, %v = %vs : tensor<2x4x4xf64>) -> (tensor<2x4xf64>) {
    %base = moire.linear %h, %v : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
    %i = moire.repeat 3 carried(%k = %h : tensor<2x4xf64>) slices(%w = %wi : tensor<3x4x4xf64>) -> (tensor<2x4xf64>) {
      %n, %rstd = moire.rms_norm %k, %g eps 1.0e-5 : (tensor<2x4xf64>, tensor<4xf64>) -> (tensor<2x4xf64>, tensor<2xf64>)
      %u = moire.linear %n, %w : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
      %s = moire.unary gelu %u : tensor<2x4xf64>
      %m = moire.binary mul %s, %base : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
      %t = moire.linear %m, %v transpose : (tensor<2x4xf64>, tensor<4x4xf64>) -> tensor<2x4xf64>
      %o = moire.binary add %k, %t : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
      moire.yield %o : tensor<2x4xf64>
    }
    %e = moire.unary exp %base : tensor<2x4xf64>
    %f = moire.binary mul %i, %e : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
    moire.yield %f : tensor<2x4xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<2x4xf64>, tensor<2x4xf64>) -> tensor<2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Three deep, backwards in the middle.
func.func @three_deep(%x: tensor<3xf64> {moire.differentiate}, %ws: tensor<2x2x2x3xf64> {moire.differentiate, moire.mean = 1.0 : f64, moire.spread = 0.2 : f64}, %c: tensor<3xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.repeat 2 carried(%a = %x : tensor<3xf64>) slices(%w1 = %ws : tensor<2x2x2x3xf64>) -> (tensor<3xf64>) {
    %p = moire.repeat 2 reverse carried(%b = %a : tensor<3xf64>) slices(%w2 = %w1 : tensor<2x2x3xf64>) -> (tensor<3xf64>) {
      %q = moire.repeat 2 carried(%d = %b : tensor<3xf64>) slices(%w3 = %w2 : tensor<2x3xf64>) -> (tensor<3xf64>) {
        %m = moire.binary mul %d, %w3 : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
        %s = moire.unary silu %m : tensor<3xf64>
        %o = moire.binary add %s, %a : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
        moire.yield %o : tensor<3xf64>
      }
      moire.yield %q : tensor<3xf64>
    }
    moire.yield %p : tensor<3xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
  %l = moire.reduce_leading %z : tensor<3xf64> to tensor<f64>
  return %l : tensor<f64>
}

// A transformer in a loop: fused projections, rotary positions, attention with shared heads, SwiGLU, tied embedding.
func.func @transformer(%tokens: tensor<2x3xi32> {moire.below = 5 : i64}, %targets: tensor<2x3xi32> {moire.at_least = -1 : i64, moire.below = 5 : i64}, %table: tensor<5x8xf64> {moire.differentiate}, %norms: tensor<2x8xf64> {moire.differentiate, moire.mean = 1.0 : f64, moire.spread = 0.1 : f64}, %qkvs: tensor<2x8x16xf64> {moire.differentiate, moire.spread = 0.5 : f64}, %outs: tensor<2x8x8xf64> {moire.differentiate, moire.spread = 0.5 : f64}, %ups: tensor<2x8x12xf64> {moire.differentiate, moire.spread = 0.5 : f64}, %downs: tensor<2x6x8xf64> {moire.differentiate, moire.spread = 0.5 : f64}) -> (tensor<f64> {moire.objective}) {
  %cos, %sin = moire.rotary_table 100.0 : tensor<3x2xf64>, tensor<3x2xf64>
  %e = moire.lookup %tokens, %table : (tensor<2x3xi32>, tensor<5x8xf64>) -> tensor<2x3x8xf64>
  %h = moire.repeat 2 carried(%x = %e : tensor<2x3x8xf64>) slices(%g = %norms : tensor<2x8xf64>, %wqkv = %qkvs : tensor<2x8x16xf64>, %wo = %outs : tensor<2x8x8xf64>, %wu = %ups : tensor<2x8x12xf64>, %wd = %downs : tensor<2x6x8xf64>) -> (tensor<2x3x8xf64>) {
    %n, %rstd = moire.rms_norm %x, %g eps 1.0e-5 : (tensor<2x3x8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3xf64>)
    %qkv = moire.linear %n, %wqkv : (tensor<2x3x8xf64>, tensor<8x16xf64>) -> tensor<2x3x16xf64>
    %q0 = moire.slice %qkv dim 2 at 0 : tensor<2x3x16xf64> to tensor<2x3x8xf64>
    %k0 = moire.slice %qkv dim 2 at 8 : tensor<2x3x16xf64> to tensor<2x3x4xf64>
    %v0 = moire.slice %qkv dim 2 at 12 : tensor<2x3x16xf64> to tensor<2x3x4xf64>
    %q1 = moire.reshape %q0 : tensor<2x3x8xf64> to tensor<2x3x2x4xf64>
    %k1 = moire.reshape %k0 : tensor<2x3x4xf64> to tensor<2x3x1x4xf64>
    %v1 = moire.reshape %v0 : tensor<2x3x4xf64> to tensor<2x3x1x4xf64>
    %q2 = moire.rope %q1, %cos, %sin : (tensor<2x3x2x4xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> tensor<2x3x2x4xf64>
    %k2 = moire.rope %k1, %cos, %sin : (tensor<2x3x1x4xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> tensor<2x3x1x4xf64>
    %a, %lse = moire.softmax_attention %q2, %k2, %v1 scale 0.7 : (tensor<2x3x2x4xf64>, tensor<2x3x1x4xf64>, tensor<2x3x1x4xf64>) -> (tensor<2x3x2x4xf64>, tensor<2x2x3xf64>)
    %b = moire.reshape %a : tensor<2x3x2x4xf64> to tensor<2x3x8xf64>
    %o = moire.linear %b, %wo : (tensor<2x3x8xf64>, tensor<8x8xf64>) -> tensor<2x3x8xf64>
    %x1 = moire.binary add %x, %o : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64>
    %m, %rstd1 = moire.rms_norm %x1, %g eps 1.0e-5 : (tensor<2x3x8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3xf64>)
    %u = moire.linear %m, %wu : (tensor<2x3x8xf64>, tensor<8x12xf64>) -> tensor<2x3x12xf64>
    %u0 = moire.slice %u dim 2 at 0 : tensor<2x3x12xf64> to tensor<2x3x6xf64>
    %u1 = moire.slice %u dim 2 at 6 : tensor<2x3x12xf64> to tensor<2x3x6xf64>
    %s = moire.unary silu %u0 : tensor<2x3x6xf64>
    %t = moire.binary mul %s, %u1 : (tensor<2x3x6xf64>, tensor<2x3x6xf64>) -> tensor<2x3x6xf64>
    %d = moire.linear %t, %wd : (tensor<2x3x6xf64>, tensor<6x8xf64>) -> tensor<2x3x8xf64>
    %x2 = moire.binary add %x1, %d : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64>
    moire.yield %x2 : tensor<2x3x8xf64>
  }
  %logits = moire.linear %h, %table transpose : (tensor<2x3x8xf64>, tensor<5x8xf64>) -> tensor<2x3x5xf64>
  %nll, %lse = moire.cross_entropy %logits, %targets : (tensor<2x3x5xf64>, tensor<2x3xi32>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
  %l = moire.reduce_leading %nll : tensor<2x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
