// Where documents begin, and the ops that are told of it: parse, print, read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @document_positions
func.func @document_positions(%tokens: tensor<2x6xi32>, %count: tensor<2xi32>) {
  // CHECK: moire.document_positions %arg0 separator 0 :
  %y = moire.document_positions %tokens separator 0 : (tensor<2x6xi32>) -> tensor<2x6xi32>
  // CHECK: moire.document_positions %arg0 from %arg1 separator 0 :
  %z, %next = moire.document_positions %tokens from %count separator 0 : (tensor<2x6xi32>, tensor<2xi32>) -> (tensor<2x6xi32>, tensor<2xi32>)
  return
}

// CHECK-LABEL: func.func @reaches_back
func.func @reaches_back(%documents: tensor<2x6xi32>) {
  // CHECK: moire.reaches_back %arg0 by 3
  %y = moire.reaches_back %documents by 3 : (tensor<2x6xi32>) -> tensor<2x6xf32>
  return
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x6x4x8xf32>, %k: tensor<2x6x2x8xf32>, %s: tensor<4xf32>, %documents: tensor<2x6xi32>) {
  // CHECK: moire.softmax_attention %arg0, %arg1, %arg1 documents %arg3 scale
  %y, %lse = moire.softmax_attention %q, %k, %k documents %documents scale 0.5 : (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  // CHECK: moire.softmax_attention %arg0, %arg1, %arg1 sinks %arg2 documents %arg3 bidirectional window 3
  %z, %m = moire.softmax_attention %q, %k, %k sinks %s documents %documents bidirectional window 3 scale 0.5 : (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>, tensor<4xf32>, tensor<2x6xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  // CHECK: moire.softmax_attention_grad %{{.*}} documents %arg3 scale {{.*}} -> (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>)
  %dq, %dk, %dv = moire.softmax_attention_grad %y, %q, %k, %k, %y, %lse documents %documents scale 0.5 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x4x8xf32>, tensor<2x4x6xf32>, tensor<2x6xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x2x8xf32>, tensor<2x6x2x8xf32>)
  return
}

// CHECK-LABEL: func.func @cached_attention
func.func @cached_attention(%q: tensor<1x2x4x8xf32>, %k: tensor<1x2x2x8xf32>, %cache: tensor<64x2x8xf32>, %at: tensor<i32>, %documents: tensor<1x2xi32>) {
  // CHECK: moire.cached_attention %arg0, %arg1, %arg1, %arg2, %arg2 at %arg3 documents %arg4 scale
  %y, %k_out, %v_out = moire.cached_attention %q, %k, %k, %cache, %cache at %at documents %documents scale 0.5 : (tensor<1x2x4x8xf32>, tensor<1x2x2x8xf32>, tensor<1x2x2x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>, tensor<i32>, tensor<1x2xi32>) -> (tensor<1x2x4x8xf32>, tensor<64x2x8xf32>, tensor<64x2x8xf32>)
  return
}

// CHECK-LABEL: func.func @conv
func.func @conv(%x: tensor<2x6x8xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %documents: tensor<2x6xi32>) {
  // CHECK: moire.conv causal %arg0, %arg1, %arg2 documents %arg3
  %y = moire.conv causal %x, %w, %b documents %documents : (tensor<2x6x8xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<2x6xi32>) -> tensor<2x6x8xf32>
  // CHECK: moire.conv_grad_input %{{.*}}, %arg1 documents %arg3
  %dx = moire.conv_grad_input %y, %w documents %documents : (tensor<2x6x8xf32>, tensor<4x8xf32>, tensor<2x6xi32>) -> tensor<2x6x8xf32>
  // CHECK: moire.conv_grad_weight %arg0, %{{.*}} documents %arg3
  %dw, %db = moire.conv_grad_weight %x, %y documents %documents : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<2x6xi32>) -> (tensor<4x8xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @scans
func.func @scans(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %h: tensor<2x8x4xf32>,
                 %x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %r: tensor<4xf32>, %g: tensor<2x6x2x3xf32>, %s: tensor<2x4x3x8xf32>,
                 %documents: tensor<2x6xi32>) {
  // CHECK: moire.selective_scan %{{.*}} documents %arg10
  %y, %states = moire.selective_scan %u, %u, %a, %b, %b, %d documents %documents : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x6xi32>) -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>)
  // CHECK: moire.selective_scan_grad %{{.*}} documents %arg10
  %g0, %g1, %g2, %g3, %g4, %g5 = moire.selective_scan_grad %y, %u, %u, %a, %b, %b, %d, %states documents %documents : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x1x8x4xf32>, tensor<2x6xi32>) -> (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>)
  // CHECK: moire.stateful_scan %{{.*}} from %arg4 documents %arg10
  %z, %next = moire.stateful_scan %u, %u, %a, %b, %b, %d from %h documents %documents : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<2x8x4xf32>, tensor<2x6xi32>) -> (tensor<2x6x8xf32>, tensor<2x8x4xf32>)
  // CHECK: moire.ssd_scan %{{.*}} chunk 4 documents %arg10
  %v, %kept = moire.ssd_scan %x, %dt, %r, %g, %g, %r chunk 4 documents %documents : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x6xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>)
  // CHECK: moire.ssd_scan_grad %{{.*}} chunk 4 documents %arg10
  %e0, %e1, %e2, %e3, %e4, %e5 = moire.ssd_scan_grad %v, %x, %dt, %r, %g, %g, %r, %kept chunk 4 documents %documents : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x2x4x3x8xf32>, tensor<2x6xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>)
  // CHECK: moire.stateful_ssd_scan %{{.*}} from %arg9 chunk 4 documents %arg10
  %o, %after = moire.stateful_ssd_scan %x, %dt, %r, %g, %g, %r from %s chunk 4 documents %documents : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x4x3x8xf32>, tensor<2x6xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x3x8xf32>)
  return
}

// CHECK: moire.model @packed batch 2 context 3 vocab 16 separator 7 isolate {
moire.model @packed batch 2 context 3 vocab 16 separator 7 isolate {
^bb0(%tokens: tensor<2x3xi32>):
  %h = moire.embed %tokens path "in" {paths = ["in"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xf32>
  %out = moire.head %h path "out" {bias = false, paths = ["out"], vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xf32>
  moire.return %out : tensor<2x3x16xf32>
}
