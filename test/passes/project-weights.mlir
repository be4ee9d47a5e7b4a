// Weights composed of a frozen source, projections and an auxiliary part.
// RUN: moire-opt %s --split-input-file --moire-project-weights --verify-diagnostics --remarks-filter=moire-project-weights | FileCheck %s

// A side that keeps its size has no projection; vectors and weights of the same size stay as they are. What is frozen
// has neither rate nor decay. The attribute is gone afterwards.
// CHECK: module {
// CHECK: moire.param @up.source : tensor<8x6xf32> role ffn init normal {decay_factor = 0.000000e+00 : f64, init_a = 1.000000e-01 : f64, lr_factor = 0.000000e+00 : f64, paths = ["up.source"]
// CHECK: moire.param @up.in : tensor<4x8xf32> role ffn init normal {init_a = 0.353{{[0-9]*}} : f64, paths = ["up.in"]
// CHECK-NOT: @up.out
// CHECK: moire.param @up.aux : tensor<4x6xf32> role ffn init normal {init_a = 1.000000e-01 : f64, paths = ["up.aux"]
// CHECK: moire.param @norm : tensor<4xf32>
// CHECK: moire.param @same : tensor<6x6xf32>
// CHECK-LABEL: func.func @f
// CHECK-SAME: %[[X:.*]]: tensor<2x4xf32>, %[[W:.*]]: tensor<8x6xf32> {moire.param = @up.source}, %[[IN:.*]]: tensor<4x8xf32> {moire.param = @up.in}, %[[AUX:.*]]: tensor<4x6xf32> {moire.param = @up.aux}, %{{.*}}: tensor<4xf32> {moire.param = @norm}, %[[SAME:.*]]: tensor<6x6xf32>
// CHECK: %[[P:.*]] = moire.linear %[[IN]], %[[W]]
// CHECK: %[[SUM:.*]] = moire.binary add %[[P]], %[[AUX]]
// CHECK: %[[Y:.*]] = moire.linear %[[X]], %[[SUM]]
// CHECK: moire.linear %[[Y]], %[[SAME]]
module attributes {moire.source_shapes = {up = array<i64: 8, 6>, norm = array<i64: 8>, same = array<i64: 6, 6>}} {
  // expected-remark @below {{`up` is projected from 8 x 6 to 4 x 6}}
  moire.param @up : tensor<4x6xf32> role ffn init normal {init_a = 0.1 : f64, paths = ["up"], stack = 0 : i64}
  moire.param @norm : tensor<4xf32> role norm init constant {init_a = 1.0 : f64, paths = ["norm"], stack = 0 : i64}
  moire.param @same : tensor<6x6xf32> role ffn init normal {init_a = 0.1 : f64, paths = ["same"], stack = 0 : i64}
  func.func @f(%x: tensor<2x4xf32>, %w: tensor<4x6xf32> {moire.param = @up}, %n: tensor<4xf32> {moire.param = @norm}, %s: tensor<6x6xf32> {moire.param = @same}) -> tensor<2x6xf32> {
    %y = moire.linear %x, %w : (tensor<2x4xf32>, tensor<4x6xf32>) -> tensor<2x6xf32>
    %z = moire.linear %y, %s : (tensor<2x6xf32>, tensor<6x6xf32>) -> tensor<2x6xf32>
    return %z : tensor<2x6xf32>
  }
}

// -----

