// Numbers that papers print, or that a few lines of arithmetic give: what the evaluator itself is checked with.
// RUN: moire-evaluate %s | FileCheck %s
// RUN: moire-evaluate --compiled --passes=cse --tolerance=1e-12 %s

// Softmax before top-k loses mass, top-k before softmax does not; renormalising the first gives the second.
// CHECK: @softmax_first result 0 tensor<1x2xf64>: 0.643914{{[0-9]*}} 0.236882
// CHECK: @softmax_first result 1 tensor<1x2xi32>: 0 1
func.func @softmax_first(%x: tensor<1x4xf64> {moire.values = array<f64: 2.0, 1.0, 0.0, -1.0>}) -> (tensor<1x2xf64>, tensor<1x2xi32>) {
  %probs, %weights, %chosen = moire.route softmax_topk %x : (tensor<1x4xf64>) -> (tensor<1x4xf64>, tensor<1x2xf64>, tensor<1x2xi32>)
  return %weights, %chosen : tensor<1x2xf64>, tensor<1x2xi32>
}
// CHECK: @top_first result 0 tensor<1x2xf64>: 0.731058{{[0-9]*}} 0.268941
func.func @top_first(%x: tensor<1x4xf64> {moire.values = array<f64: 2.0, 1.0, 0.0, -1.0>}) -> tensor<1x2xf64> {
  %probs, %weights, %chosen = moire.route topk_softmax %x : (tensor<1x4xf64>) -> (tensor<1x4xf64>, tensor<1x2xf64>, tensor<1x2xi32>)
  return %weights : tensor<1x2xf64>
}
// CHECK: @renormalised result 0 tensor<1x2xf64>: 0.731058{{[0-9]*}} 0.268941
func.func @renormalised(%x: tensor<1x4xf64> {moire.values = array<f64: 2.0, 1.0, 0.0, -1.0>}) -> tensor<1x2xf64> {
  %probs, %weights, %chosen = moire.route softmax_topk %x renormalize : (tensor<1x4xf64>) -> (tensor<1x4xf64>, tensor<1x2xf64>, tensor<1x2xi32>)
  return %weights : tensor<1x2xf64>
}
// CHECK: @square_of_logsumexp result 0 tensor<1xf64>: 5.95452
func.func @square_of_logsumexp(%x: tensor<1x4xf64> {moire.values = array<f64: 2.0, 1.0, 0.0, -1.0>}) -> tensor<1xf64> {
  %loss, %lse = moire.z_loss %x coefficient 1.0 tokens 1 : (tensor<1x4xf64>) -> (tensor<1xf64>, tensor<1xf64>)
  return %loss : tensor<1xf64>
}

// Scores 1/2, 3/4, 1/4; the bias keeps the second from being chosen and leaves the gates as they are.
// CHECK: @biased result 0 tensor<1x2xf64>: 1.33333{{[0-9]*}} 0.66666
// CHECK: @biased result 1 tensor<1x2xi32>: 0 2
func.func @biased(%x: tensor<1x3xf64> {moire.values = array<f64: 0.0, 1.0986122886681098, -1.0986122886681098>}, %b: tensor<3xf64> {moire.values = array<f64: 0.0, -0.6, 0.0>}) -> (tensor<1x2xf64>, tensor<1x2xi32>) {
  %probs, %weights, %chosen = moire.route sigmoid_topk %x bias %b renormalize scale 2.0 : (tensor<1x3xf64>, tensor<3xf64>) -> (tensor<1x3xf64>, tensor<1x2xf64>, tensor<1x2xi32>)
  return %weights, %chosen : tensor<1x2xf64>, tensor<1x2xi32>
}
// Of two groups the one whose two best sum to more, though the best expert is in the other.
// CHECK: @grouped result 0 tensor<1x2xi32>: 3 2
func.func @grouped(%x: tensor<1x4xf64> {moire.values = array<f64: 3.0, -5.0, 1.5, 2.0>}) -> tensor<1x2xi32> {
  %probs, %weights, %chosen = moire.route sigmoid_topk %x groups 2 best 1 : (tensor<1x4xf64>) -> (tensor<1x4xf64>, tensor<1x2xf64>, tensor<1x2xi32>)
  return %chosen : tensor<1x2xi32>
}

