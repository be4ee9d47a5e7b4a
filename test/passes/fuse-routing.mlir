// A router becomes one op, and gathers go into the products that read them; where that would not pay they stay.
// RUN: moire-opt %s --moire-fuse-routing --split-input-file --verify-diagnostics --remarks-filter=moire-fuse-routing | FileCheck %s

// CHECK-LABEL: func.func @layer
// CHECK-SAME: (%[[X:.*]]: tensor<2x3x4xf32>, %[[L:.*]]: tensor<2x3x5xf32>, %[[W:.*]]: tensor<5x4x8xf32>)
func.func @layer(%x: tensor<2x3x4xf32>, %logits: tensor<2x3x5xf32>, %w: tensor<5x4x8xf32>)
    -> (tensor<12x8xf32>, tensor<2x3x2xf32>, tensor<5xf32>) {
  // CHECK: %[[PROBS:[^, ]*]], %[[WEIGHTS:[^, ]*]], %[[CHOSEN:[^, ]*]], %[[O:[^, ]*]], %[[R:[^, ]*]], %[[S:[^, ]*]], %[[P:[^, ]*]], %[[LOAD:[^, ]*]] = moire.fused_route topk_softmax %[[L]]
  // CHECK-NOT: moire.route
  // CHECK-NOT: moire.dispatch
  // CHECK-NOT: moire.gather_rows
  // CHECK: %[[Y:.*]] = moire.grouped_linear %[[X]], %[[W]], %[[O]] rows %[[R]] position %[[P]] :
  // CHECK: return %[[Y]], %[[WEIGHTS]], %[[LOAD]]
  // expected-remark @+1 {{scores, choice, histogram and permutation of a router in one op}}
  %probs, %weights, %chosen = moire.route topk_softmax %logits : (tensor<2x3x5xf32>) -> (tensor<2x3x5xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x3x2xi32>) -> (tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  %load = moire.expert_load %offsets : (tensor<6xi32>) -> tensor<5xf32>
  // expected-remark @+1 {{1 grouped products gather their rows themselves}}
  %sorted = moire.gather_rows %x, %rows, %position : (tensor<2x3x4xf32>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x4xf32>
  %y = moire.grouped_linear %sorted, %w, %offsets : (tensor<12x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<12x8xf32>
  return %y, %weights, %load : tensor<12x8xf32>, tensor<2x3x2xf32>, tensor<5xf32>
}

// -----

// Without anybody who asks for the load; `renormalize` is kept.
// CHECK-LABEL: func.func @no_load
func.func @no_load(%logits: tensor<3x5xf32>) -> (tensor<3x2xf32>, tensor<3x2xi32>) {
  // CHECK: moire.fused_route softmax_topk %{{.*}} renormalize
  // expected-remark @+1 {{in one op}}
  %probs, %weights, %chosen = moire.route softmax_topk %logits renormalize : (tensor<3x5xf32>) -> (tensor<3x5xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<3x2xi32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  return %weights, %position : tensor<3x2xf32>, tensor<3x2xi32>
}

// -----

// A capacity shared out by the router's own gates, and what steers the choice, are kept.
// CHECK-LABEL: func.func @limited
func.func @limited(%logits: tensor<3x6xf32>, %bias: tensor<6xf32>) -> (tensor<3x2xf32>, tensor<3x2xi32>, tensor<6xf32>) {
  // CHECK: %{{[^,]*}}, %{{[^,]*}}, %[[CHOSEN:[^, ]*]], {{.*}} = moire.fused_route sigmoid_topk %{{.*}} bias %{{.*}} renormalize scale 2.500000e+00 groups 3 best 2 capacity 2 :
  // CHECK-NOT: moire.dispatch
  // CHECK: moire.choice_load %[[CHOSEN]]
  // expected-remark @+1 {{in one op}}
  %probs, %weights, %chosen = moire.route sigmoid_topk %logits bias %bias renormalize scale 2.5 groups 3 best 2 : (tensor<3x6xf32>, tensor<6xf32>) -> (tensor<3x6xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %weights capacity 2 : (tensor<3x2xi32>, tensor<3x2xf32>) -> (tensor<7xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %load = moire.choice_load %chosen : (tensor<3x2xi32>) -> tensor<6xf32>
  return %weights, %position, %load : tensor<3x2xf32>, tensor<3x2xi32>, tensor<6xf32>
}

// -----

// A threshold goes along.
// CHECK-LABEL: func.func @threshold
func.func @threshold(%logits: tensor<3x6xf32>) -> (tensor<3x2xf32>, tensor<3x2xi32>) {
  // CHECK: moire.fused_route softmax_topk %{{.*}} threshold 8.000000e-02 :
  // CHECK-NOT: moire.dispatch
  // expected-remark @+1 {{in one op}}
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<3x6xf32>) -> (tensor<3x6xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %weights threshold 8.0e-2 : (tensor<3x2xi32>, tensor<3x2xf32>) -> (tensor<7xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  return %weights, %position : tensor<3x2xf32>, tensor<3x2xi32>
}

// -----

// Choices without an expert: fewer experts than logits.
// CHECK-LABEL: func.func @nulls
func.func @nulls(%logits: tensor<3x6xf32>) -> (tensor<3x2xf32>, tensor<3x2xi32>, tensor<6xf32>) {
  // CHECK: %{{[^,]*}}, %{{[^,]*}}, %[[CHOSEN:[^, ]*]], {{.*}} = moire.fused_route softmax_topk %{{.*}} nulls 2 :
  // CHECK-NOT: moire.dispatch
  // CHECK: moire.choice_load %[[CHOSEN]]
  // expected-remark @+1 {{in one op}}
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<3x6xf32>) -> (tensor<3x6xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen nulls : (tensor<3x2xi32>) -> (tensor<5xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %load = moire.choice_load %chosen : (tensor<3x2xi32>) -> tensor<6xf32>
  return %weights, %position, %load : tensor<3x2xf32>, tensor<3x2xi32>, tensor<6xf32>
}

// -----

// Declined: who stays is decided by other gates.
// CHECK-LABEL: func.func @other_gates
func.func @other_gates(%logits: tensor<3x5xf32>, %gates: tensor<3x2xf32>) -> tensor<3x2xi32> {
  // CHECK: moire.route
  // CHECK: moire.dispatch
  // expected-remark @+1 {{router stays apart: its capacity is shared out by other gates than its own}}
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<3x5xf32>) -> (tensor<3x5xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %gates capacity 2 : (tensor<3x2xi32>, tensor<3x2xf32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  return %position : tensor<3x2xi32>
}

// -----

// Declined: nobody sorts by the choice.
// CHECK-LABEL: func.func @not_sorted
func.func @not_sorted(%logits: tensor<3x5xf32>) -> tensor<3x2xi32> {
  // CHECK: moire.route
  // expected-remark @+1 {{router stays apart: its choice is not sorted by one op of the same block}}
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<3x5xf32>) -> (tensor<3x5xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  return %chosen : tensor<3x2xi32>
}

// -----

// Declined: sorted for more experts than the router knows.
// CHECK-LABEL: func.func @more_experts
func.func @more_experts(%logits: tensor<3x5xf32>) -> tensor<8xi32> {
  // CHECK: moire.route
  // CHECK: moire.dispatch
  // expected-remark @+1 {{router stays apart: it is sorted for another number of experts}}
  %probs, %weights, %chosen = moire.route softmax_topk %logits : (tensor<3x5xf32>) -> (tensor<3x5xf32>, tensor<3x2xf32>, tensor<3x2xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<3x2xi32>) -> (tensor<8xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  return %offsets : tensor<8xi32>
}

// -----

// Declined: somebody else reads the gathered rows, so they are stored anyway.
// CHECK-LABEL: func.func @read_twice
func.func @read_twice(%x: tensor<3x4xf32>, %w: tensor<5x4x8xf32>, %o: tensor<6xi32>, %r: tensor<6xi32>, %p: tensor<3x2xi32>)
    -> (tensor<6x8xf32>, tensor<6x4xf32>) {
  // CHECK: %[[S:.*]] = moire.gather_rows
  // CHECK: moire.grouped_linear %[[S]], %{{.*}}, %{{[a-z0-9]*}} :
  // expected-remark @+1 {{gathered rows are stored: `moire.unary` reads them too}}
  %s = moire.gather_rows %x, %r, %p : (tensor<3x4xf32>, tensor<6xi32>, tensor<3x2xi32>) -> tensor<6x4xf32>
  %y = moire.grouped_linear %s, %w, %o : (tensor<6x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<6x8xf32>
  %e = moire.unary exp %s : tensor<6x4xf32>
  return %y, %e : tensor<6x8xf32>, tensor<6x4xf32>
}

// -----

// The gradient of the matrices gathers too, on either side.
// CHECK-LABEL: func.func @gradient
// CHECK-SAME: (%[[X:.*]]: tensor<3x4xf32>, %[[DY:.*]]: tensor<6x8xf32>, %[[O:.*]]: tensor<6xi32>, %[[R:.*]]: tensor<6xi32>
func.func @gradient(%x: tensor<3x4xf32>, %dy: tensor<6x8xf32>, %o: tensor<6xi32>, %r: tensor<6xi32>, %p: tensor<3x2xi32>)
    -> (tensor<5x4x8xf32>, tensor<5x8x4xf32>) {
  // CHECK: moire.grouped_linear_grad_weight %[[X]], %[[DY]], %[[O]] x_rows %[[R]] :
  // CHECK: moire.grouped_linear_grad_weight %[[DY]], %[[X]], %[[O]] dy_rows %[[R]] :
  // expected-remark @+1 {{2 grouped products gather their rows themselves}}
  %s = moire.gather_rows %x, %r, %p : (tensor<3x4xf32>, tensor<6xi32>, tensor<3x2xi32>) -> tensor<6x4xf32>
  %a = moire.grouped_linear_grad_weight %s, %dy, %o : (tensor<6x4xf32>, tensor<6x8xf32>, tensor<6xi32>) -> tensor<5x4x8xf32>
  %b = moire.grouped_linear_grad_weight %dy, %s, %o : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6xi32>) -> tensor<5x8x4xf32>
  return %a, %b : tensor<5x4x8xf32>, tensor<5x8x4xf32>
}

// -----

// Vectors of experts are a product of ones with matrices of one row, added to the first product before anything else
// reads it: whatever is fused, they stay between the product and its gate.
// CHECK-LABEL: func.func @biases
// CHECK-SAME: (%[[X:[^:]*]]: tensor<2x3x4xf32>, %[[W:[^:]*]]: tensor<5x4x8xf32>, %[[B:[^:]*]]: tensor<5x1x8xf32>,
func.func @biases(%x: tensor<2x3x4xf32>, %w: tensor<5x4x8xf32>, %b: tensor<5x1x8xf32>, %offsets: tensor<6xi32>, %rows: tensor<12xi32>, %position: tensor<2x3x2xi32>) -> tensor<12x4xf32> {
  // expected-remark @+1 {{1 grouped products gather their rows themselves}}
  %sorted = moire.gather_rows %x, %rows, %position : (tensor<2x3x4xf32>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x4xf32>
  // CHECK: %[[P:.*]] = moire.grouped_linear %[[X]], %[[W]],
  %product = moire.grouped_linear %sorted, %w, %offsets : (tensor<12x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<12x8xf32>
  %ones = moire.fill 1.0 : tensor<12x1xf32>
  // CHECK: %[[V:.*]] = moire.grouped_linear %{{.*}}, %[[B]],
  %spread = moire.grouped_linear %ones, %b, %offsets : (tensor<12x1xf32>, tensor<5x1x8xf32>, tensor<6xi32>) -> tensor<12x8xf32>
  // CHECK: %[[S:.*]] = moire.binary add %[[P]], %[[V]]
  %sum = moire.binary add %product, %spread : (tensor<12x8xf32>, tensor<12x8xf32>) -> tensor<12x8xf32>
  // CHECK: moire.slice %[[S]]
  %gate = moire.slice %sum dim 1 at 0 : tensor<12x8xf32> to tensor<12x4xf32>
  %open = moire.unary silu %gate : tensor<12x4xf32>
  %up = moire.slice %sum dim 1 at 4 : tensor<12x8xf32> to tensor<12x4xf32>
  %y = moire.binary mul %open, %up : (tensor<12x4xf32>, tensor<12x4xf32>) -> tensor<12x4xf32>
  return %y : tensor<12x4xf32>
}
