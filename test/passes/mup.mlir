// muP relative to a base model of a quarter of the width: first values, rates, decay and scaled products; the same IR
// in either order with relative rates.
// RUN: moire-opt %s --split-input-file --moire-mup | FileCheck %s
// RUN: moire-opt %s --split-input-file --moire-mup --moire-rates > %t.first
// RUN: moire-opt %s --split-input-file --moire-rates --moire-mup > %t.second
// RUN: diff %t.first %t.second
// RUN: FileCheck %s --check-prefix=BOTH --input-file=%t.first

// The table is read row by row: an embedding stays, the logits of the tied head are divided by 4.
// CHECK: moire.param @e : tensor<16x32xf32> role embedding init normal {init_a = 2.000000e-02 : f64, multiplier = 2.500000e-01 : f64, paths = ["e"], stack = 0 : i64}
moire.param @e : tensor<16x32xf32> role embedding init normal {init_a = 0.02, paths = ["e"], stack = 0 : i64}
// CHECK: moire.param @n : tensor<2x32xf32> role norm init constant {init_a = 1.000000e+00 : f64, paths = ["0.n", "1.n"], stack = 1 : i64}
moire.param @n : tensor<2x32xf32> role norm init constant {init_a = 1.0, paths = ["0.n", "1.n"], stack = 1 : i64}
// Hidden: both extents grow. Its variance is that of its fan-in already.
// CHECK: moire.param @w : tensor<2x32x64xf32> role ffn init normal {decay_factor = 4.000000e+00 : f64, init_a = 1.000000e-01 : f64, lr_factor = 2.500000e-01 : f64, paths = ["0.w", "1.w"], stack = 1 : i64}
moire.param @w : tensor<2x32x64xf32> role ffn init normal {init_a = 0.1, paths = ["0.w", "1.w"], stack = 1 : i64}
// CHECK: moire.param @down : tensor<2x64x32xf32> role ffn init normal {decay_factor = 4.000000e+00 : f64, init_a = 1.000000e-01 : f64, lr_factor = 2.500000e-01 : f64,
moire.param @down : tensor<2x64x32xf32> role ffn init normal {init_a = 0.1, paths = ["0.down", "1.down"], stack = 1 : i64}
// To a fixed number of experts: as the head, with the base's deviation, which is twice that of its own fan-in.
// CHECK: moire.param @r : tensor<2x32x4xf32> role router init normal {init_a = 2.000000e-01 : f64, multiplier = 2.500000e-01 : f64, paths = ["0.r", "1.r"], stack = 1 : i64}
// BOTH: moire.param @r : tensor<2x32x4xf32> role router init normal {init_a = 2.000000e-01 : f64, multiplier = 2.500000e-01 : f64, paths = ["0.r", "1.r"], rate_start = 6.000000e-01 : f64, stack = 1 : i64}
moire.param @r : tensor<2x32x4xf32> role router init normal {init_a = 0.1, paths = ["0.r", "1.r"], stack = 1 : i64}
// CHECK-NOT: moire.mup
// BOTH-NOT: moire.rate
moire.mup input 1.0 output 1.0 router head base {e = array<i64: 16, 8>, n = array<i64: 8>, w = array<i64: 8, 16>,
    down = array<i64: 16, 8>, r = array<i64: 8, 4>}
moire.rate role router start 0.6 end 1.0

// CHECK-LABEL: func.func @eval
func.func @eval(%t: tensor<3x5xi32>, %e: tensor<16x32xf32> {moire.param = @e}, %n: tensor<2x32xf32> {moire.param = @n},
                %w: tensor<2x32x64xf32> {moire.param = @w}, %d: tensor<2x64x32xf32> {moire.param = @down},
                %r: tensor<2x32x4xf32> {moire.param = @r}) -> (tensor<3x5x16xf32>, tensor<2x3x5x4xf32>) {
  // CHECK: %[[X:.*]] = moire.lookup
  // CHECK-NEXT: moire.repeat 2 carried(%{{.*}} = %[[X]] :
  %x = moire.lookup %t, %e : (tensor<3x5xi32>, tensor<16x32xf32>) -> tensor<3x5x32xf32>
  %y, %all = moire.repeat 2 carried(%h = %x : tensor<3x5x32xf32>) slices(%nn = %n : tensor<2x32xf32>, %ww = %w : tensor<2x32x64xf32>, %dd = %d : tensor<2x64x32xf32>, %rr = %r : tensor<2x32x4xf32>) -> (tensor<3x5x32xf32>, tensor<2x3x5x4xf32>) {
    // The smaller side of the product is scaled.
    // CHECK: %[[L:.*]] = moire.linear %{{.*}} -> tensor<3x5x4xf32>
    // CHECK-NEXT: %[[S:.*]] = moire.scale %[[L]] by 2.500000e-01
    %l = moire.linear %h, %rr : (tensor<3x5x32xf32>, tensor<32x4xf32>) -> tensor<3x5x4xf32>
    // CHECK: %[[U:.*]] = moire.linear %{{.*}} -> tensor<3x5x64xf32>
    // CHECK-NEXT: moire.linear %[[U]]
    %u = moire.linear %h, %ww : (tensor<3x5x32xf32>, tensor<32x64xf32>) -> tensor<3x5x64xf32>
    %v = moire.linear %u, %dd : (tensor<3x5x64xf32>, tensor<64x32xf32>) -> tensor<3x5x32xf32>
    %m = moire.binary mul %v, %nn : (tensor<3x5x32xf32>, tensor<32xf32>) -> tensor<3x5x32xf32>
    // CHECK: moire.yield %{{.*}}, %[[S]]
    moire.yield %m, %l : tensor<3x5x32xf32>, tensor<3x5x4xf32>
  }
  // CHECK: %[[O:.*]] = moire.linear %{{.*}} transpose
  // CHECK-NEXT: %[[P:.*]] = moire.scale %[[O]] by 2.500000e-01
  // CHECK-NEXT: return %[[P]]
  %o = moire.linear %y, %e transpose : (tensor<3x5x32xf32>, tensor<16x32xf32>) -> tensor<3x5x16xf32>
  return %o, %all : tensor<3x5x16xf32>, tensor<2x3x5x4xf32>
}

