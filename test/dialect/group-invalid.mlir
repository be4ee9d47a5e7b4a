// Each constraint of ops on groups, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// group_softmax.C1
func.func @f(%x: tensor<4x3x5xf32>) {
  // expected-error @+1 {{expects `y` of type 'tensor<4x3x5xf32>', got 'tensor<4x5x3xf32>'}}
  %y = moire.group_softmax %x group 2 : (tensor<4x3x5xf32>) -> tensor<4x5x3xf32>
  return
}

// -----

// group_softmax.C1: rank
func.func @f(%x: tensor<12x5xf32>) {
  // expected-error @+1 {{expects `x` of rank 3, got rank 2}}
  %y = moire.group_softmax %x group 2 : (tensor<12x5xf32>) -> tensor<12x5xf32>
  return
}

// -----

// group_softmax.C2
func.func @f(%x: tensor<4x3x5xf32>) {
  // expected-error @+1 {{expects groups that divide the 4 sequences of the batch, got 3}}
  %y = moire.group_softmax %x group 3 : (tensor<4x3x5xf32>) -> tensor<4x3x5xf32>
  return
}

// -----

// group_softmax_grad.C1
func.func @f(%y: tensor<4x3x5xf32>, %dy: tensor<4x3x5xf64>) {
  // expected-error @+1 {{expects `dy` of type 'tensor<4x3x5xf32>', got 'tensor<4x3x5xf64>'}}
  %dx = moire.group_softmax_grad %y, %dy group 2 : (tensor<4x3x5xf32>, tensor<4x3x5xf64>) -> tensor<4x3x5xf32>
  return
}

// -----

// mix.C1
func.func @f(%w: tensor<4x3x5xf32>, %x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `x` of shape [4, 3, 8], got [2, 6, 8]}}
  %m = moire.mix %w, %x group 2 : (tensor<4x3x5xf32>, tensor<2x6x8xf32>) -> tensor<30x8xf32>
  return
}

// -----

// mix.C1: precision
func.func @f(%w: tensor<4x3x5xf32>, %x: tensor<4x3x8xf64>) {
  // expected-error @+1 {{expects `weights` with elements of 'f64', got 'f32'}}
  %m = moire.mix %w, %x group 2 : (tensor<4x3x5xf32>, tensor<4x3x8xf64>) -> tensor<30x8xf64>
  return
}

// -----

// mix.C2
func.func @f(%w: tensor<4x3x5xf32>, %x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects groups that divide the 4 sequences of the batch, got 0}}
  %m = moire.mix %w, %x group 0 : (tensor<4x3x5xf32>, tensor<4x3x8xf32>) -> tensor<30x8xf32>
  return
}

// -----

// mix.C3
func.func @f(%w: tensor<4x3x5xf32>, %x: tensor<4x3x8xf32>) {
  // expected-error @+1 {{expects `m` of shape [30, 8], got [60, 8]}}
  %m = moire.mix %w, %x group 2 : (tensor<4x3x5xf32>, tensor<4x3x8xf32>) -> tensor<60x8xf32>
  return
}

// -----

// unmix.C1
func.func @f(%w: tensor<4x3x5xf32>, %m: tensor<30x8xf32>) {
  // expected-error @+1 {{expects `m` of shape [15, 8], got [30, 8]}}
  %x = moire.unmix %w, %m group 4 : (tensor<4x3x5xf32>, tensor<30x8xf32>) -> tensor<4x3x8xf32>
  return
}

// -----

// mix_grad_weights.C1
func.func @f(%x: tensor<4x3x8xf32>, %m: tensor<30x8xf32>) {
  // expected-error @+1 {{expects `m` of shape [36, 8], got [30, 8]}}
  %w = moire.mix_grad_weights %x, %m group 2 : (tensor<4x3x8xf32>, tensor<30x8xf32>) -> tensor<4x3x6xf32>
  return
}

// -----

// choose_tokens.C1
func.func @f(%s: tensor<12x5xf32>) {
  // expected-error @+1 {{expects `scores` of rank 3, got rank 2}}
  %o, %r, %p = moire.choose_tokens %s group 2 count 1 : (tensor<12x5xf32>) -> (tensor<6xi32>, tensor<30xi32>, tensor<12x5xi32>)
  return
}

// -----

// choose_tokens.C2
func.func @f(%s: tensor<4x3x5xf32>) {
  // expected-error @+1 {{expects groups that divide the 4 sequences of the batch, got 8}}
  %o, %r, %p = moire.choose_tokens %s group 8 count 1 : (tensor<4x3x5xf32>) -> (tensor<6xi32>, tensor<30xi32>, tensor<4x3x5xi32>)
  return
}

// -----

// choose_tokens.C3
func.func @f(%s: tensor<4x3x5xf32>) {
  // expected-error @+1 {{expects a count from 1 to the 2 tokens of a group, got 3}}
  %o, %r, %p = moire.choose_tokens %s group 2 count 3 : (tensor<4x3x5xf32>) -> (tensor<6xi32>, tensor<30xi32>, tensor<4x3x5xi32>)
  return
}

// -----

// choose_tokens.C4
func.func @f(%s: tensor<4x3x5xf32>) {
  // expected-error @+1 {{expects `rows` of shape [30], got [12]}}
  %o, %r, %p = moire.choose_tokens %s group 2 count 1 : (tensor<4x3x5xf32>) -> (tensor<6xi32>, tensor<12xi32>, tensor<4x3x5xi32>)
  return
}

// -----

// even_offsets.C1
func.func @f() {
  // expected-error @+1 {{expects `rows` of 1 or more, got 0}}
  %o = moire.even_offsets rows 0 : tensor<6xi32>
  return
}

// -----

// even_offsets.C2
func.func @f() {
  // expected-error @+1 {{expects `offsets` with experts + 1 entries, got 1}}
  %o = moire.even_offsets rows 2 : tensor<1xi32>
  return
}
