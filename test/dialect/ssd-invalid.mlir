// Each constraint of the scan of Mamba-2, broken once.
// RUN: moire-opt %s -split-input-file -verify-diagnostics

// ssd_scan.C1: extents
// expected-note @+1 {{measured against this value of type 'tensor<2x6x4x8xf32>'}}
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x3xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>) {
  // expected-error @+1 {{expects `dt` of shape [2, 6, 4], got [2, 6, 3]}}
  %y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x3xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>)
  return
}

// -----

// ssd_scan.C1: precision
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf64>, %b: tensor<2x6x2x3xf32>, %d: tensor<4xf32>) {
  // expected-error @+1 {{expects `a` with elements of 'f32', got 'f64'}}
  %y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %d chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf64>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>)
  return
}

// -----

// ssd_scan.C2
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x3x3xf32>) {
  // expected-error @+1 {{expects the groups of `b` to divide the heads of `x`, got 3 and 4}}
  %y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x3x3xf32>, tensor<2x6x3x3xf32>, tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x2x4x3x8xf32>)
  return
}

// -----

// ssd_scan.C3
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>) {
  // expected-error @+1 {{expects a chunk from 1 to 256, got 257}}
  %y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 257 : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x1x4x3x8xf32>)
  return
}

// -----

// ssd_scan.C4
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<2x6x4x8xf32>', 'tensor<2x2x4x3x8xf32>' are incompatible}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %s = moire.ssd_scan %x, %dt, %a, %b, %b, %a chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x1x4x3x8xf32>)
  return
}

// -----

// ssd_scan_grad.C1
// expected-note @+1 {{measured against this value of type 'tensor<2x6x4x8xf32>'}}
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>, %s: tensor<2x1x4x3x8xf32>) {
  // expected-error @+1 {{expects `states` of shape [2, 2, 4, 3, 8], got [2, 1, 4, 3, 8]}}
  %dx, %ddt, %da, %db, %dc, %dd = moire.ssd_scan_grad %x, %x, %dt, %a, %b, %b, %a, %s chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x1x4x3x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>)
  return
}

// -----

// ssd_scan_grad.C2
func.func @f(%x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xf32>, %s: tensor<2x2x4x3x8xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %dx, %ddt, %da, %db, %dc, %dd = moire.ssd_scan_grad %x, %x, %dt, %a, %b, %b, %a, %s chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x2x4x3x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<3xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>)
  return
}

// -----

// stateful_ssd_scan.C1
// expected-note @+1 {{measured against this value of type 'tensor<1x1x4x8xf32>'}}
func.func @f(%x: tensor<1x1x4x8xf32>, %dt: tensor<1x1x4xf32>, %a: tensor<4xf32>, %b: tensor<1x1x2x3xf32>, %h: tensor<1x4x8x3xf32>) {
  // expected-error @+1 {{expects `state` of shape [1, 4, 3, 8], got [1, 4, 8, 3]}}
  %y, %g = moire.stateful_ssd_scan %x, %dt, %a, %b, %b, %a from %h chunk 64 : (tensor<1x1x4x8xf32>, tensor<1x1x4xf32>, tensor<4xf32>, tensor<1x1x2x3xf32>, tensor<1x1x2x3xf32>, tensor<4xf32>, tensor<1x4x8x3xf32>) -> (tensor<1x1x4x8xf32>, tensor<1x4x8x3xf32>)
  return
}

// -----

// stateful_ssd_scan.C2
func.func @f(%x: tensor<1x1x4x8xf32>, %dt: tensor<1x1x4xf32>, %a: tensor<4xf32>, %b: tensor<1x1x2x3xf32>, %h: tensor<1x4x3x8xf32>) {
  // expected-error @+2 {{are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %g = moire.stateful_ssd_scan %x, %dt, %a, %b, %b, %a from %h chunk 64 : (tensor<1x1x4x8xf32>, tensor<1x1x4xf32>, tensor<4xf32>, tensor<1x1x2x3xf32>, tensor<1x1x2x3xf32>, tensor<4xf32>, tensor<1x4x3x8xf32>) -> (tensor<1x1x4x8xf32>, tensor<1x4x8x3xf32>)
  return
}
