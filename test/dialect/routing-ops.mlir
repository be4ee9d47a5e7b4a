// Routing ops parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @route
func.func @route(%logits: tensor<2x3x8xf32>) {
  // CHECK: moire.route softmax_topk %arg0 renormalize
  %probs, %weights, %chosen = moire.route softmax_topk %logits renormalize : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>)
  // CHECK: moire.route topk_softmax %arg0 :
  %p, %w, %c = moire.route topk_softmax %logits : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>)
  return
}

// CHECK-LABEL: func.func @route_grad
func.func @route_grad(%probs: tensor<6x8xf32>, %weights: tensor<6x2xf32>, %chosen: tensor<6x2xi32>, %dweights: tensor<6x2xf32>,
                      %dprobs: tensor<6x8xf32>) {
  // CHECK: moire.route_grad softmax_topk %arg0, %arg1, %arg2 dweights %arg3 dprobs %arg4 :
  %dlogits = moire.route_grad softmax_topk %probs, %weights, %chosen dweights %dweights dprobs %dprobs : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<6x2xf32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  // CHECK: moire.route_grad softmax_topk %arg0, %arg1, %arg2 dprobs %arg4 renormalize :
  %d = moire.route_grad softmax_topk %probs, %weights, %chosen dprobs %dprobs renormalize : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<6x8xf32>) -> tensor<6x8xf32>
  return
}

// CHECK-LABEL: func.func @dispatch
func.func @dispatch(%chosen: tensor<2x3x2xi32>) {
  // CHECK: moire.dispatch %arg0
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x3x2xi32>) -> (tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  return
}

// CHECK-LABEL: func.func @gather_rows
func.func @gather_rows(%x: tensor<2x3x4xbf16>, %rows: tensor<12xi32>, %position: tensor<2x3x2xi32>) {
  // CHECK: moire.gather_rows %arg0, %arg1, %arg2
  %y = moire.gather_rows %x, %rows, %position : (tensor<2x3x4xbf16>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x4xbf16>
  return
}

// CHECK-LABEL: func.func @gather_rows_grad
func.func @gather_rows_grad(%dy: tensor<12x4xf32>, %position: tensor<2x3x2xi32>) {
  // CHECK: moire.gather_rows_grad %arg0, %arg1
  %dx = moire.gather_rows_grad %dy, %position : (tensor<12x4xf32>, tensor<2x3x2xi32>) -> tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: func.func @combine
func.func @combine(%x: tensor<12x4xbf16>, %weights: tensor<2x3x2xf32>, %position: tensor<2x3x2xi32>) {
  // CHECK: moire.combine %arg0, %arg1, %arg2
  %y = moire.combine %x, %weights, %position : (tensor<12x4xbf16>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> tensor<2x3x4xbf16>
  return
}

// CHECK-LABEL: func.func @combine_grad
func.func @combine_grad(%dy: tensor<2x3x4xf32>, %x: tensor<12x4xf32>, %weights: tensor<2x3x2xf32>, %position: tensor<2x3x2xi32>) {
  // CHECK: moire.combine_grad %arg0, %arg1, %arg2, %arg3
  %dx, %dweights = moire.combine_grad %dy, %x, %weights, %position : (tensor<2x3x4xf32>, tensor<12x4xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> (tensor<12x4xf32>, tensor<2x3x2xf32>)
  return
}

// CHECK-LABEL: func.func @expert_load
func.func @expert_load(%offsets: tensor<9xi32>) {
  // CHECK: moire.expert_load %arg0
  %y = moire.expert_load %offsets : (tensor<9xi32>) -> tensor<8xf32>
  return
}

// CHECK-LABEL: func.func @balance_loss
func.func @balance_loss(%probs: tensor<2x3x8xf32>, %load: tensor<8xf32>) {
  // CHECK: moire.balance_loss %arg0, %arg1 factor 1.600000e-01
  %loss = moire.balance_loss %probs, %load factor 1.600000e-01 : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<f32>
  return
}

// CHECK-LABEL: func.func @balance_loss_grad
func.func @balance_loss_grad(%dloss: tensor<f32>, %load: tensor<8xf32>) {
  // CHECK: moire.balance_loss_grad %arg0, %arg1 factor 1.600000e-01
  %dprobs = moire.balance_loss_grad %dloss, %load factor 1.600000e-01 : (tensor<f32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  return
}
