// Norms, lookups, rotations and losses: gradients agree with differences, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @rms_norm(%x: tensor<2x3x5xf64> {moire.differentiate}, %w: tensor<5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %rstd = moire.rms_norm %x, %w eps 1.0e-5 : (tensor<2x3x5xf64>, tensor<5xf64>) -> (tensor<2x3x5xf64>, tensor<2x3xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @layer_norm(%x: tensor<2x3x5xf64> {moire.differentiate}, %w: tensor<5xf64> {moire.differentiate}, %b: tensor<5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %mean, %rstd = moire.layer_norm %x, %w, %b eps 1.0e-5 : (tensor<2x3x5xf64>, tensor<5xf64>, tensor<5xf64>) -> (tensor<2x3x5xf64>, tensor<2x3xf64>, tensor<2x3xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @lookup(%i: tensor<2x4xi32> {moire.below = 3 : i64}, %w: tensor<3x5xf64> {moire.differentiate}, %c: tensor<2x4x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.lookup %i, %w : (tensor<2x4xi32>, tensor<3x5xf64>) -> tensor<2x4x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x4x5xf64>, tensor<2x4x5xf64>) -> tensor<2x4x5xf64>
  %l = moire.reduce_leading %z : tensor<2x4x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @tile(%x: tensor<2x3x4xf64> {moire.differentiate}, %c: tensor<2x3x12xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.tile %x by 3 : (tensor<2x3x4xf64>) -> tensor<2x3x12xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x12xf64>, tensor<2x3x12xf64>) -> tensor<2x3x12xf64>
  %l = moire.reduce_leading %z : tensor<2x3x12xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @tile_number(%x: tensor<2x3x1xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.tile %x by 5 : (tensor<2x3x1xf64>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @fold(%x: tensor<2x3x12xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.fold %x by 3 : (tensor<2x3x12xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @fold_to_number(%x: tensor<2x3x5xf64> {moire.differentiate}, %c: tensor<2x3x1xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.fold %x by 5 : (tensor<2x3x5xf64>) -> tensor<2x3x1xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x1xf64>, tensor<2x3x1xf64>) -> tensor<2x3x1xf64>
  %l = moire.reduce_leading %z : tensor<2x3x1xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @rope(%x: tensor<2x3x2x4xf64> {moire.differentiate}, %c: tensor<2x3x2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %cos, %sin = moire.rotary_table 100.0 : tensor<3x2xf64>, tensor<3x2xf64>
  %y = moire.rope %x, %cos, %sin : (tensor<2x3x2x4xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> tensor<2x3x2x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x2x4xf64>, tensor<2x3x2x4xf64>) -> tensor<2x3x2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @rope_inverse(%x: tensor<2x3x2x4xf64> {moire.differentiate}, %c: tensor<2x3x2x4xf64>) -> (tensor<f64> {moire.objective}) {
  %cos, %sin = moire.rotary_table 100.0 : tensor<3x2xf64>, tensor<3x2xf64>
  %y = moire.rope %x, %cos, %sin inverse : (tensor<2x3x2x4xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> tensor<2x3x2x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x2x4xf64>, tensor<2x3x2x4xf64>) -> tensor<2x3x2x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x2x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @softmax(%x: tensor<2x3x5xf64> {moire.differentiate, moire.spread = 2.0 : f64}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.softmax %x : tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}

// A target below zero does not count.
func.func @cross_entropy(%x: tensor<2x3x5xf64> {moire.differentiate}, %t: tensor<2x3xi32> {moire.at_least = -1 : i64, moire.below = 5 : i64}, %c: tensor<2x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.cross_entropy %x, %t : (tensor<2x3x5xf64>, tensor<2x3xi32>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x3xf64>, tensor<2x3xf64>) -> tensor<2x3xf64>
  %l = moire.reduce_leading %z : tensor<2x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @z_loss(%x: tensor<2x3x5xf64> {moire.differentiate, moire.mean = 1.0 : f64}, %c: tensor<2x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.z_loss %x coefficient 0.1 tokens 6 : (tensor<2x3x5xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x3xf64>, tensor<2x3xf64>) -> tensor<2x3xf64>
  %l = moire.reduce_leading %z : tensor<2x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
