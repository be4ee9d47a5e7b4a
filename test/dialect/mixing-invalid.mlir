// Each constraint of products, attention, convolutions and scans, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// linear.C1: features
// expected-note @+1 {{weight declared here as 'tensor<4x5xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<4x5xf32>) {
  // expected-error @+1 {{contracts 8 features with 4}}
  %y = moire.linear %x, %w : (tensor<6x8xf32>, tensor<4x5xf32>) -> tensor<6x5xf32>
  return
}

// -----

// linear.C1: features, transposed
// expected-note @+1 {{weight declared here as 'tensor<8x4xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8x4xf32>) {
  // expected-error @+1 {{contracts 8 features with 4}}
  %y = moire.linear %x, %w transpose : (tensor<6x8xf32>, tensor<8x4xf32>) -> tensor<6x8xf32>
  return
}

// -----

// linear.C1: a matrix
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects `w` of rank 2, got rank 1}}
  %y = moire.linear %x, %w : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<6xf32>
  return
}

// -----

// linear.C2
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8x4xf32>) {
  // expected-error @+1 {{expects `y` of shape [6, 4], got [6, 8]}}
  %y = moire.linear %x, %w : (tensor<6x8xf32>, tensor<8x4xf32>) -> tensor<6x8xf32>
  return
}

// -----

// linear.C3
// expected-note @+1 {{measured against this value of type 'tensor<8x4xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8x4xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects `bias` of shape [4], got [8]}}
  %y = moire.linear %x, %w bias %b : (tensor<6x8xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<6x4xf32>
  return
}

// -----

// linear.C4: factors
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8x4xbf16>) {
  // expected-error @+1 {{expects `w` with elements of 'f32', got 'bf16'}}
  %y = moire.linear %x, %w : (tensor<6x8xf32>, tensor<8x4xbf16>) -> tensor<6x4xf32>
  return
}

// -----

// linear.C4: result
func.func @f(%x: tensor<6x8xbf16>, %w: tensor<8x4xbf16>) {
  // expected-error @+1 {{expects `y` with elements of 'bf16' or 'f32', got 'f64'}}
  %y = moire.linear %x, %w : (tensor<6x8xbf16>, tensor<8x4xbf16>) -> tensor<6x4xf64>
  return
}

// -----

// linear_grad_weight.C1
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %dy: tensor<5x4xf32>) {
  // expected-error @+1 {{expects `dy` of shape [6, 4], got [5, 4]}}
  %dw = moire.linear_grad_weight %x, %dy : (tensor<6x8xf32>, tensor<5x4xf32>) -> tensor<8x4xf32>
  return
}

// -----

// linear_grad_weight.C2: shape
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %dy: tensor<6x4xf32>) {
  // expected-error @+1 {{expects `dw` of shape [8, 4], got [4, 8]}}
  %dw = moire.linear_grad_weight %x, %dy : (tensor<6x8xf32>, tensor<6x4xf32>) -> tensor<4x8xf32>
  return
}

// -----

// linear_grad_weight.C2: precision
func.func @f(%x: tensor<6x8xf32>, %dy: tensor<6x4xf32>) {
  // expected-error @+1 {{expects `dw` with elements of 'f32', got 'f64'}}
  %dw = moire.linear_grad_weight %x, %dy : (tensor<6x8xf32>, tensor<6x4xf32>) -> tensor<8x4xf64>
  return
}

// -----

// grouped_linear.C1
// expected-note @+1 {{measured against this value of type 'tensor<3x8x4xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<3x8x4xf32>, %o: tensor<3xi32>) {
  // expected-error @+1 {{expects `offsets` of shape [4], got [3]}}
  %y = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<3x8x4xf32>, tensor<3xi32>) -> tensor<6x4xf32>
  return
}

// -----

// grouped_linear.C2: features
// expected-note @+1 {{weight declared here as 'tensor<3x5x4xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<3x5x4xf32>, %o: tensor<4xi32>) {
  // expected-error @+1 {{contracts 8 features with 5}}
  %y = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<3x5x4xf32>, tensor<4xi32>) -> tensor<6x4xf32>
  return
}

// -----

// grouped_linear.C2: result
// expected-note @+1 {{measured against this value of type 'tensor<12xi32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<3x8x4xf32>, %o: tensor<4xi32>, %r: tensor<12xi32>) {
  // expected-error @+1 {{expects `y` of shape [12, 4], got [6, 4]}}
  %y = moire.grouped_linear %x, %w, %o rows %r : (tensor<6x8xf32>, tensor<3x8x4xf32>, tensor<4xi32>, tensor<12xi32>) -> tensor<6x4xf32>
  return
}

