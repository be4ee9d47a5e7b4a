// Row ops on whole tensors and on single rows parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%x: tensor<2x3x8xbf16>, %weight: tensor<8xf32>, %row: tensor<8xf64>, %wide: tensor<8xf64>) {
  // CHECK: moire.rms_norm %arg0, %arg1 eps 1.000000e-05
  %y, %rstd = moire.rms_norm %x, %weight eps 1.000000e-05 : (tensor<2x3x8xbf16>, tensor<8xf32>) -> (tensor<2x3x8xbf16>, tensor<2x3xf32>)
  // CHECK: moire.rms_norm %arg2, %arg3
  %r, %one = moire.rms_norm %row, %wide eps 1.000000e-05 : (tensor<8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<f64>)
  return
}

// CHECK-LABEL: func.func @rms_norm_grad
func.func @rms_norm_grad(%dy: tensor<2x3x8xf32>, %x: tensor<2x3x8xf32>, %weight: tensor<8xf32>, %rstd: tensor<2x3xf32>,
                         %row: tensor<8xf32>, %one: tensor<f32>) {
  // CHECK: moire.rms_norm_grad %arg0, %arg1, %arg2, %arg3
  %dx, %dweight = moire.rms_norm_grad %dy, %x, %weight, %rstd : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<8xf32>, tensor<2x3xf32>) -> (tensor<2x3x8xf32>, tensor<8xf32>)
  // CHECK: moire.rms_norm_grad %arg4, %arg4, %arg2, %arg5
  %dr, %dw = moire.rms_norm_grad %row, %row, %weight, %one : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @layer_norm
func.func @layer_norm(%x: tensor<6x8xf32>, %weight: tensor<8xf32>, %bias: tensor<8xf32>, %row: tensor<8xf32>) {
  // CHECK: moire.layer_norm %arg0, %arg1, %arg2 eps 1.000000e-05
  %y, %mean, %rstd = moire.layer_norm %x, %weight, %bias eps 1.000000e-05 : (tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<6xf32>, tensor<6xf32>)
  // CHECK: moire.layer_norm %arg3, %arg1, %arg2
  %r, %m, %s = moire.layer_norm %row, %weight, %bias eps 1.000000e-05 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<8xf32>, tensor<f32>, tensor<f32>)
  return
}

// CHECK-LABEL: func.func @layer_norm_grad
func.func @layer_norm_grad(%dy: tensor<6x8xf32>, %x: tensor<6x8xf32>, %weight: tensor<8xf32>, %mean: tensor<6xf32>, %rstd: tensor<6xf32>) {
  // CHECK: moire.layer_norm_grad %arg0, %arg1, %arg2, %arg3, %arg4
  %dx, %dweight, %dbias = moire.layer_norm_grad %dy, %x, %weight, %mean, %rstd : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>, tensor<6xf32>) -> (tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @lookup
func.func @lookup(%index: tensor<2x3xi32>, %table: tensor<16x8xbf16>, %one: tensor<i32>) {
  // CHECK: moire.lookup %arg0, %arg1
  %y = moire.lookup %index, %table : (tensor<2x3xi32>, tensor<16x8xbf16>) -> tensor<2x3x8xbf16>
  // CHECK: moire.lookup %arg2, %arg1
  %r = moire.lookup %one, %table : (tensor<i32>, tensor<16x8xbf16>) -> tensor<8xbf16>
  return
}

// CHECK-LABEL: func.func @lookup_grad
func.func @lookup_grad(%index: tensor<2x3xi32>, %dy: tensor<2x3x8xbf16>) {
  // CHECK: moire.lookup_grad %arg0, %arg1
  %dtable = moire.lookup_grad %index, %dy : (tensor<2x3xi32>, tensor<2x3x8xbf16>) -> tensor<16x8xf32>
  return
}

// CHECK-LABEL: func.func @rotary_table
func.func @rotary_table() {
  // CHECK: moire.rotary_table 1.000000e+04
  %cos, %sin = moire.rotary_table 1.000000e+04 : tensor<64x4xf32>, tensor<64x4xf32>
  // CHECK: moire.rotary_table 1.000000e+04 scaling yarn factor 4.000000e+00 original 16 :
  %c, %s = moire.rotary_table 1.000000e+04 scaling yarn factor 4.000000e+00 original 16 : tensor<64x4xf32>, tensor<64x4xf32>
  // CHECK: moire.rotary_table 1.500000e+05 scaling yarn factor 3.200000e+01 original 4096 fast 1.600000e+01 slow 2.000000e+00 exact :
  %a, %b = moire.rotary_table 1.500000e+05 scaling yarn factor 3.200000e+01 original 4096 fast 16.0 slow 2.0 exact : tensor<64x4xf32>, tensor<64x4xf32>
  return
}

// CHECK-LABEL: func.func @tile
func.func @tile(%x: tensor<2x3x4xbf16>) {
  // CHECK: moire.tile %arg0 by 3 : (tensor<2x3x4xbf16>) -> tensor<2x3x12xbf16>
  %y = moire.tile %x by 3 : (tensor<2x3x4xbf16>) -> tensor<2x3x12xbf16>
  return
}

// CHECK-LABEL: func.func @fold
func.func @fold(%x: tensor<2x3x12xbf16>) {
  // CHECK: moire.fold %arg0 by 3 : (tensor<2x3x12xbf16>) -> tensor<2x3x4xbf16>
  %y = moire.fold %x by 3 : (tensor<2x3x12xbf16>) -> tensor<2x3x4xbf16>
  return
}

// CHECK-LABEL: func.func @rope
func.func @rope(%x: tensor<2x64x3x8xbf16>, %cos: tensor<64x4xf32>, %sin: tensor<64x4xf32>, %row: tensor<8xbf16>,
                %c: tensor<4xf32>, %s: tensor<4xf32>) {
  // CHECK: moire.rope %arg0, %arg1, %arg2
  %y = moire.rope %x, %cos, %sin : (tensor<2x64x3x8xbf16>, tensor<64x4xf32>, tensor<64x4xf32>) -> tensor<2x64x3x8xbf16>
  // CHECK: moire.rope %arg3, %arg4, %arg5 inverse
  %r = moire.rope %row, %c, %s inverse : (tensor<8xbf16>, tensor<4xf32>, tensor<4xf32>) -> tensor<8xbf16>
  return
}

// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<6x8xf32>) {
  // CHECK: moire.softmax %arg0
  %y = moire.softmax %x : tensor<6x8xf32>
  return
}