// -----

// Coefficients of input and output; wide logits, so that the smaller side is the input; the router as in the branch.
// CHECK: moire.param @e : tensor<64x32xf32> role embedding init normal {init_a = 2.000000e-02 : f64, multiplier = 1.000000e+01 : f64,
moire.param @e : tensor<64x32xf32> role embedding init normal {init_a = 0.02, paths = ["e"], stack = 0 : i64}
// CHECK: moire.param @h : tensor<32x64xf32> role head init normal {init_a = 2.000000e-01 : f64, multiplier = 5.000000e-02 : f64,
moire.param @h : tensor<32x64xf32> role head init normal {init_a = 0.1, paths = ["h"], stack = 0 : i64}
// CHECK: moire.param @r : tensor<32x4xf32> role router init uniform {init_a = -2.000000e-01 : f64, init_b = 2.000000e-01 : f64, paths
moire.param @r : tensor<32x4xf32> role router init uniform {init_a = -0.1, init_b = 0.1, paths = ["r"], stack = 0 : i64}
moire.mup input 10.0 output 0.2 router branch base {e = array<i64: 64, 8>, h = array<i64: 8, 64>, r = array<i64: 8, 4>}
moire.rate path "?" start 1.0 end 0.5
func.func @eval(%t: tensor<3x5xi32>, %e: tensor<64x32xf32> {moire.param = @e}, %h: tensor<32x64xf32> {moire.param = @h},
                %r: tensor<32x4xf32> {moire.param = @r}) -> (tensor<3x5x64xf32>, tensor<3x5x4xf32>) {
  // CHECK: %[[X:.*]] = moire.lookup
  // CHECK-NEXT: %[[Y:.*]] = moire.scale %[[X]] by 1.000000e+01
  // CHECK-NEXT: %[[Z:.*]] = moire.scale %[[Y]] by 5.000000e-02
  // CHECK-NEXT: moire.linear %[[Z]], %{{.*}} -> tensor<3x5x64xf32>
  // CHECK-NEXT: %[[R:.*]] = moire.linear %[[Y]]
  // CHECK-NEXT: return %{{.*}}, %[[R]]
  %x = moire.lookup %t, %e : (tensor<3x5xi32>, tensor<64x32xf32>) -> tensor<3x5x32xf32>
  %l = moire.linear %x, %h : (tensor<3x5x32xf32>, tensor<32x64xf32>) -> tensor<3x5x64xf32>
  %s = moire.linear %x, %r : (tensor<3x5x32xf32>, tensor<32x4xf32>) -> tensor<3x5x4xf32>
  return %l, %s : tensor<3x5x64xf32>, tensor<3x5x4xf32>
}

// -----

// A hidden router; experts; at its base's own width a parameter stays as it is.
// CHECK: moire.param @r : tensor<32x4xf32> role router init normal {decay_factor = 2.000000e+00 : f64, init_a = 1.000000e-01 : f64, lr_factor = 5.000000e-01 : f64, paths
moire.param @r : tensor<32x4xf32> role router init normal {init_a = 0.1, paths = ["r"], stack = 0 : i64}
// CHECK: moire.param @x : tensor<4x32x8xf32> role expert init normal {decay_factor = 2.000000e+00 : f64, init_a = 1.000000e-01 : f64, lr_factor = 5.000000e-01 : f64, paths
moire.param @x : tensor<4x32x8xf32> role expert init normal {init_a = 0.1, paths = ["x"], stack = 0 : i64}
// CHECK: moire.param @same : tensor<8x4xf32> role ffn init normal {init_a = 1.000000e-01 : f64, paths = ["same"], stack = 0 : i64}
moire.param @same : tensor<8x4xf32> role ffn init normal {init_a = 0.1, paths = ["same"], stack = 0 : i64}
moire.mup input 1.0 output 1.0 router hidden base {r = array<i64: 16, 4>, x = array<i64: 4, 16, 4>, same = array<i64: 8, 4>}
moire.rate role router start 2.0 end 2.0
// CHECK-NOT: moire.scale
func.func @eval(%x: tensor<6x32xf32>, %o: tensor<5xi32>, %r: tensor<32x4xf32> {moire.param = @r},
                %w: tensor<4x32x8xf32> {moire.param = @x}, %v: tensor<8x4xf32> {moire.param = @same}) -> (tensor<6x4xf32>, tensor<6x4xf32>) {
  %l = moire.linear %x, %r : (tensor<6x32xf32>, tensor<32x4xf32>) -> tensor<6x4xf32>
  %y = moire.grouped_linear %x, %w, %o : (tensor<6x32xf32>, tensor<4x32x8xf32>, tensor<5xi32>) -> tensor<6x8xf32>
  %z = moire.linear %y, %v : (tensor<6x8xf32>, tensor<8x4xf32>) -> tensor<6x4xf32>
  return %l, %z : tensor<6x4xf32>, tensor<6x4xf32>
}
