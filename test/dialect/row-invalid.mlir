// Each constraint of row ops, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// rms_norm.C1: shape
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<4xf32>) {
  // expected-error @+1 {{expects `weight` of shape [8], got [4]}}
  %y, %r = moire.rms_norm %x, %w eps 1.0e-05 : (tensor<6x8xf32>, tensor<4xf32>) -> (tensor<6x8xf32>, tensor<6xf32>)
  return
}

// -----

// rms_norm.C1: precision
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf64>) {
  // expected-error @+1 {{expects `weight` with elements of 'f32', got 'f64'}}
  %y, %r = moire.rms_norm %x, %w eps 1.0e-05 : (tensor<6x8xf32>, tensor<8xf64>) -> (tensor<6x8xf32>, tensor<6xf32>)
  return
}

// -----

// rms_norm.C2
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects `eps` above 0, got 0}}
  %y, %r = moire.rms_norm %x, %w eps 0.0 : (tensor<6x8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<6xf32>)
  return
}

// -----

// rms_norm.C3
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6x8xf32>', 'tensor<6xf32>' are incompatible with return type(s) of operation 'tensor<6x8xf32>', 'tensor<8xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %r = moire.rms_norm %x, %w eps 1.0e-05 : (tensor<6x8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<8xf32>)
  return
}

// -----

// rms_norm.C3: a scalar has no features
func.func @f(%x: tensor<f32>, %w: tensor<1xf32>) {
  // expected-error @+2 {{expects a ranked tensor with a last dimension, got 'tensor<f32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %r = moire.rms_norm %x, %w eps 1.0e-05 : (tensor<f32>, tensor<1xf32>) -> (tensor<f32>, tensor<f32>)
  return
}

// -----

// rms_norm_grad.C1
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %r: tensor<8xf32>) {
  // expected-error @+1 {{expects `rstd` of type 'tensor<6xf32>', got 'tensor<8xf32>'}}
  %dx, %dw = moire.rms_norm_grad %x, %x, %w, %r : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<8xf32>)
  return
}

// -----

// rms_norm_grad.C2
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %r: tensor<6xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6x8xf32>', 'tensor<8xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %dx, %dw = moire.rms_norm_grad %x, %x, %w, %r : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>) -> (tensor<6x8xf32>, tensor<6xf32>)
  return
}

// -----

// layer_norm.C1
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects `bias` of shape [8], got [4]}}
  %y, %m, %r = moire.layer_norm %x, %w, %b eps 1.0e-05 : (tensor<6x8xf32>, tensor<8xf32>, tensor<4xf32>) -> (tensor<6x8xf32>, tensor<6xf32>, tensor<6xf32>)
  return
}

// -----

// layer_norm.C2
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+1 {{expects `eps` above 0, got -1}}
  %y, %m, %r = moire.layer_norm %x, %w, %w eps -1.0 : (tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<6xf32>, tensor<6xf32>)
  return
}

// -----

// layer_norm.C3
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6x8xf32>', 'tensor<6xf32>', 'tensor<6xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %m, %r = moire.layer_norm %x, %w, %w eps 1.0e-05 : (tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<6x8xf32>, tensor<6xf32>, tensor<6x1xf32>)
  return
}

// -----

