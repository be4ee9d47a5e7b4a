// A base model that is another model, and one scaling too many.
// RUN: moire-opt %s --split-input-file --moire-mup --verify-diagnostics

// expected-note @+1 {{the model has it here}}
moire.param @w : tensor<8x4xf32> role ffn init normal {paths = ["w"], stack = 0 : i64}
// expected-error @+1 {{the base model has no parameter `w` of 2 extents; it must have the same layers as the model}}
moire.mup input 1.0 output 1.0 router head base {}

// -----

// expected-note @+1 {{the model has it here}}
moire.param @w : tensor<8x4xf32> role ffn init normal {paths = ["w"], stack = 0 : i64}
// expected-error @+1 {{the base model has no parameter `w` of 2 extents}}
moire.mup input 1.0 output 1.0 router head base {w = array<i64: 8>}

// -----

moire.param @w : tensor<8x4xf32> role ffn init normal {paths = ["w"], stack = 0 : i64}
// expected-error @+1 {{the base model has `v`, the model does not; both must have the same layers}}
moire.mup input 1.0 output 1.0 router head base {w = array<i64: 8, 4>, v = array<i64: 8, 4>}

// -----

// expected-note @+1 {{by this one}}
moire.mup input 1.0 output 1.0 router head base {}
// expected-error @+1 {{a module is scaled once}}
moire.mup input 1.0 output 1.0 router head base {}
