// Each constraint of pointwise ops, shapes and parameters, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// param.C1: a path per copy
// expected-error @+1 {{expects a path for each of 2 copies, got 1}}
moire.param @w : tensor<2x8xf32> role ffn init normal {paths = ["a"], stack = 1 : i64}

// -----

// param.C1: no more stacked extents than there are
// expected-error @+1 {{expects `stack` from 0 to the rank 2, got 3}}
moire.param @w : tensor<2x8xf32> role ffn init normal {paths = ["a"], stack = 3 : i64}

// -----

// param.C2: learning rate
// expected-error @+1 {{expects `lr_factor` of 0 or more, got -1}}
moire.param @w : tensor<8xf32> role ffn init normal {lr_factor = -1.0, paths = ["a"], stack = 0 : i64}

// -----

// param.C2: decay
// expected-error @+1 {{expects `decay_factor` of 0 or more, got -1}}
moire.param @w : tensor<8xf32> role ffn init normal {decay_factor = -1.0, paths = ["a"], stack = 0 : i64}

// -----

// param.C3
// expected-error @+1 {{expects `sign_rate` above 0, got 0}}
moire.param @w : tensor<8xf32> role ffn init normal {paths = ["a"], sign_rate = 0.0, stack = 0 : i64}

// -----

// binary.C1
func.func @f(%a: tensor<2x8xf32>, %b: tensor<2xf32>) {
  // expected-error @+1 {{expects the shape of `b` to end [2, 8], got [2]}}
  %y = moire.binary add %a, %b : (tensor<2x8xf32>, tensor<2xf32>) -> tensor<2x8xf32>
  return
}

// -----

// binary.C2: the result
func.func @f(%a: tensor<2x8xbf16>, %b: tensor<8xf32>) {
  // expected-error @+2 {{op inferred type(s) 'tensor<2x8xbf16>' are incompatible with return type(s) of operation 'tensor<2x8xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = "moire.binary"(%a, %b) <{kind = #moire<binary add>}> : (tensor<2x8xbf16>, tensor<8xf32>) -> tensor<2x8xf32>
  return
}

// -----

// binary.C2: the second operand
func.func @f(%a: tensor<2x8xf32>, %b: tensor<8xbf16>) {
  // expected-error @+1 {{expects `b` with elements of 'f32' or 'f32', got 'bf16'}}
  %y = moire.binary add %a, %b : (tensor<2x8xf32>, tensor<8xbf16>) -> tensor<2x8xf32>
  return
}

// -----

// broadcast.C1: shapes
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects the shape of `x` to end [2, 8], got [4]}}
  %y = moire.broadcast %x : tensor<4xf32> to tensor<2x8xf32>
  return
}

// -----

// broadcast.C1: elements
func.func @f(%x: tensor<8xf32>) {
  // expected-error @+1 {{expects `y` with elements of 'f32', got 'bf16'}}
  %y = moire.broadcast %x : tensor<8xf32> to tensor<2x8xbf16>
  return
}

// -----

// reduce_leading.C1
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects the shape of `y` to end [2, 8], got [2]}}
  %y = moire.reduce_leading %x : tensor<2x8xf32> to tensor<2xf32>
  return
}

// -----

// reduce_leading.C2
func.func @f(%x: tensor<2x8xbf16>) {
  // expected-error @+1 {{expects `y` with elements of 'f32', got 'f64'}}
  %y = moire.reduce_leading %x : tensor<2x8xbf16> to tensor<8xf64>
  return
}

// -----

// reshape.C1: elements
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects as many elements as the operand's 16, got 12}}
  %y = moire.reshape %x : tensor<2x8xf32> to tensor<12xf32>
  return
}

// -----

// reshape.C1: element types
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `y` with elements of 'f32', got 'bf16'}}
  %y = moire.reshape %x : tensor<2x8xf32> to tensor<16xbf16>
  return
}

// -----

// slice.C1: the dimension
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `dim` below the rank 2, got 2}}
  %y = moire.slice %x dim 2 at 0 : tensor<2x8xf32> to tensor<2x8xf32>
  return
}

// -----

