// What a block that moves positions would keep between tokens is not made: decoding is refused where it is asked for.
// RUN: moire-opt %s "--moire-expand-blocks=functions=train,decode" -verify-diagnostics
moire.model @m batch 2 context 4 vocab 4 {
^bb0(%t: tensor<2x4xi32>):
  %x = moire.embed %t path "e" {paths = ["e"], vocab = 4 : i64, width = 8 : i64} : (tensor<2x4xi32>) -> tensor<2x4x8xf32>
  // expected-error @+1 {{`moire.shift` moves positions, and what it would keep from token to token is not made: leave out prefill and decode}}
  %y = moire.shift %x by 1 : tensor<2x4x8xf32>
  %l = moire.head %y path "h" {bias = false, paths = ["h"], vocab = 4 : i64} : (tensor<2x4x8xf32>) -> tensor<2x4x4xf32>
  moire.return %l : tensor<2x4x4xf32>
}
