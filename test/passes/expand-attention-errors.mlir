// Attention that sees later positions has no token-by-token form; without one asked for, the others are made.
// RUN: moire-opt %s --moire-expand-blocks="functions=decode" -verify-diagnostics
// RUN: sed 's/expected-error/no-longer/' %s | moire-opt --moire-expand-blocks | FileCheck %s

// CHECK: decode_context = 0 : i64
// CHECK: func.func @train
// CHECK: moire.softmax_attention {{.*}} bidirectional
// CHECK: func.func @eval
// CHECK-NOT: func.func
moire.model @both batch 1 context 4 vocab 8 {
^bb0(%tokens: tensor<1x4xi32>):
  %x = moire.embed %tokens path "in" {paths = ["in"], vocab = 8 : i64, width = 4 : i64} : (tensor<1x4xi32>) -> tensor<1x4x4xf32>
  // expected-error @+1 {{attention that sees later positions cannot go on token by token: leave out prefill and decode, or make it causal}}
  %a = moire.attention %x path "a" {bias = false, bidirectional, head_dim = 4 : i64, heads = 1 : i64, kv_heads = 1 : i64, paths = ["a"]} : (tensor<1x4x4xf32>) -> tensor<1x4x4xf32>
  %y = moire.head %a path "out" {bias = false, paths = ["out"], vocab = 8 : i64} : (tensor<1x4x4xf32>) -> tensor<1x4x8xf32>
  moire.return %y : tensor<1x4x8xf32>
}
