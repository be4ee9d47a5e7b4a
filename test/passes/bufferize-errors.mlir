// What cannot be bufferized is named.
// RUN: moire-opt %s --moire-bufferize --split-input-file --verify-diagnostics

func.func @not_fused(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{'moire.unary' op has no form on buffers; `moire-fuse-rowwise` has to come first}}
  %y = moire.unary relu %x : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// expected-error @below {{expects tensors of static shape only, and has 'tensor<?xf32>'}}
func.func @dynamic(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
