// The scan of Mamba-2 parses, prints, and reads back.
// RUN: moire-opt %s --verify-roundtrip | FileCheck %s
// RUN: moire-opt %s --mlir-print-op-generic | moire-opt | FileCheck %s

// CHECK-LABEL: func.func @ssd_scan
func.func @ssd_scan(%x: tensor<2x6x4x8xbf16>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>, %b: tensor<2x6x2x3xbf16>,
                    %c: tensor<2x6x2x3xbf16>, %d: tensor<4xf32>) {
  // CHECK: moire.ssd_scan %arg0, %arg1, %arg2, %arg3, %arg4, %arg5 chunk 4
  // CHECK-SAME: tensor<2x2x4x3x8xf32>
  %y, %states = moire.ssd_scan %x, %dt, %a, %b, %c, %d chunk 4 : (tensor<2x6x4x8xbf16>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xbf16>, tensor<2x6x2x3xbf16>, tensor<4xf32>) -> (tensor<2x6x4x8xbf16>, tensor<2x2x4x3x8xf32>)
  return
}

// CHECK-LABEL: func.func @ssd_scan_grad
func.func @ssd_scan_grad(%dy: tensor<2x6x4x8xf32>, %x: tensor<2x6x4x8xf32>, %dt: tensor<2x6x4xf32>, %a: tensor<4xf32>,
                         %b: tensor<2x6x2x3xf32>, %c: tensor<2x6x2x3xf32>, %d: tensor<4xf32>, %states: tensor<2x2x4x3x8xf32>) {
  // CHECK: moire.ssd_scan_grad %arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7 chunk 4
  %dx, %ddt, %da, %db, %dc, %dd = moire.ssd_scan_grad %dy, %x, %dt, %a, %b, %c, %d, %states chunk 4 : (tensor<2x6x4x8xf32>, tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>, tensor<2x2x4x3x8xf32>) -> (tensor<2x6x4x8xf32>, tensor<2x6x4xf32>, tensor<4xf32>, tensor<2x6x2x3xf32>, tensor<2x6x2x3xf32>, tensor<4xf32>)
  return
}

// CHECK-LABEL: func.func @stateful_ssd_scan
func.func @stateful_ssd_scan(%x: tensor<1x1x4x8xf32>, %dt: tensor<1x1x4xf32>, %a: tensor<4xf32>, %b: tensor<1x1x2x3xf32>,
                             %c: tensor<1x1x2x3xf32>, %d: tensor<4xf32>, %state: tensor<1x4x3x8xf32>) {
  // CHECK: moire.stateful_ssd_scan %arg0, %arg1, %arg2, %arg3, %arg4, %arg5 from %arg6 chunk 64
  %y, %state_out = moire.stateful_ssd_scan %x, %dt, %a, %b, %c, %d from %state chunk 64 : (tensor<1x1x4x8xf32>, tensor<1x1x4xf32>, tensor<4xf32>, tensor<1x1x2x3xf32>, tensor<1x1x2x3xf32>, tensor<4xf32>, tensor<1x4x3x8xf32>) -> (tensor<1x1x4x8xf32>, tensor<1x4x3x8xf32>)
  return
}
