// What is always simpler about pointwise ops and shapes, beside what only looks like it.
// RUN: moire-opt %s -canonicalize | FileCheck %s

// CHECK-LABEL: func.func @neutral
func.func @neutral(%x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) {
  %zero = moire.fill 0.000000e+00 : tensor<4xf32>
  %zeros = moire.fill 0.000000e+00 : tensor<2x4xf32>
  %one = moire.fill 1.000000e+00 : tensor<f32>
  %a = moire.binary add %x, %zero : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %b = moire.binary add %zeros, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %c = moire.binary sub %x, %zero : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %d = moire.binary mul %x, %one : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  %e = moire.scale %x by 1.000000e+00 : tensor<2x4xf32>
  // CHECK-NEXT: return %arg0, %arg0, %arg0, %arg0, %arg0
  return %a, %b, %c, %d, %e : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>
}

// Zero times x is not always zero, zero minus x is not x, and a broadcast operand is not the result.
// CHECK-LABEL: func.func @not_neutral
func.func @not_neutral(%x: tensor<2x4xf32>, %row: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) {
  %zeros = moire.fill 0.000000e+00 : tensor<2x4xf32>
  // CHECK: moire.binary mul
  %a = moire.binary mul %x, %zeros : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: moire.binary sub
  %b = moire.binary sub %zeros, %x : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK: moire.binary add
  %c = moire.binary add %zeros, %row : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %a, %b, %c : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>
}

// Widening loses nothing.
// CHECK-LABEL: func.func @exact_casts
func.func @exact_casts(%x: tensor<4xbf16>) -> (tensor<4xbf16>, tensor<4xf64>) {
  %f = moire.cast %x : tensor<4xbf16> to tensor<4xf32>
  %b = moire.cast %f : tensor<4xf32> to tensor<4xbf16>
  // CHECK: %[[D:.*]] = moire.cast %arg0 : tensor<4xbf16> to tensor<4xf64>
  %d = moire.cast %f : tensor<4xf32> to tensor<4xf64>
  // CHECK: return %arg0, %[[D]]
  return %b, %d : tensor<4xbf16>, tensor<4xf64>
}

// Narrowing does.
// CHECK-LABEL: func.func @rounding_casts
func.func @rounding_casts(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: moire.cast %arg0 : tensor<4xf32> to tensor<4xbf16>
  %b = moire.cast %x : tensor<4xf32> to tensor<4xbf16>
  // CHECK: moire.cast %{{.*}} : tensor<4xbf16> to tensor<4xf32>
  %f = moire.cast %b : tensor<4xbf16> to tensor<4xf32>
  return %f : tensor<4xf32>
}

// 1 + 2^-8 lies between two bf16 numbers and goes to the even one, 1; 0.5 is one.
// CHECK-LABEL: func.func @rounded_constants
func.func @rounded_constants() -> (tensor<4xbf16>, tensor<4xbf16>) {
  %x = moire.fill 1.00390625 : tensor<4xf32>
  %y = moire.fill 0.5 : tensor<4xf32>
  // CHECK-DAG: %[[X:.*]] = moire.fill 1.000000e+00 : tensor<4xbf16>
  // CHECK-DAG: %[[Y:.*]] = moire.fill 5.000000e-01 : tensor<4xbf16>
  %a = moire.cast %x : tensor<4xf32> to tensor<4xbf16>
  %b = moire.cast %y : tensor<4xf32> to tensor<4xbf16>
  // CHECK: return %[[X]], %[[Y]]
  return %a, %b : tensor<4xbf16>, tensor<4xbf16>
}

// CHECK-LABEL: func.func @same_shape
func.func @same_shape(%x: tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>) {
  %a = moire.broadcast %x : tensor<2x4xf32> to tensor<2x4xf32>
  %b = moire.reduce_leading %x : tensor<2x4xf32> to tensor<2x4xf32>
  %c = moire.reshape %x : tensor<2x4xf32> to tensor<2x4xf32>
  %d = moire.slice %x dim 0 at 0 : tensor<2x4xf32> to tensor<2x4xf32>
  %e = moire.concat %x dim 1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  // CHECK-NEXT: return %arg0, %arg0, %arg0, %arg0, %arg0
  return %a, %b, %c, %d, %e : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>
}

