// The experts' last product and the sum of its rows become one op, and their reverse needs no output of an expert.
// RUN: moire-opt %s --moire-fuse-combine --split-input-file --verify-diagnostics --remarks-filter=moire-fuse-combine | FileCheck %s
// RUN: moire-opt %s --moire-fuse-combine --moire-autodiff --split-input-file | FileCheck %s --check-prefix=REVERSE

// CHECK-LABEL: func.func @layer
// REVERSE-LABEL: func.func @layer
func.func @layer(%choice: tensor<2x3x2xi32>, %x: tensor<12x4xf32> {moire.differentiate}, %w: tensor<5x4x8xf32> {moire.differentiate}, %g: tensor<2x3x2xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // CHECK: %[[O:.*]], %[[R:.*]], %[[S:.*]], %[[P:.*]] = moire.dispatch
  // CHECK-NOT: moire.grouped_linear
  // CHECK: moire.grouped_combine %arg1, %arg2, %[[O]] rows %[[R]] slots %[[S]] weights %arg3 position %[[P]]
  // CHECK-NOT: moire.combine
  // REVERSE: %[[O:.*]], %[[R:.*]], %[[S:.*]], %[[P:.*]] = moire.dispatch
  // REVERSE: %[[DY:.*]] = moire.gather_rows %{{.*}}, %[[R]], %[[P]]
  // REVERSE: %[[DA:.*]] = moire.grouped_linear %[[DY]], %arg2, %[[O]] transpose
  // REVERSE: moire.gather_rows %{{.*}}, %[[S]]
  // REVERSE: moire.dot_rows %[[DA]], %arg1
  // REVERSE: moire.scale_rows %[[DA]]
  // REVERSE: %[[A:.*]] = moire.scale_rows %arg1
  // REVERSE: moire.grouped_linear_grad_weight %[[A]], %[[DY]]
  // REVERSE-NOT: moire.combine_grad
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<2x3x2xi32>) -> (tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>)
  // expected-remark @+1 {{the experts' last product and the sum of its rows are one op}}
  %y = moire.grouped_linear %x, %w, %offsets : (tensor<12x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<12x8xf32>
  %z = moire.combine %y, %g, %position : (tensor<12x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> tensor<2x3x8xf32>
  %l = moire.reduce_leading %z : tensor<2x3x8xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// Declined: something is added to the product, such as a bias, and the gradient of the gates would miss it.
// CHECK-LABEL: func.func @more
func.func @more(%choice: tensor<3x2xi32>, %x: tensor<6x4xf32>, %w: tensor<5x4x8xf32>, %b: tensor<8xf32>, %g: tensor<3x2xf32>) -> tensor<3x8xf32> {
  // CHECK: moire.combine
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<3x2xi32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moire.grouped_linear %x, %w, %offsets : (tensor<6x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<6x8xf32>
  %s = moire.binary add %y, %b : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6x8xf32>
  // expected-remark @+1 {{the experts' outputs are kept: the experts' outputs are those of `moire.binary`, not of a product}}
  %z = moire.combine %s, %g, %position : (tensor<6x8xf32>, tensor<3x2xf32>, tensor<3x2xi32>) -> tensor<3x8xf32>
  return %z : tensor<3x8xf32>
}

// -----

// Declined: the outputs are a result too.
// CHECK-LABEL: func.func @read_twice
func.func @read_twice(%choice: tensor<3x2xi32>, %x: tensor<6x4xf32>, %w: tensor<5x4x8xf32>, %g: tensor<3x2xf32>) -> (tensor<3x8xf32>, tensor<6x8xf32>) {
  // CHECK: moire.combine
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<3x2xi32>) -> (tensor<6xi32>, tensor<6xi32>, tensor<6xi32>, tensor<3x2xi32>)
  %y = moire.grouped_linear %x, %w, %offsets : (tensor<6x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<6x8xf32>
  // expected-remark @+1 {{the experts' outputs are kept: others read the experts' outputs too}}
  %z = moire.combine %y, %g, %position : (tensor<6x8xf32>, tensor<3x2xf32>, tensor<3x2xi32>) -> tensor<3x8xf32>
  return %z, %y : tensor<3x8xf32>, tensor<6x8xf32>
}

// -----

// Declined: where experts choose, a gate has no slot.
// CHECK-LABEL: func.func @experts_choose
func.func @experts_choose(%scores: tensor<4x3x5xf32>, %x: tensor<30x4xf32>, %w: tensor<5x4x8xf32>) -> tensor<4x3x8xf32> {
  // CHECK: moire.combine
  %offsets, %rows, %position = moire.choose_tokens %scores group 4 count 2 : (tensor<4x3x5xf32>) -> (tensor<6xi32>, tensor<30xi32>, tensor<4x3x5xi32>)
  %y = moire.grouped_linear %x, %w, %offsets : (tensor<30x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>) -> tensor<30x8xf32>
  // expected-remark @+1 {{the experts' outputs are kept: no `moire.dispatch` says which gate belongs to a row}}
  %z = moire.combine %y, %scores, %position : (tensor<30x8xf32>, tensor<4x3x5xf32>, tensor<4x3x5xi32>) -> tensor<4x3x8xf32>
  return %z : tensor<4x3x8xf32>
}
