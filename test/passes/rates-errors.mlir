// Rules that name nothing, too much, or what another rule of their rank names.
// RUN: moire-opt %s --split-input-file --moire-rates --verify-diagnostics

moire.param @a : tensor<8xf32> role ffn init constant {paths = ["a.weight"], stack = 0 : i64}
// expected-error @+1 {{no parameter has the role `router`; those of the model have `ffn`}}
moire.rate role router start 1.0 end 1.0

// -----

moire.param @a : tensor<8xf32> role ffn init constant {paths = ["a.weight"], stack = 0 : i64}
// expected-error @+1 {{no parameter has the path `b.*`; one of the model's is `a.weight`}}
moire.rate path "b.*" start 1.0 end 1.0

// -----

moire.param @a : tensor<8xf32> role ffn init constant {paths = ["a.weight"], stack = 0 : i64}
// expected-note @+1 {{the other one is given here}}
moire.rate path "a.*" start 1.0 end 1.0
// expected-error @+1 {{`a` has two rates: of path `a.*` and of path `*.weight`}}
moire.rate path "*.weight" start 1.0 end 0.5

// -----

moire.param @a : tensor<2x8xf32> role ffn init constant {paths = ["0.a", "1.a"], stack = 1 : i64}
// expected-error @+1 {{path `0.*` matches `0.a` and not `1.a`; layers of one `repeat` have one rate}}
moire.rate path "0.*" start 1.0 end 1.0

// -----

moire.param @a : tensor<8xf32> role ffn init constant {paths = ["a.weight"], stack = 0 : i64}
// expected-error @+1 {{the rate of role `ffn` has no effect: every parameter that it names belongs to a path}}
moire.rate role ffn start 1.0 end 1.0
moire.rate path "a.*" start 1.0 end 0.5

// -----

moire.param @a : tensor<8xf32> role ffn init constant {paths = ["a.weight"], stack = 0 : i64}
// expected-error @+1 {{`a[` is no pattern}}
moire.rate path "a[" start 1.0 end 1.0