// Four experts, coefficient 0.01: a uniform router has loss 0.01, one that sends everything to one expert 0.04.
// CHECK: @balanced result 0 tensor<f64>: 0.01{{$}}
func.func @balanced() -> tensor<f64> {
  %probs = moire.fill 0.25 : tensor<8x4xf64>
  %load = moire.fill 0.25 : tensor<4xf64>
  %loss = moire.balance_loss %probs, %load factor 0.04 : (tensor<8x4xf64>, tensor<4xf64>) -> tensor<f64>
  return %loss : tensor<f64>
}
// CHECK: @unbalanced result 0 tensor<f64>: 0.04{{$}}
func.func @unbalanced(%one: tensor<4xf64> {moire.values = array<f64: 0.0, 1.0, 0.0, 0.0>}) -> tensor<f64> {
  %probs = moire.broadcast %one : tensor<4xf64> to tensor<8x4xf64>
  %loss = moire.balance_loss %probs, %one factor 0.04 : (tensor<8x4xf64>, tensor<4xf64>) -> tensor<f64>
  return %loss : tensor<f64>
}

// One channel, one state, A = -1, step ln 2: the Euler step of B gives ln 2, then halves.
// CHECK: @scan result 0 tensor<1x3x1xf64>: 0.693147{{[0-9]*}} 0.346573{{[0-9]*}} 0.173286
func.func @scan(%u: tensor<1x3x1xf64> {moire.values = array<f64: 1.0, 0.0, 0.0>}) -> tensor<1x3x1xf64> {
  %dt = moire.fill 0.6931471805599453 : tensor<1x3x1xf64>
  %a = moire.fill -1.0 : tensor<1x1xf64>
  %b = moire.fill 1.0 : tensor<1x3x1xf64>
  %d = moire.fill 0.0 : tensor<1xf64>
  %y, %states = moire.selective_scan %u, %dt, %a, %b, %b, %d
      : (tensor<1x3x1xf64>, tensor<1x3x1xf64>, tensor<1x1xf64>, tensor<1x3x1xf64>, tensor<1x3x1xf64>, tensor<1xf64>) -> (tensor<1x3x1xf64>, tensor<1x1x1x1xf64>)
  return %y : tensor<1x3x1xf64>
}

// Mamba-2's scan with decay -1: the sequence that papers' code gives, whole and in chunks of two.
// CHECK: @ssd result 0 tensor<1x4x1x1xf64>: 0.1 0.28187{{[0-9]*}} -0.19559{{[0-9]*}} 1.87556{{[0-9]*}}
func.func @ssd(%x: tensor<1x4x1x1xf64> {moire.values = array<f64: 1.0, 2.0, -1.0, 3.0>}, %dt: tensor<1x4x1xf64> {moire.values = array<f64: 0.1, 0.2, 0.3, 0.4>},
               %b: tensor<1x4x1x1xf64> {moire.values = array<f64: 1.0, 0.5, 2.0, 1.0>}, %c: tensor<1x4x1x1xf64> {moire.values = array<f64: 1.0, 1.0, 0.5, 2.0>}) -> tensor<1x4x1x1xf64> {
  %a = moire.fill -1.0 : tensor<1xf64>
  %d = moire.fill 0.0 : tensor<1xf64>
  %y, %states = moire.ssd_scan %x, %dt, %a, %b, %c, %d chunk 2
      : (tensor<1x4x1x1xf64>, tensor<1x4x1xf64>, tensor<1xf64>, tensor<1x4x1x1xf64>, tensor<1x4x1x1xf64>, tensor<1xf64>) -> (tensor<1x4x1x1xf64>, tensor<1x2x1x1x1xf64>)
  return %y : tensor<1x4x1x1xf64>
}

// Rounding to bf16 is to nearest, ties to even: 1 + 2^-8 goes down, 1 + 3 2^-8 up.
// CHECK: @ties result 0 tensor<3xbf16>: 1 1.015625 -1.015625
func.func @ties(%x: tensor<3xf32> {moire.values = array<f64: 1.00390625, 1.01171875, -1.01171875>}) -> tensor<3xbf16> {
  %y = moire.cast %x : tensor<3xf32> to tensor<3xbf16>
  return %y : tensor<3xbf16>
}

