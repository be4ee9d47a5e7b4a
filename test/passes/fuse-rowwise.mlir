// Row ops go into kernels; producers join consumers, and readers of one row join each other.
// RUN: moire-opt %s --moire-fuse-rowwise | FileCheck %s

// CHECK-DAG: #[[SAME:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[WHOLE:.*]] = affine_map<(d0, d1) -> ()>
// CHECK-DAG: #[[BACK3:.*]] = affine_map<(d0, d1) -> (d0, d1 - 3)>
// CHECK-DAG: #[[AHEAD1:.*]] = affine_map<(d0, d1) -> (d0, d1 + 1)>
// CHECK-DAG: #[[TAP0:.*]] = affine_map<(d0, d1) -> (0)>
// CHECK-DAG: #[[TIME:.*]] = affine_map<(d0, d1, d2) -> (d1)>

// A residual sum and the norm behind it: one kernel with three results.
// CHECK-LABEL: func @sum_and_norm
func.func @sum_and_norm(%x: tensor<8x64x256xf32>, %r: tensor<8x64x256xf32>, %w: tensor<256xf32>)
    -> (tensor<8x64x256xf32>, tensor<8x64x256xf32>, tensor<8x64xf32>) {
  // CHECK: %[[K:.*]]:3 = moire.rowwise domain [8, 64] maps [#[[SAME]], #[[SAME]], #[[WHOLE]]] summed [false, false, false]
  // CHECK-NEXT: ^bb0(%[[A:.*]]: tensor<256xf32>, %[[B:.*]]: tensor<256xf32>, %[[W:.*]]: tensor<256xf32>):
  // CHECK-NEXT: %[[S:.*]] = moire.binary add %[[A]], %[[B]]
  // CHECK-NEXT: %[[Y:.*]], %[[R:.*]] = moire.rms_norm %[[S]], %[[W]]
  // CHECK-NEXT: moire.yield %[[S]], %[[Y]], %[[R]]
  // CHECK: return %[[K]]#0, %[[K]]#1, %[[K]]#2
  %s = moire.binary add %x, %r : (tensor<8x64x256xf32>, tensor<8x64x256xf32>) -> tensor<8x64x256xf32>
  %y, %rstd = moire.rms_norm %s, %w eps 1.0e-5 : (tensor<8x64x256xf32>, tensor<256xf32>) -> (tensor<8x64x256xf32>, tensor<8x64xf32>)
  return %s, %y, %rstd : tensor<8x64x256xf32>, tensor<8x64x256xf32>, tensor<8x64xf32>
}

// Halves of a row are read from the whole row.
// CHECK-LABEL: func @swiglu
func.func @swiglu(%h: tensor<100x512xbf16>) -> tensor<100x256xbf16> {
  // CHECK-NEXT: moire.rowwise domain [100] maps [{{[^,]*}}] summed [false] ins(%arg0 : tensor<100x512xbf16>)
  // CHECK-DAG: moire.slice %{{.*}} dim 0 at 0
  // CHECK-DAG: moire.slice %{{.*}} dim 0 at 256
  // CHECK: moire.yield %{{.*}} : tensor<256xbf16>
  %g = moire.slice %h dim 1 at 0 : tensor<100x512xbf16> to tensor<100x256xbf16>
  %u = moire.slice %h dim 1 at 256 : tensor<100x512xbf16> to tensor<100x256xbf16>
  %s = moire.unary silu %g : tensor<100x256xbf16>
  %y = moire.binary mul %s, %u : (tensor<100x256xbf16>, tensor<100x256xbf16>) -> tensor<100x256xbf16>
  return %y : tensor<100x256xbf16>
}

