// Planted faults: each is found, at the op that lets it in, with the way from there to the logits.
// RUN: moire-opt %s --moire-prove-causality --split-input-file --verify-diagnostics

// The next token's embedding in place of this one's: a slice that begins later.
func.func @ahead(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x1x8xf32>
  // expected-error @below {{`moire.slice` lets a position see later ones: its result begins at position 1 of its operand}}
  %late = moire.slice %x dim 1 at 1 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
  // expected-note @below {{from there it comes through here}}
  %next = moire.concat %late, %zero dim 1 : (tensor<2x3x8xf32>, tensor<2x1x8xf32>) -> tensor<2x4x8xf32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `ahead` may depend on tokens at their own and earlier positions only}}
  %sum = moire.binary add %x, %next : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %sum : tensor<2x4x8xf32>
}

// -----

// A mean over the sequence, added to every position.
func.func @mean(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-error @below {{`moire.reduce_leading` lets a position see later ones: it sums over all tokens}}
  // expected-error @below {{`moire.reduce_leading` lets an example see other examples of its batch: it sums over all tokens}}
  %mean = moire.reduce_leading %x : tensor<2x4x8xf32> to tensor<8xf32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `mean` may depend on tokens at their own and earlier positions only}}
  // expected-note @below {{these logits of `mean` may depend on tokens of their own example only}}
  %y = moire.binary add %x, %mean : (tensor<2x4x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// A convolution that reads ahead: two positions of padding after the input in place of before it.
func.func @convolution(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>, %taps: tensor<3x8xf32>, %bias: tensor<8xf32>)
    -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x2x8xf32>
  %padded = moire.concat %zero, %x, %zero dim 1 : (tensor<2x2x8xf32>, tensor<2x4x8xf32>, tensor<2x2x8xf32>) -> tensor<2x8x8xf32>
  %window = moire.slice %padded dim 1 at 2 : tensor<2x8x8xf32> to tensor<2x6x8xf32>
  // expected-error @below {{`moire.conv` lets a position see later ones}}
  // expected-note @below {{these logits of `convolution` may depend}}
  %y = moire.conv valid %window, %taps, %bias : (tensor<2x6x8xf32>, tensor<3x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Grouping along the sequence: tokens of a group become one row.
func.func @groups(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>, %w: tensor<16x16xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-error @below {{`moire.reshape` lets a position see later ones: a position of its result is 2 of its operand; a stream that comes 1 positions later holds no later ones}}
  %g = moire.reshape %x : tensor<2x4x8xf32> to tensor<2x2x16xf32>
  // expected-note @below {{from there it comes through here}}
  %m = moire.linear %g, %w : (tensor<2x2x16xf32>, tensor<16x16xf32>) -> tensor<2x2x16xf32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `groups`}}
  %y = moire.reshape %m : tensor<2x2x16xf32> to tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Rows are tokens too: flattened, moved by one row, and put back.
func.func @rows(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %flat = moire.reshape %x : tensor<2x4x8xf32> to tensor<8x8xf32>
  %first = moire.slice %flat dim 0 at 0 : tensor<8x8xf32> to tensor<1x8xf32>
  // expected-error @below {{`moire.slice` lets a position see later ones}}
  // expected-error @below {{`moire.slice` lets an example see other examples}}
  %rest = moire.slice %flat dim 0 at 1 : tensor<8x8xf32> to tensor<7x8xf32>
  // expected-note @below {{from there}}
  %turned = moire.concat %rest, %first dim 0 : (tensor<7x8xf32>, tensor<1x8xf32>) -> tensor<8x8xf32>
  // expected-note @below {{from there}}
  // expected-note @below {{these logits of `rows`}}
  %y = moire.reshape %turned : tensor<8x8xf32> to tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Only from the second iteration on: what is carried is followed around the loop.
func.func @around(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x4x8xf32>
  // expected-note @below {{from there}}
  // expected-note @below {{these logits of `around`}}
  %y, %z = moire.repeat 3 carried(%a = %x : tensor<2x4x8xf32>, %b = %zero : tensor<2x4x8xf32>) -> (tensor<2x4x8xf32>, tensor<2x4x8xf32>) {
    // expected-note @below {{from there}}
    %r = moire.binary add %a, %b : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
    %one = moire.fill 0.000000e+00 : tensor<2x1x8xf32>
    // expected-error @below {{`moire.slice` lets a position see later ones}}
    %late = moire.slice %a dim 1 at 1 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
    // expected-note @below {{from there}}
    %next = moire.concat %late, %one dim 1 : (tensor<2x3x8xf32>, tensor<2x1x8xf32>) -> tensor<2x4x8xf32>
    moire.yield %r, %next : tensor<2x4x8xf32>, tensor<2x4x8xf32>
  }
  return %y : tensor<2x4x8xf32>
}

// -----

// Inside of a function that is called.
func.func private @peek(%x: tensor<2x4x8xf32>) -> tensor<2x3x8xf32> {
  // expected-error @below {{`moire.slice` lets a position see later ones}}
  %y = moire.slice %x dim 1 at 1 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}
func.func @calls(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x3x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-note @below {{from there}}
  // expected-note @below {{these logits of `calls`}}
  %y = call @peek(%x) : (tensor<2x4x8xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// -----

// A matrix made of tokens is no parameter.
func.func @made(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-error @below {{`moire.linear_grad_weight` lets a position see later ones}}
  // expected-error @below {{`moire.linear_grad_weight` lets an example see other examples}}
  %w = moire.linear_grad_weight %x, %x : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<8x8xf32>
  // expected-note @below {{from there}}
  // expected-note @below {{these logits of `made`}}
  %y = moire.linear %x, %w : (tensor<2x4x8xf32>, tensor<8x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// An op of another dialect says nothing of positions.
func.func @foreign(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-error @below {{`math.exp` lets a position see later ones: it does not say how positions depend on each other}}
  // expected-error @below {{`math.exp` lets an example see other examples}}
  // expected-note @below {{these logits of `foreign`}}
  %y = math.exp %x : tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// -----

// Targets are for losses.
func.func @targets(%tokens: tensor<2x4xi32>, %targets: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> tensor<2x4xf32> {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-error @below {{the logits of `targets` depend on their targets: `moire.lookup` reads them}}
  %t = moire.lookup %targets, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %y = moire.binary add %x, %t : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  %nll, %lse = moire.cross_entropy %y, %targets : (tensor<2x4x8xf32>, tensor<2x4xi32>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
  return %nll : tensor<2x4xf32>
}

// -----

// Documents are isolated, and a convolution is not told of them.
func.func @untold(%tokens: tensor<2x4xi32> {moire.separator = 0 : i64}, %table: tensor<16x8xf32>, %w: tensor<3x8xf32>, %bias: tensor<8xf32>)
    -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-error @below {{`moire.conv` lets a document see other documents of its sequence: it is not told where documents begin}}
  %mix = moire.conv causal %x, %w, %bias : (tensor<2x4x8xf32>, tensor<3x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `untold` may depend on tokens of their own document only}}
  %sum = moire.binary add %x, %mix : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %sum : tensor<2x4x8xf32>
}

// -----

// A scan in a loop, in which attention is told and the scan is not.
func.func @scan(%tokens: tensor<2x4xi32> {moire.separator = 0 : i64}, %table: tensor<16x8xf32>, %as: tensor<3x8x4xf32>, %b: tensor<4x8xf32>, %d: tensor<8xf32>)
    -> (tensor<2x4x8xf32> {moire.logits}) {
  %documents = moire.document_positions %tokens separator 0 : (tensor<2x4xi32>) -> tensor<2x4xi32>
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `scan` may depend on tokens of their own document only}}
  %y = moire.repeat 3 carried(%h = %x : tensor<2x4x8xf32>) slices(%a = %as : tensor<3x8x4xf32>) -> tensor<2x4x8xf32> {
    %q = moire.reshape %h : tensor<2x4x8xf32> to tensor<2x4x2x4xf32>
    %o, %lse = moire.softmax_attention %q, %q, %q documents %documents scale 0.5 : (tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>, tensor<2x4xi32>) -> (tensor<2x4x2x4xf32>, tensor<2x2x4xf32>)
    %u = moire.reshape %o : tensor<2x4x2x4xf32> to tensor<2x4x8xf32>
    %in = moire.linear %u, %b transpose : (tensor<2x4x8xf32>, tensor<4x8xf32>) -> tensor<2x4x4xf32>
    // expected-error @below {{`moire.selective_scan` lets a document see other documents of its sequence: it is not told where documents begin}}
    %z, %s = moire.selective_scan %u, %u, %a, %in, %in, %d : (tensor<2x4x8xf32>, tensor<2x4x8xf32>, tensor<8x4xf32>, tensor<2x4x4xf32>, tensor<2x4x4xf32>, tensor<8xf32>) -> (tensor<2x4x8xf32>, tensor<2x1x8x4xf32>)
    moire.yield %z : tensor<2x4x8xf32>
  }
  return %y : tensor<2x4x8xf32>
}

// -----

// Positions in documents of another separator.
func.func @other(%tokens: tensor<2x4xi32> {moire.separator = 0 : i64}, %table: tensor<16x8xf32>, %q: tensor<8x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  // expected-error @below {{`moire.document_positions` lets a document see other documents of its sequence: it does not look for the separator of this function's tokens}}
  %documents = moire.document_positions %tokens separator 1 : (tensor<2x4xi32>) -> tensor<2x4xi32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `other`}}
  %x = moire.lookup %documents, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  return %x : tensor<2x4x8xf32>
}

// -----

// Tokens in the place of positions in documents.
func.func @made(%tokens: tensor<2x4xi32> {moire.separator = 0 : i64}, %table: tensor<16x8xf32>) -> (tensor<2x4x2x4xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %q = moire.reshape %x : tensor<2x4x8xf32> to tensor<2x4x2x4xf32>
  // expected-error @below {{`moire.softmax_attention` lets a document see other documents of its sequence: its `documents` are no positions in documents}}
  // expected-note @below {{these logits of `made`}}
  %y, %lse = moire.softmax_attention %q, %q, %q documents %tokens scale 0.5 : (tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>, tensor<2x4x2x4xf32>, tensor<2x4xi32>) -> (tensor<2x4x2x4xf32>, tensor<2x2x4xf32>)
  return %y : tensor<2x4x2x4xf32>
}

// -----

// An hourglass that is late by two, where four positions become one: the last of the four is one too far.
func.func @hourglass(%tokens: tensor<2x8xi32>, %table: tensor<16x8xf32>) -> (tensor<2x8x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x8xi32>, tensor<16x8xf32>) -> tensor<2x8x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x2x8xf32>
  %early = moire.slice %x dim 1 at 0 : tensor<2x8x8xf32> to tensor<2x6x8xf32>
  %late = moire.concat %zero, %early dim 1 : (tensor<2x2x8xf32>, tensor<2x6x8xf32>) -> tensor<2x8x8xf32>
  // expected-error @below {{`moire.reshape` lets a position see later ones: a position of its result is 4 of its operand; a stream that comes 3 positions later holds no later ones}}
  %short = moire.reshape %late : tensor<2x8x8xf32> to tensor<2x2x32xf32>
  // expected-note @below {{from there it comes through here}}
  %long = moire.reshape %short : tensor<2x2x32xf32> to tensor<2x8x8xf32>
  // expected-note @below {{from there it comes through here}}
  // expected-note @below {{these logits of `hourglass` may depend on tokens at their own and earlier positions only}}
  %y = moire.binary add %x, %long : (tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  return %y : tensor<2x8x8xf32>
}

// -----

// A little further ahead with each iteration.
func.func @ahead_by_iterations(%tokens: tensor<2x4xi32>, %table: tensor<16x8xf32>) -> (tensor<2x4x8xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x4xi32>, tensor<16x8xf32>) -> tensor<2x4x8xf32>
  %one = moire.fill 0.000000e+00 : tensor<2x1x8xf32>
  // expected-note @below {{these logits of `ahead_by_iterations`}}
  // expected-note @below {{from there}}
  %y = moire.repeat 3 carried(%a = %x : tensor<2x4x8xf32>) -> tensor<2x4x8xf32> {
    // expected-error @below {{`moire.slice` lets a position see later ones}}
    %late = moire.slice %a dim 1 at 1 : tensor<2x4x8xf32> to tensor<2x3x8xf32>
    // expected-note @below {{from there}}
    %next = moire.concat %late, %one dim 1 : (tensor<2x3x8xf32>, tensor<2x1x8xf32>) -> tensor<2x4x8xf32>
    moire.yield %next : tensor<2x4x8xf32>
  }
  return %y : tensor<2x4x8xf32>
}

// -----

// Every second position, twice: logits in the place of tokens, but they stand for others.
func.func @half(%tokens: tensor<2x8xi32>, %table: tensor<16x8xf32>) -> (tensor<2x8x16xf32> {moire.logits}) {
  %x = moire.lookup %tokens, %table : (tensor<2x8xi32>, tensor<16x8xf32>) -> tensor<2x8x8xf32>
  %zero = moire.fill 0.000000e+00 : tensor<2x1x8xf32>
  %early = moire.slice %x dim 1 at 0 : tensor<2x8x8xf32> to tensor<2x7x8xf32>
  %late = moire.concat %zero, %early dim 1 : (tensor<2x1x8xf32>, tensor<2x7x8xf32>) -> tensor<2x8x8xf32>
  %half = moire.reshape %late : tensor<2x8x8xf32> to tensor<2x4x16xf32>
  // expected-error @below {{`moire.concat` lets a position see later ones}}
  // expected-note @below {{these logits of `half`}}
  %y = moire.concat %half, %half dim 1 : (tensor<2x4x16xf32>, tensor<2x4x16xf32>) -> tensor<2x8x16xf32>
  return %y : tensor<2x8x16xf32>
}