// In a loop a weight is composed once for each iteration, of slices of its parts; products read what they read before,
// the sum is of full precision. Both sides shrink: the cheaper order.
// CHECK: moire.param @"l.#.w.source" : tensor<3x8x16xf32> role ffn init normal {compute
// CHECK: moire.param @"l.#.w.in" : tensor<3x4x8xf32> role ffn init normal {compute
// CHECK-SAME: paths = ["l.0.w.in", "l.1.w.in", "l.2.w.in"], stack = 1
// CHECK: moire.param @"l.#.w.out" : tensor<3x16x4xf32> role ffn init normal {compute
// CHECK: moire.param @"l.#.w.aux" : tensor<3x4x4xf32> role ffn init normal {paths
// CHECK: moire.repeat 3 carried(%[[X:.*]] = %{{.*}}) slices(%[[AUX:.*]] = %{{.*}} : tensor<3x4x4xf32>, %[[W:.*]] = %{{.*}} : tensor<3x8x16xbf16>, %[[IN:.*]] = %{{.*}} : tensor<3x4x8xbf16>, %[[OUT:.*]] = %{{.*}} : tensor<3x16x4xbf16>)
// CHECK: %[[T:.*]] = moire.linear %[[W]], %[[OUT]] : {{.*}} -> tensor<8x4xbf16>
// CHECK: %[[P:.*]] = moire.linear %[[IN]], %[[T]] : {{.*}} -> tensor<4x4xf32>
// CHECK: %[[S:.*]] = moire.binary add %[[P]], %[[AUX]]
// CHECK: %[[C:.*]] = moire.cast %[[S]] : tensor<4x4xf32> to tensor<4x4xbf16>
// CHECK: moire.linear %[[X]], %[[C]]
module attributes {moire.source_shapes = {"l.#.w" = array<i64: 8, 16>}} {
  // expected-remark @below {{`l.#.w` is projected from 8 x 16 to 4 x 4}}
  moire.param @"l.#.w" : tensor<3x4x4xf32> role ffn init normal {compute, paths = ["l.0.w", "l.1.w", "l.2.w"], stack = 1 : i64}
  func.func @f(%x: tensor<2x4xbf16>, %w: tensor<3x4x4xbf16> {moire.param = @"l.#.w"}) -> tensor<2x4xbf16> {
    %y = moire.repeat 3 carried(%c = %x : tensor<2x4xbf16>) slices(%s = %w : tensor<3x4x4xbf16>) -> (tensor<2x4xbf16>) {
      %z = moire.linear %c, %s : (tensor<2x4xbf16>, tensor<4x4xbf16>) -> tensor<2x4xbf16>
      moire.yield %z : tensor<2x4xbf16>
    }
    return %y : tensor<2x4xbf16>
  }
}

// -----

// Columns of two kinds have projections of their own, one below the other.
// CHECK: moire.param @w.in : tensor<4x3xf32>
// CHECK: moire.param @w.out : tensor<8x2xf32>
// CHECK: %[[W:[a-z0-9]*]]: tensor<3x8xf32> {moire.param = @w.source}, %[[IN:.*]]: tensor<4x3xf32> {moire.param = @w.in}, %[[OUT:.*]]: tensor<8x2xf32> {moire.param = @w.out}, %[[AUX:.*]]: tensor<2x4xf32> {moire.param = @w.aux}
// CHECK-DAG: %[[W0:.*]] = moire.slice %[[W]] dim 1 at 0 : tensor<3x8xf32> to tensor<3x4xf32>
// CHECK-DAG: %[[IN0:.*]] = moire.slice %[[IN]] dim 0 at 0 : tensor<4x3xf32> to tensor<2x3xf32>
// CHECK-DAG: %[[OUT0:.*]] = moire.slice %[[OUT]] dim 0 at 0 : tensor<8x2xf32> to tensor<4x2xf32>
// CHECK: %[[T0:.*]] = moire.linear %[[W0]], %[[OUT0]]
// CHECK: %[[P0:.*]] = moire.linear %[[IN0]], %[[T0]]
// CHECK: moire.slice %[[W]] dim 1 at 4
// CHECK: moire.slice %[[IN]] dim 0 at 2
// CHECK: moire.slice %[[OUT]] dim 0 at 4
// CHECK: %[[ALL:.*]] = moire.concat %[[P0]], %{{.*}} dim 1
// CHECK: moire.binary add %[[ALL]], %[[AUX]]
module attributes {moire.source_shapes = {w = array<i64: 3, 8>}} {
  // expected-remark @below {{`w` is projected from 3 x 8 to 2 x 4}}
  moire.param @w : tensor<2x4xf32> role ffn init normal {moire.pieces = array<i64: 2, 2>, paths = ["w"], stack = 0 : i64}
  func.func @f(%x: tensor<5x2xf32>, %w: tensor<2x4xf32> {moire.param = @w}) -> tensor<5x4xf32> {
    %y = moire.linear %x, %w : (tensor<5x2xf32>, tensor<2x4xf32>) -> tensor<5x4xf32>
    return %y : tensor<5x4xf32>
  }
}

// -----