// Its reverse: two inputs, one result.
// CHECK-LABEL: func @swiglu_reverse
func.func @swiglu_reverse(%h: tensor<100x512xf32>, %dy: tensor<100x256xf32>) -> tensor<100x512xf32> {
  // CHECK-NEXT: moire.rowwise {{.*}} ins(%arg0, %arg1 :
  // CHECK: moire.unary_grad silu
  // CHECK: moire.concat %{{.*}}, %{{.*}} dim 0
  // CHECK-NEXT: moire.yield %{{.*}} : tensor<512xf32>
  // CHECK-NOT: moire.rowwise
  %g = moire.slice %h dim 1 at 0 : tensor<100x512xf32> to tensor<100x256xf32>
  %u = moire.slice %h dim 1 at 256 : tensor<100x512xf32> to tensor<100x256xf32>
  %s = moire.unary silu %g : tensor<100x256xf32>
  %du = moire.binary mul %dy, %s : (tensor<100x256xf32>, tensor<100x256xf32>) -> tensor<100x256xf32>
  %ds = moire.binary mul %dy, %u : (tensor<100x256xf32>, tensor<100x256xf32>) -> tensor<100x256xf32>
  %dg = moire.unary_grad silu %g, %ds : tensor<100x256xf32>
  %dh = moire.concat %dg, %du dim 1 : (tensor<100x256xf32>, tensor<100x256xf32>) -> tensor<100x512xf32>
  return %dh : tensor<100x512xf32>
}

// A norm's reverse with the residual's gradient; the weight's gradient is summed over rows.
// CHECK-LABEL: func @norm_reverse
func.func @norm_reverse(%dy: tensor<8x64x256xbf16>, %x: tensor<8x64x256xbf16>, %w: tensor<256xf32>, %rstd: tensor<8x64xf32>,
                        %dr: tensor<8x64x256xbf16>) -> (tensor<8x64x256xbf16>, tensor<256xf32>) {
  // CHECK: moire.rowwise {{.*}} summed [true, false]
  // CHECK: moire.yield {{.*}} : tensor<256xf32>, tensor<256xbf16>
  // CHECK-NEXT: } -> tensor<256xf32>, tensor<8x64x256xbf16>
  %dx, %dw = moire.rms_norm_grad %dy, %x, %w, %rstd : (tensor<8x64x256xbf16>, tensor<8x64x256xbf16>, tensor<256xf32>, tensor<8x64xf32>) -> (tensor<8x64x256xbf16>, tensor<256xf32>)
  %d = moire.binary add %dr, %dx : (tensor<8x64x256xbf16>, tensor<8x64x256xbf16>) -> tensor<8x64x256xbf16>
  return %d, %dw : tensor<8x64x256xbf16>, tensor<256xf32>
}

// A convolution reads rows at other times, and its taps by number; its activation comes with it.
// CHECK-LABEL: func @conv
func.func @conv(%x: tensor<8x64x256xf32>, %w: tensor<4x256xf32>, %b: tensor<256xf32>) -> tensor<8x64x256xf32> {
  // CHECK-NEXT: moire.rowwise domain [8, 64] maps [#[[BACK3]], {{.*}}, #[[TAP0]], {{.*}}] summed [false] ins(%arg0, %arg0, %arg0, %arg0, %arg1, %arg1, %arg1, %arg1, %arg2
  // CHECK: moire.unary silu
  // CHECK-NEXT: moire.yield
  %c = moire.conv causal %x, %w, %b : (tensor<8x64x256xf32>, tensor<4x256xf32>, tensor<256xf32>) -> tensor<8x64x256xf32>
  %s = moire.unary silu %c : tensor<8x64x256xf32>
  return %s : tensor<8x64x256xf32>
}

