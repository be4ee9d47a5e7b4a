// Variants of attention: gradients agree with differences, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @window(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v window 2 scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @bidirectional(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v bidirectional scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @bidirectional_window(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v bidirectional window 3 scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @softcap(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.57 softcap 1.5 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @alibi(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.57 alibi : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @sinks(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %s: tensor<4xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v sinks %s scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>, tensor<4xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @wide_values(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x7xf64> {moire.differentiate}, %c: tensor<2x5x4x7xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x7xf64>) -> (tensor<2x5x4x7xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x7xf64>, tensor<2x5x4x7xf64>) -> tensor<2x5x4x7xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x7xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @one_value(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x1xf64> {moire.differentiate}, %c: tensor<2x5x4x1xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x1xf64>) -> (tensor<2x5x4x1xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x1xf64>, tensor<2x5x4x1xf64>) -> tensor<2x5x4x1xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x1xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @everything(%q: tensor<2x6x4x3xf64> {moire.differentiate}, %k: tensor<2x6x2x3xf64> {moire.differentiate}, %v: tensor<2x6x2x2xf64> {moire.differentiate}, %s: tensor<4xf64> {moire.differentiate}, %c: tensor<2x6x4x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v sinks %s window 3 scale 0.57 softcap 2.0 alibi : (tensor<2x6x4x3xf64>, tensor<2x6x2x3xf64>, tensor<2x6x2x2xf64>, tensor<4xf64>) -> (tensor<2x6x4x2xf64>, tensor<2x4x6xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x6x4x2xf64>, tensor<2x6x4x2xf64>) -> tensor<2x6x4x2xf64>
  %l = moire.reduce_leading %z : tensor<2x6x4x2xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @everything_bidirectional(%q: tensor<2x6x4x3xf64> {moire.differentiate}, %k: tensor<2x6x2x3xf64> {moire.differentiate}, %v: tensor<2x6x2x4xf64> {moire.differentiate}, %s: tensor<4xf64> {moire.differentiate}, %c: tensor<2x6x4x4xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v sinks %s bidirectional window 3 scale 0.57 softcap 2.0 alibi : (tensor<2x6x4x3xf64>, tensor<2x6x2x3xf64>, tensor<2x6x2x4xf64>, tensor<4xf64>) -> (tensor<2x6x4x4xf64>, tensor<2x4x6xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x6x4x4xf64>, tensor<2x6x4x4xf64>) -> tensor<2x6x4x4xf64>
  %l = moire.reduce_leading %z : tensor<2x6x4x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
