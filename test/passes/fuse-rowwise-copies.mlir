// Cheap producers are done again in each reader when that moves fewer bytes; reductions never.
// RUN: moire-opt %s --moire-fuse-rowwise | FileCheck %s

// Widened once for a norm and, behind a product, for a sum: both read the narrow stream and widen for themselves.
// CHECK-LABEL: func @widened
func.func @widened(%x: tensor<64x256xbf16>, %w: tensor<256xf32>, %m: tensor<256x256xf32>) -> tensor<64x256xf32> {
  // CHECK: moire.rowwise {{.*}} ins(%arg0, %arg1 :
  // CHECK: moire.cast
  // CHECK: moire.rms_norm
  // CHECK-NEXT: moire.yield %{{[a-z0-9]+}} : tensor<256xf32>
  // CHECK: %[[L:.*]] = moire.linear
  // CHECK: moire.rowwise {{.*}} ins(%arg0, %[[L]] :
  // CHECK: moire.cast
  %f = moire.cast %x : tensor<64x256xbf16> to tensor<64x256xf32>
  %n, %r = moire.rms_norm %f, %w eps 1.0e-5 : (tensor<64x256xf32>, tensor<256xf32>) -> (tensor<64x256xf32>, tensor<64xf32>)
  %l = moire.linear %n, %m : (tensor<64x256xf32>, tensor<256x256xf32>) -> tensor<64x256xf32>
  %y = moire.binary add %l, %f : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  return %y : tensor<64x256xf32>
}

// Narrow already: reading the two summands again would move more than reading their sum.
// CHECK-LABEL: func @summed
func.func @summed(%a: tensor<64x256xf32>, %b: tensor<64x256xf32>, %m: tensor<256x256xf32>) -> tensor<64x256xf32> {
  // CHECK: %[[S:.*]] = moire.rowwise {{.*}} ins(%arg0, %arg1 :
  // CHECK: %[[L:.*]] = moire.linear %[[S]]
  // CHECK: moire.rowwise {{.*}} ins(%[[L]], %[[S]] :
  %s = moire.binary add %a, %b : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  %l = moire.linear %s, %m : (tensor<64x256xf32>, tensor<256x256xf32>) -> tensor<64x256xf32>
  %y = moire.binary mul %l, %s : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  return %y : tensor<64x256xf32>
}

// A sigmoid is not cheap: it is read, however narrow its input.
// CHECK-LABEL: func @dear
func.func @dear(%x: tensor<64x256xf32>, %m: tensor<256x256xf32>) -> tensor<64x256xf32> {
  // CHECK: %[[S:.*]] = moire.rowwise {{.*}} ins(%arg0 :
  // CHECK: moire.linear %[[S]]
  // CHECK: moire.rowwise {{.*}} ins(%{{.*}}, %[[S]] :
  %s = moire.unary sigmoid %x : tensor<64x256xf32>
  %l = moire.linear %s, %m : (tensor<64x256xf32>, tensor<256x256xf32>) -> tensor<64x256xf32>
  %y = moire.binary mul %l, %s : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  return %y : tensor<64x256xf32>
}