// Its reverse is one kernel too: the taps' gradient is a row of all taps, reshaped outside.
// CHECK-LABEL: func @conv_reverse
func.func @conv_reverse(%x: tensor<8x64x256xf32>, %dy: tensor<8x64x256xf32>, %w: tensor<2x256xf32>)
    -> (tensor<8x64x256xf32>, tensor<2x256xf32>, tensor<256xf32>) {
  // CHECK-NEXT: %[[K:.*]]:3 = moire.rowwise domain [8, 64] maps [#[[AHEAD1]], {{.*}}] summed [false, true, true]
  // CHECK: -> tensor<8x64x256xf32>, tensor<512xf32>, tensor<256xf32>
  // CHECK: moire.reshape %[[K]]#1 : tensor<512xf32> to tensor<2x256xf32>
  %dx = moire.conv_grad_input %dy, %w : (tensor<8x64x256xf32>, tensor<2x256xf32>) -> tensor<8x64x256xf32>
  %dw, %db = moire.conv_grad_weight %x, %dy : (tensor<8x64x256xf32>, tensor<8x64x256xf32>) -> (tensor<2x256xf32>, tensor<256xf32>)
  return %dx, %dw, %db : tensor<8x64x256xf32>, tensor<2x256xf32>, tensor<256xf32>
}

// Pointwise ops take the rows of those they join: one number per position here.
// CHECK-LABEL: func @loss
func.func @loss(%l: tensor<8x64x50xf32>, %t: tensor<8x64xi32>) -> (tensor<f32>, tensor<f32>) {
  // CHECK-NEXT: moire.rowwise domain [8, 64] {{.*}} summed [true, true]
  // CHECK: moire.cross_entropy {{.*}} : (tensor<50xf32>, tensor<i32>) -> (tensor<f32>, tensor<f32>)
  // CHECK: moire.count_targets {{.*}} : (tensor<i32>) -> tensor<f32>
  // CHECK: moire.scale %{{.*}} : tensor<f32>
  // CHECK: moire.yield {{.*}} : tensor<f32>, tensor<f32>
  %nll, %lse = moire.cross_entropy %l, %t : (tensor<8x64x50xf32>, tensor<8x64xi32>) -> (tensor<8x64xf32>, tensor<8x64xf32>)
  %c = moire.count_targets %t : (tensor<8x64xi32>) -> tensor<8x64xf32>
  %h = moire.scale %nll by 0.5 : tensor<8x64xf32>
  %s = moire.reduce_leading %h : tensor<8x64xf32> to tensor<f32>
  %n = moire.reduce_leading %c : tensor<8x64xf32> to tensor<f32>
  return %s, %n : tensor<f32>, tensor<f32>
}

// Alone they take the last dimension: a full row of numbers to sum.
// CHECK-LABEL: func @sum_of_numbers
func.func @sum_of_numbers(%x: tensor<8x64xf32>) -> tensor<f32> {
  // CHECK-NEXT: moire.rowwise domain [8] {{.*}} summed [true]
  // CHECK: moire.reduce_leading %{{.*}} : tensor<64xf32> to tensor<f32>
  %s = moire.reduce_leading %x : tensor<8x64xf32> to tensor<f32>
  return %s : tensor<f32>
}

// A table of positions is read by time, once for all heads.
// CHECK-LABEL: func @rope
func.func @rope(%x: tensor<2x64x4x32xf32>, %c: tensor<64x16xf32>, %s: tensor<64x16xf32>) -> tensor<2x64x4x32xf32> {
  // CHECK-NEXT: moire.rowwise domain [2, 64, 4] maps [{{.*}}, #[[TIME]], #[[TIME]]]
  %y = moire.rope %x, %c, %s : (tensor<2x64x4x32xf32>, tensor<64x16xf32>, tensor<64x16xf32>) -> tensor<2x64x4x32xf32>
  return %y : tensor<2x64x4x32xf32>
}

