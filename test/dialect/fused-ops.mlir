// Row kernels, before and after memory is planned, fused routing, and calls on buffers parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @rowwise
func.func @rowwise(%x: tensor<2x3x4xbf16>, %weight: tensor<4xf32>) -> (tensor<2x3x4xbf16>, tensor<2x3xf32>, tensor<4xf32>) {
  // CHECK: moire.rowwise domain [2, 3] maps [#{{.*}}, #{{.*}}] summed [false, false, true] ins(%arg0, %arg1
  %y, %rstd, %total = moire.rowwise domain [2, 3] maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>] summed [false, false, true] ins(%x, %weight : tensor<2x3x4xbf16>, tensor<4xf32>) {
  ^bb0(%row: tensor<4xbf16>, %w: tensor<4xf32>):
    %n, %r = moire.rms_norm %row, %w eps 1.000000e-05 : (tensor<4xbf16>, tensor<4xf32>) -> (tensor<4xbf16>, tensor<f32>)
    moire.yield %n, %r, %n : tensor<4xbf16>, tensor<f32>, tensor<4xbf16>
  } -> tensor<2x3x4xbf16>, tensor<2x3xf32>, tensor<4xf32>
  return %y, %rstd, %total : tensor<2x3x4xbf16>, tensor<2x3xf32>, tensor<4xf32>
}

// Rows before the beginning read as zeros: the taps of a convolution.
// CHECK-LABEL: func.func @rowwise_buffers
func.func @rowwise_buffers(%x: memref<2x6x8xf32>, %y: memref<2x6x8xf32>) {
  // CHECK: moire.rowwise domain [2, 6]
  // CHECK-SAME: outs(%arg1
  moire.rowwise domain [2, 6] maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1 - 1)>] summed [false] ins(%x, %x : memref<2x6x8xf32>, memref<2x6x8xf32>) outs(%y : memref<2x6x8xf32>) {
  ^bb0(%now: tensor<8xf32>, %before: tensor<8xf32>):
    %s = moire.binary add %now, %before : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    moire.yield %s : tensor<8xf32>
  }
  return
}

// CHECK-LABEL: func.func @fused_route
func.func @fused_route(%logits: tensor<2x3x8xf32>) {
  // CHECK: moire.fused_route softmax_topk %arg0 renormalize
  %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk %logits renormalize : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>, tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @kernel_call
func.func @kernel_call(%x: memref<6x8xf32>, %y: memref<6x8xf32>, %at: index) {
  // CHECK: moire.kernel_call "moire_example" "bb0iifp"(%arg0, %arg1 : {{.*}}) at %arg2
  // CHECK-SAME: floats = array<f64: 5.000000e-01>
  // CHECK-SAME: integers = array<i64: 6, 8>
  moire.kernel_call "moire_example" "bb0iifp" (%x, %y : memref<6x8xf32>, memref<6x8xf32>) at %at {floats = array<f64: 5.000000e-01>, integers = array<i64: 6, 8>}
  return
}

func.func private @double_rows(index, index, memref<6x8xf32>, memref<6x8xf32>)

// CHECK-LABEL: func.func @launch
func.func @launch(%x: memref<6x8xf32>, %y: memref<6x8xf32, strided<[8, 1], offset: 48>>) {
  // CHECK: moire.launch @double_rows count 6 grain 2(%arg0, %arg1
  moire.launch @double_rows count 6 grain 2 (%x, %y : memref<6x8xf32>, memref<6x8xf32, strided<[8, 1], offset: 48>>)
  return
}

// CHECK-LABEL: func.func @threshold
func.func @threshold(%logits: tensor<2x3x8xf32>) {
  // CHECK: moire.fused_route softmax_topk %arg0 threshold 6.000000e-02 :
  %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk %logits threshold 6.0e-2 : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>, tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @nulls
func.func @nulls(%logits: tensor<2x3x8xf32>) {
  // CHECK: moire.fused_route softmax_topk %arg0 nulls 3 :
  %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk %logits nulls 3 : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>, tensor<6xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>, tensor<5xf32>)
  return
}

// CHECK-LABEL: func.func @product_rows
func.func @product_rows(%x: tensor<2x3x8xf32>, %w: tensor<5x8x4xf32>, %offsets: tensor<6xi32>, %rows: tensor<12xi32>) -> (tensor<12x4xf32>, tensor<12x4xf32>) {
  // CHECK: moire.product_rows {
  // CHECK: moire.grouped_linear
  // CHECK: moire.rowwise
  // CHECK: moire.yield
  // CHECK: } -> tensor<12x4xf32>, tensor<12x4xf32>
  %h, %a = moire.product_rows {
    %p = moire.grouped_linear %x, %w, %offsets rows %rows : (tensor<2x3x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>, tensor<12xi32>) -> tensor<12x4xf32>
    %s = moire.rowwise domain [12] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      %y = moire.unary silu %row : tensor<4xf32>
      moire.yield %y : tensor<4xf32>
    } -> tensor<12x4xf32>
    moire.yield %p, %s : tensor<12x4xf32>, tensor<12x4xf32>
  } -> tensor<12x4xf32>, tensor<12x4xf32>
  return %h, %a : tensor<12x4xf32>, tensor<12x4xf32>
}

// On buffers, of a product that is in no memory.
// CHECK-LABEL: func.func @product_rows_buffers
func.func @product_rows_buffers(%x: memref<12x8xf32>, %h: memref<12x4xf32>, %a: memref<12x4xf32>) {
  // CHECK: moire.product_rows own 0 {
  moire.product_rows own 0 {
    moire.kernel_call "moire_grouped_gemm_rows_f32_f32" "b0i" (%x : memref<12x8xf32>) {integers = array<i64: 4>}
    moire.rowwise domain [12] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%h : memref<12x4xf32>) outs(%a : memref<12x4xf32>) {
    ^bb0(%row: tensor<4xf32>):
      %y = moire.unary silu %row : tensor<4xf32>
      moire.yield %y : tensor<4xf32>
    }
    moire.yield
  }
  return
}

// CHECK-LABEL: func.func @then
func.func @then(%x: memref<6x8xf32>, %y: memref<6x8xf32>) {
  // CHECK: moire.kernel_call "moire_example" "bir"(%arg0 : memref<6x8xf32>) then @twice(%arg0, %arg1 : memref<6x8xf32>, memref<6x8xf32>)
  moire.kernel_call "moire_example" "bir" (%x : memref<6x8xf32>) then @twice (%x, %y : memref<6x8xf32>, memref<6x8xf32>) {integers = array<i64: 6>}
  return
}

func.func private @twice(index, index, memref<6x8xf32>, memref<6x8xf32>)
