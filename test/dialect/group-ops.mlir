// Ops on groups of sequences parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @group_softmax
func.func @group_softmax(%x: tensor<4x3x5xf32>) {
  // CHECK: moire.group_softmax %arg0 group 2
  %y = moire.group_softmax %x group 2 : (tensor<4x3x5xf32>) -> tensor<4x3x5xf32>
  return
}

// CHECK-LABEL: func.func @group_softmax_grad
func.func @group_softmax_grad(%y: tensor<4x3x5xf32>, %dy: tensor<4x3x5xf32>) {
  // CHECK: moire.group_softmax_grad %arg0, %arg1 group 2
  %dx = moire.group_softmax_grad %y, %dy group 2 : (tensor<4x3x5xf32>, tensor<4x3x5xf32>) -> tensor<4x3x5xf32>
  return
}

// CHECK-LABEL: func.func @mix
func.func @mix(%weights: tensor<4x3x5xf32>, %x: tensor<4x3x8xbf16>) {
  // CHECK: moire.mix %arg0, %arg1 group 2
  %m = moire.mix %weights, %x group 2 : (tensor<4x3x5xf32>, tensor<4x3x8xbf16>) -> tensor<30x8xbf16>
  return
}

// CHECK-LABEL: func.func @unmix
func.func @unmix(%weights: tensor<4x3x5xf32>, %m: tensor<30x8xbf16>) {
  // CHECK: moire.unmix %arg0, %arg1 group 2
  %x = moire.unmix %weights, %m group 2 : (tensor<4x3x5xf32>, tensor<30x8xbf16>) -> tensor<4x3x8xbf16>
  return
}

// CHECK-LABEL: func.func @mix_grad_weights
func.func @mix_grad_weights(%x: tensor<4x3x8xbf16>, %m: tensor<30x8xbf16>) {
  // CHECK: moire.mix_grad_weights %arg0, %arg1 group 2
  %dweights = moire.mix_grad_weights %x, %m group 2 : (tensor<4x3x8xbf16>, tensor<30x8xbf16>) -> tensor<4x3x5xf32>
  return
}

// CHECK-LABEL: func.func @choose_tokens
func.func @choose_tokens(%scores: tensor<4x3x5xf32>) {
  // CHECK: moire.choose_tokens %arg0 group 4 count 2
  %offsets, %rows, %position = moire.choose_tokens %scores group 4 count 2 : (tensor<4x3x5xf32>) -> (tensor<6xi32>, tensor<30xi32>, tensor<4x3x5xi32>)
  return
}

// CHECK-LABEL: func.func @even_offsets
func.func @even_offsets() {
  // CHECK: moire.even_offsets rows 6
  %offsets = moire.even_offsets rows 6 : tensor<6xi32>
  return
}
