// Pointwise ops, shapes and parameters parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK: moire.param @w : tensor<2x4x8xf32> role ffn init truncated_normal
// CHECK-SAME: compute
// CHECK-SAME: init_a = 2.000000e-02
// CHECK-SAME: paths = ["layers.0.ffn.w", "layers.1.ffn.w"]
moire.param @w : tensor<2x4x8xf32> role ffn init truncated_normal {compute, init_a = 0.02, paths = ["layers.0.ffn.w", "layers.1.ffn.w"], stack = 1 : i64}

// CHECK-LABEL: func.func @unary
func.func @unary(%x: tensor<2x4xbf16>, %row: tensor<4xf32>, %number: tensor<f64>) {
  // CHECK: moire.unary silu %arg0
  %y = moire.unary silu %x : tensor<2x4xbf16>
  // CHECK: moire.unary gelu %arg1
  %r = moire.unary gelu %row : tensor<4xf32>
  // CHECK: moire.unary softplus %arg2
  %n = moire.unary softplus %number : tensor<f64>
  return
}

// CHECK-LABEL: func.func @unary_grad
func.func @unary_grad(%x: tensor<2x4xf32>, %dy: tensor<2x4xf32>) {
  // CHECK: moire.unary_grad relu2 %arg0, %arg1
  %dx = moire.unary_grad relu2 %x, %dy : tensor<2x4xf32>
  return
}

// CHECK-LABEL: func.func @binary
func.func @binary(%a: tensor<2x4xbf16>, %bias: tensor<4xf32>, %number: tensor<bf16>) {
  // CHECK: moire.binary add %arg0, %arg1
  %y = moire.binary add %a, %bias : (tensor<2x4xbf16>, tensor<4xf32>) -> tensor<2x4xbf16>
  // CHECK: moire.binary mul %arg0, %arg2
  %z = moire.binary mul %a, %number : (tensor<2x4xbf16>, tensor<bf16>) -> tensor<2x4xbf16>
  // CHECK: moire.binary sub %arg0, %arg0
  %d = moire.binary sub %a, %a : (tensor<2x4xbf16>, tensor<2x4xbf16>) -> tensor<2x4xbf16>
  return
}

// CHECK-LABEL: func.func @scale
func.func @scale(%x: tensor<2x4xf32>) {
  // CHECK: moire.scale %arg0 by 5.000000e-01
  %y = moire.scale %x by 5.000000e-01 : tensor<2x4xf32>
  return
}

// CHECK-LABEL: func.func @cast
func.func @cast(%x: tensor<2x4xf32>) {
  // CHECK: moire.cast %arg0 : tensor<2x4xf32> to tensor<2x4xbf16>
  %y = moire.cast %x : tensor<2x4xf32> to tensor<2x4xbf16>
  return
}

// CHECK-LABEL: func.func @broadcast
func.func @broadcast(%x: tensor<4xf32>) {
  // CHECK: moire.broadcast %arg0 : tensor<4xf32> to tensor<2x3x4xf32>
  %y = moire.broadcast %x : tensor<4xf32> to tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: func.func @reduce_leading
func.func @reduce_leading(%x: tensor<2x3x4xbf16>, %row: tensor<4xbf16>) {
  // CHECK: moire.reduce_leading %arg0 : tensor<2x3x4xbf16> to tensor<4xf32>
  %y = moire.reduce_leading %x : tensor<2x3x4xbf16> to tensor<4xf32>
  // CHECK: moire.reduce_leading %arg1 : tensor<4xbf16> to tensor<4xf32>
  %r = moire.reduce_leading %row : tensor<4xbf16> to tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @fill
func.func @fill() {
  // CHECK: moire.fill 1.000000e+00 : tensor<4xf32>
  %y = moire.fill 1.000000e+00 : tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @reshape
func.func @reshape(%x: tensor<2x3x8xf32>, %tokens: tensor<2x3xi32>) {
  // CHECK: moire.reshape %arg0 : tensor<2x3x8xf32> to tensor<2x3x2x4xf32>
  %y = moire.reshape %x : tensor<2x3x8xf32> to tensor<2x3x2x4xf32>
  // CHECK: moire.reshape %arg1 : tensor<2x3xi32> to tensor<6xi32>
  %t = moire.reshape %tokens : tensor<2x3xi32> to tensor<6xi32>
  return
}

// CHECK-LABEL: func.func @slice
func.func @slice(%x: tensor<2x8xf32>) {
  // CHECK: moire.slice %arg0 dim 1 at 4
  %y = moire.slice %x dim 1 at 4 : tensor<2x8xf32> to tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @concat
func.func @concat(%a: tensor<2x3xf32>, %b: tensor<2x5xf32>) {
  // CHECK: moire.concat %arg0, %arg1 dim 1
  %y = moire.concat %a, %b dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  return
}

// CHECK-LABEL: func.func @dynamic_slice
func.func @dynamic_slice(%table: tensor<64x4xf32>, %position: tensor<i32>) {
  // CHECK: moire.dynamic_slice %arg0, %arg1
  %y = moire.dynamic_slice %table, %position : (tensor<64x4xf32>, tensor<i32>) -> tensor<8x4xf32>
  return
}

// CHECK-LABEL: func.func @clamp
func.func @clamp(%x: tensor<2x4xbf16>) {
  // CHECK: moire.clamp %arg0 from -7.000000e+00 to 7.000000e+00 : tensor<2x4xbf16>
  %y = moire.clamp %x from -7.000000e+00 to 7.000000e+00 : tensor<2x4xbf16>
  return
}

// CHECK-LABEL: func.func @clamp_grad
func.func @clamp_grad(%x: tensor<2x4xf32>, %dy: tensor<2x4xf32>) {
  // CHECK: moire.clamp_grad %arg0, %arg1 to 7.000000e+00 : tensor<2x4xf32>
  %dx = moire.clamp_grad %x, %dy to 7.000000e+00 : tensor<2x4xf32>
  return
}