// -----

// grouped_linear.C3: rank
func.func @f(%x: tensor<2x3x8xf32>, %w: tensor<3x8x4xf32>, %o: tensor<4xi32>) {
  // expected-error @+1 {{expects `x` of rank 2, got rank 3}}
  %y = moire.grouped_linear %x, %w, %o : (tensor<2x3x8xf32>, tensor<3x8x4xf32>, tensor<4xi32>) -> tensor<6x4xf32>
  return
}

// -----

// grouped_linear.C3: rows
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<3x8x4xf32>, %o: tensor<4xi32>) {
  // expected-error @+1 {{expects `y` of shape [6, 4], got [5, 4]}}
  %y = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<3x8x4xf32>, tensor<4xi32>) -> tensor<5x4xf32>
  return
}

// -----

// grouped_linear.C4
func.func @f(%x: tensor<6x8xf32>, %w: tensor<3x8x4xbf16>, %o: tensor<4xi32>) {
  // expected-error @+1 {{expects `w` with elements of 'f32', got 'bf16'}}
  %y = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<3x8x4xbf16>, tensor<4xi32>) -> tensor<6x4xf32>
  return
}

// -----

// grouped_linear.C5
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<3x8x4xf32>, %o: tensor<4xi32>, %r: tensor<12xi32>, %p: tensor<4x3xi32>) {
  // expected-error @+1 {{expects `position` of shape [6, 3], got [4, 3]}}
  %y = moire.grouped_linear %x, %w, %o rows %r position %p : (tensor<6x8xf32>, tensor<3x8x4xf32>, tensor<4xi32>, tensor<12xi32>, tensor<4x3xi32>) -> tensor<12x4xf32>
  return
}

// -----

// grouped_linear_grad_weight.C1
func.func @f(%x: tensor<6x8xf32>, %o: tensor<3xi32>) {
  // expected-error @+2 {{expects `offsets` of shape [4], got [3]}}
  // expected-note @+1 {{measured against this value of type 'tensor<3x8x8xf32>'}}
  %dw = moire.grouped_linear_grad_weight %x, %x, %o : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<3xi32>) -> tensor<3x8x8xf32>
  return
}

// -----

// grouped_linear_grad_weight.C2: shape
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %dy: tensor<6x4xf32>, %o: tensor<4xi32>) {
  // expected-error @+1 {{expects `dw` of shape [3, 8, 4], got [3, 4, 8]}}
  %dw = moire.grouped_linear_grad_weight %x, %dy, %o : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<4xi32>) -> tensor<3x4x8xf32>
  return
}

// -----

// grouped_linear_grad_weight.C2: precision
func.func @f(%x: tensor<6x8xf32>, %dy: tensor<6x4xf32>, %o: tensor<4xi32>) {
  // expected-error @+1 {{expects `dw` with elements of 'f32', got 'f64'}}
  %dw = moire.grouped_linear_grad_weight %x, %dy, %o : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<4xi32>) -> tensor<3x8x4xf64>
  return
}

// -----

// grouped_linear_grad_weight.C3
func.func @f(%x: tensor<6x8xf32>, %dy: tensor<12x4xf32>, %o: tensor<4xi32>) {
  // expected-error @+1 {{expects as many rows from `x` as from `dy`, got 6 and 12}}
  %dw = moire.grouped_linear_grad_weight %x, %dy, %o : (tensor<6x8xf32>, tensor<12x4xf32>, tensor<4xi32>) -> tensor<3x8x4xf32>
  return
}

// -----