// A loop stacks row i in iteration i, whichever way it runs.
// CHECK: @order result 0 tensor<f64>: 8
// CHECK: @order result 1 tensor<3xf64>: 7 4 0
func.func @order(%x: tensor<3xf64> {moire.values = array<f64: 1.0, 3.0, 4.0>}) -> (tensor<f64>, tensor<3xf64>) {
  %zero = moire.fill 0.0 : tensor<f64>
  %r:2 = moire.repeat 3 reverse carried(%s = %zero : tensor<f64>) slices(%v = %x : tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>) {
    %t = moire.binary add %s, %v : (tensor<f64>, tensor<f64>) -> tensor<f64>
    moire.yield %t, %s : tensor<f64>, tensor<f64>
  }
  return %r#0, %r#1 : tensor<f64>, tensor<3xf64>
}

// Two tokens through the cache, one after the other, see what both see at once.
// CHECK: @cache result 0 tensor<f64>: {{0$|[0-9.]+e-3[0-9]$}}
func.func @cache(%q: tensor<1x2x2x3xf64>, %k: tensor<1x2x1x3xf64>, %v: tensor<1x2x1x3xf64>, %c: tensor<4x1x3xf64>,
                 %p0: tensor<i32> {moire.below = 1 : i64}, %p1: tensor<i32> {moire.at_least = 1 : i64, moire.below = 2 : i64}) -> tensor<f64> {
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.5 : (tensor<1x2x2x3xf64>, tensor<1x2x1x3xf64>, tensor<1x2x1x3xf64>) -> (tensor<1x2x2x3xf64>, tensor<1x2x2xf64>)
  %q0 = moire.slice %q dim 1 at 0 : tensor<1x2x2x3xf64> to tensor<1x1x2x3xf64>
  %k0 = moire.slice %k dim 1 at 0 : tensor<1x2x1x3xf64> to tensor<1x1x1x3xf64>
  %v0 = moire.slice %v dim 1 at 0 : tensor<1x2x1x3xf64> to tensor<1x1x1x3xf64>
  %y0, %kc, %vc = moire.cached_attention %q0, %k0, %v0, %c, %c at %p0 scale 0.5 : (tensor<1x1x2x3xf64>, tensor<1x1x1x3xf64>, tensor<1x1x1x3xf64>, tensor<4x1x3xf64>, tensor<4x1x3xf64>, tensor<i32>) -> (tensor<1x1x2x3xf64>, tensor<4x1x3xf64>, tensor<4x1x3xf64>)
  %q1 = moire.slice %q dim 1 at 1 : tensor<1x2x2x3xf64> to tensor<1x1x2x3xf64>
  %k1 = moire.slice %k dim 1 at 1 : tensor<1x2x1x3xf64> to tensor<1x1x1x3xf64>
  %v1 = moire.slice %v dim 1 at 1 : tensor<1x2x1x3xf64> to tensor<1x1x1x3xf64>
  %y1, %ke, %ve = moire.cached_attention %q1, %k1, %v1, %kc, %vc at %p1 scale 0.5 : (tensor<1x1x2x3xf64>, tensor<1x1x1x3xf64>, tensor<1x1x1x3xf64>, tensor<4x1x3xf64>, tensor<4x1x3xf64>, tensor<i32>) -> (tensor<1x1x2x3xf64>, tensor<4x1x3xf64>, tensor<4x1x3xf64>)
  %both = moire.concat %y0, %y1 dim 1 : (tensor<1x1x2x3xf64>, tensor<1x1x2x3xf64>) -> tensor<1x2x2x3xf64>
  %d = moire.binary sub %y, %both : (tensor<1x2x2x3xf64>, tensor<1x2x2x3xf64>) -> tensor<1x2x2x3xf64>
  %e = moire.binary mul %d, %d : (tensor<1x2x2x3xf64>, tensor<1x2x2x3xf64>) -> tensor<1x2x2x3xf64>
  %l = moire.reduce_leading %e : tensor<1x2x2x3xf64> to tensor<f64>
  return %l : tensor<f64>
}