// layer_norm_grad.C1
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %m: tensor<6xf32>, %dy: tensor<6x4xf32>) {
  // expected-error @+1 {{expects `dy` of type 'tensor<6x8xf32>', got 'tensor<6x4xf32>'}}
  %dx, %dw, %db = moire.layer_norm_grad %dy, %x, %w, %m, %m : (tensor<6x4xf32>, tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>, tensor<6xf32>) -> (tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

// layer_norm_grad.C2
func.func @f(%x: tensor<6x8xf32>, %w: tensor<8xf32>, %m: tensor<6xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6x8xf32>', 'tensor<8xf32>', 'tensor<8xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %dx, %dw, %db = moire.layer_norm_grad %x, %x, %w, %m, %m : (tensor<6x8xf32>, tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>, tensor<6xf32>) -> (tensor<6x8xf32>, tensor<8xf32>, tensor<6xf32>)
  return
}

// -----

// lookup.C1
func.func @f(%i: tensor<6xi32>, %t: tensor<16xf32>) {
  // expected-error @+2 {{expects a table of rank 2, got 'tensor<16xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = moire.lookup %i, %t : (tensor<6xi32>, tensor<16xf32>) -> tensor<6xf32>
  return
}

// -----

// lookup.C2
func.func @f(%i: tensor<6xi32>, %t: tensor<16x8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6x8xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = moire.lookup %i, %t : (tensor<6xi32>, tensor<16x8xf32>) -> tensor<6x16xf32>
  return
}

// -----

// lookup_grad.C1: shapes
// expected-note @+1 {{measured against this value of type 'tensor<6xi32>'}}
func.func @f(%i: tensor<6xi32>, %dy: tensor<5x8xf32>) {
  // expected-error @+1 {{expects `dy` of shape [6, 8], got [5, 8]}}
  %d = moire.lookup_grad %i, %dy : (tensor<6xi32>, tensor<5x8xf32>) -> tensor<16x8xf32>
  return
}

// -----

// lookup_grad.C1: precision
func.func @f(%i: tensor<6xi32>, %dy: tensor<6x8xf64>) {
  // expected-error @+1 {{expects `dtable` with elements of 'f64', got 'f32'}}
  %d = moire.lookup_grad %i, %dy : (tensor<6xi32>, tensor<6x8xf64>) -> tensor<16x8xf32>
  return
}

// -----

// rotary_table.C1: rank
func.func @f() {
  // expected-error @+1 {{expects `cos` of rank 2, got rank 1}}
  %c, %s = moire.rotary_table 1.0e+04 : tensor<4xf32>, tensor<4xf32>
  return
}

// -----

// rotary_table.C1: one type
func.func @f() {
  // expected-error @+1 {{expects `sin` of type 'tensor<6x4xf32>', got 'tensor<6x2xf32>'}}
  %c, %s = moire.rotary_table 1.0e+04 : tensor<6x4xf32>, tensor<6x2xf32>
  return
}

// -----

// rotary_table.C2
func.func @f() {
  // expected-error @+1 {{expects `base` above 0, got 0}}
  %c, %s = moire.rotary_table 0.0 : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C2: scaled bases
func.func @f() {
  // expected-error @+1 {{expects `base` above 1, got 1}}
  %c, %s = moire.rotary_table 1.0 scaling ntk factor 2.0 : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C2: more than one pair
func.func @f() {
  // expected-error @+1 {{expects more than one pair of features to scale, got 1}}
  %c, %s = moire.rotary_table 10.0 scaling ntk factor 2.0 : tensor<6x1xf32>, tensor<6x1xf32>
  return
}

// -----

// rotary_table.C3: a factor
func.func @f() {
  // expected-error @+1 {{expects `scaling` and `factor` together}}
  %c, %s = moire.rotary_table 10.0 scaling ntk : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C3: that stretches
func.func @f() {
  // expected-error @+1 {{expects `factor` of 1 or more, got 5.000000e-01}}
  %c, %s = moire.rotary_table 10.0 scaling linear factor 0.5 : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C3: the original context
func.func @f() {
  // expected-error @+1 {{expects `original` with the scaling yarn, and only there}}
  %c, %s = moire.rotary_table 10.0 scaling linear factor 2.0 original 5 : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C3: of at least one position
func.func @f() {
  // expected-error @+1 {{expects `original` of 1 or more, got 0}}
  %c, %s = moire.rotary_table 10.0 scaling yarn factor 2.0 original 0 : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C4: without yarn
func.func @f() {
  // expected-error @+1 {{expects `fast`, `slow` and `exact` with the scaling yarn only}}
  %c, %s = moire.rotary_table 10.0 scaling linear factor 2.0 exact : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// rotary_table.C4: the order
func.func @f() {
  // expected-error @+1 {{expects `fast` above `slow` above 0, got 1.000000e+00 and 1.000000e+00}}
  %c, %s = moire.rotary_table 10.0 scaling yarn factor 2.0 original 8 fast 1.0 : tensor<6x4xf32>, tensor<6x4xf32>
  return
}

// -----

// tile.C1: a last dimension
func.func @f(%x: tensor<f32>) {
  // expected-error @+2 {{expects an operand with a last dimension, and 1 copy or more}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = moire.tile %x by 2 : (tensor<f32>) -> tensor<f32>
  return
}

// -----

// tile.C1: copies
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects 1 copy or more, got 0}}
  %y = moire.tile %x by 0 : (tensor<4xf32>) -> tensor<0xf32>
  return
}

// -----

// tile.C2
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = moire.tile %x by 2 : (tensor<4xf32>) -> tensor<9xf32>
  return
}

// -----

// fold.C1
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{expects `copies` to divide the last dimension, got 3 and 4}}
  %y = moire.fold %x by 3 : (tensor<4xf32>) -> tensor<1xf32>
  return
}

// -----

// fold.C2
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = moire.fold %x by 2 : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// rope.C1: rank
func.func @f(%x: tensor<6x8xf32>, %c: tensor<6x4xf32>) {
  // expected-error @+1 {{expects `x` of rank 4, or of rank 1 inside a row kernel, got rank 2}}
  %y = moire.rope %x, %c, %c : (tensor<6x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<6x8xf32>
  return
}

// -----

// rope.C1: pairs
func.func @f(%x: tensor<7xf32>, %c: tensor<3xf32>) {
  // expected-error @+1 {{expects an even last dimension, got 7}}
  %y = moire.rope %x, %c, %c : (tensor<7xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<7xf32>
  return
}

// -----

// rope.C2: shape
// expected-note @+1 {{measured against this value of type 'tensor<2x6x3x8xf32>'}}
func.func @f(%x: tensor<2x6x3x8xf32>, %c: tensor<6x4xf32>, %s: tensor<5x4xf32>) {
  // expected-error @+1 {{expects `sin` of shape [6, 4], got [5, 4]}}
  %y = moire.rope %x, %c, %s : (tensor<2x6x3x8xf32>, tensor<6x4xf32>, tensor<5x4xf32>) -> tensor<2x6x3x8xf32>
  return
}

// -----

// rope.C2: precision
func.func @f(%x: tensor<2x6x3x8xf64>, %c: tensor<6x4xf32>) {
  // expected-error @+1 {{expects `cos` with elements of 'f64', got 'f32'}}
  %y = moire.rope %x, %c, %c : (tensor<2x6x3x8xf64>, tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<2x6x3x8xf64>
  return
}

// -----

// rope.C3
func.func @f(%x: tensor<2x6x3x8xf32>, %c: tensor<6x4xf32>) {
  // expected-error @+1 {{failed to verify that all of {x, y} have same type}}
  %y = moire.rope %x, %c, %c : (tensor<2x6x3x8xf32>, tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<2x6x3x8xbf16>
  return
}

// -----

// cross_entropy.C1: targets
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %t: tensor<8xi32>) {
  // expected-error @+1 {{expects `targets` of shape [6], got [8]}}
  %n, %l = moire.cross_entropy %x, %t : (tensor<6x8xf32>, tensor<8xi32>) -> (tensor<6xf32>, tensor<6xf32>)
  return
}

// -----

// cross_entropy.C1: results
func.func @f(%x: tensor<6x8xf32>, %t: tensor<6xi32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6xf32>', 'tensor<6xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %n, %l = moire.cross_entropy %x, %t : (tensor<6x8xf32>, tensor<6xi32>) -> (tensor<6xf32>, tensor<8xf32>)
  return
}

// -----

// cross_entropy_grad.C1: statistics
func.func @f(%x: tensor<6x8xf32>, %t: tensor<6xi32>, %l: tensor<6xf32>, %d: tensor<6x1xf32>) {
  // expected-error @+1 {{expects `dnll` of type 'tensor<6xf32>', got 'tensor<6x1xf32>'}}
  %g = moire.cross_entropy_grad %x, %t, %l, %d : (tensor<6x8xf32>, tensor<6xi32>, tensor<6xf32>, tensor<6x1xf32>) -> tensor<6x8xf32>
  return
}

// -----

// cross_entropy_grad.C1: result
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %t: tensor<6xi32>, %l: tensor<6xf32>) {
  // expected-error @+1 {{expects `dlogits` of shape [6, 8], got [6, 4]}}
  %g = moire.cross_entropy_grad %x, %t, %l, %l : (tensor<6x8xf32>, tensor<6xi32>, tensor<6xf32>, tensor<6xf32>) -> tensor<6x4xbf16>
  return
}

// -----

// z_loss.C1
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<6xf32>', 'tensor<6xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %l, %s = moire.z_loss %x coefficient 1.0e-03 tokens 6 : (tensor<6x8xf32>) -> (tensor<f32>, tensor<6xf32>)
  return
}

// -----

// z_loss.C2
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `tokens` of 1 or more, got 0}}
  %l, %s = moire.z_loss %x coefficient 1.0e-03 tokens 0 : (tensor<6x8xf32>) -> (tensor<6xf32>, tensor<6xf32>)
  return
}

// -----

// z_loss_grad.C1: statistics
func.func @f(%x: tensor<6x8xf32>, %l: tensor<8xf32>) {
  // expected-error @+1 {{expects `lse` of type 'tensor<6xf32>', got 'tensor<8xf32>'}}
  %d = moire.z_loss_grad %x, %l, %l coefficient 1.0e-03 tokens 6 : (tensor<6x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<6x8xf32>
  return
}

// -----

// z_loss_grad.C1: tokens
func.func @f(%x: tensor<6x8xf32>, %l: tensor<6xf32>) {
  // expected-error @+1 {{expects `tokens` of 1 or more, got -1}}
  %d = moire.z_loss_grad %x, %l, %l coefficient 1.0e-03 tokens -1 : (tensor<6x8xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<6x8xf32>
  return
}

// -----

// count_targets.C1
// expected-note @+1 {{measured against this value of type 'tensor<6xi32>'}}
func.func @f(%t: tensor<6xi32>) {
  // expected-error @+1 {{expects `y` of shape [6], got [8]}}
  %y = moire.count_targets %t : (tensor<6xi32>) -> tensor<8xf32>
  return
}

// -----

// scale_rows.C1
func.func @f(%x: tensor<12x4xbf16>, %s: tensor<12xf64>) {
  // expected-error @+1 {{expects `s` of type 'tensor<12xf32>', got 'tensor<12xf64>'}}
  %y = moire.scale_rows %x, %s : (tensor<12x4xbf16>, tensor<12xf64>) -> tensor<12x4xbf16>
  return
}

// -----

// dot_rows.C1
func.func @f(%a: tensor<12x4xf32>, %b: tensor<12x5xf32>) {
  // expected-error @+1 {{expects `b` of type 'tensor<12x4xf32>', got 'tensor<12x5xf32>'}}
  %y = moire.dot_rows %a, %b : (tensor<12x4xf32>, tensor<12x5xf32>) -> tensor<12xf32>
  return
}
