// What moire-autodiff makes of functions: results, seeds, sums, and what it leaves out.
// RUN: moire-opt %s --moire-autodiff --split-input-file --verify-diagnostics --remarks-filter=moire-autodiff | FileCheck %s

// The objective goes, one gradient per wanted argument comes; the seed is 1.
// CHECK-LABEL: func.func @one
// CHECK-SAME: (%[[X:.*]]: tensor<2x3xf32>, %[[W:.*]]: tensor<3x4xf32>) -> (tensor<3x4xf32> {moire.gradient_of = 1 : i64})
func.func @one(%x: tensor<2x3xf32>, %w: tensor<3x4xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK-NOT: moire.linear %
  // CHECK: %[[SEED:.*]] = moire.fill 1.0
  // CHECK: %[[DY:.*]] = moire.broadcast %[[SEED]]
  // CHECK: %[[DW:.*]] = moire.linear_grad_weight %[[X]], %[[DY]]
  // CHECK: return %[[DW]]
  %y = moire.linear %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %l = moire.reduce_leading %y : tensor<2x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// Metrics stay, in front of the gradients; the seed argument scales; a function without an objective is left alone.
// CHECK-LABEL: func.func @seeded
// CHECK-SAME: %[[S:.*]]: tensor<f32> {moire.seed}
// CHECK-SAME: -> (tensor<4xf32> {moire.metric = "m"}, tensor<4xf32> {moire.gradient_of = 1 : i64})
func.func @seeded(%s: tensor<f32> {moire.seed}, %x: tensor<4xf32> {moire.differentiate})
    -> (tensor<f32> {moire.objective}, tensor<4xf32> {moire.metric = "m"}) {
  // CHECK: %[[Y:.*]] = moire.unary exp
  // CHECK: %[[DY:.*]] = moire.broadcast %[[S]]
  // CHECK: %[[DX:.*]] = moire.unary_grad exp %{{.*}}, %[[DY]]
  // CHECK: return %[[Y]], %[[DX]]
  %y = moire.unary exp %x : tensor<4xf32>
  %l = moire.reduce_leading %y : tensor<4xf32> to tensor<f32>
  return %l, %y : tensor<f32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @plain
// CHECK-NOT: moire.unary_grad
func.func @plain(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = moire.unary exp %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Parameters: gradients in full precision, in the order of arguments; one that comes in twice is summed, one that is
// not reached, or no argument at all, gets zeros and a remark.
moire.param @a : tensor<4x4xf32> role ffn init normal {stack = 0 : i64, paths = ["a"], compute}
// expected-remark @+1 {{the objective of `params` does not depend on parameter `b`: its gradient is zero}}
moire.param @b : tensor<4xf32> role norm init constant {stack = 0 : i64, paths = ["b"]}

// CHECK-LABEL: func.func @params
// CHECK-SAME: -> (tensor<4x4xf32> {moire.gradient = @a}, tensor<4x4xf32> {moire.gradient = @c}, tensor<4xf32> {moire.gradient = @b})
func.func @params(%x: tensor<2x4xbf16>, %a: tensor<4x4xbf16> {moire.param = @a},
                  // expected-remark @+1 {{does not depend on parameter `c`}}
                  %c: tensor<4x4xf32> {moire.param = @c},
                  %a2: tensor<4x4xbf16> {moire.param = @a}) -> (tensor<f32> {moire.objective}) {
  // CHECK-DAG: %[[D2:.*]] = moire.linear_grad_weight {{.*}} -> tensor<4x4xf32>
  // CHECK-DAG: %[[D1:.*]] = moire.linear_grad_weight {{.*}} -> tensor<4x4xf32>
  // CHECK: %[[SUM:.*]] = moire.binary add %[[D1]], %[[D2]]
  // CHECK: %[[ZC:.*]] = moire.fill 0.0{{.*}} : tensor<4x4xf32>
  // CHECK: %[[ZB:.*]] = moire.fill 0.0{{.*}} : tensor<4xf32>
  // CHECK: return %[[SUM]], %[[ZC]], %[[ZB]]
  %y = moire.linear %x, %a : (tensor<2x4xbf16>, tensor<4x4xbf16>) -> tensor<2x4xbf16>
  %z = moire.linear %y, %a2 : (tensor<2x4xbf16>, tensor<4x4xbf16>) -> tensor<2x4xbf16>
  %l = moire.reduce_leading %z : tensor<2x4xbf16> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// Only what lies between a wanted argument and the objective is reversed: neither the product that makes %x nor the
// one that nobody reads.
// CHECK-LABEL: func.func @activity
func.func @activity(%t: tensor<2x4xf32>, %v: tensor<4x4xf32>, %w: tensor<4x4xf32> {moire.differentiate})
    -> (tensor<f32> {moire.objective}, tensor<2x4xf32>) {
  // CHECK-COUNT-1: moire.linear_grad_weight
  // CHECK-NOT: moire.linear_grad_weight
  // CHECK-NOT: transpose
  %x = moire.linear %t, %v : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %y = moire.linear %x, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %unread = moire.linear %y, %w : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %l = moire.reduce_leading %y : tensor<2x4xf32> to tensor<f32>
  return %l, %unread : tensor<f32>, tensor<2x4xf32>
}

// -----

// Slices side by side become one concatenation, without zeros; a gap is filled.
// CHECK-LABEL: func.func @slices
func.func @slices(%x: tensor<2x6xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[B:.*]] = moire.unary_grad
  // CHECK: %[[A:.*]] = moire.unary_grad
  // CHECK-NOT: moire.fill 0
  // CHECK: %[[DX:.*]] = moire.concat %[[A]], %[[B]] dim 1
  // CHECK: return %[[DX]]
  %a = moire.slice %x dim 1 at 0 : tensor<2x6xf32> to tensor<2x4xf32>
  %b = moire.slice %x dim 1 at 4 : tensor<2x6xf32> to tensor<2x2xf32>
  %e = moire.unary exp %a : tensor<2x4xf32>
  %f = moire.unary exp %b : tensor<2x2xf32>
  %s = moire.reduce_leading %e : tensor<2x4xf32> to tensor<f32>
  %t = moire.reduce_leading %f : tensor<2x2xf32> to tensor<f32>
  %l = moire.binary add %s, %t : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %l : tensor<f32>
}

// CHECK-LABEL: func.func @gap
func.func @gap(%x: tensor<2x6xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[A:.*]] = moire.unary_grad
  // CHECK: %[[L:.*]] = moire.fill 0.0{{.*}} : tensor<2x1xf32>
  // CHECK: %[[R:.*]] = moire.fill 0.0{{.*}} : tensor<2x3xf32>
  // CHECK: moire.concat %[[L]], %[[A]], %[[R]] dim 1
  %a = moire.slice %x dim 1 at 1 : tensor<2x6xf32> to tensor<2x2xf32>
  %e = moire.unary exp %a : tensor<2x2xf32>
  %l = moire.reduce_leading %e : tensor<2x2xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// A frozen parameter has no gradient, read or not, and no product is made for one.
moire.param @in : tensor<2x4xf32> role ffn init normal {paths = ["in"], stack = 0 : i64}
moire.param @source : tensor<4x3xf32> role ffn init normal {lr_factor = 0.0, paths = ["source"], stack = 0 : i64}
moire.param @other : tensor<4x3xf32> role ffn init normal {lr_factor = 0.0, paths = ["other"], stack = 0 : i64}
// CHECK-LABEL: func.func @frozen
// CHECK-SAME: -> (tensor<2x4xf32> {moire.gradient = @in}) {
func.func @frozen(%in: tensor<2x4xf32> {moire.param = @in}, %source: tensor<4x3xf32> {moire.param = @source}) -> (tensor<f32> {moire.objective}) {
  // CHECK-NOT: moire.linear_grad_weight
  // CHECK: %[[DIN:.*]] = moire.linear %{{.*}}, %{{.*}} transpose
  // CHECK-NOT: moire.linear_grad_weight
  // CHECK: return %[[DIN]] : tensor<2x4xf32>
  %y = moire.linear %in, %source : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %l = moire.reduce_leading %y : tensor<2x3xf32> to tensor<f32>
  return %l : tensor<f32>
}
