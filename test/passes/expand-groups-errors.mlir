// One sequence by itself has no group: decoding is refused where it is asked for.
// RUN: moire-opt %s "--moire-expand-blocks=functions=train,decode" -verify-diagnostics
moire.model @m batch 8 context 3 vocab 4 {
^bb0(%t: tensor<8x3xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<8x3xi32>) -> tensor<8x3x8xf32>
  // expected-error @+1 {{choice = mixture lets the tokens of 4 sequences meet: one sequence by itself cannot be decoded}}
  %r = moire.router mixture %x gate softmax_topk path "r" {experts = 5 : i64, group = 4 : i64, paths = ["r"], top_k = 1 : i64} : (tensor<8x3x8xf32>) -> !moire.routing<batch = 8, time = 3, experts = 5>
  %y = moire.experts %x, %r activation relu path "p" {hidden = 2 : i64, paths = ["p"]} : (tensor<8x3x8xf32>, !moire.routing<batch = 8, time = 3, experts = 5>) -> tensor<8x3x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<8x3x8xf32>) -> tensor<8x3x4xf32>
  moire.return %l : tensor<8x3x4xf32>
}
