// Products, attention, convolutions and scans parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @linear
func.func @linear(%x: tensor<2x3x8xbf16>, %w: tensor<8x4xbf16>, %bias: tensor<4xf32>, %wt: tensor<4x8xbf16>) {
  // CHECK: moire.linear %arg0, %arg1 bias %arg2
  %y = moire.linear %x, %w bias %bias : (tensor<2x3x8xbf16>, tensor<8x4xbf16>, tensor<4xf32>) -> tensor<2x3x4xbf16>
  // CHECK: moire.linear %arg0, %arg3 transpose
  %t = moire.linear %x, %wt transpose : (tensor<2x3x8xbf16>, tensor<4x8xbf16>) -> tensor<2x3x4xf32>
  return
}

// CHECK-LABEL: func.func @linear_grad_weight
func.func @linear_grad_weight(%x: tensor<2x3x8xbf16>, %dy: tensor<2x3x4xbf16>) {
  // CHECK: moire.linear_grad_weight %arg0, %arg1
  %dw = moire.linear_grad_weight %x, %dy : (tensor<2x3x8xbf16>, tensor<2x3x4xbf16>) -> tensor<8x4xf32>
  return
}

// CHECK-LABEL: func.func @grouped_linear
func.func @grouped_linear(%x: tensor<2x3x8xf32>, %w: tensor<5x8x4xf32>, %offsets: tensor<6xi32>, %rows: tensor<12xi32>,
                          %position: tensor<2x3x2xi32>, %sorted: tensor<12x4xf32>) {
  // CHECK: moire.grouped_linear %arg0, %arg1, %arg2 rows %arg3 position %arg4
  %y = moire.grouped_linear %x, %w, %offsets rows %rows position %position : (tensor<2x3x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>, tensor<12xi32>, tensor<2x3x2xi32>) -> tensor<12x4xf32>
  // CHECK: moire.grouped_linear %arg5, %arg1, %arg2 transpose
  %t = moire.grouped_linear %sorted, %w, %offsets transpose : (tensor<12x4xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<12x8xf32>
  return
}

// CHECK-LABEL: func.func @grouped_linear_grad_weight
func.func @grouped_linear_grad_weight(%x: tensor<2x3x8xf32>, %dy: tensor<12x4xf32>, %offsets: tensor<6xi32>, %rows: tensor<12xi32>) {
  // CHECK: moire.grouped_linear_grad_weight %arg0, %arg1, %arg2 x_rows %arg3
  %dw = moire.grouped_linear_grad_weight %x, %dy, %offsets x_rows %rows : (tensor<2x3x8xf32>, tensor<12x4xf32>, tensor<6xi32>, tensor<12xi32>) -> tensor<5x8x4xf32>
  return
}

// CHECK-LABEL: func.func @softmax_attention
func.func @softmax_attention(%q: tensor<2x6x4x8xbf16>, %k: tensor<2x6x2x8xbf16>, %v: tensor<2x6x2x8xbf16>, %sinks: tensor<4xf32>) {
  // CHECK: moire.softmax_attention %arg0, %arg1, %arg2 scale 3.535000e-01
  %y, %lse = moire.softmax_attention %q, %k, %v scale 3.535000e-01 : (tensor<2x6x4x8xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x2x8xbf16>) -> (tensor<2x6x4x8xbf16>, tensor<2x4x6xf32>)
  // CHECK: moire.softmax_attention %arg0, %arg1, %arg2 sinks %arg3 window 3 scale 3.535000e-01 softcap 5.000000e+01 alibi :
  %z, %m = moire.softmax_attention %q, %k, %v sinks %sinks window 3 scale 3.535000e-01 softcap 5.000000e+01 alibi : (tensor<2x6x4x8xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x2x8xbf16>, tensor<4xf32>) -> (tensor<2x6x4x8xbf16>, tensor<2x4x6xf32>)
  return
}

// CHECK-LABEL: func.func @attention_variants
func.func @attention_variants(%q: tensor<2x6x4x8xbf16>, %k: tensor<2x6x2x8xbf16>, %w: tensor<2x6x2x5xbf16>, %sinks: tensor<4xf32>) {
  // CHECK: moire.softmax_attention %arg0, %arg1, %arg2 bidirectional scale
  %y, %l = moire.softmax_attention %q, %k, %w bidirectional scale 1.0 : (tensor<2x6x4x8xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x2x5xbf16>) -> (tensor<2x6x4x5xbf16>, tensor<2x4x6xf32>)
  // CHECK: moire.softmax_attention_grad %{{.*}}, %arg0, %arg1, %arg2, %{{.*}}, %{{.*}} sinks %arg3 bidirectional window 2 scale
  %dq, %dk, %dw, %ds = moire.softmax_attention_grad %y, %q, %k, %w, %y, %l sinks %sinks bidirectional window 2 scale 1.0 : (tensor<2x6x4x5xbf16>, tensor<2x6x4x8xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x2x5xbf16>, tensor<2x6x4x5xbf16>, tensor<2x4x6xf32>, tensor<4xf32>) -> (tensor<2x6x4x8xbf16>, tensor<2x6x2x8xbf16>, tensor<2x6x2x5xbf16>, tensor<4xf32>)
  return
}

// CHECK-LABEL: func.func @softmax_attention_grad
func.func @softmax_attention_grad(%dy: tensor<2x6x4x8xf32>, %q: tensor<2x6x4x8xf32>, %k: tensor<2x6x2x8xf32>,
                                 %v: tensor<2x6x2x8xf32>, %y: tensor<2x6x4x8xf32>, %lse: tensor<2x4x6xf32>) {
  // CHECK: moire.softmax_attention_grad %arg0, %arg1, %arg2, %arg3, %arg4, %arg5 scale 3.535000e-01
  %dq, %dk, %dv = moire.softmax_attention_grad %dy, %q, %k, %v, %y, %lse scale 3.535000e-01 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x4x8xf32>, tensor<2x4x6xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>)
  return
}

