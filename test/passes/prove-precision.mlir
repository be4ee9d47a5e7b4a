// What is delicate stays in full precision; a value that was rounded on its way does not.
// RUN: moire-opt %s --moire-prove-precision --split-input-file --verify-diagnostics --remarks-filter=moire-prove-precision

// The router's product is made in full precision from bf16 activations.
// expected-remark @below {{proved: 1 operands keep full precision}}
module {
  func.func @router(%x: tensor<2x3x8xbf16>, %w: tensor<8x4xf32>) -> tensor<2x3x1xf32> {
    %wide = moire.cast %x : tensor<2x3x8xbf16> to tensor<2x3x8xf32>
    %logits = moire.linear %wide, %w : (tensor<2x3x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4xf32>
    %p, %g, %c = moire.route softmax_topk %logits : (tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1xi32>)
    return %g : tensor<2x3x1xf32>
  }
}

// -----

// A bf16 router: its product is rounded, then cast to what `moire.route` takes.
func.func @rounded(%x: tensor<2x3x8xbf16>, %w: tensor<8x4xbf16>) -> tensor<2x3x1xf32> {
  %narrow = moire.linear %x, %w : (tensor<2x3x8xbf16>, tensor<8x4xbf16>) -> tensor<2x3x4xbf16>
  // expected-note @below {{what is cast to 'f32' here has lost its precision already}}
  %logits = moire.cast %narrow : tensor<2x3x4xbf16> to tensor<2x3x4xf32>
  // expected-error @below {{the router logits of `moire.route` were rounded to bf16}}
  %p, %g, %c = moire.route softmax_topk %logits : (tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1xi32>)
  return %g : tensor<2x3x1xf32>
}

// -----

// Arithmetic after the cast does not bring the bits back.
func.func @biased(%x: tensor<2x3x4xbf16>, %b: tensor<4xf32>) -> tensor<2x3x1xf32> {
  // expected-note @below {{has lost its precision already}}
  %wide = moire.cast %x : tensor<2x3x4xbf16> to tensor<2x3x4xf32>
  %logits = moire.binary add %wide, %b : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  // expected-error @below {{the router logits of `moire.route` were rounded to bf16}}
  %p, %g, %c = moire.route softmax_topk %logits : (tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x1xf32>, tensor<2x3x1xi32>)
  return %g : tensor<2x3x1xf32>
}

// -----

// Through a loop: the state of a scan is carried in bf16.
func.func @state(%u: tensor<1x1x8xbf16>, %dt: tensor<1x1x8xf32>, %a: tensor<8x4xf32>, %b: tensor<1x1x4xbf16>, %d: tensor<8xf32>,
                 %s: tensor<1x8x4xbf16>) -> tensor<1x8x4xbf16> {
  %end = moire.repeat 3 carried(%h = %s : tensor<1x8x4xbf16>) -> tensor<1x8x4xbf16> {
    // expected-error @below {{a value of full precision went through bf16 on its way here}}
    // expected-note @below {{has lost its precision already}}
    %wide = moire.cast %h : tensor<1x8x4xbf16> to tensor<1x8x4xf32>
    // expected-error @below {{the steps and states of the scan of `moire.stateful_scan` were rounded to bf16}}
    %y, %next = moire.stateful_scan %u, %dt, %a, %b, %b, %d from %wide : (tensor<1x1x8xbf16>, tensor<1x1x8xf32>, tensor<8x4xf32>,
        tensor<1x1x4xbf16>, tensor<1x1x4xbf16>, tensor<8xf32>, tensor<1x8x4xf32>) -> (tensor<1x1x8xbf16>, tensor<1x8x4xf32>)
    // expected-note @below {{rounded to bf16 here}}
    %narrow = moire.cast %next : tensor<1x8x4xf32> to tensor<1x8x4xbf16>
    moire.yield %narrow : tensor<1x8x4xbf16>
  }
  return %end : tensor<1x8x4xbf16>
}

// -----

// Gates, through a move.
func.func @gates(%x: tensor<6x8xbf16>, %g: tensor<6x1xbf16>, %p: tensor<2x3x1xi32>) -> tensor<2x3x8xbf16> {
  // expected-note @below {{has lost its precision already}}
  %wide = moire.cast %g : tensor<6x1xbf16> to tensor<6x1xf32>
  %weights = moire.reshape %wide : tensor<6x1xf32> to tensor<2x3x1xf32>
  // expected-error @below {{the gates of `moire.combine` were rounded to bf16}}
  %y = moire.combine %x, %weights, %p : (tensor<6x8xbf16>, tensor<2x3x1xf32>, tensor<2x3x1xi32>) -> tensor<2x3x8xbf16>
  return %y : tensor<2x3x8xbf16>
}

// -----

// Row kernels: the statistic leaves one in bf16 and enters the next.
func.func @kernels(%x: tensor<6x8xbf16>, %w: tensor<8xf32>, %dy: tensor<6x8xbf16>) -> tensor<6x8xbf16> {
  %y, %r = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>] summed [false, false]
      ins(%x, %w : tensor<6x8xbf16>, tensor<8xf32>) {
  ^bb0(%row: tensor<8xbf16>, %weight: tensor<8xf32>):
    %n, %rstd = moire.rms_norm %row, %weight eps 1.000000e-05 : (tensor<8xbf16>, tensor<8xf32>) -> (tensor<8xbf16>, tensor<f32>)
    // expected-note @below {{rounded to bf16 here}}
    %short = moire.cast %rstd : tensor<f32> to tensor<bf16>
    moire.yield %n, %short : tensor<8xbf16>, tensor<bf16>
  } -> tensor<6x8xbf16>, tensor<6xbf16>
  %dx = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>]
      summed [false] ins(%dy, %x, %w, %r : tensor<6x8xbf16>, tensor<6x8xbf16>, tensor<8xf32>, tensor<6xbf16>) {
  ^bb0(%g: tensor<8xbf16>, %row: tensor<8xbf16>, %weight: tensor<8xf32>, %short: tensor<bf16>):
    // expected-error @below {{a value of full precision went through bf16 on its way here}}
    // expected-note @below {{has lost its precision already}}
    %rstd = moire.cast %short : tensor<bf16> to tensor<f32>
    // expected-error @below {{the statistics and weights of the norm of `moire.rms_norm_grad` were rounded to bf16}}
    %d, %dw = moire.rms_norm_grad %g, %row, %weight, %rstd : (tensor<8xbf16>, tensor<8xbf16>, tensor<8xf32>, tensor<f32>) -> (tensor<8xbf16>, tensor<8xf32>)
    moire.yield %d : tensor<8xbf16>
  } -> tensor<6x8xbf16>
  return %dx : tensor<6x8xbf16>
}

// -----

// expected-error @below {{router `r` is read by way of a bf16 copy: its logits decide, and need full precision}}
moire.param @r : tensor<8x4xf32> role router init normal {compute, paths = ["r"], stack = 0 : i64}
// expected-error @below {{parameter `w` is kept in bf16: small updates would be lost}}
moire.param @w : tensor<8x4xbf16> role ffn init normal {paths = ["w"], stack = 0 : i64}
