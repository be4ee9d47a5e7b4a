// What stays apart, and the remark that says why.
// RUN: moire-opt %s --moire-fuse-rowwise="max-inputs=3" --remark-format=emitRemark --remarks-filter=moire-fuse-rowwise -o %t 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: FileCheck %s < %t

// Another op stands between a norm and the sum with its result.
// CHECK-LABEL: func @between
func.func @between(%x: tensor<64x256xf32>, %w: tensor<256xf32>, %m: tensor<256x256xf32>) -> tensor<64x256xf32> {
  // CHECK: moire.rowwise
  // CHECK: moire.linear
  // CHECK: moire.rowwise
  // REMARK: `moire.rms_norm` and `moire.binary` stay apart: something outside stands between them
  // REMARK: one kernel over 64 rows, 2 inputs, 1 results: rms_norm
  // REMARK: one kernel over 64 rows, 2 inputs, 1 results: binary
  %n, %r = moire.rms_norm %x, %w eps 1.0e-5 : (tensor<64x256xf32>, tensor<256xf32>) -> (tensor<64x256xf32>, tensor<64xf32>)
  %l = moire.linear %n, %m : (tensor<64x256xf32>, tensor<256x256xf32>) -> tensor<64x256xf32>
  %y = moire.binary add %l, %n : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  return %y : tensor<64x256xf32>
}

// The sum over rows is complete only when the kernel is.
// CHECK-LABEL: func @summed
func.func @summed(%x: tensor<64x256xf32>) -> tensor<64x256xf32> {
  // CHECK-COUNT-2: = moire.rowwise
  // REMARK: `moire.reduce_leading` and `moire.binary` stay apart: the second reads other rows
  %s = moire.reduce_leading %x : tensor<64x256xf32> to tensor<256xf32>
  %y = moire.binary sub %x, %s : (tensor<64x256xf32>, tensor<256xf32>) -> tensor<64x256xf32>
  return %y : tensor<64x256xf32>
}

// A convolution reads rows that are not computed yet.
// CHECK-LABEL: func @shifted
func.func @shifted(%x: tensor<2x32x64xf32>, %w: tensor<2x64xf32>, %b: tensor<64xf32>) -> tensor<2x32x64xf32> {
  // CHECK-COUNT-2: = moire.rowwise
  // REMARK: `moire.unary` and `moire.conv` stay apart: the second reads other rows
  %u = moire.unary silu %x : tensor<2x32x64xf32>
  %c = moire.conv causal %u, %w, %b : (tensor<2x32x64xf32>, tensor<2x64xf32>, tensor<64xf32>) -> tensor<2x32x64xf32>
  return %c : tensor<2x32x64xf32>
}

// Heads and features split rows in other ways.
// CHECK-LABEL: func @domains
func.func @domains(%x: tensor<2x32x64xf32>, %c: tensor<32x8xf32>, %s: tensor<32x8xf32>) -> tensor<2x32x4x16xf32> {
  // CHECK: = moire.rowwise domain [2, 32]
  // CHECK: moire.reshape
  // CHECK: = moire.rowwise domain [2, 32, 4]
  %u = moire.unary silu %x : tensor<2x32x64xf32>
  %h = moire.reshape %u : tensor<2x32x64xf32> to tensor<2x32x4x16xf32>
  %y = moire.rope %h, %c, %s : (tensor<2x32x4x16xf32>, tensor<32x8xf32>, tensor<32x8xf32>) -> tensor<2x32x4x16xf32>
  return %y : tensor<2x32x4x16xf32>
}

// Four rows are more than this run allows.
// CHECK-LABEL: func @inputs
func.func @inputs(%a: tensor<64x256xf32>, %b: tensor<64x256xf32>, %c: tensor<64x256xf32>, %d: tensor<64x256xf32>) -> tensor<64x256xf32> {
  // CHECK-COUNT-2: = moire.rowwise
  // REMARK: stay apart: together they would read more than 3 rows
  %s = moire.binary add %a, %b : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  %t = moire.unary gelu %s : tensor<64x256xf32>
  %u = moire.binary mul %t, %c : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  %v = moire.binary add %u, %d : (tensor<64x256xf32>, tensor<64x256xf32>) -> tensor<64x256xf32>
  return %v : tensor<64x256xf32>
}

// A slice that no kernel reads stays a view.
// CHECK-LABEL: func @view
func.func @view(%x: tensor<64x256xf32>, %m: tensor<128x32xf32>) -> tensor<64x32xf32> {
  // CHECK-NOT: moire.rowwise
  // CHECK: moire.slice %arg0 dim 1 at 128
  %h = moire.slice %x dim 1 at 128 : tensor<64x256xf32> to tensor<64x128xf32>
  %y = moire.linear %h, %m : (tensor<64x128xf32>, tensor<128x32xf32>) -> tensor<64x32xf32>
  return %y : tensor<64x32xf32>
}

// A scatter is a kernel of its own kind.
// CHECK-LABEL: func @scatter
func.func @scatter(%i: tensor<2x32xi32>, %d: tensor<2x32x64xf32>) -> tensor<10x64xf32> {
  // CHECK: moire.rowwise domain [] {{.*}} summed [false]
  // CHECK: moire.lookup_grad %{{.*}} : (tensor<2x32xi32>, tensor<2x32x64xf32>) -> tensor<10x64xf32>
  // CHECK: = moire.rowwise
  // REMARK: `moire.lookup_grad` and `moire.scale` stay apart: it is a kernel of its own kind
  %t = moire.lookup_grad %i, %d : (tensor<2x32xi32>, tensor<2x32x64xf32>) -> tensor<10x64xf32>
  %y = moire.scale %t by 2.0 : tensor<10x64xf32>
  return %y : tensor<10x64xf32>
}
