// The reverse rule of each family, where types or forms are a matter of choice. Values are checked by test/numerics.
// RUN: moire-opt %s --moire-autodiff | FileCheck %s

// Full-precision logits of narrow operands: their cotangent is rounded once, the bias keeps it.
// CHECK-LABEL: func.func @logits
func.func @logits(%x: tensor<2x4xbf16> {moire.differentiate}, %w: tensor<4x8xbf16> {moire.differentiate},
                  %b: tensor<8xf32> {moire.differentiate}, %t: tensor<2xi32>) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[G:.*]] = moire.cross_entropy_grad
  // CHECK: %[[DB:.*]] = moire.reduce_leading %[[G]] : tensor<2x8xf32> to tensor<8xf32>
  // CHECK: %[[N:.*]] = moire.cast %[[G]] : tensor<2x8xf32> to tensor<2x8xbf16>
  // CHECK: moire.linear %[[N]], %{{.*}} transpose : (tensor<2x8xbf16>, tensor<4x8xbf16>) -> tensor<2x4xbf16>
  // CHECK: moire.linear_grad_weight %{{.*}}, %[[N]] : {{.*}} -> tensor<4x8xf32>
  %y = moire.linear %x, %w bias %b : (tensor<2x4xbf16>, tensor<4x8xbf16>, tensor<8xf32>) -> tensor<2x8xf32>
  %nll, %lse = moire.cross_entropy %y, %t : (tensor<2x8xf32>, tensor<2xi32>) -> (tensor<2xf32>, tensor<2xf32>)
  %l = moire.reduce_leading %nll : tensor<2xf32> to tensor<f32>
  return %l : tensor<f32>
}

// With a transposed matrix the roles in its gradient change.
// CHECK-LABEL: func.func @transposed
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x4xf32>
func.func @transposed(%x: tensor<2x4xf32>, %w: tensor<8x4xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK: moire.linear_grad_weight %{{.*}}, %[[X]] : (tensor<2x8xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
  %y = moire.linear %x, %w transpose : (tensor<2x4xf32>, tensor<8x4xf32>) -> tensor<2x8xf32>
  %l = moire.reduce_leading %y : tensor<2x8xf32> to tensor<f32>
  return %l : tensor<f32>
}

// A product that gathers its rows: sorted gradients first, then a sum per token; the gradient of the matrices gathers.
// CHECK-LABEL: func.func @grouped
func.func @grouped(%x: tensor<2x3x4xf32> {moire.differentiate}, %w: tensor<5x4x8xf32> {moire.differentiate},
                   %o: tensor<6xi32>, %r: tensor<12xi32>, %p: tensor<2x3x2xi32>) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[S:.*]] = moire.grouped_linear %[[DY:[^,]*]], %{{[^,]*}}, %{{[a-z0-9]*}} transpose : {{.*}} -> tensor<12x4xf32>
  // CHECK: moire.gather_rows_grad %[[S]], %{{.*}} -> tensor<2x3x4xf32>
  // CHECK: moire.grouped_linear_grad_weight %{{[^,]*}}, %[[DY]], %{{.*}} x_rows %{{.*}} -> tensor<5x4x8xf32>
  %y = moire.grouped_linear %x, %w, %o rows %r position %p
      : (tensor<2x3x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x8xf32>
  %l = moire.reduce_leading %y : tensor<12x8xf32> to tensor<f32>
  return %l : tensor<f32>
}

// A broadcast operand is summed over the rows, in full precision.
// CHECK-LABEL: func.func @broadcast_operand
func.func @broadcast_operand(%a: tensor<2x4xbf16>, %g: tensor<4xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK-DAG: %[[A:.*]] = moire.cast %arg0 : tensor<2x4xbf16> to tensor<2x4xf32>
  // CHECK: %[[P:.*]] = moire.binary mul %{{.*}}, %[[A]] : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: moire.reduce_leading %[[P]] : tensor<2x4xf32> to tensor<4xf32>
  %y = moire.binary mul %a, %g : (tensor<2x4xbf16>, tensor<4xf32>) -> tensor<2x4xbf16>
  %l = moire.reduce_leading %y : tensor<2x4xbf16> to tensor<f32>
  return %l : tensor<f32>
}

// Statistics of the forward op serve its reverse; nothing of them is computed again.
// CHECK-LABEL: func.func @norm
func.func @norm(%x: tensor<2x4xf32> {moire.differentiate}, %g: tensor<4xf32>) -> (tensor<f32> {moire.objective}) {
  // CHECK: %{{.*}}, %[[RSTD:.*]] = moire.rms_norm
  // CHECK: moire.rms_norm_grad %{{.*}}, %arg0, %arg1, %[[RSTD]]
  %y, %rstd = moire.rms_norm %x, %g eps 1.0e-5 : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2xf32>)
  %e = moire.unary exp %y : tensor<2x4xf32>
  %l = moire.reduce_leading %e : tensor<2x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// Rotation by the negative angle undoes a rotation.
// CHECK-LABEL: func.func @rope
func.func @rope(%x: tensor<1x2x1x4xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK: moire.rope %{{.*}}, %{{.*}}, %{{.*}} inverse
  %cos, %sin = moire.rotary_table 10.0 : tensor<2x2xf32>, tensor<2x2xf32>
  %y = moire.rope %x, %cos, %sin : (tensor<1x2x1x4xf32>, tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<1x2x1x4xf32>
  %l = moire.reduce_leading %y : tensor<1x2x1x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// The choice is constant; of two cotangents of a router only what is there is handed over.
// CHECK-LABEL: func.func @router
func.func @router(%x: tensor<2x4xf32> {moire.differentiate}, %load: tensor<4xf32>) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[DP:.*]] = moire.balance_loss_grad
  // CHECK: moire.route_grad softmax_topk %{{.*}}, %{{.*}}, %{{[a-z0-9#]*}} dprobs %[[DP]] :
  %probs, %weights, %chosen = moire.route softmax_topk %x : (tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x2xf32>, tensor<2x2xi32>)
  %l = moire.balance_loss %probs, %load factor 0.1 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<f32>
  return %l : tensor<f32>
}

// What a valid convolution leaves out in front has a zero cotangent.
// CHECK-LABEL: func.func @valid_convolution
func.func @valid_convolution(%x: tensor<1x5x2xf32> {moire.differentiate}, %w: tensor<3x2xf32>, %b: tensor<2xf32>)
    -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[Z:.*]] = moire.fill 0.0{{.*}} : tensor<1x2x2xf32>
  // CHECK: %[[DY:.*]] = moire.concat %[[Z]], %{{.*}} dim 1
  // CHECK: moire.conv_grad_input %[[DY]]
  %y = moire.conv valid %x, %w, %b : (tensor<1x5x2xf32>, tensor<3x2xf32>, tensor<2xf32>) -> tensor<1x3x2xf32>
  %l = moire.reduce_leading %y : tensor<1x3x2xf32> to tensor<f32>
  return %l : tensor<f32>
}
