// Loops stay loops: what the forward one keeps for the reverse one, and how.
// RUN: moire-opt %s --moire-autodiff=recompute-contraction=0 --split-input-file --verify-diagnostics --remarks-filter=moire-autodiff | FileCheck %s
// RUN: moire-opt %s --moire-autodiff="recompute-pointwise=false recompute-contraction=0" --split-input-file | FileCheck %s --check-prefix=KEEP
// RUN: moire-opt %s --moire-autodiff=recompute-contraction=4 --split-input-file | FileCheck %s --check-prefix=SHORT
// RUN: moire-opt %s --moire-autodiff="recompute-contraction=0 recompute-iterations" --split-input-file | FileCheck %s --check-prefix=ALL

// The hidden layer and the input of each layer are stacked; activation and norm are computed again; parameters are
// sliced again.
// CHECK-LABEL: func.func @layers
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>, %[[W:.*]]: tensor<3x4x8xf32>, %[[V:.*]]: tensor<3x8x4xf32>, %[[G:.*]]: tensor<4xf32>)
func.func @layers(%x: tensor<2x4xf32>, %ws: tensor<3x4x8xf32> {moire.differentiate},
                  %vs: tensor<3x8x4xf32> {moire.differentiate}, %g: tensor<4xf32> {moire.differentiate})
    -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[F:.*]]:3 = moire.repeat 3 carried({{.*}} = %[[X]] : {{.*}}) slices({{.*}}) -> (tensor<2x4xf32>, tensor<3x2x8xf32>, tensor<3x2x4xf32>)
  // CHECK: moire.yield %{{[a-z0-9]*}}, %{{[a-z0-9]*}}, %{{[a-z0-9]*}} :
  // CHECK: %[[ZERO:.*]] = moire.fill 0.0{{.*}} : tensor<4xf32>
  // CHECK: %[[R:.*]]:4 = moire.repeat 3 reverse carried(%[[DH:.*]] = %{{.*}}, %[[SUM:.*]] = %[[ZERO]]
  // CHECK-SAME: slices(%[[VI:.*]] = %[[V]] : {{.*}}, %[[U:.*]] = %[[F]]#1 : {{.*}}, %[[WI:.*]] = %[[W]] : {{.*}}, %[[H:.*]] = %[[F]]#2
  // CHECK-DAG: %[[A:.*]] = moire.unary gelu %[[U]]
  // CHECK-DAG: %[[DV:.*]] = moire.linear_grad_weight %[[A]], %[[DH]]
  // CHECK-DAG: %[[N:.*]], %[[RSTD:.*]] = moire.rms_norm %[[H]], %[[G]]
  // CHECK-DAG: %[[DW:.*]] = moire.linear_grad_weight %[[N]]
  // CHECK: %[[DX:.*]], %[[DG:.*]] = moire.rms_norm_grad %{{.*}}, %[[H]], %[[G]], %[[RSTD]]
  // CHECK: %[[NEXT:.*]] = moire.binary add %[[DH]], %[[DX]]
  // CHECK: %[[MORE:.*]] = moire.binary add %[[SUM]], %[[DG]]
  // CHECK: moire.yield %[[NEXT]], %[[MORE]], %[[DW]], %[[DV]]
  // CHECK: return %[[R]]#2, %[[R]]#3, %[[R]]#1

  // Without recomputation the norm, its statistic and the activation are stacked too.
  // KEEP-LABEL: func.func @layers
  // KEEP: moire.repeat 3 carried({{.*}} -> (tensor<2x4xf32>, tensor<3x2x8xf32>, tensor<3x2x8xf32>, tensor<3x2x4xf32>, tensor<3x2x4xf32>, tensor<3x2xf32>)
  // KEEP: moire.repeat 3 reverse
  // KEEP-NOT: moire.unary gelu
  // KEEP-NOT: moire.rms_norm %

  // A product of four terms is worth less than keeping what it makes: only the input is stacked.
  // SHORT-LABEL: func.func @layers
  // SHORT: moire.repeat 3 carried({{.*}} -> (tensor<2x4xf32>, tensor<3x2x4xf32>)
  // SHORT: moire.repeat 3 reverse
  // SHORT: moire.rms_norm %
  // SHORT: moire.linear %{{.*}} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>

  // Whatever it costs, an iteration keeps what entered it.
  // ALL-LABEL: func.func @layers
  // ALL: moire.repeat 3 carried({{.*}} -> (tensor<2x4xf32>, tensor<3x2x4xf32>)
  // ALL: moire.repeat 3 reverse
  // ALL: moire.linear %{{.*}} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  // SHORT: moire.unary gelu

  // expected-remark @+1 {{the reverse loop reads 2 stacked values, 96 bytes per iteration, and computes 2 ops again}}
  %r = moire.repeat 3 carried(%h = %x : tensor<2x4xf32>) slices(%w = %ws : tensor<3x4x8xf32>, %v = %vs : tensor<3x8x4xf32>) -> (tensor<2x4xf32>) {
    %n, %rstd = moire.rms_norm %h, %g eps 1.0e-5 : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2xf32>)
    %u = moire.linear %n, %w : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
    %s = moire.unary gelu %u : tensor<2x8xf32>
    %y = moire.linear %s, %v : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %o = moire.binary add %h, %y : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    moire.yield %o : tensor<2x4xf32>
  }
  %l = moire.reduce_leading %r : tensor<2x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// Of a fused projection its whole is stacked, not its parts: slices are views. A value that is stacked anyway is not