// Constants and repetitions are written where they are read; only what is returned becomes memory.
// CHECK-LABEL: func @constants
func.func @constants(%x: tensor<8x64x256xf32>, %b: tensor<256xf32>) -> (tensor<8x64x256xf32>, tensor<8x64x256xf32>) {
  // CHECK-DAG: %[[Y:.*]] = moire.rowwise {{.*}} ins(%arg0, %arg1 :
  // CHECK-DAG: %[[B:.*]] = moire.rowwise {{.*}} ins(%arg1 :
  // CHECK: return %[[Y]], %[[B]]
  %wide = moire.broadcast %b : tensor<256xf32> to tensor<8x64x256xf32>
  %two = moire.fill 2.0 : tensor<8x64x256xf32>
  %p = moire.binary mul %x, %two : (tensor<8x64x256xf32>, tensor<8x64x256xf32>) -> tensor<8x64x256xf32>
  %y = moire.binary add %p, %wide : (tensor<8x64x256xf32>, tensor<8x64x256xf32>) -> tensor<8x64x256xf32>
  return %y, %wide : tensor<8x64x256xf32>, tensor<8x64x256xf32>
}

// Readers of the same rows share a kernel even when neither reads the other.
// CHECK-LABEL: func @siblings
func.func @siblings(%x: tensor<8x64x256xf32>) -> (tensor<8x64x256xf32>, tensor<256xf32>) {
  // CHECK-NEXT: %[[K:.*]]:2 = moire.rowwise {{.*}} summed [false, true] ins(%arg0 :
  // CHECK: return %[[K]]#0, %[[K]]#1
  %y = moire.unary silu %x : tensor<8x64x256xf32>
  %s = moire.reduce_leading %x : tensor<8x64x256xf32> to tensor<256xf32>
  return %y, %s : tensor<8x64x256xf32>, tensor<256xf32>
}

// The balance loss is a sum of row sums.
// CHECK-LABEL: func @balance
func.func @balance(%p: tensor<8x64x16xf32>, %load: tensor<16xf32>, %d: tensor<f32>) -> (tensor<f32>, tensor<8x64x16xf32>) {
  // CHECK-NEXT: moire.rowwise domain [8, 64] {{.*}}
  // CHECK: moire.reduce_leading %{{.*}} : tensor<16xf32> to tensor<f32>
  // CHECK: moire.scale %{{.*}} by 0.005859375 : tensor<f32>
  %l = moire.balance_loss %p, %load factor 3.0 : (tensor<8x64x16xf32>, tensor<16xf32>) -> tensor<f32>
  %g = moire.balance_loss_grad %d, %load factor 3.0 : (tensor<f32>, tensor<16xf32>) -> tensor<8x64x16xf32>
  return %l, %g : tensor<f32>, tensor<8x64x16xf32>
}

// A sum that leaves several rows runs over flattened extents.
// CHECK-LABEL: func @positions
func.func @positions(%dx: tensor<8x64x256xf32>) -> tensor<64x256xf32> {
  // CHECK: %[[F:.*]] = moire.reshape %arg0 : tensor<8x64x256xf32> to tensor<8x16384xf32>
  // CHECK: moire.rowwise domain [8] {{.*}} summed [true] ins(%[[F]] :
  %s = moire.reduce_leading %dx : tensor<8x64x256xf32> to tensor<64x256xf32>
  return %s : tensor<64x256xf32>
}

// Bodies of loops are fused on their own.
// CHECK-LABEL: func @loop
func.func @loop(%x: tensor<8x64x256xf32>, %w: tensor<3x256xf32>) -> tensor<8x64x256xf32> {
  // CHECK: moire.repeat
  // CHECK: moire.rowwise
  // CHECK: moire.binary add
  // CHECK: moire.unary silu
  %y = moire.repeat 3 carried(%c = %x : tensor<8x64x256xf32>) slices(%b = %w : tensor<3x256xf32>) -> tensor<8x64x256xf32> {
    %s = moire.binary add %c, %b : (tensor<8x64x256xf32>, tensor<256xf32>) -> tensor<8x64x256xf32>
    %n = moire.unary silu %s : tensor<8x64x256xf32>
    moire.yield %n : tensor<8x64x256xf32>
  }
  return %y : tensor<8x64x256xf32>
}
