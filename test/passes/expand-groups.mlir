// Routers over groups of sequences at the tensor level: mixtures, experts that choose, experts that see all.
// RUN: moire-opt %s --split-input-file --moire-expand-blocks | FileCheck %s

// A learned temperature is exp(t - 1); what comes back is weighed by a controller of its own. There is no decoding.
// CHECK-LABEL: module attributes
// CHECK-SAME: decode_context = 0
// CHECK-SAME: prefill_tokens = 0
// CHECK: moire.param @r.weight : tensor<8x5xf32> role router
// CHECK: moire.param @r.emit.weight : tensor<8x5xf32> role router
// CHECK: moire.param @r.temperature : tensor<f32> role router init constant
// CHECK-LABEL: func.func @train
// CHECK: %[[FACTOR:.*]] = moire.unary exp
// CHECK: %[[LOGITS:.*]] = moire.binary mul %{{.*}}, %[[FACTOR]]
// CHECK: %[[MERGE:.*]] = moire.group_softmax %[[LOGITS]] group 4
// CHECK: %[[EMIT:.*]] = moire.group_softmax %{{.*}} group 4
// CHECK: %[[OFFSETS:.*]] = moire.even_offsets rows 6 : tensor<6xi32>
// CHECK: %[[M:.*]] = moire.mix %[[MERGE]], %{{.*}} group 4 : (tensor<8x3x5xf32>, tensor<8x3x8xf32>) -> tensor<30x8xf32>
// CHECK: moire.grouped_linear %[[M]], %{{.*}}, %[[OFFSETS]] :
// CHECK: moire.unmix %[[EMIT]], %{{.*}} group 4
// CHECK-LABEL: func.func @eval
// CHECK-NOT: func.func
moire.model @m batch 8 context 3 vocab 4 {
^bb0(%t: tensor<8x3xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<8x3xi32>) -> tensor<8x3x8xf32>
  %r = moire.router mixture %x gate softmax_topk emit separate path "r" {experts = 5 : i64, group = 4 : i64, learned_temperature, paths = ["r"], top_k = 1 : i64} : (tensor<8x3x8xf32>) -> !moire.routing<batch = 8, time = 3, experts = 5>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<8x3x8xf32>, !moire.routing<batch = 8, time = 3, experts = 5>) -> tensor<8x3x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<8x3x8xf32>) -> tensor<8x3x4xf32>
  moire.return %l : tensor<8x3x4xf32>
}

// -----

// Two of four experts for a token, on the average: of the four tokens of a group an expert takes two.
// CHECK-LABEL: func.func @train
// CHECK: %[[SCORES:.*]] = moire.softmax
// CHECK: %[[OFFSETS:.*]], %[[ROWS:.*]], %[[POSITION:.*]] = moire.choose_tokens %[[SCORES]] group 4 count 2 : (tensor<8x3x4xf32>) -> (tensor<5xi32>, tensor<48xi32>, tensor<8x3x4xi32>)
// CHECK: moire.gather_rows %{{.*}}, %[[ROWS]], %[[POSITION]]
// CHECK: moire.combine %{{.*}}, %[[SCORES]], %[[POSITION]]
// CHECK-LABEL: func.func @eval
// CHECK-NOT: func.func
moire.model @m batch 8 context 3 vocab 4 {
^bb0(%t: tensor<8x3xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<8x3xi32>) -> tensor<8x3x8xf32>
  %r = moire.router expert %x gate softmax_topk path "r" {experts = 4 : i64, group = 4 : i64, paths = ["r"], top_k = 2 : i64} : (tensor<8x3x8xf32>) -> !moire.routing<batch = 8, time = 3, experts = 4>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<8x3x8xf32>, !moire.routing<batch = 8, time = 3, experts = 4>) -> tensor<8x3x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<8x3x8xf32>) -> tensor<8x3x4xf32>
  moire.return %l : tensor<8x3x4xf32>
}

// -----

// Every expert sees every token: groups of one. A sequence by itself is no difficulty.
// CHECK-LABEL: func.func @train
// CHECK: moire.choose_tokens %{{.*}} group 1 count 1 : (tensor<8x3x4xf32>) -> (tensor<5xi32>, tensor<96xi32>, tensor<8x3x4xi32>)
// CHECK-LABEL: func.func @decode
// CHECK: moire.choose_tokens %{{.*}} group 1 count 1 : (tensor<1x1x4xf32>)
moire.model @m batch 8 context 3 vocab 4 {
^bb0(%t: tensor<8x3xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<8x3xi32>) -> tensor<8x3x8xf32>
  %r = moire.router dense %x gate softmax_topk path "r" {experts = 4 : i64, paths = ["r"], top_k = 1 : i64} : (tensor<8x3x8xf32>) -> !moire.routing<batch = 8, time = 3, experts = 4>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<8x3x8xf32>, !moire.routing<batch = 8, time = 3, experts = 4>) -> tensor<8x3x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<8x3x8xf32>) -> tensor<8x3x4xf32>
  moire.return %l : tensor<8x3x4xf32>
}
