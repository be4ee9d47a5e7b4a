// What cannot be projected is refused by name.
// RUN: moire-opt %s --split-input-file --moire-project-weights -verify-diagnostics

module attributes {moire.source_shapes = {w = array<i64: 4, 8>}} {
  // expected-error @+2 {{`w` is 4 x 8 in the source and 6 x 8 here}}
  // expected-note @+1 {{a projection makes nothing larger}}
  moire.param @w : tensor<6x8xf32> role ffn init normal {paths = ["w"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {a = array<i64: 4, 8>}} {
  moire.param @a : tensor<4x6xf32> role ffn init normal {paths = ["a"], stack = 0 : i64}
  // expected-error @+1 {{`b` has no counterpart in the source: a projection changes sizes, not layers}}
  moire.param @b : tensor<4x6xf32> role ffn init normal {paths = ["b"], stack = 0 : i64}
}

// -----

// expected-error @+1 {{the source has a parameter `b` that this model has not: a projection changes sizes, not layers}}
module attributes {moire.source_shapes = {a = array<i64: 4, 8>, b = array<i64: 4>}} {
  moire.param @a : tensor<4x6xf32> role ffn init normal {paths = ["a"], stack = 0 : i64}
}

// -----

// expected-error @+1 {{no weight is smaller than in the source: there is nothing to project}}
module attributes {moire.source_shapes = {a = array<i64: 4, 6>}} {
  moire.param @a : tensor<4x6xf32> role ffn init normal {paths = ["a"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {a = array<i64: 4, 6, 2>}} {
  // expected-error @+1 {{`a` has 2 extents, in the source 3}}
  moire.param @a : tensor<4x6xf32> role ffn init normal {paths = ["a"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {qkv.weight = array<i64: 8, 12>}} {
  // expected-error @+2 {{`qkv.weight` is 8 x 12 in the source and 8 x 6 here}}
  // expected-note @+1 {{heads keep their number and size: give the layer a `head_dim`}}
  moire.param @qkv.weight : tensor<8x6xf32> role attention init normal {paths = ["a"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {a.out.weight = array<i64: 8, 12>}} {
  // expected-error @+2 {{`a.out.weight` is 8 x 12 in the source and 4 x 12 here}}
  // expected-note @+1 {{heads keep their number and size}}
  moire.param @a.out.weight : tensor<4x12xf32> role attention init normal {paths = ["a"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {e = array<i64: 10, 12>}} {
  // expected-error @+2 {{`e` is 10 x 12 in the source and 8 x 12 here}}
  // expected-note @+1 {{a table keeps its rows: vocabulary and context must stay}}
  moire.param @e : tensor<8x12xf32> role embedding init normal {paths = ["e"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {r = array<i64: 10, 12>}} {
  // expected-error @+2 {{`r` is 10 x 12 in the source and 10 x 8 here}}
  // expected-note @+1 {{what is chosen from (a vocabulary, experts) must stay as large as it is}}
  moire.param @r : tensor<10x8xf32> role router init normal {paths = ["r"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {x = array<i64: 4, 10, 12>}} {
  // expected-error @+2 {{`x` is 4 x 10 x 12 in the source and 2 x 10 x 12 here}}
  // expected-note @+1 {{experts are not projected on each other: their number must stay}}
  moire.param @x : tensor<2x10x12xf32> role expert init normal {paths = ["x"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {s = array<i64: 8>}} {
  // expected-error @+2 {{`s` is 8 in the source and 4 here}}
  // expected-note @+1 {{state-space layers have no projected form}}
  moire.param @s : tensor<4xf32> role ssm init normal {paths = ["s"], stack = 0 : i64}
}

// -----

module attributes {moire.source_shapes = {p = array<i64: 8, 12>}} {
  // expected-error @+2 {{`p` is 8 x 12 in the source and 8 x 9 here}}
  // expected-note @+1 {{its columns are of several kinds, which do not shrink alike}}
  moire.param @p : tensor<8x9xf32> role ffn init normal {moire.pieces = array<i64: 6, 3>, paths = ["p"], stack = 0 : i64}
}

// -----

// Something that reads all copies at once.
module attributes {moire.source_shapes = {"l.#.w" = array<i64: 8, 4>}} {
  moire.param @"l.#.w" : tensor<2x4x4xf32> role ffn init normal {paths = ["a", "b"], stack = 1 : i64}
  func.func @f(%w: tensor<2x4x4xf32> {moire.param = @"l.#.w"}) -> tensor<2x4x4xf32> {
    // expected-error @+1 {{reads the copies of `l.#.w.aux` together, before one can be composed}}
    %y = moire.unary silu %w : tensor<2x4x4xf32>
    return %y : tensor<2x4x4xf32>
  }
}