// CHECK-LABEL: func.func @cached_attention
func.func @cached_attention(%q: tensor<1x1x4x8xf32>, %k: tensor<1x1x2x8xf32>, %v: tensor<1x1x2x8xf32>,
                            %k_cache: tensor<64x2x8xf32>, %v_cache: tensor<64x2x8xf32>, %position: tensor<i32>) {
  // CHECK: moire.cached_attention %arg0, %arg1, %arg2, %arg3, %arg4 at %arg5 scale 3.535000e-01
  %y, %k_out, %v_out = moire.cached_attention %q, %k, %v, %k_cache, %v_cache at %position scale 3.535000e-01 : (tensor<1x1x4x8xf32>, tensor<1x1x2x8xf32>, tensor<1x1x2x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>, tensor<i32>) -> (tensor<1x1x4x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>)
  return
}

// CHECK-LABEL: func.func @conv
func.func @conv(%x: tensor<2x6x8xbf16>, %w: tensor<4x8xf32>, %bias: tensor<8xf32>) {
  // CHECK: moire.conv causal %arg0, %arg1, %arg2
  %y = moire.conv causal %x, %w, %bias : (tensor<2x6x8xbf16>, tensor<4x8xf32>, tensor<8xf32>) -> tensor<2x6x8xbf16>
  // CHECK: moire.conv valid %arg0, %arg1, %arg2
  %z = moire.conv valid %x, %w, %bias : (tensor<2x6x8xbf16>, tensor<4x8xf32>, tensor<8xf32>) -> tensor<2x3x8xbf16>
  return
}

// CHECK-LABEL: func.func @conv_grad_input
func.func @conv_grad_input(%dy: tensor<2x6x8xf32>, %w: tensor<4x8xf32>) {
  // CHECK: moire.conv_grad_input %arg0, %arg1
  %dx = moire.conv_grad_input %dy, %w : (tensor<2x6x8xf32>, tensor<4x8xf32>) -> tensor<2x6x8xf32>
  return
}

// CHECK-LABEL: func.func @conv_grad_weight
func.func @conv_grad_weight(%x: tensor<2x6x8xbf16>, %dy: tensor<2x6x8xbf16>) {
  // CHECK: moire.conv_grad_weight %arg0, %arg1
  %dw, %dbias = moire.conv_grad_weight %x, %dy : (tensor<2x6x8xbf16>, tensor<2x6x8xbf16>) -> (tensor<4x8xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @selective_scan
func.func @selective_scan(%u: tensor<2x65x8xbf16>, %dt: tensor<2x65x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x65x4xbf16>,
                          %c: tensor<2x65x4xbf16>, %d: tensor<8xf32>) {
  // CHECK: moire.selective_scan %arg0, %arg1, %arg2, %arg3, %arg4, %arg5
  // CHECK-SAME: tensor<2x2x8x4xf32>
  %y, %states = moire.selective_scan %u, %dt, %a, %b, %c, %d : (tensor<2x65x8xbf16>, tensor<2x65x8xf32>, tensor<8x4xf32>, tensor<2x65x4xbf16>, tensor<2x65x4xbf16>, tensor<8xf32>) -> (tensor<2x65x8xbf16>, tensor<2x2x8x4xf32>)
  return
}

// CHECK-LABEL: func.func @selective_scan_grad
func.func @selective_scan_grad(%dy: tensor<2x6x8xf32>, %u: tensor<2x6x8xf32>, %dt: tensor<2x6x8xf32>, %a: tensor<8x4xf32>,
                               %b: tensor<2x6x4xf32>, %c: tensor<2x6x4xf32>, %d: tensor<8xf32>, %states: tensor<2x1x8x4xf32>) {
  // CHECK: moire.selective_scan_grad %arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7
  %du, %ddt, %da, %db, %dc, %dd = moire.selective_scan_grad %dy, %u, %dt, %a, %b, %c, %d, %states : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x1x8x4xf32>) -> (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @stateful_scan
func.func @stateful_scan(%u: tensor<1x1x8xf32>, %dt: tensor<1x1x8xf32>, %a: tensor<8x4xf32>, %b: tensor<1x1x4xf32>,
                         %c: tensor<1x1x4xf32>, %d: tensor<8xf32>, %state: tensor<1x8x4xf32>) {
  // CHECK: moire.stateful_scan %arg0, %arg1, %arg2, %arg3, %arg4, %arg5 from %arg6
  %y, %state_out = moire.stateful_scan %u, %dt, %a, %b, %c, %d from %state : (tensor<1x1x8xf32>, tensor<1x1x8xf32>, tensor<8x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>, tensor<8xf32>, tensor<1x8x4xf32>) -> (tensor<1x1x8xf32>, tensor<1x8x4xf32>)
  return
}