// A sum over nothing still widens.
// CHECK-LABEL: func.func @widening_sum
func.func @widening_sum(%x: tensor<4xbf16>) -> tensor<4xf32> {
  // CHECK: moire.reduce_leading %arg0
  %y = moire.reduce_leading %x : tensor<4xbf16> to tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: func.func @chains
func.func @chains(%x: tensor<2x12xf32>, %row: tensor<4xf32>) -> (tensor<6x4xf32>, tensor<2x3xf32>, tensor<2x3x4xf32>) {
  // CHECK-DAG: %[[A:.*]] = moire.reshape %arg0 : tensor<2x12xf32> to tensor<6x4xf32>
  %r = moire.reshape %x : tensor<2x12xf32> to tensor<24xf32>
  %a = moire.reshape %r : tensor<24xf32> to tensor<6x4xf32>
  // CHECK-DAG: %[[B:.*]] = moire.slice %arg0 dim 1 at 5
  %s = moire.slice %x dim 1 at 4 : tensor<2x12xf32> to tensor<2x6xf32>
  %b = moire.slice %s dim 1 at 1 : tensor<2x6xf32> to tensor<2x3xf32>
  // CHECK-DAG: %[[C:.*]] = moire.broadcast %arg1 : tensor<4xf32> to tensor<2x3x4xf32>
  %t = moire.broadcast %row : tensor<4xf32> to tensor<3x4xf32>
  %c = moire.broadcast %t : tensor<3x4xf32> to tensor<2x3x4xf32>
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : tensor<6x4xf32>, tensor<2x3xf32>, tensor<2x3x4xf32>
}

// CHECK-LABEL: func.func @shaped_constants
func.func @shaped_constants() -> (tensor<2x3x4xf32>, tensor<12xf32>, tensor<2x4xf32>) {
  %x = moire.fill 2.000000e+00 : tensor<3x4xf32>
  // CHECK-DAG: %[[A:.*]] = moire.fill 2.000000e+00 : tensor<2x3x4xf32>
  %a = moire.broadcast %x : tensor<3x4xf32> to tensor<2x3x4xf32>
  // CHECK-DAG: %[[B:.*]] = moire.fill 2.000000e+00 : tensor<12xf32>
  %b = moire.reshape %x : tensor<3x4xf32> to tensor<12xf32>
  // CHECK-DAG: %[[C:.*]] = moire.fill 2.000000e+00 : tensor<2x4xf32>
  %c = moire.slice %x dim 0 at 1 : tensor<3x4xf32> to tensor<2x4xf32>
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : tensor<2x3x4xf32>, tensor<12xf32>, tensor<2x4xf32>
}

// A slice inside one operand reads that operand; one that needs two stays.
// CHECK-LABEL: func.func @slice_of_concat
func.func @slice_of_concat(%a: tensor<2x3xf32>, %b: tensor<2x5xf32>) -> (tensor<2x5xf32>, tensor<2x2xf32>, tensor<2x4xf32>) {
  %c = moire.concat %a, %b dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
  %x = moire.slice %c dim 1 at 3 : tensor<2x8xf32> to tensor<2x5xf32>
  // CHECK-DAG: %[[Y:.*]] = moire.slice %arg1 dim 1 at 1
  %y = moire.slice %c dim 1 at 4 : tensor<2x8xf32> to tensor<2x2xf32>
  // CHECK-DAG: %[[C:.*]] = moire.concat %arg0, %arg1
  // CHECK-DAG: %[[Z:.*]] = moire.slice %[[C]] dim 1 at 1
  %z = moire.slice %c dim 1 at 1 : tensor<2x8xf32> to tensor<2x4xf32>
  // CHECK: return %arg1, %[[Y]], %[[Z]]
  return %x, %y, %z : tensor<2x5xf32>, tensor<2x2xf32>, tensor<2x4xf32>
}

// Parts put together again in order are the whole; out of order they are not.
// CHECK-LABEL: func.func @concat_of_slices
func.func @concat_of_slices(%x: tensor<2x8xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %a = moire.slice %x dim 1 at 0 : tensor<2x8xf32> to tensor<2x3xf32>
  %b = moire.slice %x dim 1 at 3 : tensor<2x8xf32> to tensor<2x1xf32>
  %c = moire.slice %x dim 1 at 4 : tensor<2x8xf32> to tensor<2x4xf32>
  %ab = moire.concat %a, %b dim 1 : (tensor<2x3xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  %y = moire.concat %ab, %c dim 1 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x8xf32>
  // CHECK: %[[Z:.*]] = moire.concat
  %z = moire.concat %c, %ab dim 1 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x8xf32>
  // CHECK: return %arg0, %[[Z]]
  return %y, %z : tensor<2x8xf32>, tensor<2x8xf32>
}

// Concatenations along different dimensions do not become one.
// CHECK-LABEL: func.func @other_dimension
func.func @other_dimension(%x: tensor<2x4xf32>) -> tensor<4x8xf32> {
  // CHECK: moire.concat %arg0, %arg0 dim 0
  %a = moire.concat %x, %x dim 0 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<4x4xf32>
  // CHECK: moire.concat %{{.*}}, %{{.*}} dim 1
  %b = moire.concat %a, %a dim 1 : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x8xf32>
  return %b : tensor<4x8xf32>
}
