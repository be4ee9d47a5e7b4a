// Every tensor gets a place; what can be written where it is needed is, and views cost nothing.
// RUN: moire-opt %s --moire-bufferize --canonicalize --cse --split-input-file | FileCheck %s

// A product is written straight into the result's buffer; the bias is added in place.
// CHECK-LABEL: func.func @linear
// CHECK-SAME: %[[X:.*]]: memref<2x3xf32>, %[[W:.*]]: memref<4x3xf32>, %[[B:.*]]: memref<4xf32>, %[[Y:.*]]: memref<2x4xf32> {moire.result = 0 : i64}
// CHECK-NOT: memref.alloc
// CHECK: moire.kernel_call "moire_gemm_f32_f32" "iiibitbitbit"(%[[X]], %[[W]], %[[Y]] : {{.*}}) {integers = array<i64: 2, 4, 3, 3, 0, 3, 1, 4, 0>}
// CHECK: moire.rowwise domain [2] {{.*}} ins(%[[Y]], %[[B]] : {{.*}}) outs(%[[Y]] :
// CHECK: return
func.func @linear(%x: tensor<2x3xf32>, %w: tensor<4x3xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  %y = moire.linear %x, %w bias %b transpose : (tensor<2x3xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// -----

// Both parts of a concatenation are written into it, with its row stride; slices are views with that stride.
// CHECK-LABEL: func.func @concat
// CHECK-SAME: %[[X:.*]]: memref<2x3xbf16>, %[[W:.*]]: memref<3x4xbf16>, %[[V:.*]]: memref<3x2xbf16>, %[[Y:.*]]: memref<2x6xbf16> {moire.result = 0 : i64}, %[[Z:.*]]: memref<2x3xf32>
// CHECK-NOT: memref.copy
// CHECK: %[[LEFT:.*]] = memref.reinterpret_cast %[[Y]] to offset: [0], sizes: [2, 4], strides: [6, 1]
// CHECK: moire.kernel_call "moire_gemm_bf16_bf16" "iiibitbitbit"(%[[X]], %[[W]], %[[LEFT]] {{.*}} {integers = array<i64: 2, 4, 3, 3, 0, 4, 0, 6, 0>}
// CHECK: %[[RIGHT:.*]] = memref.reinterpret_cast %[[Y]] to offset: [4], sizes: [2, 2], strides: [6, 1]
// CHECK: moire.kernel_call "moire_gemm_bf16_bf16" "iiibitbitbit"(%[[X]], %[[V]], %[[RIGHT]] {{.*}} {integers = array<i64: 2, 2, 3, 3, 0, 2, 0, 6, 0>}
// CHECK: %[[SLICE:.*]] = memref.reinterpret_cast %[[Y]] to offset: [1], sizes: [2, 3], strides: [6, 1]
// CHECK: moire.rowwise {{.*}} ins(%[[SLICE]] : {{.*}}) outs(%[[Z]] :
func.func @concat(%x: tensor<2x3xbf16>, %w: tensor<3x4xbf16>, %v: tensor<3x2xbf16>) -> (tensor<2x6xbf16>, tensor<2x3xf32>) {
  %a = moire.linear %x, %w : (tensor<2x3xbf16>, tensor<3x4xbf16>) -> tensor<2x4xbf16>
  %b = moire.linear %x, %v : (tensor<2x3xbf16>, tensor<3x2xbf16>) -> tensor<2x2xbf16>
  %y = moire.concat %a, %b dim 1 : (tensor<2x4xbf16>, tensor<2x2xbf16>) -> tensor<2x6xbf16>
  %s = moire.slice %y dim 1 at 1 : tensor<2x6xbf16> to tensor<2x3xbf16>
  %z = moire.rowwise domain [2] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%s : tensor<2x3xbf16>) {
  ^bb0(%row: tensor<3xbf16>):
    %wide = moire.cast %row : tensor<3xbf16> to tensor<3xf32>
    moire.yield %wide : tensor<3xf32>
  } -> tensor<2x3xf32>
  return %y, %z : tensor<2x6xbf16>, tensor<2x3xf32>
}

// -----

// Heads are views of one product; kernels that know no gaps get a packed copy.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: %[[QKV:.*]]: memref<1x4x24xf32>
// CHECK-DAG: %[[Q:.*]] = memref.reinterpret_cast %[[QKV]] to offset: [0], sizes: [1, 4, 2, 4], strides: [96, 24, 4, 1]
// CHECK-DAG: %[[K:.*]] = memref.reinterpret_cast %[[QKV]] to offset: [8], sizes: [1, 4, 2, 4], strides: [96, 24, 4, 1]
// CHECK: moire.kernel_call "moire_attention_f32" "iiiiiititff00bibibibib"(%[[Q]], %[[K]], {{.*}}) {floats = array<f64: 5.000000e-01, 0.000000e+00>, integers = array<i64: 1, 4, 2, 2, 4, 4, 1, 0, 0, 24, 24, 24, 8>}
func.func @heads(%qkv: tensor<1x4x24xf32>) -> (tensor<1x4x2x4xf32>, tensor<1x2x4xf32>) {
  %q0 = moire.slice %qkv dim 2 at 0 : tensor<1x4x24xf32> to tensor<1x4x8xf32>
  %k0 = moire.slice %qkv dim 2 at 8 : tensor<1x4x24xf32> to tensor<1x4x8xf32>
  %v0 = moire.slice %qkv dim 2 at 16 : tensor<1x4x24xf32> to tensor<1x4x8xf32>
  %q = moire.reshape %q0 : tensor<1x4x8xf32> to tensor<1x4x2x4xf32>
  %k = moire.reshape %k0 : tensor<1x4x8xf32> to tensor<1x4x2x4xf32>
  %v = moire.reshape %v0 : tensor<1x4x8xf32> to tensor<1x4x2x4xf32>
  %y, %lse = moire.softmax_attention %q, %k, %v scale 0.5 : (tensor<1x4x2x4xf32>, tensor<1x4x2x4xf32>, tensor<1x4x2x4xf32>) -> (tensor<1x4x2x4xf32>, tensor<1x2x4xf32>)
  return %y, %lse : tensor<1x4x2x4xf32>, tensor<1x2x4xf32>
}

// -----

// A window that moves at run time is a view with a run-time offset; equal tables are kept once.
// CHECK-DAG: memref.global "private" constant @{{.*}} : memref<8x2xf32> = dense<{{\[\[}}1.000000e+00, 1.000000e+00], [0.540302
// CHECK-DAG: memref.global "private" constant @{{.*}} : memref<8x2xf32> = dense<{{\[\[}}0.000000e+00, 0.000000e+00], [0.841470
// CHECK-NOT: memref.global
// CHECK-LABEL: func.func @window
// CHECK-SAME: %[[P:.*]]: memref<i32>
// CHECK: %[[N:.*]] = memref.load %[[P]][]
// CHECK: %[[I:.*]] = arith.index_cast %[[N]]
// CHECK: %[[O:.*]] = arith.muli %[[I]], %{{.*}}
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [%[[O]]], sizes: [2, 2], strides: [2, 1] : memref<8x2xf32>
func.func @window(%p: tensor<i32>) -> (tensor<2x2xf32>, tensor<8x2xf32>) {
  %c, %s = moire.rotary_table 1.0e4 : tensor<8x2xf32>, tensor<8x2xf32>
  %c2, %s2 = moire.rotary_table 1.0e4 : tensor<8x2xf32>, tensor<8x2xf32>
  %w = moire.dynamic_slice %c, %p : (tensor<8x2xf32>, tensor<i32>) -> tensor<2x2xf32>
  return %w, %s2 : tensor<2x2xf32>, tensor<8x2xf32>
}

// A product whose rows go on to a row kernel: kept for others, it has a place; else one element stands for it.
// CHECK-LABEL: func.func @product_rows
func.func @product_rows(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> (tensor<6x4xf32>, tensor<6x4xf32>, tensor<6x4xf32>) {
  // CHECK: %[[ONE:.*]] = memref.alloc() : memref<1xf32>
  // CHECK: moire.product_rows {
  // CHECK-NEXT: moire.kernel_call "moire_grouped_gemm_rows_f32_f32" "iiiib0bibtbi"(%{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}}, %arg3
  // CHECK-NEXT: moire.rowwise {{.*}} ins(%arg3 : memref<6x4xf32>) outs(%arg4 : memref<6x4xf32>)
  %h, %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
    %s = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<6x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      %y = moire.unary silu %row : tensor<4xf32>
      moire.yield %y : tensor<4xf32>
    } -> tensor<6x4xf32>
    moire.yield %p, %s : tensor<6x4xf32>, tensor<6x4xf32>
  } -> tensor<6x4xf32>, tensor<6x4xf32>
  // CHECK: %[[NOWHERE:.*]] = memref.reinterpret_cast %[[ONE]]
  // CHECK: moire.product_rows own 0 {
  // CHECK-NEXT: moire.kernel_call "moire_grouped_gemm_rows_f32_f32" "iiiib0bibt0i"
  // CHECK-NEXT: moire.rowwise {{.*}} ins(%[[NOWHERE]] : memref<6x4xf32>) outs(%arg5 : memref<6x4xf32>)
  %b = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
    %s = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<6x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      %y = moire.unary exp %row : tensor<4xf32>
      moire.yield %y : tensor<4xf32>
    } -> tensor<6x4xf32>
    moire.yield %s : tensor<6x4xf32>
  } -> tensor<6x4xf32>
  return %h, %a, %b : tensor<6x4xf32>, tensor<6x4xf32>, tensor<6x4xf32>
}