// softmax_attention.C1: heads
func.func @f(%q: tensor<2x6x4x8xf32>, %k: tensor<2x6x3x8xf32>) {
  // expected-error @+1 {{expects the heads of `k` to divide the heads of `q`, got 3 and 4}}
  %y, %l = moire.softmax_attention %q, %k, %k scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x3x8xf32>, tensor<2x6x3x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention.C1: other extents
// expected-note @+1 {{measured against this value of type 'tensor<2x6x4x8xf32>'}}
func.func @f(%q: tensor<2x6x4x8xf32>, %k: tensor<2x5x2x8xf32>) {
  // expected-error @+1 {{expects `k` of shape [2, 6, 2, 8], got [2, 5, 2, 8]}}
  %y, %l = moire.softmax_attention %q, %k, %k scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x5x2x8xf32>, tensor<2x5x2x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention.C1: keys and values
// expected-note @+1 {{measured against this value of type 'tensor<2x6x2x8xf32>'}}
func.func @f(%q: tensor<2x6x4x8xf32>, %k: tensor<2x6x2x8xf32>, %v: tensor<2x6x4x8xf32>) {
  // expected-error @+1 {{expects `v` of shape [2, 6, 2, 8], got [2, 6, 4, 8]}}
  %y, %l = moire.softmax_attention %q, %k, %v scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x4x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention.C2
func.func @f(%q: tensor<2x6x4x8xf32>, %k: tensor<2x6x2x8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<2x6x4x8xf32>', 'tensor<2x4x6xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %l = moire.softmax_attention %q, %k, %k scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>)
  return
}

// -----

// softmax_attention.C1: rank
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `q` of rank 4, got rank 2}}
  %y, %l = moire.softmax_attention %x, %x, %x scale 1.0 : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6xf32>)
  return
}

// -----

// softmax_attention.C3: window
func.func @f(%q: tensor<2x6x4x8xf32>) {
  // expected-error @+1 {{expects a `window` of 1 or more, got 0}}
  %y, %l = moire.softmax_attention %q, %q, %q window 0 scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention.C3: soft cap
func.func @f(%q: tensor<2x6x4x8xf32>) {
  // expected-error @+1 {{expects `softcap` above 0, got -1}}
  %y, %l = moire.softmax_attention %q, %q, %q scale 1.0 softcap -1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention.C4: one for each head
// expected-note @+1 {{measured against this value of type 'tensor<2x6x4x8xf32>'}}
func.func @f(%q: tensor<2x6x4x8xf32>, %s: tensor<2xf32>) {
  // expected-error @+1 {{expects `sinks` of shape [4], got [2]}}
  %y, %l = moire.softmax_attention %q, %q, %q sinks %s scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention.C4: precision
func.func @f(%q: tensor<2x6x4x8xf32>, %s: tensor<4xf64>) {
  // expected-error @+1 {{expects `sinks` with elements of 'f32', got 'f64'}}
  %y, %l = moire.softmax_attention %q, %q, %q sinks %s scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<4xf64>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// softmax_attention_grad.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x6x4x8xf32>'}}
func.func @f(%q: tensor<2x6x4x8xf32>, %k: tensor<2x6x2x8xf32>, %l: tensor<2x6x4xf32>) {
  // expected-error @+1 {{expects `lse` of shape [2, 4, 6], got [2, 6, 4]}}
  %dq, %dk, %dv = moire.softmax_attention_grad %q, %q, %k, %k, %q, %l scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>)
  return
}

// -----

// softmax_attention_grad.C2
func.func @f(%q: tensor<2x6x4x8xf32>, %k: tensor<2x6x2x8xf32>, %l: tensor<2x4x6xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %dq, %dk, %dv = moire.softmax_attention_grad %q, %q, %k, %k, %q, %l scale 1.0 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x4x8xf32>, tensor<2x4x6xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>)
  return
}

// -----

// cached_attention.C1: one stream
func.func @f(%q: tensor<2x1x4x8xf32>, %c: tensor<64x4x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects a batch of 1, got 2}}
  %y, %k, %v = moire.cached_attention %q, %q, %q, %c, %c at %p scale 1.0 : (tensor<2x1x4x8xf32>, tensor<2x1x4x8xf32>, tensor<2x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>, tensor<i32>) -> (tensor<2x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>)
  return
}

// -----

// cached_attention.C1: room
func.func @f(%q: tensor<1x8x4x8xf32>, %c: tensor<4x4x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects caches with room for the 8 new tokens, got 4}}
  %y, %k, %v = moire.cached_attention %q, %q, %q, %c, %c at %p scale 1.0 : (tensor<1x8x4x8xf32>, tensor<1x8x4x8xf32>, tensor<1x8x4x8xf32>, tensor<4x4x8xf32>, tensor<4x4x8xf32>, tensor<i32>) -> (tensor<1x8x4x8xf32>, tensor<4x4x8xf32>, tensor<4x4x8xf32>)
  return
}

// -----

// cached_attention.C3
func.func @f(%q: tensor<1x1x4x8xf32>, %c: tensor<64x4x8xf32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects a `window` of 1 or more, got 0}}
  %y, %k, %v = moire.cached_attention %q, %q, %q, %c, %c at %p window 0 scale 1.0 : (tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>, tensor<i32>) -> (tensor<1x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>)
  return
}

// -----

