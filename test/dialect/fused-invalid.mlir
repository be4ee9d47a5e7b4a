// Each constraint of row kernels, fused ops and calls, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// rowwise.C1: a map per input
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects a map and a block argument for each of 1 inputs, got 0 and 1}}
  %y = moire.rowwise domain [6] maps [] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<6x8xf32>
  return
}

// -----

// rowwise.C1: rows
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects the row of input #0 as 'tensor<8xf32>', got a block argument of 'tensor<4xf32>'}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<4xf32>):
    moire.yield %r : tensor<4xf32>
  } -> tensor<6x4xf32>
  return
}

// -----

// rowwise.C1: dimensions of a map
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects the map of input #0 to take 1 dimensions and no symbols, got affine_map<(d0, d1) -> (d0)>}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0, d1) -> (d0)>] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<6x8xf32>
  return
}

// -----

// rowwise.C1: results of a map
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects the map of input #0 to give dimensions, dimensions plus constants, or constants, got affine_map<(d0) -> (d0 * 2)>}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0 * 2)>] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<6x8xf32>
  return
}

// -----

// rowwise.C1: no more leading extents than there are
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects a map of at most 2 results for input #0}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0, 0, 0)>] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<6x8xf32>
  return
}

// -----

// rowwise.C2: stacked rows
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `output #0` of shape [6, 8], got [5, 8]}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%x : tensor<6x8xf32>) {
  // expected-note @+1 {{measured against this value of type 'tensor<8xf32>'}}
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<5x8xf32>
  return
}

// -----

// rowwise.C2: sums are in full precision
func.func @f(%x: tensor<6x8xbf16>) {
  // expected-error @+1 {{expects `output #0` with elements of 'f32', got 'bf16'}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [true] ins(%x : tensor<6x8xbf16>) {
  ^bb0(%r: tensor<8xbf16>):
    moire.yield %r : tensor<8xbf16>
  } -> tensor<8xbf16>
  return
}

// -----

// rowwise.C2: a flag and a value per output
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects a yielded value and a `summed` flag for each of 1 outputs, got 1 and 2}}
  %y = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false, false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<6x8xf32>
  return
}

// -----

// rowwise.C3
func.func @f(%x: tensor<6x8xf32>) {
  // expected-error @+1 {{expects domain extents of 1 or more, got 0}}
  %y = moire.rowwise domain [0] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%r: tensor<8xf32>):
    moire.yield %r : tensor<8xf32>
  } -> tensor<0x8xf32>
  return
}

// -----

// fused_route.C1: as route
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects a top_k from 1 to the 8 experts, got 9}}
  %p, %w, %c, %o, %r, %s, %q, %d = moire.fused_route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x9xf32>, tensor<6x9xi32>, tensor<9xi32>, tensor<54xi32>, tensor<54xi32>, tensor<6x9xi32>, tensor<8xf32>)
  return
}

// -----

// fused_route.C1: as dispatch
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `offsets` of shape [9], got [8]}}
  %p, %w, %c, %o, %r, %s, %q, %d = moire.fused_route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<8xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>, tensor<8xf32>)
  return
}

// -----

// fused_route.C1: as expert_load
// expected-note @+1 {{measured against this value of type 'tensor<6x8xf32>'}}
func.func @f(%l: tensor<6x8xf32>) {
  // expected-error @+1 {{expects `load` of shape [8], got [6]}}
  %p, %w, %c, %o, %r, %s, %q, %d = moire.fused_route softmax_topk %l : (tensor<6x8xf32>) -> (tensor<6x8xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>, tensor<6xf32>)
  return
}

// -----

// kernel_call.C1: buffers
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects 2 buffers by its signature, got 1}}
  moire.kernel_call "k" "bb" (%x : memref<6xf32>)
  return
}

// -----

// kernel_call.C1: integers
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects 2 integers by its signature, got 1}}
  moire.kernel_call "k" "bit" (%x : memref<6xf32>) {integers = array<i64: 6>}
  return
}

// -----

// kernel_call.C1: floats
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects 1 floats by its signature, got 0}}
  moire.kernel_call "k" "bf" (%x : memref<6xf32>)
  return
}

// -----

// kernel_call.C1: scalars
func.func @f(%x: memref<6xf32>, %i: index) {
  // expected-error @+1 {{expects 0 scalars by its signature, got 1}}
  moire.kernel_call "k" "b" (%x : memref<6xf32>) at %i
  return
}

// -----

// kernel_call.C1: letters
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects letters of "b0itfdpr" in its signature, got 'x'}}
  moire.kernel_call "k" "bx" (%x : memref<6xf32>)
  return
}

// -----

// launch.C1: the kernel exists
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects a function named `k`}}
  moire.launch @k count 6 grain 2 (%x : memref<6xf32>)
  return
}

// -----

// launch.C1: as many arguments
// expected-note @+1 {{kernel defined here}}
func.func private @k(index, index)
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects a kernel of 3 arguments, got 2}}
  moire.launch @k count 6 grain 2 (%x : memref<6xf32>)
  return
}

