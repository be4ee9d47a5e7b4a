// What loops and row kernels need not carry is dropped.
// RUN: moire-opt %s -canonicalize | FileCheck %s

// Neither the second carried value, nor the second slice, nor the stacked result reaches anybody.
// CHECK-LABEL: func.func @dead_parts
func.func @dead_parts(%a: tensor<8xf32>, %ws: tensor<4x8xf32>, %vs: tensor<4x8xf32>) -> tensor<8xf32> {
  // CHECK: moire.repeat 4 reverse carried(%[[X:.*]] = %arg0 : tensor<8xf32>) slices(%[[W:.*]] = %arg1 : tensor<4x8xf32>) -> tensor<8xf32> attributes {note = "kept"} {
  %y, %z, %stack = moire.repeat 4 reverse carried(%x = %a : tensor<8xf32>, %d = %a : tensor<8xf32>) slices(%w = %ws : tensor<4x8xf32>, %v = %vs : tensor<4x8xf32>) -> (tensor<8xf32>, tensor<8xf32>, tensor<4x8xf32>) attributes {note = "kept"} {
    // CHECK-NEXT: %[[S:.*]] = moire.binary mul %[[X]], %[[W]]
    // CHECK-NEXT: moire.yield %[[S]] :
    %s = moire.binary mul %x, %w : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %t = moire.binary mul %d, %v : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %s, %t, %t : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
  }
  // CHECK: return
  return %y : tensor<8xf32>
}

// Two carried values may need each other though only one is read.
// CHECK-LABEL: func.func @live_through_each_other
func.func @live_through_each_other(%a: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<8xf32> {
  // CHECK: moire.repeat 4 carried(%{{.*}} = %arg0 : tensor<8xf32>, %{{.*}} = %arg1 : tensor<8xf32>)
  %y, %z = moire.repeat 4 carried(%x = %a : tensor<8xf32>, %d = %b : tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
    %s = moire.binary add %x, %d : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %d, %s : tensor<8xf32>, tensor<8xf32>
  }
  return %y : tensor<8xf32>
}

// What only an inner loop reads is read.
// CHECK-LABEL: func.func @read_by_an_inner_loop
func.func @read_by_an_inner_loop(%a: tensor<8xf32>, %ws: tensor<4x8xf32>) -> tensor<8xf32> {
  // CHECK: moire.repeat 4 carried({{.*}}) slices(
  %y = moire.repeat 4 carried(%x = %a : tensor<8xf32>) slices(%w = %ws : tensor<4x8xf32>) -> tensor<8xf32> {
    %i = moire.repeat 2 carried(%h = %x : tensor<8xf32>) -> tensor<8xf32> {
      %s = moire.binary add %h, %w : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
      moire.yield %s : tensor<8xf32>
    }
    moire.yield %i : tensor<8xf32>
  }
  return %y : tensor<8xf32>
}

// A value that every iteration hands on unchanged is not carried.
// CHECK-LABEL: func.func @unchanged
func.func @unchanged(%a: tensor<8xf32>, %b: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  // CHECK: %[[Y:.*]] = moire.repeat 4 carried(%[[X:.*]] = %arg0 : tensor<8xf32>) -> tensor<8xf32> {
  %y, %z = moire.repeat 4 carried(%x = %a : tensor<8xf32>, %same = %b : tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
    // CHECK-NEXT: moire.binary add %[[X]], %arg1
    %s = moire.binary add %x, %same : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %s, %same : tensor<8xf32>, tensor<8xf32>
  }
  // CHECK: return %[[Y]], %arg1
  return %y, %z : tensor<8xf32>, tensor<8xf32>
}

// The same tensor is sliced once, the same value stacked once.
// CHECK-LABEL: func.func @twins
func.func @twins(%a: tensor<8xf32>, %ws: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  // CHECK: %[[R:.*]] = moire.repeat 4 slices(%[[W:.*]] = %arg1 : tensor<4x8xf32>) -> tensor<4x8xf32> {
  %p, %q = moire.repeat 4 slices(%w = %ws : tensor<4x8xf32>, %v = %ws : tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
    // CHECK-NEXT: moire.binary mul %[[W]], %[[W]]
    %s = moire.binary mul %w, %v : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %s, %s : tensor<8xf32>, tensor<8xf32>
  }
  // CHECK: return %[[R]], %[[R]]
  return %p, %q : tensor<4x8xf32>, tensor<4x8xf32>
}

// A loop that nobody reads is gone.
// CHECK-LABEL: func.func @dead_loop
func.func @dead_loop(%a: tensor<8xf32>) {
  // CHECK-NOT: moire.repeat
  %y = moire.repeat 4 carried(%x = %a : tensor<8xf32>) -> tensor<8xf32> {
    %s = moire.scale %x by 2.000000e+00 : tensor<8xf32>
    moire.yield %s : tensor<8xf32>
  }
  return
}

// A kernel reads each input once and computes what is asked for.
// CHECK-LABEL: func.func @kernel
func.func @kernel(%x: tensor<6x8xf32>, %y: tensor<6x8xf32>) -> tensor<6x8xf32> {
  // CHECK: moire.rowwise domain [6] maps [#{{.*}}] summed [false] ins(%arg0 : tensor<6x8xf32>) {
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<8xf32>):
  // CHECK-NEXT: moire.binary add %[[A]], %[[A]]
  // CHECK-NEXT: moire.yield
  %s, %t = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] summed [false, true] ins(%x, %x, %y : tensor<6x8xf32>, tensor<6x8xf32>, tensor<6x8xf32>) {
  ^bb0(%a: tensor<8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>):
    %sum = moire.binary add %a, %b : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    %product = moire.binary mul %c, %c : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %sum, %product : tensor<8xf32>, tensor<8xf32>
  } -> tensor<6x8xf32>, tensor<8xf32>
  return %s : tensor<6x8xf32>
}

// Another row of the same input is another input; a buffer is written though nobody reads it here.
// CHECK-LABEL: func.func @kernel_on_buffers
func.func @kernel_on_buffers(%x: memref<6x8xf32>, %y: memref<6x8xf32>) {
  // CHECK: moire.rowwise domain [6] maps [#{{.*}}, #{{.*}}] summed [false] ins(%arg0, %arg0
  // CHECK-SAME: outs(%arg1
  moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0 - 1)>, affine_map<(d0) -> (d0)>] summed [false] ins(%x, %x, %x : memref<6x8xf32>, memref<6x8xf32>, memref<6x8xf32>) outs(%y : memref<6x8xf32>) {
  ^bb0(%a: tensor<8xf32>, %b: tensor<8xf32>, %c: tensor<8xf32>):
    %s = moire.binary add %a, %b : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %s : tensor<8xf32>
  }
  return
}

// CHECK-LABEL: func.func @dead_kernel
func.func @dead_kernel(%x: tensor<6x8xf32>) {
  // CHECK-NOT: moire.rowwise
  %s = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%x : tensor<6x8xf32>) {
  ^bb0(%a: tensor<8xf32>):
    moire.yield %a : tensor<8xf32>
  } -> tensor<6x8xf32>
  return
}