// cached_attention.C2
func.func @f(%q: tensor<1x1x4x8xf32>, %c: tensor<64x4x8xf32>, %p: tensor<i32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %k, %v = moire.cached_attention %q, %q, %q, %c, %c at %p scale 1.0 : (tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32>, tensor<1x1x4x8xf32>, tensor<64x4x8xf32>, tensor<64x4x8xf32>, tensor<i32>) -> (tensor<1x1x4x8xf32>, tensor<65x4x8xf32>, tensor<64x4x8xf32>)
  return
}

// -----

// conv.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>, %w: tensor<4x5xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects `w` of shape [4, 8], got [4, 5]}}
  %y = moire.conv causal %x, %w, %b : (tensor<2x6x8xf32>, tensor<4x5xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  return
}

// -----

// conv.C2: causal
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 6, 8], got [2, 3, 8]}}
  %y = moire.conv causal %x, %w, %b : (tensor<2x6x8xf32>, tensor<4x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// conv.C2: valid
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>) {
  // expected-error @+1 {{expects `y` of shape [2, 3, 8], got [2, 6, 8]}}
  %y = moire.conv valid %x, %w, %b : (tensor<2x6x8xf32>, tensor<4x8xf32>, tensor<8xf32>) -> tensor<2x6x8xf32>
  return
}

// -----

// conv_grad_input.C1
func.func @f(%dy: tensor<2x6x8xf32>, %w: tensor<4x8xf32>) {
  // expected-error @+1 {{expects `dx` of type 'tensor<2x6x8xf32>', got 'tensor<2x5x8xf32>'}}
  %dx = moire.conv_grad_input %dy, %w : (tensor<2x6x8xf32>, tensor<4x8xf32>) -> tensor<2x5x8xf32>
  return
}

// -----

// conv_grad_weight.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%x: tensor<2x6x8xf32>) {
  // expected-error @+1 {{expects `dbias` of shape [8], got [4]}}
  %dw, %db = moire.conv_grad_weight %x, %x : (tensor<2x6x8xf32>, tensor<2x6x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>)
  return
}

// -----

// selective_scan.C1: extents
// expected-note @+1 {{measured against this value of type 'tensor<8x4xf32>'}}
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x5xf32>, %d: tensor<8xf32>) {
  // expected-error @+1 {{expects `b` of shape [2, 6, 4], got [2, 6, 5]}}
  %y, %s = moire.selective_scan %u, %u, %a, %b, %b, %d : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x5xf32>, tensor<2x6x5xf32>, tensor<8xf32>) -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>)
  return
}

// -----

// selective_scan.C1: precision
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf64>) {
  // expected-error @+1 {{expects `d` with elements of 'f32', got 'f64'}}
  %y, %s = moire.selective_scan %u, %u, %a, %b, %b, %d : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf64>) -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>)
  return
}

// -----

// selective_scan.C2
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<2x6x8xf32>', 'tensor<2x1x8x4xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %s = moire.selective_scan %u, %u, %a, %b, %b, %d : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>) -> (tensor<2x6x8xf32>, tensor<2x6x8x4xf32>)
  return
}

// -----

// selective_scan_grad.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %s: tensor<2x2x8x4xf32>) {
  // expected-error @+1 {{expects `states` of shape [2, 1, 8, 4], got [2, 2, 8, 4]}}
  %du, %ddt, %da, %db, %dc, %dd = moire.selective_scan_grad %u, %u, %u, %a, %b, %b, %d, %s : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x2x8x4xf32>) -> (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
  return
}

// -----

// selective_scan_grad.C2
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %s: tensor<2x1x8x4xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %du, %ddt, %da, %db, %dc, %dd = moire.selective_scan_grad %u, %u, %u, %a, %b, %b, %d, %s : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x1x8x4xf32>) -> (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<4x8xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
  return
}

// -----

// stateful_scan.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x6x8xf32>'}}
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %h: tensor<2x4x8xf32>) {
  // expected-error @+1 {{expects `state` of shape [2, 8, 4], got [2, 4, 8]}}
  %y, %g = moire.stateful_scan %u, %u, %a, %b, %b, %d from %h : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x4x8xf32>) -> (tensor<2x6x8xf32>, tensor<2x4x8xf32>)
  return
}

// -----

// stateful_scan.C2
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %h: tensor<2x8x4xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %g = moire.stateful_scan %u, %u, %a, %b, %b, %d from %h : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x8x4xf32>) -> (tensor<2x6x8xf32>, tensor<2x4x8xf32>)
  return
}
