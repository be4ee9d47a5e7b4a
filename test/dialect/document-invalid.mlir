// Each constraint on documents, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// document_positions.C1: tokens
func.func @f(%tokens: tensor<6xi32>) {
  // expected-error @+1 {{expects `tokens` of rank 2, got rank 1}}
  %y = moire.document_positions %tokens separator 0 : (tensor<6xi32>) -> tensor<6xi32>
  return
}

// -----

// document_positions.C1: result
func.func @f(%tokens: tensor<2x6xi32>) {
  // expected-error @+1 {{expects `y` of type 'tensor<2x6xi32>', got 'tensor<2x5xi32>'}}
  %y = moire.document_positions %tokens separator 0 : (tensor<2x6xi32>) -> tensor<2x5xi32>
  return
}

// -----

// document_positions.C2: both or none
func.func @f(%tokens: tensor<2x6xi32>, %count: tensor<2xi32>) {
  // expected-error @+1 {{expects `count` and a second result together}}
  %y = moire.document_positions %tokens from %count separator 0 : (tensor<2x6xi32>, tensor<2xi32>) -> tensor<2x6xi32>
  return
}

// -----

// document_positions.C2: a number for each sequence
// expected-note @+1 {{measured against this value}}
func.func @f(%tokens: tensor<2x6xi32>, %count: tensor<3xi32>) {
  // expected-error @+1 {{expects `count` of shape [2], got [3]}}
  %y, %n = moire.document_positions %tokens from %count separator 0 : (tensor<2x6xi32>, tensor<3xi32>) -> (tensor<2x6xi32>, tensor<3xi32>)
  return
}

// -----

// document_positions.C3
func.func @f(%tokens: tensor<2x6xi32>) {
  // expected-error @+1 {{expects a separator of 0 or more, got -1}}
  %y = moire.document_positions %tokens separator -1 : (tensor<2x6xi32>) -> tensor<2x6xi32>
  return
}

// -----

// reaches_back.C1
// expected-note @+1 {{measured against this value}}
func.func @f(%documents: tensor<2x6xi32>) {
  // expected-error @+1 {{expects `y` of shape [2, 6], got [2, 5]}}
  %y = moire.reaches_back %documents by 1 : (tensor<2x6xi32>) -> tensor<2x5xf32>
  return
}

// -----

// reaches_back.C2
func.func @f(%documents: tensor<2x6xi32>) {
  // expected-error @+1 {{expects to look 0 or more tokens back, got -1}}
  %y = moire.reaches_back %documents by -1 : (tensor<2x6xi32>) -> tensor<2x6xf32>
  return
}

// -----

// softmax_attention.C5
// expected-note @+1 {{measured against this value}}
func.func @f(%q: tensor<2x6x4x8xf32>, %documents: tensor<2x5xi32>) {
  // expected-error @+1 {{expects `documents` of shape [2, 6], got [2, 5]}}
  %y, %l = moire.softmax_attention %q, %q, %q documents %documents scale 0.5 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x5xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x4x6xf32>)
  return
}

// -----

// conv.C3
func.func @f(%x: tensor<2x6x8xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %documents: tensor<2x6xi32>) {
  // expected-error @+2 {{expects `documents` of shape [2, 3], got [2, 6]}}
  // expected-note @+1 {{measured against this value}}
  %y = moire.conv valid %x, %w, %b documents %documents : (tensor<2x6x8xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<2x6xi32>) -> tensor<2x3x8xf32>
  return
}

// -----

// selective_scan.C3
// expected-note @+1 {{measured against this value}}
func.func @f(%u: tensor<2x6x8xf32>, %a: tensor<8x4xf32>, %b: tensor<2x6x4xf32>, %d: tensor<8xf32>, %documents: tensor<6xi32>) {
  // expected-error @+1 {{expects `documents` of shape [2, 6], got [6]}}
  %y, %s = moire.selective_scan %u, %u, %a, %b, %b, %d documents %documents : (tensor<2x6x8xf32>, tensor<2x6x8xf32>, tensor<8x4xf32>, tensor<2x6x4xf32>, tensor<2x6x4xf32>, tensor<8xf32>, tensor<6xi32>) -> (tensor<2x6x8xf32>, tensor<2x1x8x4xf32>)
  return
}

// -----

// ssd_scan.C5
// expected-note @+1 {{measured against this value}}
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>, %documents: tensor<2x7xi32>) {
  // expected-error @+1 {{expects `documents` of shape [2, 6], got [2, 7]}}
  %y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 4 documents %documents : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x7xi32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>)
  return
}

// -----

// model.C3: isolate
// expected-error @+1 {{expects a `separator` to isolate documents by}}
moire.model @m batch 2 context 3 vocab 16 isolate {
^bb0(%tokens: tensor<2x3xi32>):
  %h = moire.embed %tokens path "in" {paths = ["in"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xf32>
  %out = moire.head %h path "out" {bias = false, paths = ["out"], vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xf32>
  moire.return %out : tensor<2x3x16xf32>
}

// -----

// model.C3: among the tokens
// expected-error @+1 {{expects a separator among the tokens, got 16}}
moire.model @m batch 2 context 3 vocab 16 separator 16 {
^bb0(%tokens: tensor<2x3xi32>):
  %h = moire.embed %tokens path "in" {paths = ["in"], vocab = 16 : i64, width = 8 : i64} : (tensor<2x3xi32>) -> tensor<2x3x8xf32>
  %out = moire.head %h path "out" {bias = false, paths = ["out"], vocab = 16 : i64} : (tensor<2x3x8xf32>) -> tensor<2x3x16xf32>
  moire.return %out : tensor<2x3x16xf32>
}
