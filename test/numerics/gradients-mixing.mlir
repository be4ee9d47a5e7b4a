// Products, attention, convolutions and scans: gradients agree with differences, and machine code with the evaluator.
// RUN: moire-evaluate --gradients %s
// RUN: moire-evaluate --gradients --passes="moire-autodiff{recompute-pointwise=false recompute-contraction=0},canonicalize,cse" %s
// RUN: moire-evaluate --compiled --tolerance=1e-9 %s

func.func @linear(%x: tensor<2x3x4xf64> {moire.differentiate}, %w: tensor<4x5xf64> {moire.differentiate}, %b: tensor<5xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.linear %x, %w bias %b : (tensor<2x3x4xf64>, tensor<4x5xf64>, tensor<5xf64>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @linear_transpose(%x: tensor<2x3x4xf64> {moire.differentiate}, %w: tensor<5x4xf64> {moire.differentiate}, %c: tensor<2x3x5xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.linear %x, %w transpose : (tensor<2x3x4xf64>, tensor<5x4xf64>) -> tensor<2x3x5xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x5xf64>, tensor<2x3x5xf64>) -> tensor<2x3x5xf64>
  %l = moire.reduce_leading %z : tensor<2x3x5xf64> to tensor<f64>
  return %l : tensor<f64>
}

// One matrix read forwards and transposed, as tied embeddings do.
func.func @linear_tied(%x: tensor<2x3x4xf64> {moire.differentiate}, %w: tensor<4x4xf64> {moire.differentiate}, %c: tensor<2x3x4xf64>) -> (tensor<f64> {moire.objective}) {
  %h = moire.linear %x, %w : (tensor<2x3x4xf64>, tensor<4x4xf64>) -> tensor<2x3x4xf64>
  %y = moire.linear %h, %w transpose : (tensor<2x3x4xf64>, tensor<4x4xf64>) -> tensor<2x3x4xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x4xf64>, tensor<2x3x4xf64>) -> tensor<2x3x4xf64>
  %l = moire.reduce_leading %z : tensor<2x3x4xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @grouped_linear(%choice: tensor<4x2xi32> {moire.below = 3 : i64}, %x: tensor<8x4xf64> {moire.differentiate}, %w: tensor<3x4x5xf64> {moire.differentiate}, %c: tensor<8x5xf64>) -> (tensor<f64> {moire.objective}) {
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %y = moire.grouped_linear %x, %w, %offsets : (tensor<8x4xf64>, tensor<3x4x5xf64>, tensor<4xi32>) -> tensor<8x5xf64>
  %z = moire.binary mul %y, %c : (tensor<8x5xf64>, tensor<8x5xf64>) -> tensor<8x5xf64>
  %l = moire.reduce_leading %z : tensor<8x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @grouped_linear_rows(%choice: tensor<2x2x2xi32> {moire.below = 3 : i64}, %x: tensor<2x2x4xf64> {moire.differentiate}, %w: tensor<3x4x5xf64> {moire.differentiate}, %c: tensor<8x5xf64>) -> (tensor<f64> {moire.objective}) {
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<2x2x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<8xi32>, tensor<2x2x2xi32>)
  %y = moire.grouped_linear %x, %w, %offsets rows %rows position %position : (tensor<2x2x4xf64>, tensor<3x4x5xf64>, tensor<4xi32>, tensor<8xi32>, tensor<2x2x2xi32>) -> tensor<8x5xf64>
  %z = moire.binary mul %y, %c : (tensor<8x5xf64>, tensor<8x5xf64>) -> tensor<8x5xf64>
  %l = moire.reduce_leading %z : tensor<8x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @grouped_linear_transpose(%choice: tensor<4x2xi32> {moire.below = 3 : i64}, %x: tensor<8x4xf64> {moire.differentiate}, %w: tensor<3x5x4xf64> {moire.differentiate}, %c: tensor<8x5xf64>) -> (tensor<f64> {moire.objective}) {
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<4x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<8xi32>, tensor<4x2xi32>)
  %y = moire.grouped_linear %x, %w, %offsets transpose : (tensor<8x4xf64>, tensor<3x5x4xf64>, tensor<4xi32>) -> tensor<8x5xf64>
  %z = moire.binary mul %y, %c : (tensor<8x5xf64>, tensor<8x5xf64>) -> tensor<8x5xf64>
  %l = moire.reduce_leading %z : tensor<8x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @grouped_linear_rows_transpose(%choice: tensor<2x2x2xi32> {moire.below = 3 : i64}, %x: tensor<2x2x4xf64> {moire.differentiate}, %w: tensor<3x5x4xf64> {moire.differentiate}, %c: tensor<8x5xf64>) -> (tensor<f64> {moire.objective}) {
  %offsets, %rows, %slots, %position = moire.dispatch %choice : (tensor<2x2x2xi32>) -> (tensor<4xi32>, tensor<8xi32>, tensor<8xi32>, tensor<2x2x2xi32>)
  %y = moire.grouped_linear %x, %w, %offsets rows %rows position %position transpose : (tensor<2x2x4xf64>, tensor<3x5x4xf64>, tensor<4xi32>, tensor<8xi32>, tensor<2x2x2xi32>) -> tensor<8x5xf64>
  %z = moire.binary mul %y, %c : (tensor<8x5xf64>, tensor<8x5xf64>) -> tensor<8x5xf64>
  %l = moire.reduce_leading %z : tensor<8x5xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @attention(%q: tensor<2x5x4x3xf64> {moire.differentiate}, %k: tensor<2x5x2x3xf64> {moire.differentiate}, %v: tensor<2x5x2x3xf64> {moire.differentiate}, %c: tensor<2x5x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.57 : (tensor<2x5x4x3xf64>, tensor<2x5x2x3xf64>, tensor<2x5x2x3xf64>) -> (tensor<2x5x4x3xf64>, tensor<2x4x5xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x5x4x3xf64>, tensor<2x5x4x3xf64>) -> tensor<2x5x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x5x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @conv_causal(%x: tensor<2x6x3xf64> {moire.differentiate}, %w: tensor<4x3xf64> {moire.differentiate}, %b: tensor<3xf64> {moire.differentiate}, %c: tensor<2x6x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.conv causal %x, %w, %b : (tensor<2x6x3xf64>, tensor<4x3xf64>, tensor<3xf64>) -> tensor<2x6x3xf64>
  %z = moire.binary mul %y, %c : (tensor<2x6x3xf64>, tensor<2x6x3xf64>) -> tensor<2x6x3xf64>
  %l = moire.reduce_leading %z : tensor<2x6x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @conv_valid(%x: tensor<2x6x3xf64> {moire.differentiate}, %w: tensor<4x3xf64> {moire.differentiate}, %b: tensor<3xf64> {moire.differentiate}, %c: tensor<2x3x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y = moire.conv valid %x, %w, %b : (tensor<2x6x3xf64>, tensor<4x3xf64>, tensor<3xf64>) -> tensor<2x3x3xf64>
  %z = moire.binary mul %y, %c : (tensor<2x3x3xf64>, tensor<2x3x3xf64>) -> tensor<2x3x3xf64>
  %l = moire.reduce_leading %z : tensor<2x3x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
func.func @scan(%u: tensor<2x6x3xf64> {moire.differentiate}, %dt: tensor<2x6x3xf64> {moire.differentiate, moire.mean = 0.5 : f64, moire.spread = 0.4 : f64}, %a: tensor<3x2xf64> {moire.differentiate, moire.mean = -1.0 : f64, moire.spread = 0.5 : f64}, %b: tensor<2x6x2xf64> {moire.differentiate}, %o: tensor<2x6x2xf64> {moire.differentiate}, %d: tensor<3xf64> {moire.differentiate}, %c: tensor<2x6x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %states = moire.selective_scan %u, %dt, %a, %b, %o, %d : (tensor<2x6x3xf64>, tensor<2x6x3xf64>, tensor<3x2xf64>, tensor<2x6x2xf64>, tensor<2x6x2xf64>, tensor<3xf64>) -> (tensor<2x6x3xf64>, tensor<2x1x3x2xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x6x3xf64>, tensor<2x6x3xf64>) -> tensor<2x6x3xf64>
  %l = moire.reduce_leading %z : tensor<2x6x3xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Longer than one chunk of saved states.
func.func @scan_chunks(%u: tensor<1x70x2xf64> {moire.differentiate}, %dt: tensor<1x70x2xf64> {moire.mean = 0.5 : f64, moire.spread = 0.4 : f64}, %a: tensor<2x2xf64> {moire.differentiate, moire.mean = -1.0 : f64, moire.spread = 0.5 : f64}, %b: tensor<1x70x2xf64>, %o: tensor<1x70x2xf64>, %d: tensor<2xf64> {moire.differentiate}, %c: tensor<1x70x2xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %states = moire.selective_scan %u, %dt, %a, %b, %o, %d : (tensor<1x70x2xf64>, tensor<1x70x2xf64>, tensor<2x2xf64>, tensor<1x70x2xf64>, tensor<1x70x2xf64>, tensor<2xf64>) -> (tensor<1x70x2xf64>, tensor<1x2x2x2xf64>)
  %z = moire.binary mul %y, %c : (tensor<1x70x2xf64>, tensor<1x70x2xf64>) -> tensor<1x70x2xf64>
  %l = moire.reduce_leading %z : tensor<1x70x2xf64> to tensor<f64>
  return %l : tensor<f64>
}

// Several groups; a last chunk that is not full.
func.func @ssd_scan(%x: tensor<2x7x4x3xf64> {moire.differentiate}, %dt: tensor<2x7x4xf64> {moire.differentiate, moire.mean = 0.5 : f64, moire.spread = 0.4 : f64}, %a: tensor<4xf64> {moire.differentiate, moire.mean = -1.0 : f64, moire.spread = 0.5 : f64}, %b: tensor<2x7x2x2xf64> {moire.differentiate}, %o: tensor<2x7x2x2xf64> {moire.differentiate}, %d: tensor<4xf64> {moire.differentiate}, %c: tensor<2x7x4x3xf64>) -> (tensor<f64> {moire.objective}) {
  %y, %states = moire.ssd_scan %x, %dt, %a, %b, %o, %d chunk 3 : (tensor<2x7x4x3xf64>, tensor<2x7x4xf64>, tensor<4xf64>, tensor<2x7x2x2xf64>, tensor<2x7x2x2xf64>, tensor<4xf64>) -> (tensor<2x7x4x3xf64>, tensor<2x3x4x2x3xf64>)
  %z = moire.binary mul %y, %c : (tensor<2x7x4x3xf64>, tensor<2x7x4x3xf64>) -> tensor<2x7x4x3xf64>
  %l = moire.reduce_leading %z : tensor<2x7x4x3xf64> to tensor<f64>
  return %l : tensor<f64>
}