// slice.C1: the range
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects a range inside the extent 8, got 6 to 10}}
  %y = moire.slice %x dim 1 at 6 : tensor<2x8xf32> to tensor<2x4xf32>
  return
}

// -----

// slice.C2: rank
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects a result of rank 2, got rank 1}}
  %y = moire.slice %x dim 1 at 0 : tensor<2x8xf32> to tensor<8xf32>
  return
}

// -----

// slice.C2: other extents
// expected-note @+1 {{measured against this value of type 'tensor<2x8xf32>'}}
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 4], got [3, 4]}}
  %y = moire.slice %x dim 1 at 0 : tensor<2x8xf32> to tensor<3x4xf32>
  return
}

// -----

// slice.C2: elements
func.func @f(%x: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `y` with elements of 'f32', got 'bf16'}}
  %y = moire.slice %x dim 1 at 0 : tensor<2x8xf32> to tensor<2x4xbf16>
  return
}

// -----

// concat.C1: other extents
// expected-note @+1 {{measured against this value of type 'tensor<2x8xf32>'}}
func.func @f(%a: tensor<2x8xf32>, %b: tensor<3x8xf32>) {
  // expected-error @+1 {{expects `xs #1` of shape [2, 8], got [3, 8]}}
  %y = moire.concat %a, %b dim 1 : (tensor<2x8xf32>, tensor<3x8xf32>) -> tensor<2x16xf32>
  return
}

// -----

// concat.C1: the sum
// expected-note @+1 {{measured against this value of type 'tensor<2x8xf32>'}}
func.func @f(%a: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 16], got [2, 12]}}
  %y = moire.concat %a, %a dim 1 : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x12xf32>
  return
}

// -----

// concat.C1: elements
func.func @f(%a: tensor<2x8xf32>, %b: tensor<2x8xbf16>) {
  // expected-error @+1 {{expects `xs #1` with elements of 'f32', got 'bf16'}}
  %y = moire.concat %a, %b dim 1 : (tensor<2x8xf32>, tensor<2x8xbf16>) -> tensor<2x16xf32>
  return
}

// -----

// concat.C2: something to concatenate
func.func @f() {
  // expected-error @+1 {{expects at least one operand, got 0}}
  %y = "moire.concat"() <{dim = 0 : i64}> : () -> tensor<2xf32>
  return
}

// -----

// concat.C2: the dimension
func.func @f(%a: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `dim` below the rank 2, got 2}}
  %y = moire.concat %a, %a dim 2 : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  return
}

// -----

// dynamic_slice.C1
func.func @f(%x: tensor<64x8xf32>, %p: tensor<1xi32>) {
  // expected-error @+1 {{expects `position` of shape [], got [1]}}
  %y = moire.dynamic_slice %x, %p : (tensor<64x8xf32>, tensor<1xi32>) -> tensor<2x8xf32>
  return
}

// -----

// dynamic_slice.C2
// expected-note @+1 {{measured against this value of type 'tensor<64x8xf32>'}}
func.func @f(%x: tensor<64x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects `y` of shape [2, 8], got [2, 4]}}
  %y = moire.dynamic_slice %x, %p : (tensor<64x8xf32>, tensor<i32>) -> tensor<2x4xf32>
  return
}

// -----

// dynamic_slice.C2: more rows than there are
// expected-note @+1 {{measured against this value of type 'tensor<4x8xf32>'}}
func.func @f(%x: tensor<4x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects `y` of shape [4, 8], got [6, 8]}}
  %y = moire.dynamic_slice %x, %p : (tensor<4x8xf32>, tensor<i32>) -> tensor<6x8xf32>
  return
}

// -----

// clamp.C1: none
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects a bound, `from` or `to`}}
  %y = moire.clamp %x : tensor<2x6x8xf32>
  return
}

// -----

// clamp.C1: no room
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `from` below `to`, got 1.000000e+00 and 1.000000e+00}}
  %y = moire.clamp %x from 1.0 to 1.0 : tensor<2x6x8xf32>
  return
}

// -----

// clamp_grad.C1
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects a bound, `from` or `to`}}
  %y = moire.clamp_grad %x, %x : tensor<2x6x8xf32>
  return
}
