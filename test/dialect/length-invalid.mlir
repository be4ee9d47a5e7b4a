// Each constraint of the blocks that move positions, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// conv1d.C1: the stride
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `stride` to divide the 6 positions, got 4}}
  %y = moire.conv1d %x path "a" {bias = true, causal = true, kernel = 4 : i64, stride = 4 : i64, paths = ["a"], width = 4 : i64} : (tensor<2x6x8xf32>) -> tensor<2x1x4xf32>
  return
}

// -----

// conv1d.C1: the result
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 4], got [2, 6, 4]}}
  %y = moire.conv1d %x path "a" {bias = true, causal = true, kernel = 3 : i64, stride = 2 : i64, paths = ["a"], width = 4 : i64} : (tensor<2x6x8xf32>) -> tensor<2x6x4xf32>
  return
}

// -----

// conv1d.C2
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `kernel` >= `stride` >= 1, got 1 and 2}}
  %y = moire.conv1d %x path "a" {bias = true, causal = true, kernel = 1 : i64, stride = 2 : i64, paths = ["a"], width = 4 : i64} : (tensor<2x6x8xf32>) -> tensor<2x3x4xf32>
  return
}

// -----

// stack.C1: the factor
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `factor` to divide the 6 positions, got 4}}
  %y = moire.stack %x by 4 : (tensor<2x6x8xf32>) -> tensor<2x1x32xf32>
  return
}

// -----

// stack.C1: the result
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 16], got [2, 3, 8]}}
  %y = moire.stack %x by 2 : (tensor<2x6x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// unstack.C1: the factor
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `factor` to divide the 8 features, got 3}}
  %y = moire.unstack %x by 3 : (tensor<2x6x8xf32>) -> tensor<2x18x2xf32>
  return
}

// -----

// unstack.C1: the result
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 12, 4], got [2, 6, 4]}}
  %y = moire.unstack %x by 2 : (tensor<2x6x8xf32>) -> tensor<2x6x4xf32>
  return
}

// -----

// shift.C1
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %y = "moire.shift"(%x) {positions = 1 : i64} : (tensor<2x6x8xf32>) -> tensor<2x6x4xf32>
  return
}

// -----

// shift.C2
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `positions` from 1 to 5, got 6}}
  %y = moire.shift %x by 6 : tensor<2x6x8xf32>
  return
}
