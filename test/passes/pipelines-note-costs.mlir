// Operations are summed over the ops of a function, loops as often as they run; experts count as far as a token meets them.
// RUN: moire-opt %s --moire-note-costs | FileCheck %s

// CHECK: moire.param @w {{.*}}moire.active_elements = 96 : i64
moire.param @w : tensor<2x4x3x8xf32> role expert init normal {stack = 1 : i64, paths = ["0.w", "1.w"]}

// Two iterations of 2 * 6 * 3 * 8 operations: six rows, of which each of the three tokens makes two. 2 of 4 experts are met.
// CHECK-LABEL: func.func @train
// CHECK-SAME: moire.forward_flops = 5.760000e+02 : f64
func.func @train(%tokens: tensor<1x3xi32>, %x: tensor<6x3xf32>, %offsets: tensor<5xi32>, %w: tensor<2x4x3x8xf32> {moire.param = @w})
    -> (tensor<f32> {moire.objective}) {
  %f = moire.fill 0.0 : tensor<f32>
  %r = moire.repeat 2 slices(%s = %w : tensor<2x4x3x8xf32>) -> (tensor<2x6x8xf32>) {
    %y = moire.grouped_linear %x, %s, %offsets : (tensor<6x3xf32>, tensor<4x3x8xf32>, tensor<5xi32>) -> tensor<6x8xf32>
    moire.yield %y : tensor<6x8xf32>
  }
  return %f : tensor<f32>
}
