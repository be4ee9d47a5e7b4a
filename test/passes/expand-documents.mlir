// Documents that are isolated: found once in each function, and everything that looks along the sequence is told of them.
// Without `isolate` a separator changes nothing.
// RUN: moire-opt %s --split-input-file "--moire-expand-blocks=functions=train,decode" | FileCheck %s

// CHECK-LABEL: func.func @train
// CHECK-SAME: %[[TOKENS:.*]]: tensor<2x8xi32> {moire.separator = 7 : i64}
// CHECK: %[[DOCUMENTS:.*]] = moire.document_positions %[[TOKENS]] separator 7
// CHECK: moire.lookup %[[DOCUMENTS]], %{{.*}} : (tensor<2x8xi32>, tensor<8x8xf32>) -> tensor<2x8x8xf32>
// CHECK: moire.lookup %[[DOCUMENTS]], %{{.*}} : (tensor<2x8xi32>, tensor<8x8xf32>) -> tensor<2x8x8xf32>
// CHECK: moire.repeat 2
// CHECK: moire.softmax_attention %{{.*}} documents %[[DOCUMENTS]] scale
// CHECK: moire.conv causal %{{.*}} documents %[[DOCUMENTS]]
// CHECK: moire.selective_scan %{{.*}} documents %[[DOCUMENTS]]
// CHECK-NOT: moire.document_positions
// What is left of the document is a state of the model.
// CHECK-LABEL: func.func @decode
// CHECK-SAME: %[[NEW:arg0]]: tensor<1x1xi32> {moire.separator = 7 : i64}
// CHECK-SAME: %[[COUNT:arg[0-9]+]]: tensor<1xi32> {moire.state = 0 : i64}, %{{.*}}: tensor<2x8x2x4xf32> {moire.state = 1 : i64}
// CHECK: %[[HERE:[a-z_0-9]+]], %[[NEXT:[a-z_0-9]+]] = moire.document_positions %[[NEW]] from %[[COUNT]] separator 7
// CHECK: moire.cached_attention %{{.*}} documents %[[HERE]] scale
// CHECK: moire.conv valid %{{.*}} documents %[[HERE]]
// CHECK: moire.stateful_scan %{{.*}} documents %[[HERE]]
// CHECK: return %{{[^,]*}}, %[[NEXT]],
moire.model @m batch 2 context 8 vocab 16 separator 7 isolate {
^bb0(%t: tensor<2x8xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x8xi32>) -> tensor<2x8x8xf32>
  %p = moire.learned_positions %x path "p" {paths = ["p"]} : (tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %q = moire.binary add %x, %p : (tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %w = moire.sinusoidal_positions %x : (tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %v = moire.binary add %q, %w : (tensor<2x8x8xf32>, tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %y = moire.repeat 2 carried(%h = %v : tensor<2x8x8xf32>) -> tensor<2x8x8xf32> {
    %a = moire.attention %h path "layers.#.a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["layers.0.a", "layers.1.a"]} : (tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
    %s = moire.mamba %a path "layers.#.m" {conv = 4 : i64, dt_rank = 2 : i64, expand = 1 : i64, paths = ["layers.0.m", "layers.1.m"], state = 2 : i64} : (tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
    moire.yield %s : tensor<2x8x8xf32>
  }
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 16 : i64} : (tensor<2x8x8xf32>) -> tensor<2x8x16xf32>
  moire.return %l : tensor<2x8x16xf32>
}

// -----

// CHECK-LABEL: func.func @train
// CHECK-NOT: separator
// CHECK-NOT: document
moire.model @m batch 2 context 8 vocab 16 separator 7 {
^bb0(%t: tensor<2x8xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x8xi32>) -> tensor<2x8x8xf32>
  %a = moire.attention %x path "a" {bias = false, head_dim = 4 : i64, heads = 2 : i64, kv_heads = 2 : i64, paths = ["a"]} : (tensor<2x8x8xf32>) -> tensor<2x8x8xf32>
  %l = moire.head %a path "h" {bias = false, paths = ["h"], vocab = 16 : i64} : (tensor<2x8x8xf32>) -> tensor<2x8x16xf32>
  moire.return %l : tensor<2x8x16xf32>
}
