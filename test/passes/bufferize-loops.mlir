// Loops: carried values in the rows of their stack, in place, or in two buffers used in turn.
// RUN: moire-opt %s --moire-bufferize --canonicalize --cse --split-input-file | FileCheck %s

// The stream is stacked for the reverse pass anyway, so each iteration reads row i of the stack and writes row i + 1.
// CHECK-LABEL: func.func @in_stack
// CHECK-SAME: %[[X:.*]]: memref<2x4xf32>, %[[W:.*]]: memref<3x4x4xf32>, %[[Y:.*]]: memref<2x4xf32> {moire.result = 0 : i64}, %[[Z:.*]]: memref<3x2x4xf32>
// CHECK: %[[ROWS:.*]] = memref.alloc() : memref<4x2x4xf32>
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %c3 step
// CHECK-NOT: memref.copy
// CHECK: %[[LOW:.*]] = arith.muli %[[I]], %c8
// CHECK: %[[A:.*]] = memref.reinterpret_cast %[[ROWS]] to offset: [%[[LOW]]], sizes: [2, 4]
// CHECK: %[[HIGH:.*]] = arith.addi %[[LOW]], %c8
// CHECK: %[[NEXT:.*]] = memref.reinterpret_cast %[[ROWS]] to offset: [%[[HIGH]]], sizes: [2, 4]
// CHECK: moire.kernel_call "moire_gemm_f32_f32" "iiibitbitbit"(%[[A]], %{{.*}}, %[[NEXT]]
// CHECK: }
// CHECK: memref.reinterpret_cast %[[ROWS]] to offset: [24], sizes: [2, 4]
func.func @in_stack(%x: tensor<2x4xf32>, %w: tensor<3x4x4xf32>) -> (tensor<2x4xf32>, tensor<3x2x4xf32>) {
  %r:2 = moire.repeat 3 carried(%a = %x : tensor<2x4xf32>) slices(%s = %w : tensor<3x4x4xf32>) -> (tensor<2x4xf32>, tensor<3x2x4xf32>) {
    %y = moire.linear %a, %s : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
    moire.yield %y, %a : tensor<2x4xf32>, tensor<2x4xf32>
  }
  %z = moire.rowwise domain [3, 2] maps [affine_map<(d0, d1) -> (d0, d1)>] summed [false] ins(%r#1 : tensor<3x2x4xf32>) {
  ^bb0(%row: tensor<4xf32>):
    %n = moire.unary neg %row : tensor<4xf32>
    moire.yield %n : tensor<4xf32>
  } -> tensor<3x2x4xf32>
  return %r#0, %z : tensor<2x4xf32>, tensor<3x2x4xf32>
}

// -----

// A pointwise update of a value that nobody reads afterwards overwrites it: here the function's result itself.
// CHECK-LABEL: func.func @in_place
// CHECK-SAME: %[[X:.*]]: memref<2x4xf32>, %[[D:.*]]: memref<3x2x4xf32>, %[[Y:.*]]: memref<2x4xf32>
// CHECK-NOT: memref.alloc
// CHECK: memref.copy %[[X]], %[[Y]]
// CHECK: scf.for
// CHECK: moire.rowwise {{.*}} ins(%[[Y]], %{{.*}}) outs(%[[Y]] :
func.func @in_place(%x: tensor<2x4xf32>, %d: tensor<3x2x4xf32>) -> tensor<2x4xf32> {
  %r = moire.repeat 3 carried(%a = %x : tensor<2x4xf32>) slices(%s = %d : tensor<3x2x4xf32>) -> (tensor<2x4xf32>) {
    %y = moire.rowwise domain [2] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] summed [false] ins(%a, %s : tensor<2x4xf32>, tensor<2x4xf32>) {
    ^bb0(%p: tensor<4xf32>, %q: tensor<4xf32>):
      %t = moire.binary add %p, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      moire.yield %t : tensor<4xf32>
    } -> tensor<2x4xf32>
    moire.yield %y : tensor<2x4xf32>
  }
  return %r : tensor<2x4xf32>
}

// -----

