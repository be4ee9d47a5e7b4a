// Documents in a sequence: gradients agree with differences, and machine code with the evaluator. A separator is one token
// in three, so documents of a token and of several are there, and some that begin with the sequence's first.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @attention(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %q: tensor<2x9x4x3xf64> {moire.differentiate}, %k: tensor<2x9x2x3xf64> {moire.differentiate}, %v: tensor<2x9x2x3xf64> {moire.differentiate}, %c: tensor<2x9x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y, %lse = moire.softmax_attention %q, %k, %v documents %documents scale 0.57 : (tensor<2x9x4x3xf64>, tensor<2x9x2x3xf64>, tensor<2x9x2x3xf64>, tensor<2x9xi32>) -> (tensor<2x9x4x3xf64>, tensor<2x4x9xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x9x4x3xf64>, tensor<2x9x4x3xf64>) -> tensor<2x9x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @attention_everything(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %q: tensor<2x9x4x3xf64> {moire.differentiate}, %k: tensor<2x9x2x3xf64> {moire.differentiate}, %v: tensor<2x9x2x3xf64> {moire.differentiate}, %s: tensor<4xf64> {moire.differentiate}, %c: tensor<2x9x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y, %lse = moire.softmax_attention %q, %k, %v sinks %s documents %documents window 3 scale 0.57 softcap 2.0 alibi : (tensor<2x9x4x3xf64>, tensor<2x9x2x3xf64>, tensor<2x9x2x3xf64>, tensor<4xf64>, tensor<2x9xi32>) -> (tensor<2x9x4x3xf64>, tensor<2x4x9xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x9x4x3xf64>, tensor<2x9x4x3xf64>) -> tensor<2x9x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @attention_bidirectional(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %q: tensor<2x9x4x3xf64> {moire.differentiate}, %k: tensor<2x9x2x3xf64> {moire.differentiate}, %v: tensor<2x9x2x3xf64> {moire.differentiate}, %c: tensor<2x9x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y, %lse = moire.softmax_attention %q, %k, %v documents %documents bidirectional window 3 scale 0.57 : (tensor<2x9x4x3xf64>, tensor<2x9x2x3xf64>, tensor<2x9x2x3xf64>, tensor<2x9xi32>) -> (tensor<2x9x4x3xf64>, tensor<2x4x9xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x9x4x3xf64>, tensor<2x9x4x3xf64>) -> tensor<2x9x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @conv(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %x: tensor<2x9x3xf64> {moire.differentiate}, %w: tensor<4x3xf64> {moire.differentiate}, %b: tensor<3xf64> {moire.differentiate}, %c: tensor<2x9x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y = moire.conv causal %x, %w, %b documents %documents : (tensor<2x9x3xf64>, tensor<4x3xf64>, tensor<3xf64>, tensor<2x9xi32>) -> tensor<2x9x3xf64>
  %z = moire.binary mul %y, %c : (tensor<2x9x3xf64>, tensor<2x9x3xf64>) -> tensor<2x9x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @scan(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %u: tensor<2x9x3xf64> {moire.differentiate}, %dt: tensor<2x9x3xf64> {moire.differentiate, moire.mean = 0.5 : f64, moire.spread = 0.4 : f64}, %a: tensor<3x2xf64> {moire.differentiate, moire.mean = -1.0 : f64, moire.spread = 0.5 : f64}, %b: tensor<2x9x2xf64> {moire.differentiate}, %o: tensor<2x9x2xf64> {moire.differentiate}, %d: tensor<3xf64> {moire.differentiate}, %c: tensor<2x9x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y, %states = moire.selective_scan %u, %dt, %a, %b, %o, %d documents %documents : (tensor<2x9x3xf64>, tensor<2x9x3xf64>, tensor<3x2xf64>, tensor<2x9x2xf64>, tensor<2x9x2xf64>, tensor<3xf64>, tensor<2x9xi32>) -> (tensor<2x9x3xf64>, tensor<2x1x3x2xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x9x3xf64>, tensor<2x9x3xf64>) -> tensor<2x9x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @ssd_scan(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %x: tensor<2x9x4x3xf64> {moire.differentiate}, %dt: tensor<2x9x4xf64> {moire.differentiate, moire.mean = 0.5 : f64, moire.spread = 0.4 : f64}, %a: tensor<4xf64> {moire.differentiate, moire.mean = -1.0 : f64, moire.spread = 0.5 : f64}, %b: tensor<2x9x2x2xf64> {moire.differentiate}, %o: tensor<2x9x2x2xf64> {moire.differentiate}, %d: tensor<4xf64> {moire.differentiate}, %c: tensor<2x9x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y, %states = moire.ssd_scan %x, %dt, %a, %b, %o, %d chunk 4 documents %documents : (tensor<2x9x4x3xf64>, tensor<2x9x4xf64>, tensor<4xf64>, tensor<2x9x2x2xf64>, tensor<2x9x2x2xf64>, tensor<4xf64>, tensor<2x9xi32>) -> (tensor<2x9x4x3xf64>, tensor<2x3x4x2x3xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x9x4x3xf64>, tensor<2x9x4x3xf64>) -> tensor<2x9x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Rows of a table by the position in a document: learned positions.
func.func @positions(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %table: tensor<9x3xf64> {moire.differentiate}, %c: tensor<2x9x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y = moire.lookup %documents, %table : (tensor<2x9xi32>, tensor<9x3xf64>) -> tensor<2x9x3xf64>
  %z = moire.binary mul %y, %c : (tensor<2x9x3xf64>, tensor<2x9x3xf64>) -> tensor<2x9x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x3xf64> to tensor<f64>
  return %l : tensor<f64>
}

// In a loop what documents are told of is captured, forward and in reverse.
func.func @loop(%t: tensor<2x9xi32> {moire.below = 3 : i64}, %x: tensor<2x9x3xf64> {moire.differentiate}, %ws: tensor<3x4x3xf64> {moire.differentiate}, %b: tensor<3xf64> {moire.differentiate}, %c: tensor<2x9x3xf64>) -> (tensor<f64> {moire.objective}) {
  %documents = moire.document_positions %t separator 0 : (tensor<2x9xi32>) -> tensor<2x9xi32>
  %y = moire.repeat 3 carried(%h = %x : tensor<2x9x3xf64>) slices(%w = %ws : tensor<3x4x3xf64>) -> tensor<2x9x3xf64> {
    %m = moire.conv causal %h, %w, %b documents %documents : (tensor<2x9x3xf64>, tensor<4x3xf64>, tensor<3xf64>, tensor<2x9xi32>) -> tensor<2x9x3xf64>
    %n = moire.unary silu %m : tensor<2x9x3xf64>
    moire.yield %n : tensor<2x9x3xf64>
  }
  %z = moire.binary mul %y, %c : (tensor<2x9x3xf64>, tensor<2x9x3xf64>) -> tensor<2x9x3xf64>
  %l = moire.reduce_leading %z : tensor<2x9x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
