// Activations as metrics of the training step: embeddings, branches, router logits, logits; 64 rows of each at most, those
// of a loop stacked; and sums of the sizes of norms and hidden features. Nothing of it in evaluation, and nothing without the option.
// RUN: moire-opt %s "--moire-expand-blocks=functions=train,eval probe precision=bf16" | FileCheck %s
// RUN: moire-opt %s "--moire-expand-blocks=functions=train" | FileCheck %s --check-prefix=NONE --implicit-check-not='"probe"'

// NONE-LABEL: func.func @train

// CHECK-LABEL: func.func @train
// CHECK-SAME: moire.metric = "e", moire.metric_kind = "probe", moire.metric_paths = ["e"]
// CHECK-SAME: tensor<2x4xf32> {moire.metric = "l.#.r.load", moire.metric_kind = "load"
// CHECK-SAME: tensor<2x64x4xf32> {moire.metric = "l.#.r", moire.metric_kind = "probe", moire.metric_paths = ["l.0.r", "l.1.r"]}
// CHECK-SAME: tensor<2x64x8xf32> {moire.metric = "l.#.p", moire.metric_kind = "probe", moire.metric_paths = ["l.0.p", "l.1.p"]}
// CHECK-SAME: tensor<2x4x2xf32> {moire.metric = "l.#.p.hidden", moire.metric_kind = "importance", moire.metric_paths = ["l.0.p.hidden", "l.1.p.hidden"]}
// CHECK-SAME: tensor<8xf32> {moire.metric = "n", moire.metric_kind = "importance", moire.metric_paths = ["n"]}
// CHECK-SAME: tensor<64x16xf32> {moire.metric = "logits", moire.metric_kind = "probe", moire.metric_paths = ["logits"]}
// CHECK: %[[X:.*]] = moire.lookup
// The last of each stretch of 3 * 128 / 64 tokens.
// CHECK: %[[STRETCHES:.*]] = moire.reshape %[[X]] : tensor<3x128x8xbf16> to tensor<64x6x8xbf16>
// CHECK: %[[LAST:.*]] = moire.slice %[[STRETCHES]] dim 1 at 5 : tensor<64x6x8xbf16> to tensor<64x1x8xbf16>
// CHECK: %[[ROWS:.*]] = moire.reshape %[[LAST]] : tensor<64x1x8xbf16> to tensor<64x8xbf16>
// CHECK: moire.cast %[[ROWS]] : tensor<64x8xbf16> to tensor<64x8xf32>
// Sizes of hidden features, summed by expert.
// CHECK: %[[HIDDEN:.*]] = moire.unary relu {{.*}} : tensor<384x2xbf16>
// CHECK: %[[WIDE:.*]] = moire.cast %[[HIDDEN]]
// CHECK: %[[UP:.*]] = moire.unary relu %[[WIDE]]
// CHECK: %[[NEGATIVE:.*]] = moire.unary neg %[[WIDE]]
// CHECK: %[[DOWN:.*]] = moire.unary relu %[[NEGATIVE]]
// CHECK: %[[SIZE:.*]] = moire.binary add %[[UP]], %[[DOWN]]
// CHECK: %[[ONES:.*]] = moire.fill 1
// CHECK: moire.grouped_linear_grad_weight %[[ONES]], %[[SIZE]], {{.*}} -> tensor<4x1x2xf32>
// Those of what a norm gives, over all tokens.
// CHECK: moire.rms_norm
// CHECK: moire.reduce_leading {{.*}} : tensor<3x128x8xf32> to tensor<8xf32>
// CHECK-LABEL: func.func @eval
// CHECK-NOT: moire.slice
moire.model @m batch 3 context 128 vocab 16 {
^bb0(%t: tensor<3x128xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 16 : i64, width = 8 : i64} : (tensor<3x128xi32>) -> tensor<3x128x8xf32>
  %z = moire.repeat 2 carried(%i = %x : tensor<3x128x8xf32>) -> tensor<3x128x8xf32> {
    %r = moire.router token %i gate softmax_topk path "l.#.r" {experts = 4 : i64, paths = ["l.0.r", "l.1.r"], top_k = 1 : i64} : (tensor<3x128x8xf32>) -> !moire.routing<batch = 3, time = 128, experts = 4>
    %y = moire.experts %i, %r activation relu path "l.#.p" {hidden = 2 : i64, paths = ["l.0.p", "l.1.p"]} : (tensor<3x128x8xf32>, !moire.routing<batch = 3, time = 128, experts = 4>) -> tensor<3x128x8xf32>
    %s = moire.binary add %i, %y : (tensor<3x128x8xf32>, tensor<3x128x8xf32>) -> tensor<3x128x8xf32>
    moire.yield %s : tensor<3x128x8xf32>
  }
  %n = moire.norm rms %z path "n" {bias = false, eps = 1.0e-05 : f64, paths = ["n"]} : (tensor<3x128x8xf32>) -> tensor<3x128x8xf32>
  %l = moire.head %n path "h" {bias = false, paths = ["h"], vocab = 16 : i64} : (tensor<3x128x8xf32>) -> tensor<3x128x16xf32>
  moire.return %l : tensor<3x128x16xf32>
}
