// What moire-autodiff refuses, and where it says so.
// RUN: moire-opt %s --moire-autodiff --split-input-file --verify-diagnostics

func.func @no_rule(%x: tensor<4xf32> {moire.differentiate}, %p: tensor<i32>) -> (tensor<f32> {moire.objective}) {
  // expected-error @+1 {{has no reverse rule, but the objective depends on a wanted argument through it}}
  %y = moire.dynamic_slice %x, %p : (tensor<4xf32>, tensor<i32>) -> tensor<2xf32>
  %l = moire.reduce_leading %y : tensor<2xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

func.func @statistic(%x: tensor<2x4xf32> {moire.differentiate}, %g: tensor<4xf32>) -> (tensor<f32> {moire.objective}) {
  // expected-error @+1 {{has no reverse rule for its result `rstd`, which the objective depends on}}
  %y, %rstd = moire.rms_norm %x, %g eps 1.0e-5 : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2xf32>)
  %l = moire.reduce_leading %rstd : tensor<2xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

func.func @tables(%x: tensor<1x2x1x4xf32>, %c: tensor<2x2xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  // expected-error @+1 {{has no reverse rule for its tables}}
  %y = moire.rope %x, %c, %c : (tensor<1x2x1x4xf32>, tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<1x2x1x4xf32>
  %l = moire.reduce_leading %y : tensor<1x2x1x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

func.func @position(%x: tensor<2x4xf32> {moire.differentiate}, %w: tensor<1x4x4xf32>, %o: tensor<2xi32>, %r: tensor<2xi32>)
    -> (tensor<f32> {moire.objective}) {
  // expected-error @+1 {{needs `position` beside `rows` to be reversed}}
  %y = moire.grouped_linear %x, %w, %o rows %r : (tensor<2x4xf32>, tensor<1x4x4xf32>, tensor<2xi32>, tensor<2xi32>) -> tensor<2x4xf32>
  %l = moire.reduce_leading %y : tensor<2x4xf32> to tensor<f32>
  return %l : tensor<f32>
}

// -----

// expected-error @+1 {{objective must be a scalar tensor of f32 or f64, got 'tensor<4xf32>'}}
func.func @no_scalar(%x: tensor<4xf32> {moire.differentiate}) -> (tensor<4xf32> {moire.objective}) {
  return %x : tensor<4xf32>
}

// -----

// expected-error @+1 {{has two objectives, results 0 and 1}}
func.func @two(%x: tensor<f32> {moire.differentiate}) -> (tensor<f32> {moire.objective}, tensor<f32> {moire.objective}) {
  return %x, %x : tensor<f32>, tensor<f32>
}

// -----

// expected-error @+1 {{argument 0 has no gradient: expected a tensor of floats, got 'tensor<4xi32>'}}
func.func @integers(%x: tensor<4xi32> {moire.differentiate}, %l: tensor<f32>) -> (tensor<f32> {moire.objective}) {
  return %l : tensor<f32>
}

// -----

// expected-error @+1 {{objective must be computed in one block, without branches}}
func.func @branches(%x: tensor<f32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
  cf.br ^end
^end:
  return %x : tensor<f32>
}

// -----

// A region that is no loop of ours does not hide a dependence.
func.func @region(%x: tensor<f32> {moire.differentiate}, %c: i1) -> (tensor<f32> {moire.objective}) {
  // expected-error @+1 {{has no reverse rule, but the objective depends on a wanted argument through it}}
  %y = scf.if %c -> tensor<f32> {
    scf.yield %x : tensor<f32>
  } else {
    %e = moire.unary exp %x : tensor<f32>
    scf.yield %e : tensor<f32>
  }
  return %y : tensor<f32>
}

// -----

// A declaration has nothing to differentiate.
func.func private @declared(tensor<f32> {moire.differentiate}) -> (tensor<f32> {moire.objective})

// -----

// An error in a loop is reported in the loop.
func.func @in_a_loop(%x: tensor<4xf32> {moire.differentiate}, %p: tensor<i32>) -> (tensor<f32> {moire.objective}) {
  %r = moire.repeat 2 carried(%h = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    // expected-error @+1 {{has no reverse rule}}
    %y = moire.dynamic_slice %h, %p : (tensor<4xf32>, tensor<i32>) -> tensor<4xf32>
    moire.yield %y : tensor<4xf32>
  }
  %l = moire.reduce_leading %r : tensor<4xf32> to tensor<f32>
  return %l : tensor<f32>
}