// A scan from the state that another one has left goes on where that ended.
// CHECK: @states result 0 tensor<f64>: {{0$|[0-9.]+e-3[0-9]$}}
func.func @states(%u: tensor<1x2x2xf64>, %dt: tensor<1x2x2xf64> {moire.mean = 0.5 : f64, moire.spread = 0.2 : f64}, %a: tensor<2x3xf64>,
                  %b: tensor<1x2x3xf64>, %c: tensor<1x2x3xf64>, %d: tensor<2xf64>) -> tensor<f64> {
  %y, %s = moire.selective_scan %u, %dt, %a, %b, %c, %d : (tensor<1x2x2xf64>, tensor<1x2x2xf64>, tensor<2x3xf64>, tensor<1x2x3xf64>, tensor<1x2x3xf64>, tensor<2xf64>) -> (tensor<1x2x2xf64>, tensor<1x1x2x3xf64>)
  %zero = moire.fill 0.0 : tensor<1x2x3xf64>
  %u0 = moire.slice %u dim 1 at 0 : tensor<1x2x2xf64> to tensor<1x1x2xf64>
  %t0 = moire.slice %dt dim 1 at 0 : tensor<1x2x2xf64> to tensor<1x1x2xf64>
  %b0 = moire.slice %b dim 1 at 0 : tensor<1x2x3xf64> to tensor<1x1x3xf64>
  %c0 = moire.slice %c dim 1 at 0 : tensor<1x2x3xf64> to tensor<1x1x3xf64>
  %y0, %h = moire.stateful_scan %u0, %t0, %a, %b0, %c0, %d from %zero : (tensor<1x1x2xf64>, tensor<1x1x2xf64>, tensor<2x3xf64>, tensor<1x1x3xf64>, tensor<1x1x3xf64>, tensor<2xf64>, tensor<1x2x3xf64>) -> (tensor<1x1x2xf64>, tensor<1x2x3xf64>)
  %u1 = moire.slice %u dim 1 at 1 : tensor<1x2x2xf64> to tensor<1x1x2xf64>
  %t1 = moire.slice %dt dim 1 at 1 : tensor<1x2x2xf64> to tensor<1x1x2xf64>
  %b1 = moire.slice %b dim 1 at 1 : tensor<1x2x3xf64> to tensor<1x1x3xf64>
  %c1 = moire.slice %c dim 1 at 1 : tensor<1x2x3xf64> to tensor<1x1x3xf64>
  %y1, %g = moire.stateful_scan %u1, %t1, %a, %b1, %c1, %d from %h : (tensor<1x1x2xf64>, tensor<1x1x2xf64>, tensor<2x3xf64>, tensor<1x1x3xf64>, tensor<1x1x3xf64>, tensor<2xf64>, tensor<1x2x3xf64>) -> (tensor<1x1x2xf64>, tensor<1x2x3xf64>)
  %both = moire.concat %y0, %y1 dim 1 : (tensor<1x1x2xf64>, tensor<1x1x2xf64>) -> tensor<1x2x2xf64>
  %e = moire.binary sub %y, %both : (tensor<1x2x2xf64>, tensor<1x2x2xf64>) -> tensor<1x2x2xf64>
  %f = moire.binary mul %e, %e : (tensor<1x2x2xf64>, tensor<1x2x2xf64>) -> tensor<1x2x2xf64>
  %l = moire.reduce_leading %f : tensor<1x2x2xf64> to tensor<f64>
  return %l : tensor<f64>
}

