// Mixtures of tokens: gradients agree with differences, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @group_softmax(%x: tensor<4x3x5xf64> {moire.differentiate}, %c: tensor<4x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.group_softmax %x group 2 : (tensor<4x3x5xf64>) -> tensor<4x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<4x3x5xf64>, tensor<4x3x5xf64>) -> tensor<4x3x5xf64>
  %l = moire.reduce_leading %z : tensor<4x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @mix(%w: tensor<4x3x5xf64> {moire.differentiate}, %x: tensor<4x3x7xf64> {moire.differentiate}, %c: tensor<30x7xf64>) -> (tensor<f64> {moire.objective}) {
  %m = moire.mix %w, %x group 2 : (tensor<4x3x5xf64>, tensor<4x3x7xf64>) -> tensor<30x7xf64>
  %z = moire.binary mul %m, %c : (tensor<30x7xf64>, tensor<30x7xf64>) -> tensor<30x7xf64>
  %l = moire.reduce_leading %z : tensor<30x7xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @unmix(%w: tensor<4x3x5xf64> {moire.differentiate}, %m: tensor<30x7xf64> {moire.differentiate}, %c: tensor<4x3x7xf64>) -> (tensor<f64> {moire.objective}) {
  %x = moire.unmix %w, %m group 2 : (tensor<4x3x5xf64>, tensor<30x7xf64>) -> tensor<4x3x7xf64>
  %z = moire.binary mul %x, %c : (tensor<4x3x7xf64>, tensor<4x3x7xf64>) -> tensor<4x3x7xf64>
  %l = moire.reduce_leading %z : tensor<4x3x7xf64> to tensor<f64>
  return %l : tensor<f64>
}

// A whole layer in a loop: a learned temperature, weights of its own for the way back, stacked parameters.
func.func @mixture_of_tokens(%x: tensor<4x3x5xf64> {moire.differentiate}, %controllers: tensor<2x5x6xf64> {moire.differentiate}, %emits: tensor<2x5x6xf64> {moire.differentiate}, %temperatures: tensor<2xf64> {moire.differentiate}, %ups: tensor<2x6x5x4xf64> {moire.differentiate}, %downs: tensor<2x6x4x5xf64> {moire.differentiate}, %c: tensor<4x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.repeat 2 carried(%h = %x : tensor<4x3x5xf64>) slices(%controller = %controllers : tensor<2x5x6xf64>, %emit = %emits : tensor<2x5x6xf64>, %t = %temperatures : tensor<2xf64>, %up = %ups : tensor<2x6x5x4xf64>, %down = %downs : tensor<2x6x4x5xf64>) -> tensor<4x3x5xf64> {
    %s = moire.unary exp %t : tensor<f64>
    %raw = moire.linear %h, %controller : (tensor<4x3x5xf64>, tensor<5x6xf64>) -> tensor<4x3x6xf64>
    %logits = moire.binary mul %raw, %s : (tensor<4x3x6xf64>, tensor<f64>) -> tensor<4x3x6xf64>
    %merge = moire.group_softmax %logits group 4 : (tensor<4x3x6xf64>) -> tensor<4x3x6xf64>
    %back = moire.linear %h, %emit : (tensor<4x3x5xf64>, tensor<5x6xf64>) -> tensor<4x3x6xf64>
    %weights = moire.softmax %back : tensor<4x3x6xf64>
    %m = moire.mix %merge, %h group 4 : (tensor<4x3x6xf64>, tensor<4x3x5xf64>) -> tensor<18x5xf64>
    %offsets = moire.even_offsets rows 3 : tensor<7xi32>
    %a = moire.grouped_linear %m, %up, %offsets : (tensor<18x5xf64>, tensor<6x5x4xf64>, tensor<7xi32>) -> tensor<18x4xf64>
    %r = moire.unary gelu %a : tensor<18x4xf64>
    %o = moire.grouped_linear %r, %down, %offsets : (tensor<18x4xf64>, tensor<6x4x5xf64>, tensor<7xi32>) -> tensor<18x5xf64>
    %u = moire.unmix %weights, %o group 4 : (tensor<4x3x6xf64>, tensor<18x5xf64>) -> tensor<4x3x5xf64>
    %n = moire.binary add %h, %u : (tensor<4x3x5xf64>, tensor<4x3x5xf64>) -> tensor<4x3x5xf64>
    moire.yield %n : tensor<4x3x5xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<4x3x5xf64>, tensor<4x3x5xf64>) -> tensor<4x3x5xf64>
  %l = moire.reduce_leading %z : tensor<4x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
