// Each constraint of routing ops, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// route.C1
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects a top_k from 1 to the 8 experts, got 9}}
  %p, %w, %c = moire.route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x9xf32>, tensor<6x9xi32>)
  return
}

// -----

// route.C2
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `chosen` of shape [6, 2], got [6, 3]}}
  %p, %w, %c = moire.route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x3xi32>)
  return
}

// -----

// route.C2: probabilities
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `probs` of type 'tensor<6x8xf32>', got 'tensor<6x4xf32>'}}
  %p, %w, %c = moire.route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x4xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route.C3
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects no `renormalize` with the gate topk_softmax}}
  %p, %w, %c = moire.route topk_softmax %l renormalize : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route_grad.C1
func.func @f(%p: tensor<6x8xf32>, %w: tensor<6x2xf32>, %c: tensor<6x2xi32>, %d: tensor<6x3xf32>) {
  // expected-error @+1 {{expects `dweights` of type 'tensor<6x2xf32>', got 'tensor<6x3xf32>'}}
  %g = moire.route_grad softmax_topk %p, %w, %c dweights %d : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<6x3xf32>) -> tensor<6x8xf32>
  return
}

// -----

// route_grad.C1: result
func.func @f(%p: tensor<6x8xf32>, %w: tensor<6x2xf32>, %c: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `probs` of type 'tensor<6x4xf32>', got 'tensor<6x8xf32>'}}
  %g = moire.route_grad softmax_topk %p, %w, %c dweights %w : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<6x4xf32>
  return
}

// -----

// dispatch.C1
func.func @f(%c: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `rows` of shape [12], got [6]}}
  %o, %r, %s, %p = moire.dispatch %c : (tensor<6x2xi32>) -> (tensor<9xi32>, tensor<6xi32>, tensor<12xi32>, tensor<6x2xi32>)
  return
}

// -----

// dispatch.C1: at least one expert
func.func @f(%c: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `offsets` with experts + 1 entries, got 1}}
  %o, %r, %s, %p = moire.dispatch %c : (tensor<6x2xi32>) -> (tensor<1xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>)
  return
}

// -----

// gather_rows.C1
// expected-note @+1 {{measured against this value of type 'tensor<12xi32>'}}
func.func @f(%x: tensor<6x8xf32>, %r: tensor<12xi32>, %p: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `y` of shape [12, 8], got [6, 8]}}
  %y = moire.gather_rows %x, %r, %p : (tensor<6x8xf32>, tensor<12xi32>, tensor<6x2xi32>) -> tensor<6x8xf32>
  return
}

// -----

// gather_rows.C2
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%x: tensor<6x8xf32>, %r: tensor<12xi32>, %p: tensor<4x3xi32>) {
  // expected-error @+1 {{expects `position` of shape [6, 3], got [4, 3]}}
  %y = moire.gather_rows %x, %r, %p : (tensor<6x8xf32>, tensor<12xi32>, tensor<4x3xi32>) -> tensor<12x8xf32>
  return
}

// -----

// gather_rows_grad.C1
// expected-note @+1 {{measured against this value of type 'tensor<6x2xi32>'}}
func.func @f(%dy: tensor<12x8xf32>, %p: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `dx` of shape [6, 8], got [12, 8]}}
  %dx = moire.gather_rows_grad %dy, %p : (tensor<12x8xf32>, tensor<6x2xi32>) -> tensor<12x8xf32>
  return
}

// -----

// combine.C1: weights
// expected-note @+1 {{measured against this value of type 'tensor<6x2xi32>'}}
func.func @f(%x: tensor<12x8xf32>, %w: tensor<6x3xf32>, %p: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `weights` of shape [6, 2], got [6, 3]}}
  %y = moire.combine %x, %w, %p : (tensor<12x8xf32>, tensor<6x3xf32>, tensor<6x2xi32>) -> tensor<6x8xf32>
  return
}

// -----

// combine.C1: result
// expected-note @+1 {{measured against this value of type 'tensor<6x2xi32>'}}
func.func @f(%x: tensor<12x8xf32>, %w: tensor<6x2xf32>, %p: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `y` of shape [6, 8], got [12, 8]}}
  %y = moire.combine %x, %w, %p : (tensor<12x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>) -> tensor<12x8xf32>
  return
}

// -----

// combine_grad.C1
// expected-note @+1 {{measured against this value of type 'tensor<6x2xi32>'}}
func.func @f(%dy: tensor<5x8xf32>, %x: tensor<12x8xf32>, %w: tensor<6x2xf32>, %p: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `dy` of shape [6, 8], got [5, 8]}}
  %dx, %dw = moire.combine_grad %dy, %x, %w, %p : (tensor<5x8xf32>, tensor<12x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>) -> (tensor<12x8xf32>, tensor<6x2xf32>)
  return
}

