// What moire-build-optimizer refuses.
// RUN: moire-opt %s --moire-build-optimizer --split-input-file --verify-diagnostics
// RUN: not moire-opt %s --moire-build-optimizer=vector-bits=96 2>&1 | FileCheck %s

// CHECK: error: expects vectors of 128, 256 or 512 bits, got 96
moire.param @w : tensor<8xf32> role ffn init normal {stack = 0 : i64, paths = ["w"]}

// expected-error @+1 {{the optimizer needs the name `accumulate`}}
func.func @accumulate() {
  return
}
