// Pointwise ops and moves of elements: gradients agree with differences, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @neg(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary neg %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @exp(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary exp %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @log(%x: tensor<3x5xf64> {moire.differentiate, moire.mean = 2.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary log %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @relu(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary relu %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @relu2(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary relu2 %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @gelu(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary gelu %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @silu(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary silu %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sigmoid(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary sigmoid %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @tanh(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary tanh %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @softplus(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary softplus %x : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @add_same(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary add %a, %b : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @add_row(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary add %a, %b : (tensor<2x3x4xf64>, tensor<4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @add_scalar(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<f64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary add %a, %b : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sub_same(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary sub %a, %b : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sub_row(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary sub %a, %b : (tensor<2x3x4xf64>, tensor<4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sub_scalar(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<f64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary sub %a, %b : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @mul_same(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary mul %a, %b : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @mul_row(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary mul %a, %b : (tensor<2x3x4xf64>, tensor<4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @mul_scalar(%a: tensor<2x3x4xf64> {moire.differentiate}, %b: tensor<f64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary mul %a, %b : (tensor<2x3x4xf64>, tensor<f64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @square(%x: tensor<5xf64> {moire.differentiate}, %c: tensor<5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.binary mul %x, %x : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>
  %z = moire.binary mul %y, %c : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>
  %l = moire.reduce_leading %z : tensor<5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @scale(%x: tensor<5xf64> {moire.differentiate}, %c: tensor<5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.scale %x by -0.75 : tensor<5xf64>
  %z = moire.binary mul %y, %c : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>
  %l = moire.reduce_leading %z : tensor<5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @broadcast(%x: tensor<4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.broadcast %x : tensor<4xf64> to tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @reduce_leading(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.reduce_leading %x : tensor<2x3x4xf64> to tensor<3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  %l = moire.reduce_leading %z : tensor<3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @reshape(%x: tensor<2x6xf64> {moire.differentiate}, %c: tensor<3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.reshape %x : tensor<2x6xf64> to tensor<3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  %l = moire.reduce_leading %z : tensor<3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Slices side by side, one of them read twice, and one that overlaps both.
func.func @slices(%x: tensor<3x8xf64> {moire.differentiate}, %c: tensor<3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %a = moire.slice %x dim 1 at 0 : tensor<3x8xf64> to tensor<3x4xf64>
  %b = moire.slice %x dim 1 at 4 : tensor<3x8xf64> to tensor<3x4xf64>
  %o = moire.slice %x dim 1 at 2 : tensor<3x8xf64> to tensor<3x4xf64>
  %s = moire.unary silu %a : tensor<3x4xf64>
  %p = moire.binary mul %s, %b : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  %q = moire.binary mul %p, %o : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  %y = moire.binary mul %q, %a : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x4xf64>
  %l = moire.reduce_leading %z : tensor<3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Slices of two dimensions, with a part that nobody reads.
func.func @slices_of_two_dims(%x: tensor<4x8xf64> {moire.differentiate}, %c: tensor<1x2xf64>) -> (tensor<f64> {moire.objective}) {
  %a = moire.slice %x dim 0 at 1 : tensor<4x8xf64> to tensor<1x8xf64>
  %b = moire.slice %a dim 1 at 3 : tensor<1x8xf64> to tensor<1x2xf64>
  %d = moire.slice %x dim 1 at 2 : tensor<4x8xf64> to tensor<4x2xf64>
  %e = moire.slice %d dim 0 at 3 : tensor<4x2xf64> to tensor<1x2xf64>
  %y = moire.binary mul %b, %e : (tensor<1x2xf64>, tensor<1x2xf64>) -> tensor<1x2xf64>
  %z = moire.binary mul %y, %c : (tensor<1x2xf64>, tensor<1x2xf64>) -> tensor<1x2xf64>
  %l = moire.reduce_leading %z : tensor<1x2xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @concat(%a: tensor<2x3xf64> {moire.differentiate}, %b: tensor<2x2xf64> {moire.differentiate}, %c: tensor<2x8xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.concat %a, %b, %a dim 1 : (tensor<2x3xf64>, tensor<2x2xf64>, tensor<2x3xf64>) -> tensor<2x8xf64>
  %z = moire.binary mul %y, %c : (tensor<2x8xf64>, tensor<2x8xf64>) -> tensor<2x8xf64>
  %l = moire.reduce_leading %z : tensor<2x8xf64> to tensor<f64>
  return %l : tensor<f64>
}

// The cotangent of the objective comes from the caller.
func.func @seed(%s: tensor<f64> {moire.seed, moire.mean = 3.0 : f64}, %x: tensor<5xf64> {moire.differentiate}, %c: tensor<5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.unary exp %x : tensor<5xf64>
  %z = moire.binary mul %y, %c : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>
  %l = moire.reduce_leading %z : tensor<5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @clamp(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.clamp %x from -1.5 to 0.5 : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @clamp_above(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.clamp %x to 0.5 : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @clamp_below(%x: tensor<3x5xf64> {moire.differentiate, moire.spread = 3.0 : f64}, %c: tensor<3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.clamp %x from -0.5 : tensor<3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<3x5xf64>, tensor<3x5xf64>) -> tensor<3x5xf64>
  %l = moire.reduce_leading %z : tensor<3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
