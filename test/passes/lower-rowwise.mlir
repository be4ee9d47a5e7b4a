// Row kernels become functions: a loop over rows, a sweep per pass over a row.
// RUN: moire-opt %s --moire-lower-rowwise --split-input-file | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#whole = affine_map<(d0, d1) -> ()>

// The sum is stored and squared in one sweep; the second sweep loads it from where it was stored.
// CHECK-LABEL: func @sum_and_norm
// CHECK: %[[X:.*]] = memref.collapse_shape %arg0 {{\[\[}}0, 1], [2]] : memref<8x64x256xf32> into memref<512x256xf32>
// CHECK: moire.launch @rows_binary_rms_norm count 512 grain 8(%[[X]],
// CHECK-LABEL: func private @rows_binary_rms_norm
// CHECK-SAME: %[[BEGIN:[a-z0-9]+]]: index, %[[END:[a-z0-9]+]]: index, %[[X:[a-z0-9]+]]: memref<512x256xf32> {llvm.noalias}
// CHECK: %[[CELL:.*]] = memref.alloca() : memref<f32>
// CHECK: scf.for %[[ROW:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: memref.subview %[[X]][%[[ROW]], 0] [1, 256] [1, 1]
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%{{.*}}, %{{.*}} :
// CHECK: %[[S:.*]] = arith.addf
// CHECK: %[[Q:.*]] = arith.mulf %[[S]], %[[S]]
// CHECK: linalg.yield %[[S]],
// CHECK: math.sqrt
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]}
// CHECK-NOT: arith.addf
// CHECK: linalg.yield
func.func @sum_and_norm(%x: memref<8x64x256xf32>, %r: memref<8x64x256xf32>, %w: memref<256xf32>,
                        %s: memref<8x64x256xf32>, %y: memref<8x64x256xf32>) {
  moire.rowwise domain [8, 64] maps [#id, #id, #whole] summed [false, false]
      ins(%x, %r, %w : memref<8x64x256xf32>, memref<8x64x256xf32>, memref<256xf32>)
      outs(%s, %y : memref<8x64x256xf32>, memref<8x64x256xf32>) {
  ^bb0(%a: tensor<256xf32>, %b: tensor<256xf32>, %c: tensor<256xf32>):
    %1 = moire.binary add %a, %b : (tensor<256xf32>, tensor<256xf32>) -> tensor<256xf32>
    %n, %rstd = moire.rms_norm %1, %c eps 1.0e-5 : (tensor<256xf32>, tensor<256xf32>) -> (tensor<256xf32>, tensor<f32>)
    moire.yield %1, %n : tensor<256xf32>, tensor<256xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
#whole = affine_map<(d0) -> ()>

// A result summed over rows: 64 chunks of 8 rows, each cleared and added up for itself, then added in order.
// CHECK-LABEL: func @norm_reverse
// CHECK: %[[P:.*]] = memref.alloc() : memref<64x256xf32>
// CHECK: moire.launch @[[K:.*]] count 64 grain 1({{.*}}, %[[P]] :
// CHECK: moire.launch @[[ADD:.*]] count 1 grain 1(%[[P]], %arg5 : memref<64x256xf32>, memref<256xf32>)
// CHECK: func private @[[K]](%[[BEGIN:[a-z0-9]+]]: index, %[[END:[a-z0-9]+]]: index
// CHECK: scf.for %[[CHUNK:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: %[[FIRST:.*]] = arith.muli %[[CHUNK]], %c8
// CHECK: arith.minui
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : memref<256xf32
// CHECK: scf.for %{{.*}} = %[[FIRST]] to
// CHECK: func private @[[ADD]]
func.func @norm_reverse(%dy: memref<512x256xf32>, %x: memref<512x256xf32>, %w: memref<256xf32>, %r: memref<512xf32>,
                        %dx: memref<512x256xf32>, %dw: memref<256xf32>) {
  moire.rowwise domain [512] maps [#id, #id, #whole, #id] summed [false, true]
      ins(%dy, %x, %w, %r : memref<512x256xf32>, memref<512x256xf32>, memref<256xf32>, memref<512xf32>)
      outs(%dx, %dw : memref<512x256xf32>, memref<256xf32>) {
  ^bb0(%a: tensor<256xf32>, %b: tensor<256xf32>, %c: tensor<256xf32>, %d: tensor<f32>):
    %1, %2 = moire.rms_norm_grad %a, %b, %c, %d : (tensor<256xf32>, tensor<256xf32>, tensor<256xf32>, tensor<f32>) -> (tensor<256xf32>, tensor<256xf32>)
    moire.yield %1, %2 : tensor<256xf32>, tensor<256xf32>
  }
  return
}

// -----

#now = affine_map<(d0, d1) -> (d0, d1)>
#before = affine_map<(d0, d1) -> (d0, d1 - 1)>
#tap = affine_map<(d0, d1) -> (1)>

// A row before the first is a row of zeros, chosen without a branch. A tap is a row at a fixed place.
// CHECK-DAG: memref.global "private" constant @[[ZEROS:.*]] : memref<64xf32> = dense<0.000000e+00>
// CHECK-LABEL: func private @rows_binary
// CHECK: scf.for %[[STEP:.*]] =
// CHECK-DAG: %[[T:.*]] = arith.remui %[[STEP]], %c32
// CHECK-DAG: %[[B:.*]] = arith.divui %[[STEP]], %c32
// CHECK: %[[PAST:.*]] = arith.addi %[[T]], %c-1
// CHECK: %[[ROW:.*]] = memref.subview %arg2[%[[B]], %[[PAST]], 0]
// CHECK: %[[IN:.*]] = arith.cmpi ult, %{{.*}}, %c32
// CHECK: %[[ZERO:.*]] = memref.get_global @[[ZEROS]]
// CHECK: %[[CAST:.*]] = memref.cast %[[ZERO]]
// CHECK: arith.select %[[IN]], %[[ROW]], %[[CAST]]
// CHECK: memref.subview %arg3[1, 0] [1, 64] [1, 1]
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
func.func @shifted(%x: memref<4x32x64xf32>, %w: memref<2x64xf32>, %y: memref<4x32x64xf32>) {
  moire.rowwise domain [4, 32] maps [#before, #now, #tap] summed [false]
      ins(%x, %x, %w : memref<4x32x64xf32>, memref<4x32x64xf32>, memref<2x64xf32>) outs(%y : memref<4x32x64xf32>) {
  ^bb0(%a: tensor<64xf32>, %b: tensor<64xf32>, %c: tensor<64xf32>):
    %1 = moire.binary mul %a, %c : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
    %2 = moire.binary add %1, %b : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
    moire.yield %2 : tensor<64xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Slices and concatenations are places to load from and to store to: one sweep over half a row, nothing is copied.
// CHECK-LABEL: func private @rows_binary_concat
// CHECK-DAG: memref.subview %arg2[%{{.*}}, 0] [1, 128] [1, 1]
// CHECK-DAG: memref.subview %arg2[%{{.*}}, 128] [1, 128] [1, 1]
// CHECK-DAG: memref.subview %arg3[%{{.*}}, 0] [1, 128] [1, 1]
// CHECK-DAG: memref.subview %arg3[%{{.*}}, 128] [1, 128] [1, 1]
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
func.func @swapped(%x: memref<100x256xf32>, %y: memref<100x256xf32>) {
  moire.rowwise domain [100] maps [#id] summed [false] ins(%x : memref<100x256xf32>) outs(%y : memref<100x256xf32>) {
  ^bb0(%a: tensor<256xf32>):
    %l = moire.slice %a dim 0 at 0 : tensor<256xf32> to tensor<128xf32>
    %r = moire.slice %a dim 0 at 128 : tensor<256xf32> to tensor<128xf32>
    %p = moire.binary mul %l, %r : (tensor<128xf32>, tensor<128xf32>) -> tensor<128xf32>
    %q = moire.concat %p, %l dim 0 : (tensor<128xf32>, tensor<128xf32>) -> tensor<256xf32>
    moire.yield %q : tensor<256xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// What is dear and needed after a reduction is kept in a buffer of one row, or in the result's row if nothing is rounded.
// CHECK-LABEL: func private @rows_softmax
// CHECK: %[[KEPT:.*]] = memref.alloca() {alignment = 64 : i64} : memref<100xf32>
// CHECK: linalg.generic {{.*}} ["reduction"]
// CHECK: linalg.generic {{.*}} outs(%[[KEPT]], %{{.*}} : memref<100xf32>, memref<f32>)
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} ins(%[[KEPT]] :
// CHECK-NOT: math.exp
// CHECK: arith.truncf
func.func @softmax(%x: memref<50x100xf32>, %y: memref<50x100xbf16>) {
  moire.rowwise domain [50] maps [#id] summed [false] ins(%x : memref<50x100xf32>) outs(%y : memref<50x100xbf16>) {
  ^bb0(%a: tensor<100xf32>):
    %p = moire.softmax %a : tensor<100xf32>
    %q = moire.cast %p : tensor<100xf32> to tensor<100xbf16>
    moire.yield %q : tensor<100xbf16>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Rows too long to keep are computed again.
// CHECK-LABEL: func private @rows_softmax
// CHECK-NOT: alloca() {alignment
// CHECK-COUNT-2: math.exp
func.func @long_softmax(%x: memref<50x50257xf32>, %y: memref<50x50257xf32>) {
  moire.rowwise domain [50] maps [#id] summed [false] ins(%x : memref<50x50257xf32>) outs(%y : memref<50x50257xf32>) {
  ^bb0(%a: tensor<50257xf32>):
    %p = moire.softmax %a : tensor<50257xf32>
    moire.yield %p : tensor<50257xf32>
  }
  return
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>

// Short rows of pointwise work are joined.
// CHECK-LABEL: func @short
// CHECK: memref.expand_shape {{.*}} : memref<65536xf32> into memref<16x4096xf32>
// CHECK: moire.launch @rows_unary count 16
// CHECK: linalg.generic {{.*}} memref<4096xf32
func.func @short(%x: memref<8x512x16xf32>, %y: memref<8x512x16xf32>) {
  moire.rowwise domain [8, 512] maps [#id] summed [false] ins(%x : memref<8x512x16xf32>) outs(%y : memref<8x512x16xf32>) {
  ^bb0(%a: tensor<16xf32>):
    %1 = moire.unary exp %a : tensor<16xf32>
    moire.yield %1 : tensor<16xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Equal kernels are written once, other constants make another one.
// CHECK-LABEL: func @shared
// CHECK: moire.launch @rows_scale count
// CHECK: moire.launch @rows_scale count
// CHECK: moire.launch @rows_scale_1 count
// CHECK-COUNT-2: func private
// CHECK-NOT: func private
func.func @shared(%x: memref<64x256xf32>, %y: memref<64x256xf32>) {
  moire.rowwise domain [64] maps [#id] summed [false] ins(%x : memref<64x256xf32>) outs(%y : memref<64x256xf32>) {
  ^bb0(%a: tensor<256xf32>):
    %1 = moire.scale %a by 2.0 : tensor<256xf32>
    moire.yield %1 : tensor<256xf32>
  }
  moire.rowwise domain [64] maps [#id] summed [false] ins(%y : memref<64x256xf32>) outs(%x : memref<64x256xf32>) {
  ^bb0(%a: tensor<256xf32>):
    %1 = moire.scale %a by 2.0 : tensor<256xf32>
    moire.yield %1 : tensor<256xf32>
  }
  moire.rowwise domain [64] maps [#id] summed [false] ins(%x : memref<64x256xf32>) outs(%y : memref<64x256xf32>) {
  ^bb0(%a: tensor<256xf32>):
    %1 = moire.scale %a by 3.0 : tensor<256xf32>
    moire.yield %1 : tensor<256xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// A view of half of each row: the kernel gets its strides, the launch its offset. Its next row is asked for ahead: a
// second input of the sweep, that the body does not use.
// CHECK-LABEL: func @strided
// CHECK: moire.launch @[[K:.*]] count {{.*}} memref<64x128xf32, strided<[256, 1], offset: 128>>
// CHECK: func private @[[K]]({{.*}}: memref<64x128xf32, strided<[256, 1]>> {llvm.noalias}
// CHECK: %[[NEXT:.*]] = arith.addi
// CHECK: memref.subview %arg2[%[[NEXT]], 0]
// CHECK: ^bb0(%[[A:.*]]: f32, %[[UNUSED:.*]]: f32, %{{.*}}: f32):
// CHECK-NOT: %[[UNUSED]]
func.func @strided(%x: memref<64x256xf32>, %y: memref<64x128xf32>) {
  %h = memref.subview %x[0, 128] [64, 128] [1, 1] : memref<64x256xf32> to memref<64x128xf32, strided<[256, 1], offset: 128>>
  moire.rowwise domain [64] maps [#id] summed [false] ins(%h : memref<64x128xf32, strided<[256, 1], offset: 128>>) outs(%y : memref<64x128xf32>) {
  ^bb0(%a: tensor<128xf32>):
    %1 = moire.unary relu %a : tensor<128xf32>
    moire.yield %1 : tensor<128xf32>
  }
  return
}

// -----

#row = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#time = affine_map<(d0, d1, d2) -> (d1)>

// Heads are an inner loop: a step is a token, and its index needs one division for all heads.
// CHECK-LABEL: func @rope
// CHECK: moire.launch @rows_rope count 128
// CHECK: scf.for
// CHECK: arith.remui
// CHECK: scf.for %{{.*}} = %c0{{.*}} to %c4
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
func.func @rope(%x: memref<2x64x4x32xf32>, %c: memref<64x16xf32>, %s: memref<64x16xf32>, %y: memref<2x64x4x32xf32>) {
  moire.rowwise domain [2, 64, 4] maps [#row, #time, #time] summed [false]
      ins(%x, %c, %s : memref<2x64x4x32xf32>, memref<64x16xf32>, memref<64x16xf32>) outs(%y : memref<2x64x4x32xf32>) {
  ^bb0(%a: tensor<32xf32>, %b: tensor<16xf32>, %d: tensor<16xf32>):
    %1 = moire.rope %a, %b, %d : (tensor<32xf32>, tensor<16xf32>, tensor<16xf32>) -> tensor<32xf32>
    moire.yield %1 : tensor<32xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
#whole = affine_map<(d0) -> ()>

// A lookup reads the row that a number chooses.
// CHECK-LABEL: func private @rows_lookup
// CHECK: %[[N:.*]] = memref.load %arg2[%{{.*}}] : memref<64xi32>
// CHECK: %[[I:.*]] = arith.index_cast %[[N]] : i32 to index
// CHECK: memref.subview %arg3[%[[I]], 0] [1, 256] [1, 1]
func.func @lookup(%i: memref<64xi32>, %t: memref<1000x256xbf16>, %y: memref<64x256xbf16>) {
  moire.rowwise domain [64] maps [#id, #whole] summed [false]
      ins(%i, %t : memref<64xi32>, memref<1000x256xbf16>) outs(%y : memref<64x256xbf16>) {
  ^bb0(%a: tensor<i32>, %b: tensor<1000x256xbf16>):
    %1 = moire.lookup %a, %b : (tensor<i32>, tensor<1000x256xbf16>) -> tensor<256xbf16>
    moire.yield %1 : tensor<256xbf16>
  }
  return
}

// -----

#none = affine_map<() -> ()>

// Its reverse adds rows in the order of their numbers, in parallel over columns only.
// CHECK-LABEL: func @scatter
// CHECK: moire.launch @rows_lookup_grad count 4 grain 1
// CHECK-LABEL: func private @rows_lookup_grad
// CHECK: scf.for
// CHECK: scf.for %{{.*}} to %c1000
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %c64
// CHECK: memref.load %arg2[%[[I]]]
// CHECK: arith.addf
func.func @scatter(%i: memref<2x32xi32>, %d: memref<2x32x256xbf16>, %t: memref<1000x256xf32>) {
  moire.rowwise domain [] maps [#none, #none] summed [false]
      ins(%i, %d : memref<2x32xi32>, memref<2x32x256xbf16>) outs(%t : memref<1000x256xf32>) {
  ^bb0(%a: tensor<2x32xi32>, %b: tensor<2x32x256xbf16>):
    %1 = moire.lookup_grad %a, %b : (tensor<2x32xi32>, tensor<2x32x256xbf16>) -> tensor<1000x256xf32>
    moire.yield %1 : tensor<1000x256xf32>
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// The logit of the target is one load; a target below 0 loads the first and counts nothing.
// CHECK-LABEL: func private @rows_cross_entropy
// CHECK: %[[T:.*]] = memref.load %arg3
// CHECK: %[[C:.*]] = arith.cmpi sge, %[[T]]
// CHECK: arith.maxsi
// CHECK: memref.load %arg2[
// CHECK: arith.select %[[C]]
func.func @loss(%l: memref<64x50xf32>, %t: memref<64xi32>, %n: memref<64xf32>, %e: memref<64xf32>) {
  moire.rowwise domain [64] maps [#id, #id] summed [false, false]
      ins(%l, %t : memref<64x50xf32>, memref<64xi32>) outs(%n, %e : memref<64xf32>, memref<64xf32>) {
  ^bb0(%a: tensor<50xf32>, %b: tensor<i32>):
    %1, %2 = moire.cross_entropy %a, %b : (tensor<50xf32>, tensor<i32>) -> (tensor<f32>, tensor<f32>)
    moire.yield %1, %2 : tensor<f32>, tensor<f32>
  }
  return
}

// -----

// The row kernel behind a product over experts is handed to its call; the rows are not joined, and the kernel is told
// which of its two buffers the threads have by themselves.
// CHECK-LABEL: func.func @product_rows
func.func @product_rows(%x: memref<6x8xf32>, %h: memref<6x4xf32>, %g: memref<6x4xf32>, %a: memref<6x4xf32>) {
  // CHECK-NOT: moire.launch
  // CHECK: moire.kernel_call "moire_grouped_gemm_rows_f32_f32" "b0irii"(%arg0 : memref<6x8xf32>) then @rows_binary[[K:[_0-9]*]](%arg2, %arg1, %arg3 : {{.*}}) {integers = array<i64: 4, 3, 1>}
  moire.product_rows own 1 {
    moire.kernel_call "moire_grouped_gemm_rows_f32_f32" "b0i" (%x : memref<6x8xf32>) {integers = array<i64: 4>}
    moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] summed [false] ins(%g, %h : memref<6x4xf32>, memref<6x4xf32>) outs(%a : memref<6x4xf32>) {
    ^bb0(%q: tensor<4xf32>, %row: tensor<4xf32>):
      %y = moire.binary sub %q, %row : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      moire.yield %y : tensor<4xf32>
    }
    moire.yield
  }
  return
}