// Experts are composed one by one: products over groups of as many rows.
// CHECK: %[[O:.*]] = moire.even_offsets rows 3 : tensor<3xi32>
// CHECK: %[[ROWS:.*]] = moire.reshape %{{.*}} : tensor<2x3x4xf32> to tensor<6x4xf32>
// CHECK: %[[T:.*]] = moire.grouped_linear %[[ROWS]], %{{.*}}, %[[O]] : (tensor<6x4xf32>, tensor<2x4x5xf32>, tensor<3xi32>) -> tensor<6x5xf32>
// CHECK: moire.reshape %[[T]] : tensor<6x5xf32> to tensor<2x3x5xf32>
module attributes {moire.source_shapes = {w = array<i64: 2, 4, 5>}} {
  // expected-remark @below {{`w` is projected from 2 x 4 x 5 to 2 x 3 x 5}}
  moire.param @w : tensor<2x3x5xf32> role expert init normal {paths = ["w"], stack = 0 : i64}
  func.func @f(%x: tensor<5x3xf32>, %offsets: tensor<3xi32>, %w: tensor<2x3x5xf32> {moire.param = @w}) -> tensor<5x5xf32> {
    %y = moire.grouped_linear %x, %w, %offsets : (tensor<5x3xf32>, tensor<2x3x5xf32>, tensor<3xi32>) -> tensor<5x5xf32>
    return %y : tensor<5x5xf32>
  }
}

// -----

// Four tokens look ten rows up: they are projected, not the table. Twelve do not, nor does one who reads it otherwise.
// CHECK-LABEL: func.func @few
// CHECK-SAME: %[[T:.*]]: tensor<4xi32>, %[[W:.*]]: tensor<10x6xf32> {{.*}}, %[[OUT:.*]]: tensor<6x3xf32> {{.*}}, %[[AUX:.*]]: tensor<10x3xf32>
// CHECK-NEXT: %[[L:.*]] = moire.lookup %[[T]], %[[W]]
// CHECK-NEXT: %[[P:.*]] = moire.linear %[[L]], %[[OUT]]
// CHECK-NEXT: %[[A:.*]] = moire.lookup %[[T]], %[[AUX]]
// CHECK-NEXT: moire.binary add %[[P]], %[[A]]
// CHECK-LABEL: func.func @many
// CHECK-NEXT: %[[P:.*]] = moire.linear %{{.*}} : (tensor<10x6xf32>, tensor<6x3xf32>) -> tensor<10x3xf32>
// CHECK-NEXT: %[[S:.*]] = moire.binary add %[[P]]
// CHECK-NEXT: moire.lookup %{{.*}}, %[[S]]
// CHECK-LABEL: func.func @tied
// CHECK-NEXT: moire.linear %{{.*}} : (tensor<10x6xf32>, tensor<6x3xf32>) -> tensor<10x3xf32>
module attributes {moire.source_shapes = {w = array<i64: 10, 6>}} {
  // expected-remark @below {{`w` is projected from 10 x 6 to 10 x 3}}
  moire.param @w : tensor<10x3xf32> role embedding init normal {paths = ["w"], stack = 0 : i64}
  func.func @few(%t: tensor<4xi32>, %w: tensor<10x3xf32> {moire.param = @w}) -> tensor<4x3xf32> {
    %y = moire.lookup %t, %w : (tensor<4xi32>, tensor<10x3xf32>) -> tensor<4x3xf32>
    return %y : tensor<4x3xf32>
  }
  func.func @many(%t: tensor<12xi32>, %w: tensor<10x3xf32> {moire.param = @w}) -> tensor<12x3xf32> {
    %y = moire.lookup %t, %w : (tensor<12xi32>, tensor<10x3xf32>) -> tensor<12x3xf32>
    return %y : tensor<12x3xf32>
  }
  func.func @tied(%t: tensor<4xi32>, %w: tensor<10x3xf32> {moire.param = @w}) -> tensor<4x10xf32> {
    %y = moire.lookup %t, %w : (tensor<4xi32>, tensor<10x3xf32>) -> tensor<4x3xf32>
    %z = moire.linear %y, %w transpose : (tensor<4x3xf32>, tensor<10x3xf32>) -> tensor<4x10xf32>
    return %z : tensor<4x10xf32>
  }
}
