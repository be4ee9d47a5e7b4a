// Blocks that move positions parse, print, and read back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func @lengths
func.func @lengths(%w: tensor<2x6x8xbf16>) {
  // CHECK: moire.conv1d %arg0 path "conv1d" {bias = true, causal = true, kernel = 3 : i64, paths = ["conv1d"], stride = 2 : i64, width = 8 : i64} : (tensor<2x6x8xbf16>) -> tensor<2x3x8xbf16>
  %c = moire.conv1d %w path "conv1d" {bias = true, causal = true, kernel = 3 : i64, paths = ["conv1d"], stride = 2 : i64, width = 8 : i64} : (tensor<2x6x8xbf16>) -> tensor<2x3x8xbf16>
  // CHECK: %[[S:.*]] = moire.stack %arg0 by 2 : (tensor<2x6x8xbf16>) -> tensor<2x3x16xbf16>
  %s = moire.stack %w by 2 : (tensor<2x6x8xbf16>) -> tensor<2x3x16xbf16>
  // CHECK: moire.unstack %[[S]] by 2 : (tensor<2x3x16xbf16>) -> tensor<2x6x8xbf16>
  %u = moire.unstack %s by 2 : (tensor<2x3x16xbf16>) -> tensor<2x6x8xbf16>
  // CHECK: moire.shift %arg0 by 1 : tensor<2x6x8xbf16>
  %later = moire.shift %w by 1 : tensor<2x6x8xbf16>
  return
}
