// Blocks that move positions become slices and concatenations along time; by themselves they leave no decoding.
// RUN: moire-opt %s --moire-expand-blocks | FileCheck %s --implicit-check-not=@prefill --implicit-check-not=@decode
// CHECK: moire.param @c.weight : tensor<24x8xf32>
// CHECK: moire.param @c.bias : tensor<8xf32>
// CHECK-LABEL: func.func @train
moire.model @m batch 2 context 4 vocab 4 {
^bb0(%t: tensor<2x4xi32>):
  // CHECK: %[[X:.*]] = moire.lookup
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<2x4xi32>) -> tensor<2x4x8xf32>
  // CHECK: %[[ZERO:.*]] = moire.fill {{.*}} : tensor<2x1x8xf32>
  // CHECK: %[[EARLY:.*]] = moire.slice %[[X]] dim 1 at 0 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
  // CHECK: %[[Y:.*]] = moire.concat %[[ZERO]], %[[EARLY]] dim 1
  %y = moire.shift %x by 1 : tensor<2x4x8xf32>
  // CHECK: %[[S:.*]] = moire.reshape %[[Y]] : tensor<2x4x8xf32> to tensor<2x2x16xf32>
  %s = moire.stack %y by 2 : (tensor<2x4x8xf32>) -> tensor<2x2x16xf32>
  // CHECK: %[[U:.*]] = moire.reshape %[[S]] : tensor<2x2x16xf32> to tensor<2x4x8xf32>
  %u = moire.unstack %s by 2 : (tensor<2x2x16xf32>) -> tensor<2x4x8xf32>
  // Three positions of padding, one of which nobody reads; then pairs of positions: tap one of a pair, taps two and
  // three of the next. No result reads the last position.
  // CHECK: %[[READ:.*]] = moire.slice %[[U]] dim 1 at 0 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
  // CHECK: %[[PADDED:.*]] = moire.concat %{{.*}}, %[[READ]] dim 1 : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x6x8xf32>
  // CHECK: %[[PAIRS:.*]] = moire.reshape %[[PADDED]] : tensor<2x6x8xf32> to tensor<2x3x16xf32>
  // CHECK: %[[FIRST:.*]] = moire.slice %[[PAIRS]] dim 1 at 0 : tensor<2x3x16xf32> to tensor<2x2x16xf32>
  // CHECK: %[[ONE:.*]] = moire.slice %[[FIRST]] dim 2 at 8 : tensor<2x2x16xf32> to tensor<2x2x8xf32>
  // CHECK: %[[NEXT:.*]] = moire.slice %[[PAIRS]] dim 1 at 1 : tensor<2x3x16xf32> to tensor<2x2x16xf32>
  // CHECK: moire.concat %[[ONE]], %[[NEXT]] dim 2 : (tensor<2x2x8xf32>, tensor<2x2x16xf32>) -> tensor<2x2x24xf32>
  %c = moire.conv1d %u path "c" {bias = true, causal = true, kernel = 3 : i64, paths = ["c"], stride = 2 : i64, width = 8 : i64} : (tensor<2x4x8xf32>) -> tensor<2x2x8xf32>
  %z = moire.unstack %c by 2 : (tensor<2x2x8xf32>) -> tensor<2x4x4xf32>
  %l = moire.head %z path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  moire.return %l : tensor<2x4x4xf32>
}
