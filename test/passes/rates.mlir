// Relative rates: a path comes before a role; a path has to name all copies of a loop's layers.
// RUN: moire-opt %s --moire-rates | FileCheck %s
// RUN: moire-opt %s --moire-rates --remarks-filter=moire-rates 2>&1 | FileCheck %s --check-prefix=REMARK

// REMARK: [Passed] rate | Category:moire-rates | Remark="a: 0.5000 to 0.2500 of the learning rate, by path `*.special.weight`"
// CHECK: moire.param @a : tensor<2x8xf32> role attention init constant {paths = ["0.special.weight", "1.special.weight"], rate_end = 2.500000e-01 : f64, rate_start = 5.000000e-01 : f64, stack = 1 : i64}
moire.param @a : tensor<2x8xf32> role attention init constant {paths = ["0.special.weight", "1.special.weight"], stack = 1 : i64}
// CHECK: moire.param @b : tensor<8xf32> role attention init constant {paths = ["plain.weight"], rate_end = 2.000000e-01 : f64, stack = 0 : i64}
moire.param @b : tensor<8xf32> role attention init constant {paths = ["plain.weight"], stack = 0 : i64}
// CHECK: moire.param @c : tensor<8xf32> role ffn init constant {paths = ["other"], stack = 0 : i64}
moire.param @c : tensor<8xf32> role ffn init constant {paths = ["other"], stack = 0 : i64}
// CHECK-NOT: moire.rate
moire.rate role attention start 1.0 end 0.2
moire.rate path "*.special.weight" start 0.5 end 0.25