// -----

// combine_grad.C2
func.func @f(%dy: tensor<6x8xf32>, %x: tensor<12x8xf32>, %w: tensor<6x2xf32>, %p: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `dweights` of type 'tensor<6x2xf32>', got 'tensor<12xf32>'}}
  %dx, %dw = moire.combine_grad %dy, %x, %w, %p : (tensor<6x8xf32>, tensor<12x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>) -> (tensor<12x8xf32>, tensor<12xf32>)
  return
}

// -----

// expert_load.C1
// expected-note @+1 {{measured against this value of type 'tensor<9xi32>'}}
func.func @f(%o: tensor<9xi32>) {
  // expected-error @+1 {{expects `y` of shape [8], got [9]}}
  %y = moire.expert_load %o : (tensor<9xi32>) -> tensor<9xf32>
  return
}

// -----

// balance_loss.C1: load
func.func @f(%p: tensor<6x8xf32>, %l: tensor<9xf32>) {
  // expected-error @+1 {{expects `load` of shape [8], got [9]}}
  %y = moire.balance_loss %p, %l factor 1.0 : (tensor<6x8xf32>, tensor<9xf32>) -> tensor<f32>
  return
}

// -----

// balance_loss.C1: a scalar
func.func @f(%p: tensor<6x8xf32>, %l: tensor<8xf32>) {
  // expected-error @+1 {{expects `loss` of shape [], got [1]}}
  %y = moire.balance_loss %p, %l factor 1.0 : (tensor<6x8xf32>, tensor<8xf32>) -> tensor<1xf32>
  return
}

// -----

// balance_loss_grad.C1
func.func @f(%d: tensor<f64>, %l: tensor<8xf32>) {
  // expected-error @+1 {{expects `dloss` with elements of 'f32', got 'f64'}}
  %y = moire.balance_loss_grad %d, %l factor 1.0 : (tensor<f64>, tensor<8xf32>) -> tensor<6x8xf32>
  return
}

// -----

// route.C3: scale
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `scale` above 0, got -1}}
  %p, %w, %c = moire.route softmax_topk %l scale -1.0 : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route.C4
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%l: tensor<6x8xf32>, %b: tensor<4xf32>) {
  // expected-error @+1 {{expects `bias` of shape [8], got [4]}}
  %p, %w, %c = moire.route softmax_topk %l bias %b : (tensor<6x8xf32>, tensor<4xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route.C5: groups
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `groups` to divide the 8 experts, got 3}}
  %p, %w, %c = moire.route softmax_topk %l groups 3 best 1 : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route.C5: room
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `best` from 1 to the 8 groups, holding at least 2 experts, got 1}}
  %p, %w, %c = moire.route softmax_topk %l groups 8 best 1 : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route.C6
func.func @f(%l: tensor<6x8xf32>, %a: tensor<6x2xi32>) {
  // expected-error @+1 {{expects neither bias nor groups where the experts are assigned}}
  %p, %w, %c = moire.route softmax_topk %l assigned %a groups 2 best 1 : (tensor<6x8xf32>, tensor<6x2xi32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>)
  return
}

// -----

// route_grad.C2
func.func @f(%p: tensor<6x8xf32>, %w: tensor<6x2xf32>, %c: tensor<6x2xi32>) {
  // expected-error @+1 {{expects `logits` with gates that score each expert by itself, and only with them, not with sigmoid_topk}}
  %g = moire.route_grad sigmoid_topk %p, %w, %c dweights %w : (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<6x2xf32>) -> tensor<6x8xf32>
  return
}

// -----

// assign.C1
func.func @f(%t: tensor<2x3xi32>) {
  // expected-error @+1 {{expects a top_k from 1 to the 1 experts, got 2}}
  %c = moire.assign hash %t experts 1 : (tensor<2x3xi32>) -> tensor<2x3x2xi32>
  return
}

// -----

// assign.C2
func.func @f() {
  // expected-error @+1 {{expects tokens with the choice hash, and only with it}}
  %c = moire.assign hash experts 8 : () -> tensor<2x3x2xi32>
  return
}

// -----

// assign.C3
func.func @f(%t: tensor<2x3xi32>, %p: tensor<i32>) {
  // expected-error @+1 {{expects a scalar `position` with the choice balanced only, got 'tensor<i32>'}}
  %c = moire.assign hash %t at %p experts 8 : (tensor<2x3xi32>, tensor<i32>) -> tensor<2x3x2xi32>
  return
}

// -----

