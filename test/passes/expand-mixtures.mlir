// Routers and experts at the tensor level: the limit of a capacity, in training alone; loads of what was chosen; a bias
// that the optimizer moves by its sign.
// RUN: moire-opt %s --split-input-file "--moire-expand-blocks=functions=train,decode" | FileCheck %s

// int(1.0 * 1024 * 1 / 8)
// CHECK: moire.param @r.bias : tensor<8xf32> role router init constant {decay_factor = 0.000000e+00 : f64, paths = ["r.bias"], sign_rate = 1.000000e-03 : f64, stack = 0 : i64}
// CHECK-LABEL: func.func @train
// CHECK: moire.route softmax_topk %{{.*}} bias %{{.*}} :
// CHECK: moire.dispatch %[[CHOSEN:.*]] gates %{{.*}} capacity 128 :
// CHECK: moire.choice_load %{{.*}} : (tensor<4x256x1xi32>) -> tensor<8xf32>
// CHECK-LABEL: func.func @decode
// CHECK: moire.dispatch %{{[^ ]*}} :
// CHECK-NOT: moire.choice_load
moire.model @m batch 4 context 256 vocab 4 {
^bb0(%t: tensor<4x256xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<4x256xi32>) -> tensor<4x256x8xf32>
  %r = moire.router token %x gate softmax_topk path "r" {balance = 0.01 : f64, bias_rate = 0.001 : f64, capacity = 1.0 : f64, experts = 8 : i64, paths = ["r"], top_k = 1 : i64} : (tensor<4x256x8xf32>) -> !moire.routing<batch = 4, time = 256, experts = 8>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<4x256x8xf32>, !moire.routing<batch = 4, time = 256, experts = 8>) -> tensor<4x256x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<4x256x8xf32>) -> tensor<4x256x4xf32>
  moire.return %l : tensor<4x256x4xf32>
}

// -----

// int(1.25 * 1000 * 1 / 8)
// CHECK-LABEL: func.func @train
// CHECK: moire.dispatch %{{.*}} capacity 156 :
// A position counts from that of the token that is decoded.
// CHECK-LABEL: func.func @decode
// CHECK: moire.assign balanced at %{{.*}} experts 8
moire.model @m batch 1 context 1000 vocab 4 {
^bb0(%t: tensor<1x1000xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<1x1000xi32>) -> tensor<1x1000x8xf32>
  %r = moire.router balanced %x gate softmax_topk path "r" {capacity = 1.25 : f64, experts = 8 : i64, paths = ["r"], top_k = 1 : i64} : (tensor<1x1000x8xf32>) -> !moire.routing<batch = 1, time = 1000, experts = 8>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<1x1000x8xf32>, !moire.routing<batch = 1, time = 1000, experts = 8>) -> tensor<1x1000x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<1x1000x8xf32>) -> tensor<1x1000x4xf32>
  moire.return %l : tensor<1x1000x4xf32>
}

// -----

// int(1.0 * 65536 * 1 / 42); null choices count in the load, and have no rows.
// CHECK-LABEL: func.func @train
// CHECK: moire.dispatch %{{.*}} capacity 1560 nulls :
// CHECK-SAME: -> (tensor<43xi32>,
// CHECK: moire.choice_load %{{.*}} -> tensor<44xf32>
moire.model @m batch 256 context 256 vocab 4 {
^bb0(%t: tensor<256x256xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<256x256xi32>) -> tensor<256x256x8xf32>
  %r = moire.router token %x gate softmax_topk path "r" {capacity = 1.0 : f64, experts = 42 : i64, nulls = 2 : i64, paths = ["r"], top_k = 1 : i64} : (tensor<256x256x8xf32>) -> !moire.routing<batch = 256, time = 256, experts = 42>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<256x256x8xf32>, !moire.routing<batch = 256, time = 256, experts = 42>) -> tensor<256x256x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<256x256x8xf32>) -> tensor<256x256x4xf32>
  moire.return %l : tensor<256x256x4xf32>
}

// -----

// 0.48 / 32 of scale 2, in training and out of it; how many experts a token meets is what has a row.
// CHECK-LABEL: func.func @train
// CHECK: %{{.*}}, %{{.*}}, %{{.*}}, %[[POSITION:.*]] = moire.dispatch %{{.*}} gates %{{.*}} threshold 3.000000e-02 :
// CHECK: moire.choice_load
// CHECK: %[[COUNT:.*]] = moire.combine %{{.*}}, %{{.*}}, %[[POSITION]] : (tensor<32x1xf32>, tensor<2x4x4xf32>, tensor<2x4x4xi32>) -> tensor<2x4x1xf32>
// CHECK: %[[SUM:.*]] = moire.reduce_leading %[[COUNT]]
// CHECK: moire.scale %[[SUM]] by 1.250000e-01
// CHECK-LABEL: func.func @decode
// CHECK: moire.dispatch %{{.*}} gates %{{.*}} threshold 3.000000e-02 :
moire.model @m batch 2 context 4 vocab 4 {
^bb0(%t: tensor<2x4xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<2x4xi32>) -> tensor<2x4x8xf32>
  %r = moire.router token %x gate softmax_topk path "r" {experts = 32 : i64, paths = ["r"], scale = 2.0 : f64, threshold = 0.48 : f64, top_k = 4 : i64} : (tensor<2x4x8xf32>) -> !moire.routing<batch = 2, time = 4, experts = 32>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<2x4x8xf32>, !moire.routing<batch = 2, time = 4, experts = 32>) -> tensor<2x4x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<2x4x8xf32>) -> tensor<2x4x4xf32>
  moire.return %l : tensor<2x4x4xf32>
}