// stacked twice.
// CHECK-LABEL: func.func @views
func.func @views(%x: tensor<2x4xf32>, %ws: tensor<3x4x8xf32> {moire.differentiate})
    -> (tensor<f32> {moire.objective}, tensor<3x2x4xf32>) {
  // CHECK: %[[F:.*]]:3 = moire.repeat 3 {{.*}} -> (tensor<2x4xf32>, tensor<3x2x4xf32>, tensor<3x2x8xf32>)
  // CHECK: moire.repeat 3 reverse
  // CHECK-SAME: = %[[F]]#2 :
  // CHECK-SAME: = %[[F]]#1 :
  // CHECK: moire.slice %[[P:.*]] dim 1 at 4
  // CHECK: moire.slice %[[P]] dim 1 at 0
  // CHECK: moire.concat
  // expected-remark @+1 {{reads 1 stacked values, 64 bytes per iteration}}
  %r:2 = moire.repeat 3 carried(%h = %x : tensor<2x4xf32>) slices(%w = %ws : tensor<3x4x8xf32>) -> (tensor<2x4xf32>, tensor<3x2x4xf32>) {
    %p = moire.linear %h, %w : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
    %a = moire.slice %p dim 1 at 0 : tensor<2x8xf32> to tensor<2x4xf32>
    %b = moire.slice %p dim 1 at 4 : tensor<2x8xf32> to tensor<2x4xf32>
    %y = moire.binary mul %a, %b : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    moire.yield %y, %h : tensor<2x4xf32>, tensor<2x4xf32>
  }
  %l = moire.reduce_leading %r#0 : tensor<2x4xf32> to tensor<f32>
  return %l, %r#1 : tensor<f32>, tensor<3x2x4xf32>
}

// -----

// In a nested loop what the inner one keeps is stacked once more by the outer one.
// CHECK-LABEL: func.func @nested
func.func @nested(%x: tensor<4xf32> {moire.differentiate}, %w: tensor<4xf32>) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[F:.*]]:2 = moire.repeat 2 {{.*}} -> (tensor<4xf32>, tensor<2x3x4xf32>)
  // CHECK: %[[I:.*]]:2 = moire.repeat 3 {{.*}} -> (tensor<4xf32>, tensor<3x4xf32>)
  // CHECK: moire.yield %[[I]]#0, %[[I]]#1
  // CHECK: moire.repeat 2 reverse
  // CHECK-SAME: slices(%[[S:.*]] = %[[F]]#1 : tensor<2x3x4xf32>)
  // CHECK: moire.repeat 3 reverse
  // CHECK-SAME: slices(%[[P:.*]] = %[[S]] : tensor<3x4xf32>)
  // CHECK: moire.unary_grad silu %[[P]]
  // expected-remark @+1 {{reads 1 stacked values, 48 bytes per iteration}}
  %r = moire.repeat 2 carried(%a = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    // expected-remark @+1 {{reads 1 stacked values, 16 bytes per iteration}}
    %i = moire.repeat 3 carried(%b = %a : tensor<4xf32>) -> (tensor<4xf32>) {
      %s = moire.unary silu %b : tensor<4xf32>
      %m = moire.binary mul %s, %w : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      moire.yield %m : tensor<4xf32>
    }
    moire.yield %i : tensor<4xf32>
  }
  %l = moire.reduce_leading %r : tensor<4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// A loop that leads nowhere is not reversed, and neither are carried values that do not matter.
// CHECK-LABEL: func.func @inactive
func.func @inactive(%x: tensor<4xf32>, %w: tensor<4xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK-NOT: reverse
  %r = moire.repeat 2 carried(%a = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    %b = moire.unary exp %a : tensor<4xf32>
    moire.yield %b : tensor<4xf32>
  }
  %y = moire.binary mul %r, %w : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %l = moire.reduce_leading %y : tensor<4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// Gradients of narrow parameters from above are summed in full precision.
// CHECK-LABEL: func.func @narrow
func.func @narrow(%x: tensor<2x4xbf16>, %w: tensor<4x4xbf16> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[ZERO:.*]] = moire.fill 0.0{{.*}} : tensor<4x4xf32>
  // CHECK: moire.repeat 2 reverse carried({{.*}} = %{{.*}} : tensor<2x4xbf16>, %[[SUM:.*]] = %[[ZERO]] : tensor<4x4xf32>)
  // CHECK: %[[D:.*]] = moire.linear_grad_weight {{.*}} -> tensor<4x4xf32>
  // CHECK: moire.binary add %[[SUM]], %[[D]]
  // expected-remark @+1 {{reads 1 stacked values}}
  %r = moire.repeat 2 carried(%h = %x : tensor<2x4xbf16>) -> (tensor<2x4xbf16>) {
    %y = moire.linear %h, %w : (tensor<2x4xbf16>, tensor<4x4xbf16>) -> tensor<2x4xbf16>
    moire.yield %y : tensor<2x4xbf16>
  }
  %l = moire.reduce_leading %r : tensor<2x4xbf16> to tensor<f32>
  return %l : tensor<f32>
}
