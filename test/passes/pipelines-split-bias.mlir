// A bias becomes an op of its own, which row fusion sees.
// RUN: moire-opt %s --moire-split-bias | FileCheck %s

// CHECK-LABEL: func.func @f
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf32>, %[[W:.*]]: tensor<4x3xf32>, %[[B:.*]]: tensor<4xf32>
// CHECK: %[[P:.*]] = moire.linear %[[X]], %[[W]] transpose :
// CHECK: %[[Y:.*]] = moire.binary add %[[P]], %[[B]]
// CHECK: moire.linear %[[X]], %[[W]] transpose :
// CHECK: return %[[Y]]
func.func @f(%x: tensor<2x3xf32>, %w: tensor<4x3xf32>, %b: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %y = moire.linear %x, %w bias %b transpose : (tensor<2x3xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %z = moire.linear %x, %w transpose : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  return %y, %z : tensor<2x4xf32>, tensor<2x4xf32>
}