// -----

// launch.C1: a range
// expected-note @+1 {{kernel defined here}}
func.func private @k(index, i64, memref<6xf32>)
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects the kernel's first two arguments to be indices, got 'i64'}}
  moire.launch @k count 6 grain 2 (%x : memref<6xf32>)
  return
}

// -----

// launch.C1: the same buffers
// expected-note @+1 {{kernel defined here}}
func.func private @k(index, index, memref<6xf64>)
func.func @f(%x: memref<6xf32>) {
  // expected-error @+1 {{expects kernel argument #2 to be 'memref<6xf32>', got 'memref<6xf64>'}}
  moire.launch @k count 6 grain 2 (%x : memref<6xf32>)
  return
}

// -----

// launch.C2: count
func.func private @k(index, index)
func.func @f() {
  // expected-error @+1 {{expects `count` of 1 or more, got 0}}
  moire.launch @k count 0 grain 2 ()
  return
}

// -----

// launch.C2: grain
func.func private @k(index, index)
func.func @f() {
  // expected-error @+1 {{expects `grain` of 1 or more, got 0}}
  moire.launch @k count 6 grain 0 ()
  return
}

// -----

// product_rows.C1
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) {
  // expected-error @+1 {{expects a product, a row kernel and a yield in its body}}
  %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
    moire.yield %p : tensor<12x4xf32>
  } -> tensor<12x4xf32>
  return
}

// -----

// product_rows.C2
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) {
  // expected-error @+1 {{expects a row kernel over one extent that sums nothing over rows}}
  %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
    %s = moire.rowwise domain [12] maps [affine_map<(d0) -> (d0)>] summed [true] ins(%p : tensor<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      moire.yield %row : tensor<4xf32>
    } -> tensor<4xf32>
    moire.yield %s : tensor<4xf32>
  } -> tensor<4xf32>
  return
}

// -----

// product_rows.C2: rows
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) {
  // expected-error @+1 {{expects a row kernel over the 12 rows of the product, got 6}}
  %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
    %s = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      moire.yield %row : tensor<4xf32>
    } -> tensor<6x4xf32>
    moire.yield %s : tensor<6x4xf32>
  } -> tensor<6x4xf32>
  return
}

// -----

// product_rows.C2: which row
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) {
  // expected-error @+1 {{expects a row kernel that reads of the product the row it computes}}
  %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
    %s = moire.rowwise domain [12] maps [affine_map<(d0) -> (d0 - 1)>] summed [false] ins(%p : tensor<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      moire.yield %row : tensor<4xf32>
    } -> tensor<12x4xf32>
    moire.yield %s : tensor<12x4xf32>
  } -> tensor<12x4xf32>
  return
}

// -----

// product_rows.C3
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) {
  // expected-error @+1 {{expects results of the types that its body yields}}
  %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
    %s = moire.rowwise domain [12] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      moire.yield %row : tensor<4xf32>
    } -> tensor<12x4xf32>
    moire.yield %s : tensor<12x4xf32>
  } -> tensor<4x12xf32>
  return
}

// -----

// product_rows.C4
func.func @f(%x: tensor<12x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) {
  // expected-error @+1 {{expects `own` on buffers only, as the number of an input, got 0}}
  %a = moire.product_rows own 0 {
    %p = moire.grouped_linear %x, %w, %o : (tensor<12x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x4xf32>
    %s = moire.rowwise domain [12] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      moire.yield %row : tensor<4xf32>
    } -> tensor<12x4xf32>
    moire.yield %s : tensor<12x4xf32>
  } -> tensor<12x4xf32>
  return
}

// -----

// fused_route.C1
func.func @f(%l: tensor<6x4xf32>) {
  // expected-error @+1 {{expects a threshold above 0, got 0}}
  %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk %l threshold 0.0 : (tensor<6x4xf32>) -> (tensor<6x4xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<5xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>, tensor<4xf32>)
  return
}

// -----

// fused_route.C2
func.func @f(%l: tensor<6x4xf32>) {
  // expected-error @+1 {{expects `nulls` from 0 to the logits less one, got 4}}
  %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk %l nulls 4 : (tensor<6x4xf32>) -> (tensor<6x4xf32>, tensor<6x2xf32>, tensor<6x2xi32>, tensor<2xi32>, tensor<12xi32>, tensor<12xi32>, tensor<6x2xi32>, tensor<1xf32>)
  return
}

// -----

// kernel_call.C2: asked for, and given
func.func @f(%x: memref<6x8xf32>) {
  // expected-error @+1 {{expects a kernel behind `then` if its signature asks for one, and only then}}
  moire.kernel_call "moire_example" "br" (%x : memref<6x8xf32>)
  return
}

// -----

// kernel_call.C2: exists
func.func @f(%x: memref<6x8xf32>) {
  // expected-error @+1 {{expects a function named `nobody`}}
  moire.kernel_call "moire_example" "br" (%x : memref<6x8xf32>) then @nobody (%x : memref<6x8xf32>)
  return
}