// A kernel that still reads the old value while it writes the new one gets two buffers in turn; so does a row that a norm reads twice.
// CHECK-LABEL: func.func @in_turn
// CHECK: memref.alloc() : memref<2x2x4xf32>
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[P:.*]] = arith.andi %[[I]], %c1
// CHECK: %[[FROM:.*]] = arith.muli %[[P]], %c8
// CHECK: %[[A:.*]] = memref.reinterpret_cast %{{.*}} to offset: [%[[FROM]]]
// CHECK: %[[BACK:.*]] = arith.muli %[[P]], %c-8
// CHECK: %[[TO:.*]] = arith.addi %[[BACK]], %c8
// CHECK: %[[B:.*]] = memref.reinterpret_cast %{{.*}} to offset: [%[[TO]]]
// CHECK: moire.rowwise {{.*}} ins(%[[A]], %{{.*}}) outs(%[[B]] :
func.func @in_turn(%x: tensor<2x4xf32>, %d: tensor<4xf32>) -> tensor<2x4xf32> {
  %r = moire.repeat 3 carried(%a = %x : tensor<2x4xf32>) -> (tensor<2x4xf32>) {
    %y = moire.rowwise domain [2] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>] summed [false] ins(%a, %d : tensor<2x4xf32>, tensor<4xf32>) {
    ^bb0(%p: tensor<4xf32>, %q: tensor<4xf32>):
      %t, %rstd = moire.rms_norm %p, %q eps 1.0e-5 : (tensor<4xf32>, tensor<4xf32>) -> (tensor<4xf32>, tensor<f32>)
      moire.yield %t : tensor<4xf32>
    } -> tensor<2x4xf32>
    moire.yield %y : tensor<2x4xf32>
  }
  return %r : tensor<2x4xf32>
}

// -----

// Gradients stacked by a reverse loop go into row count - 1 - i of the result; a value that another iteration's slot must keep is
// not overwritten: %a is stacked after %y is there, so %y may not take its place.
// CHECK-LABEL: func.func @reverse
// CHECK-SAME: %[[X:.*]]: memref<4xf32>, %[[OUT:.*]]: memref<3x4xf32> {moire.gradient = @w, moire.result = 0 : i64}
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[ROW:.*]] = arith.subi %c2, %[[I]]
// CHECK: %[[AT:.*]] = arith.muli %[[ROW]], %c4
// CHECK: memref.reinterpret_cast %[[OUT]] to offset: [%[[AT]]], sizes: [4], strides: [1]
moire.param @w : tensor<3x4xf32> role ffn init normal {stack = 1 : i64, paths = ["0.w", "1.w", "2.w"]}
func.func @reverse(%x: tensor<4xf32>) -> (tensor<3x4xf32> {moire.gradient = @w}) {
  %r:2 = moire.repeat 3 reverse carried(%a = %x : tensor<4xf32>) -> (tensor<4xf32>, tensor<3x4xf32>) {
    %y = moire.rowwise domain [1] maps [affine_map<(d0) -> ()>] summed [true] ins(%a : tensor<4xf32>) {
    ^bb0(%p: tensor<4xf32>):
      %t = moire.scale %p by 2.0 : tensor<4xf32>
      %sum = moire.reduce_leading %t : tensor<4xf32> to tensor<4xf32>
      moire.yield %sum : tensor<4xf32>
    } -> tensor<4xf32>
    moire.yield %y, %a : tensor<4xf32>, tensor<4xf32>
  }
  return %r#1 : tensor<3x4xf32>
}

// -----

// Slices of one product that are all kept: the product is kept whole, in its row, and nothing is copied.
// CHECK-LABEL: func.func @shared_base
// CHECK: %[[ALL:.*]] = memref.alloc() : memref<3x2x8xf32>
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = memref.reinterpret_cast %[[ALL]] to offset: [%{{.*}}], sizes: [2, 8]
// CHECK: moire.kernel_call "moire_gemm_f32_f32" "iiibitbitbit"(%{{.*}}, %{{.*}}, %[[ROW]]
// CHECK: }
// CHECK-DAG: memref.reinterpret_cast %[[ALL]] to offset: [0], sizes: [3, 2, 4], strides: [16, 8, 1]
// CHECK-DAG: memref.reinterpret_cast %[[ALL]] to offset: [4], sizes: [3, 2, 4], strides: [16, 8, 1]
func.func @shared_base(%x: tensor<2x4xf32>, %w: tensor<3x4x8xf32>) -> tensor<3x2x4xf32> {
  %r:2 = moire.repeat 3 slices(%s = %w : tensor<3x4x8xf32>) -> (tensor<3x2x4xf32>, tensor<3x2x4xf32>) {
    %y = moire.linear %x, %s : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
    %u = moire.slice %y dim 1 at 0 : tensor<2x8xf32> to tensor<2x4xf32>
    %g = moire.slice %y dim 1 at 4 : tensor<2x8xf32> to tensor<2x4xf32>
    moire.yield %u, %g : tensor<2x4xf32>, tensor<2x4xf32>
  }
  %z = moire.rowwise domain [3, 2] maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>] summed [false] ins(%r#0, %r#1 : tensor<3x2x4xf32>, tensor<3x2x4xf32>) {
  ^bb0(%p: tensor<4xf32>, %q: tensor<4xf32>):
    %t = moire.binary mul %p, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    moire.yield %t : tensor<4xf32>
  } -> tensor<3x2x4xf32>
  return %z : tensor<3x2x4xf32>
}
