// What is causal is proved, and what mixes by declaration is told of.
// RUN: moire-opt %s --moire-prove-causality --split-input-file --verify-diagnostics --remarks-filter=moire-prove-causality

// Attention, a convolution and a scan in a loop: all look back only. The loss may read everything.
// expected-remark @below {{proved of `train`: logits at a position depend on tokens up to it, of its own example only}}
func.func @train(%tokens: tensor<2x4xi32>, %targets: tensor<2x4xi32>, %table: tensor<16x8xf32>, %ws: tensor<3x8x8xf32>,
                 %taps: tensor<3x8xf32>, %bias: tensor<8xf32>, %out: tensor<8x16xf32>) -> tensor<f32> {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %y = moire.repeat 3 carried(%h = %x : tensor<2x4x8xf32>) slices(%w = %ws : tensor<3x8x8xf32>) -> tensor<2x4x8xf32> {
    %p = moire.linear %h, %w : (tensor<2x4x8xf32>, tensor<8x8xf32>) -> tensor<2x4x8xf32>
    %c = moire.conv causal %p, %taps, %bias : (tensor<2x4x8xf32>, tensor<3x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
    %r = moire.binary add %h, %c : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
    moire.yield %r : tensor<2x4x8xf32>
  }
  %logits = moire.linear %y, %out : (tensor<2x4x8xf32>, tensor<8x16xf32>) -> tensor<2x4x16xf32>
  %nll, %lse = moire.cross_entropy %logits, %targets : (tensor<2x4x16xf32>, tensor<2x4xi32>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
  %loss = moire.reduce_leading %nll : tensor<2x4xf32> to tensor<f32>
  return %loss : tensor<f32>
}

// -----

// The token before: zeros in front, the last position off. Moving later is no leak.
// expected-remark @below {{proved of `shifted`}}
func.func @shifted(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x1x8xf32>
  %long = moire.concat %zero, %x dim 1 : (tensor<2x1x8xf32>, tensor<2x4x8xf32>) -> tensor<2x5x8xf32>
  %before = moire.slice %long dim 1 at 0 : tensor<2x5x8xf32> to tensor<2x4x8xf32>
  return %before : tensor<2x4x8xf32>
}

// -----

// Routing moves rows and brings them back: experts see tokens, not their neighbours.
// expected-remark @below {{proved of `routed`}}
func.func @routed(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>, %wr: tensor<8x4xf32>, %we: tensor<4x8x8xf32>)
    -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  %probs, %weights, %chosen = moire.route softmax_topk %s : (tensor<2x4x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>)
  %offsets, %rows, %slots, %position = moire.dispatch %chosen : (tensor<2x4x1xi32>) -> (tensor<5xi32>, tensor<8xi32>, tensor<8xi32>, tensor<2x4x1xi32>)
  %g = moire.gather_rows %x, %rows, %position : (tensor<2x4x8xf32>, tensor<8xi32>, tensor<2x4x1xi32>) -> tensor<8x8xf32>
  %e = moire.grouped_linear %g, %we, %offsets : (tensor<8x8xf32>, tensor<4x8x8xf32>, tensor<5xi32>) -> tensor<8x8xf32>
  %y = moire.combine %e, %weights, %position : (tensor<8x8xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// A capacity makes tokens compete by declaration: told of, and no error.
// expected-remark @below {{proved of `limited`}}
func.func @limited(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>, %wr: tensor<8x4xf32>, %we: tensor<4x8x8xf32>)
    -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %s = moire.linear %x, %wr : (tensor<2x4x8xf32>, tensor<8x4xf32>) -> tensor<2x4x4xf32>
  %probs, %weights, %chosen = moire.route softmax_topk %s : (tensor<2x4x4xf32>) -> (tensor<2x4x4xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>)
  // expected-remark @below {{`moire.dispatch` lets all tokens of the batch compete, later ones too: what the spec asks for, and so no error}}
  %offsets, %rows, %slots, %position = moire.dispatch %chosen gates %weights capacity 2 : (tensor<2x4x1xi32>, tensor<2x4x1xf32>) -> (tensor<5xi32>, tensor<8xi32>, tensor<8xi32>, tensor<2x4x1xi32>)
  %g = moire.gather_rows %x, %rows, %position : (tensor<2x4x8xf32>, tensor<8xi32>, tensor<2x4x1xi32>) -> tensor<8x8xf32>
  %e = moire.grouped_linear %g, %we, %offsets : (tensor<8x8xf32>, tensor<4x8x8xf32>, tensor<5xi32>) -> tensor<8x8xf32>
  %y = moire.combine %e, %weights, %position : (tensor<8x8xf32>, tensor<2x4x1xf32>, tensor<2x4x1xi32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Calls are followed into what they call.
func.func private @double(%x: tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
  %y = moire.binary add %x, %x : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}
// expected-remark @below {{proved of `called`}}
func.func @called(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %y = call @double(%x) : (tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// No logits, nothing to prove.
func.func @none(%x: tensor<2x4x8xf32>) -> tensor<8xf32> {
  %y = moire.reduce_leading %x : tensor<2x4x8xf32> to tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// Documents are isolated, and all that looks back is told of them; positions are those in documents.
// expected-remark @below {{proved of `packed`: logits at a position depend on tokens up to it, of its own document only}}
func.func @packed(%tokens: tensor<2x4xi32> {moire.separator = 0 : i64}, %table: tensor<16x8xf32>, %places: tensor<4x8xf32>, %w: tensor<3x8xf32>, %bias: tensor<8xf32>)
    -> (tensor<2x4x8xf32> {moire.logits}) {
  %documents = moire.document_positions %tokens separator 0 : (tensor<2x4xi32>) -> tensor<2x4xi32>
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %p = moire.lookup %documents, %places : (tensor<2x4xi32>, tensor<4x8xf32>) -> tensor<2x4x8xf32>
  %s = moire.binary add %x, %p : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  %c = moire.conv causal %s, %w, %bias documents %documents : (tensor<2x4x8xf32>, tensor<3x8xf32>, tensor<8xf32>, tensor<2x4xi32>) -> tensor<2x4x8xf32>
  %q = moire.reshape %c : tensor<2x4x8xf32> to tensor<2x4x2x4xf32>
  %o, %lse = moire.softmax_attention %q, %q, %q documents %documents scale 0.5 : (tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>, tensor<2x4xi32>) -> (tensor<2x4x2x4xf32>, tensor<2x2x4xf32>)
  %y = moire.reshape %o : tensor<2x4x2x4xf32> to tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Four positions become one and four again; the stream came three positions later, so that none of the four is ahead.
// expected-remark @below {{proved of `hourglass`}}
func.func @hourglass(%tokens: tensor<2x8xi32>, %table: tensor<16x8xf32>) -> (tensor<2x8x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x8xi32>, tensor<16x8xf32>) -> tensor<2x8x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x3x8xf32>
  %early = moire.slice %x dim 1 at 0 : tensor<2x8x8xf32> to tensor<2x5x8xf32>
  %late = moire.concat %zero, %early dim 1 : (tensor<2x3x8xf32>, tensor<2x5x8xf32>) -> tensor<2x8x8xf32>
  %short = moire.reshape %late : tensor<2x8x8xf32> to tensor<2x2x32xf32>
  %long = moire.reshape %short : tensor<2x2x32xf32> to tensor<2x8x8xf32>
  %y = moire.binary add %x, %long : (tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  return %y : tensor<2x8x8xf32>
}

// -----

// Later by one, then back by one: positions are counted, not only their direction.
// expected-remark @below {{proved of `back`}}
func.func @back(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x1x8xf32>
  %late = moire.concat %zero, %x dim 1 : (tensor<2x1x8xf32>, tensor<2x4x8xf32>) -> tensor<2x5x8xf32>
  %y = moire.slice %late dim 1 at 1 : tensor<2x5x8xf32> to tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}
