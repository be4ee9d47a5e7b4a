// Each constraint of the train section's ops, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// mup.C1
// expected-error @+1 {{expects `output` above 0, got 0}}
moire.mup input 1.0 output 0.0 router head base {}

// -----

// mup.C2: an extent of 0
// expected-error @+1 {{expects extents of 1 or more for `w`, got array<i64: 4, 0>}}
moire.mup input 1.0 output 1.0 router head base {w = array<i64: 4, 0>}

// -----

// mup.C2: no extents at all
// expected-error @+1 {{expects extents of 1 or more for `w`, got "4"}}
moire.mup input 1.0 output 1.0 router head base {w = "4"}

// -----

// rate.C1: neither
// expected-error @+1 {{expects either a role or a path}}
moire.rate start 1.0 end 1.0

// -----

// rate.C1: both
// expected-error @+1 {{expects either a role or a path}}
moire.rate role router path "a.*" start 1.0 end 1.0

// -----

// rate.C2
// expected-error @+1 {{expects `end` of 0 or more, got -1}}
moire.rate role router start 1.0 end -1.0

// -----

// param.C2: relative rates
// expected-error @+1 {{expects `rate_end` of 0 or more, got -2}}
moire.param @w : tensor<8xf32> role ffn init normal {paths = ["a"], rate_end = -2.0, stack = 0 : i64}

// -----

// param.C4
// expected-error @+1 {{expects `multiplier` above 0, got 0}}
moire.param @w : tensor<8xf32> role ffn init normal {multiplier = 0.0, paths = ["a"], stack = 0 : i64}