// A mixture of tokens: two sequences of one position, width 2, the controller is the identity, expert e multiplies by
// e + 1. At temperature 1/2 the mixture is closer to one token for each expert.
// CHECK: @mixture_of_tokens result 0 tensor<2x1x2xf64>: 0.731058{{[0-9]*}} 0.119202{{[0-9]*}} 0.268941{{[0-9]*}} 0.880797
// CHECK: @mixture_of_tokens result 1 tensor<2x2xf64>: 0.731058{{[0-9]*}} 0.537882{{[0-9]*}} 0.119202{{[0-9]*}} 1.761594
// CHECK: @mixture_of_tokens result 2 tensor<2x1x2xf64>: 0.562865{{[0-9]*}} 0.813198{{[0-9]*}} 0.406599{{[0-9]*}} 3.24787
func.func @mixture_of_tokens(%x: tensor<2x1x2xf64> {moire.values = array<f64: 1.0, 0.0, 0.0, 2.0>}, %experts: tensor<2x2x2xf64> {moire.values = array<f64: 1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 2.0>}) -> (tensor<2x1x2xf64>, tensor<2x2xf64>, tensor<2x1x2xf64>) {
  %w = moire.group_softmax %x group 2 : (tensor<2x1x2xf64>) -> tensor<2x1x2xf64>
  %m = moire.mix %w, %x group 2 : (tensor<2x1x2xf64>, tensor<2x1x2xf64>) -> tensor<2x2xf64>
  %o = moire.even_offsets rows 1 : tensor<3xi32>
  %y = moire.grouped_linear %m, %experts, %o : (tensor<2x2xf64>, tensor<2x2x2xf64>, tensor<3xi32>) -> tensor<2x2xf64>
  %u = moire.unmix %w, %y group 2 : (tensor<2x1x2xf64>, tensor<2x2xf64>) -> tensor<2x1x2xf64>
  return %w, %m, %u : tensor<2x1x2xf64>, tensor<2x2xf64>, tensor<2x1x2xf64>
}
// CHECK: @colder result 0 tensor<2x1x2xf64>: 0.77645{{[0-9]*}} 0.280637{{[0-9]*}} 0.140318{{[0-9]*}} 3.885823
func.func @colder(%x: tensor<2x1x2xf64> {moire.values = array<f64: 1.0, 0.0, 0.0, 2.0>}, %experts: tensor<2x2x2xf64> {moire.values = array<f64: 1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 2.0>}) -> tensor<2x1x2xf64> {
  %l = moire.scale %x by 2.0 : tensor<2x1x2xf64>
  %w = moire.group_softmax %l group 2 : (tensor<2x1x2xf64>) -> tensor<2x1x2xf64>
  %m = moire.mix %w, %x group 2 : (tensor<2x1x2xf64>, tensor<2x1x2xf64>) -> tensor<2x2xf64>
  %o = moire.even_offsets rows 1 : tensor<3xi32>
  %y = moire.grouped_linear %m, %experts, %o : (tensor<2x2xf64>, tensor<2x2x2xf64>, tensor<3xi32>) -> tensor<2x2xf64>
  %u = moire.unmix %w, %y group 2 : (tensor<2x1x2xf64>, tensor<2x2xf64>) -> tensor<2x1x2xf64>
  return %u : tensor<2x1x2xf64>
}

// Experts choose: of two sequences each of two experts takes the one it scores highest, ties to the first.
// CHECK: @experts_choose result 0 tensor<3xi32>: 0 2 4
// CHECK: @experts_choose result 1 tensor<4xi32>: 2 1 0 1
// CHECK: @experts_choose result 2 tensor<2x2x2xi32>: -1 2 1 3 0 -1 -1 -1
func.func @experts_choose(%s: tensor<2x2x2xf64> {moire.values = array<f64: 0.1, 0.9, 0.5, 0.5, 0.2, 0.8, 0.5, 0.5>}) -> (tensor<3xi32>, tensor<4xi32>, tensor<2x2x2xi32>) {
  %o, %r, %p = moire.choose_tokens %s group 2 count 1 : (tensor<2x2x2xf64>) -> (tensor<3xi32>, tensor<4xi32>, tensor<2x2x2xi32>)
  return %o, %r, %p : tensor<3xi32>, tensor<4xi32>, tensor<2x2x2xi32>
}

// Bounds are values of their own, and what lies beyond them has no slope.
// CHECK: @clamped result 0 tensor<1x4xf64>: 1{{(\.0*)?}} 1{{(\.0*)?}} 0{{(\.0*)?}} -0.5
// CHECK: @clamped_slope result 0 tensor<1x4xf64>: 0{{(\.0*)?}} 1{{(\.0*)?}} 1{{(\.0*)?}} 0
func.func @clamped(%x: tensor<1x4xf64> {moire.values = array<f64: 2.0, 1.0, 0.0, -1.0>}) -> tensor<1x4xf64> {
  %y = moire.clamp %x from -0.5 to 1.0 : tensor<1x4xf64>
  return %y : tensor<1x4xf64>
}
func.func @clamped_slope(%x: tensor<1x4xf64> {moire.values = array<f64: 2.0, 1.0, 0.0, -1.0>}, %dy: tensor<1x4xf64> {moire.values = array<f64: 1.0, 1.0, 1.0, 1.0>}) -> tensor<1x4xf64> {
  %dx = moire.clamp_grad %x, %dy from -0.5 to 1.0 : tensor<1x4xf64>
  return %dx : tensor<1x4xf64>
}