// CHECK-LABEL: func.func @softmax_grad
func.func @softmax_grad(%y: tensor<6x8xf32>, %dy: tensor<6x8xf32>) {
  // CHECK: moire.softmax_grad %arg0, %arg1
  %dx = moire.softmax_grad %y, %dy : tensor<6x8xf32>
  return
}

// CHECK-LABEL: func.func @cross_entropy
func.func @cross_entropy(%logits: tensor<2x3x16xf32>, %targets: tensor<2x3xi32>, %row: tensor<16xf32>, %one: tensor<i32>) {
  // CHECK: moire.cross_entropy %arg0, %arg1
  %nll, %lse = moire.cross_entropy %logits, %targets : (tensor<2x3x16xf32>, tensor<2x3xi32>) -> (tensor<2x3xf32>, tensor<2x3xf32>)
  // CHECK: moire.cross_entropy %arg2, %arg3
  %n, %l = moire.cross_entropy %row, %one : (tensor<16xf32>, tensor<i32>) -> (tensor<f32>, tensor<f32>)
  return
}

// CHECK-LABEL: func.func @cross_entropy_grad
func.func @cross_entropy_grad(%logits: tensor<6x16xf32>, %targets: tensor<6xi32>, %lse: tensor<6xf32>, %dnll: tensor<6xf32>) {
  // CHECK: moire.cross_entropy_grad %arg0, %arg1, %arg2, %arg3
  %dlogits = moire.cross_entropy_grad %logits, %targets, %lse, %dnll : (tensor<6x16xf32>, tensor<6xi32>, tensor<6xf32>, tensor<6xf32>) -> tensor<6x16xbf16>
  return
}

// CHECK-LABEL: func.func @z_loss
func.func @z_loss(%logits: tensor<6x8xf32>) {
  // CHECK: moire.z_loss %arg0 coefficient 1.000000e-03 tokens 6
  %loss, %lse = moire.z_loss %logits coefficient 1.000000e-03 tokens 6 : (tensor<6x8xf32>) -> (tensor<6xf32>, tensor<6xf32>)
  return
}

// CHECK-LABEL: func.func @z_loss_grad
func.func @z_loss_grad(%logits: tensor<6x8xf32>, %lse: tensor<6xf32>, %dloss: tensor<6xf32>) {
  // CHECK: moire.z_loss_grad %arg0, %arg1, %arg2 coefficient 1.000000e-03 tokens 6
  %dlogits = moire.z_loss_grad %logits, %lse, %dloss coefficient 1.000000e-03 tokens 6 : (tensor<6x8xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<6x8xf32>
  return
}

// CHECK-LABEL: func.func @count_targets
func.func @count_targets(%targets: tensor<2x3xi32>) {
  // CHECK: moire.count_targets %arg0
  %y = moire.count_targets %targets : (tensor<2x3xi32>) -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @scale_rows
func.func @scale_rows(%x: tensor<12x4xbf16>, %s: tensor<12xf32>, %row: tensor<4xbf16>, %one: tensor<f32>) {
  // CHECK: moire.scale_rows %arg0, %arg1
  %y = moire.scale_rows %x, %s : (tensor<12x4xbf16>, tensor<12xf32>) -> tensor<12x4xbf16>
  // CHECK: moire.scale_rows %arg2, %arg3
  %r = moire.scale_rows %row, %one : (tensor<4xbf16>, tensor<f32>) -> tensor<4xbf16>
  return
}

// CHECK-LABEL: func.func @dot_rows
func.func @dot_rows(%a: tensor<12x4xbf16>, %b: tensor<12x4xbf16>) {
  // CHECK: moire.dot_rows %arg0, %arg1
  %y = moire.dot_rows %a, %b : (tensor<12x4xbf16>, tensor<12x4xbf16>) -> tensor<12xf32>
  return
}
