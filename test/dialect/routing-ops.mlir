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

// CHECK-LABEL: func.func @variants
func.func @variants(%logits: tensor<2x3x8xf32>, %bias: tensor<8xf32>, %given: tensor<2x3x2xi32>) {
  // CHECK: moire.route sigmoid_topk %arg0 bias %arg1 renormalize scale 2.500000e+00 groups 4 best 2 :
  %p, %w, %c = moire.route sigmoid_topk %logits bias %bias renormalize scale 2.5 groups 4 best 2 : (tensor<2x3x8xf32>, tensor<8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>)
  // CHECK: moire.route sqrt_softplus_topk %arg0 assigned %arg2 :
  %q, %v, %d = moire.route sqrt_softplus_topk %logits assigned %given : (tensor<2x3x8xf32>, tensor<2x3x2xi32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>)
  // CHECK: moire.route_grad sigmoid_topk %{{.*}}, %{{.*}}, %{{.*}} logits %arg0 dweights %{{.*}} renormalize scale 2.500000e+00 :
  %g = moire.route_grad sigmoid_topk %p, %w, %c logits %logits dweights %w renormalize scale 2.5 : (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>, tensor<2x3x8xf32>, tensor<2x3x2xf32>) -> tensor<2x3x8xf32>
  // CHECK: moire.dispatch %{{.*}} gates %{{.*}} capacity 3 :
  %o:4 = moire.dispatch %c gates %w capacity 3 : (tensor<2x3x2xi32>, tensor<2x3x2xf32>) -> (tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  // CHECK: moire.dispatch %{{.*}} gates %{{.*}} threshold 6.000000e-02 :
  %t:4 = moire.dispatch %c gates %w threshold 6.0e-2 : (tensor<2x3x2xi32>, tensor<2x3x2xf32>) -> (tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  // CHECK: moire.dispatch %{{.*}} nulls :
  %n:4 = moire.dispatch %c nulls : (tensor<2x3x2xi32>) -> (tensor<7xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  // CHECK: moire.fused_route sigmoid_topk %arg0 bias %arg1 capacity 3 :
  %f:8 = moire.fused_route sigmoid_topk %logits bias %bias capacity 3 : (tensor<2x3x8xf32>, tensor<8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>, tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @assign
func.func @assign(%tokens: tensor<2x3xi32>, %at: tensor<i32>) {
  // CHECK: moire.assign hash %arg0 experts 8
  %chosen = moire.assign hash %tokens experts 8 : (tensor<2x3xi32>) -> tensor<2x3x2xi32>
  // CHECK: moire.assign balanced at %arg1 experts 8
  %c = moire.assign balanced at %at experts 8 : (tensor<i32>) -> tensor<2x3x2xi32>
  // CHECK: moire.assign balanced experts 8
  %d = moire.assign balanced experts 8 : () -> tensor<2x3x2xi32>
  return
}

// CHECK-LABEL: func.func @choice_load
func.func @choice_load(%chosen: tensor<2x3x2xi32>) {
  // CHECK: moire.choice_load %arg0
  %y = moire.choice_load %chosen : (tensor<2x3x2xi32>) -> tensor<2x8xf32>
  return
}

// CHECK-LABEL: func.func @sequence_balance_loss
func.func @sequence_balance_loss(%probs: tensor<2x3x8xf32>, %load: tensor<2x8xf32>) {
  // CHECK: moire.sequence_balance_loss %arg0, %arg1 factor 1.600000e-01
  %loss = moire.sequence_balance_loss %probs, %load factor 1.600000e-01 : (tensor<2x3x8xf32>, tensor<2x8xf32>) -> tensor<f32>
  return
}

// CHECK-LABEL: func.func @sequence_balance_loss_grad
func.func @sequence_balance_loss_grad(%dloss: tensor<f32>, %load: tensor<2x8xf32>) {
  // CHECK: moire.sequence_balance_loss_grad %arg0, %arg1 factor 1.600000e-01
  %dprobs = moire.sequence_balance_loss_grad %dloss, %load factor 1.600000e-01 : (tensor<f32>, tensor<2x8xf32>) -> tensor<2x3x8xf32>
  return
}

// CHECK-LABEL: func.func @grouped_combine
func.func @grouped_combine(%x: tensor<12x4xbf16>, %w: tensor<5x4x8xbf16>, %offsets: tensor<6xi32>, %rows: tensor<12xi32>, %slots: tensor<12xi32>, %weights: tensor<2x3x2xf32>, %position: tensor<2x3x2xi32>) {
  // CHECK: moire.grouped_combine %arg0, %arg1, %arg2 rows %arg3 slots %arg4 weights %arg5 position %arg6
  %y = moire.grouped_combine %x, %w, %offsets rows %rows slots %slots weights %weights position %position : (tensor<12x4xbf16>, tensor<5x4x8xbf16>, tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> tensor<2x3x8xbf16>
  return
}
