// Ops of the train section keep their text.
// RUN: moire-opt %s | moire-opt | FileCheck %s

// CHECK: moire.mup input 1.000000e+01 output 1.000000e-01 router branch base {attention = array<i64: 32>, head.weight = array<i64: 64, 256>}
moire.mup input 10.0 output 0.1 router branch base {attention = array<i64: 32>, head.weight = array<i64: 64, 256>}
// CHECK: moire.mup input 1.000000e+00 output 1.000000e+00 router head base
moire.mup input 1.0 output 1.0 router head base {"attention" = array<i64: 32>, head.weight = array<i64: 64, 256>}
// CHECK: moire.rate role router start 6.000000e-01 end 1.000000e+00
moire.rate role router start 0.6 end 1.0
// CHECK: moire.rate path "layers.*.attention.*" start 1.000000e+00 end 2.000000e-01
moire.rate path "layers.*.attention.*" start 1.0 end 0.2
// CHECK: moire.param @w : tensor<8xf32> role ffn init normal {multiplier = 2.500000e-01 : f64, paths = ["a"], rate_end = 5.000000e-01 : f64, rate_start = 2.000000e+00 : f64, stack = 0 : i64}
moire.param @w : tensor<8xf32> role ffn init normal {multiplier = 0.25, paths = ["a"], rate_end = 0.5, rate_start = 2.0, stack = 0 : i64}