// assign.C4
func.func @f() {
  // expected-error @+1 {{expects `chosen` of rank 3 and the choice hash or balanced, got 'tensor<6x2xi32>' and balanced}}
  %c = moire.assign balanced experts 8 : () -> tensor<6x2xi32>
  return
}

// -----

// dispatch.C2
func.func @f(%c: tensor<6x2xi32>, %g: tensor<6x2xf32>) {
  // expected-error @+1 {{expects gates together with a capacity of 1 or more or a threshold above 0}}
  %o, %r, %s, %p = moire.dispatch %c gates %g : (tensor<6x2xi32>, tensor<6x2xf32>) -> (tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>)
  return
}

// -----

// dispatch.C2
func.func @f(%c: tensor<6x2xi32>) {
  // expected-error @+1 {{expects gates together with a capacity of 1 or more or a threshold above 0}}
  %o, %r, %s, %p = moire.dispatch %c threshold 0.1 : (tensor<6x2xi32>) -> (tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>)
  return
}

// -----

// dispatch.C2
func.func @f(%c: tensor<6x2xi32>, %g: tensor<6x2xf32>) {
  // expected-error @+1 {{expects gates together with a capacity of 1 or more or a threshold above 0}}
  %o, %r, %s, %p = moire.dispatch %c gates %g capacity 2 threshold 0.0 : (tensor<6x2xi32>, tensor<6x2xf32>) -> (tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>)
  return
}

// -----

// choice_load.C1
func.func @f(%c: tensor<2x3x2xi32>) {
  // expected-error @+1 {{expects `y` of one extent, or of two with the first of `chosen`, got 'tensor<3x8xf32>' and 'tensor<2x3x2xi32>'}}
  %y = moire.choice_load %c : (tensor<2x3x2xi32>) -> tensor<3x8xf32>
  return
}

// -----

// sequence_balance_loss.C1
func.func @f(%p: tensor<2x3x8xf32>, %l: tensor<3x8xf32>) {
  // expected-error @+1 {{expects `load` of shape [2, 8], got [3, 8]}}
  %y = moire.sequence_balance_loss %p, %l factor 1.0 : (tensor<2x3x8xf32>, tensor<3x8xf32>) -> tensor<f32>
  return
}

// -----

// sequence_balance_loss_grad.C1
func.func @f(%d: tensor<f64>, %l: tensor<2x8xf32>) {
  // expected-error @+1 {{expects `dloss` with elements of 'f32', got 'f64'}}
  %y = moire.sequence_balance_loss_grad %d, %l factor 1.0 : (tensor<f64>, tensor<2x8xf32>) -> tensor<2x3x8xf32>
  return
}

// -----

// grouped_combine.C1
// expected-note @+1 {{measured against this value of type 'tensor<5x4x8xf32>'}}
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x4x8xf32>, %o: tensor<6xi32>, %r: tensor<12xi32>, %s: tensor<12xi32>, %g: tensor<2x3x2xf32>, %p: tensor<2x3x2xi32>) {
  // expected-error @+1 {{expects `x` of shape [12, 4], got [12, 8]}}
  %y = moire.grouped_combine %x, %w, %o rows %r slots %s weights %g position %p : (tensor<12x8xf32>, tensor<5x4x8xf32>, tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> tensor<2x3x8xf32>
  return
}

// -----

// grouped_combine.C2
// expected-note @+1 {{measured against this value of type 'tensor<2x3x2xi32>'}}
func.func @f(%x: tensor<12x4xf32>, %w: tensor<5x4x8xf32>, %o: tensor<6xi32>, %r: tensor<12xi32>, %s: tensor<12xi32>, %g: tensor<2x3x3xf32>, %p: tensor<2x3x2xi32>) {
  // expected-error @+1 {{expects `weights` of shape [2, 3, 2], got [2, 3, 3]}}
  %y = moire.grouped_combine %x, %w, %o rows %r slots %s weights %g position %p : (tensor<12x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x3xf32>, tensor<2x3x2xi32>) -> tensor<2x3x8xf32>
  return
}

// -----

// grouped_combine.C3
// expected-note @+1 {{measured against this value of type 'tensor<12x4xf32>'}}
func.func @f(%x: tensor<12x4xf32>, %w: tensor<5x4x8xf32>, %o: tensor<6xi32>, %r: tensor<10xi32>, %s: tensor<12xi32>, %g: tensor<2x3x2xf32>, %p: tensor<2x3x2xi32>) {
  // expected-error @+1 {{expects `rows` of shape [12], got [10]}}
  %y = moire.grouped_combine %x, %w, %o rows %r slots %s weights %g position %p : (tensor<12x4xf32>, tensor<5x4x8xf32>, tensor<6xi32>, tensor<10xi32>, tensor<12xi32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>) -> tensor<2x3x8xf32>
  return
}
