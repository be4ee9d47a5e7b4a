// What cannot be a row kernel is an error.
// RUN: moire-opt %s --moire-lower-rowwise --split-input-file --verify-diagnostics

#id = affine_map<(d0) -> (d0)>
func.func @tensors(%x: tensor<64x256xf32>) -> tensor<64x256xf32> {
  // expected-error@+1 {{works on tensors; `moire-lower-rowwise` runs after `moire-bufferize`}}
  %y = moire.rowwise domain [64] maps [#id] summed [false] ins(%x : tensor<64x256xf32>) {
  ^bb0(%a: tensor<256xf32>):
    moire.yield %a : tensor<256xf32>
  } -> tensor<64x256xf32>
  return %y : tensor<64x256xf32>
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func @columns(%x: memref<64x256xf32, strided<[1, 64]>>, %y: memref<64x256xf32>) {
  // expected-error@+1 {{needs buffers whose last dimension is contiguous, not 'memref<64x256xf32, strided<[1, 64]>>'}}
  moire.rowwise domain [64] maps [#id] summed [false] ins(%x : memref<64x256xf32, strided<[1, 64]>>) outs(%y : memref<64x256xf32>) {
  ^bb0(%a: tensor<256xf32>):
    moire.yield %a : tensor<256xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func @foreign(%x: memref<64x16xf32>, %y: memref<64x16xf32>) {
  moire.rowwise domain [64] maps [#id] summed [false] ins(%x : memref<64x16xf32>) outs(%y : memref<64x16xf32>) {
  ^bb0(%a: tensor<16xf32>):
    // expected-error@+1 {{is not known as part of a row kernel}}
    %r = moire.reshape %a : tensor<16xf32> to tensor<16xf32>
    moire.yield %r : tensor<16xf32>
  }
  return
}
