// Buffers that are never alive together share bytes; a loop keeps alive what it uses from outside.
// RUN: moire-opt %s --moire-plan-memory --split-input-file | FileCheck %s
// RUN: moire-opt %s --moire-plan-memory=no-reuse --split-input-file | FileCheck %s --check-prefix=APART

// %a and %c meet nowhere. %b meets both.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: %[[ARENA:[a-z0-9]+]]: memref<512xi8> {moire.arena}) attributes {moire.arena_bytes = 512 : i64, moire.live_bytes = 512 : i64}
// CHECK: %[[O1:.*]] = arith.constant 0 : index
// CHECK: memref.view %[[ARENA]][%[[O1]]][] : memref<512xi8> to memref<64xf32>
// CHECK: %[[O2:.*]] = arith.constant 256 : index
// CHECK: memref.view %[[ARENA]][%[[O2]]][] : memref<512xi8> to memref<64xf32>
// CHECK: %[[O3:.*]] = arith.constant 0 : index
// CHECK: memref.view %[[ARENA]][%[[O3]]][] : memref<512xi8> to memref<64xf32>
// APART-LABEL: func.func @chain
// APART-SAME: moire.arena_bytes = 768
func.func @chain(%x: memref<64xf32>) {
  %a = memref.alloc() : memref<64xf32>
  %b = memref.alloc() : memref<64xf32>
  %c = memref.alloc() : memref<64xf32>
  memref.copy %x, %a : memref<64xf32> to memref<64xf32>
  memref.copy %a, %b : memref<64xf32> to memref<64xf32>
  memref.copy %b, %c : memref<64xf32> to memref<64xf32>
  memref.copy %c, %x : memref<64xf32> to memref<64xf32>
  return
}

// -----

// %outer is read through a view in every iteration, so %inner may not have its bytes, though the text reads it first. Sizes are
// rounded up to cache lines.
// CHECK-LABEL: func.func @loop
// CHECK-SAME: moire.arena_bytes = 192
// CHECK: arith.constant 0 : index
// CHECK: memref.view %{{.*}} to memref<20xf32>
// CHECK: scf.for
// CHECK: %[[O:.*]] = arith.constant 128 : index
// CHECK: memref.view %{{.*}}[%[[O]]][] : memref<192xi8> to memref<5xf32>
func.func @loop(%x: memref<20xf32>, %y: memref<5xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %outer = memref.alloc() : memref<20xf32>
  memref.copy %x, %outer : memref<20xf32> to memref<20xf32>
  scf.for %i = %c0 to %c4 step %c1 {
    %inner = memref.alloc() : memref<5xf32>
    %view = memref.reinterpret_cast %outer to offset: [5], sizes: [5], strides: [1] : memref<20xf32> to memref<5xf32, strided<[1], offset: 5>>
    memref.copy %view, %inner : memref<5xf32, strided<[1], offset: 5>> to memref<5xf32>
    memref.copy %inner, %y : memref<5xf32> to memref<5xf32>
  }
  return
}

// -----

// Kernels and functions without buffers are left as they are, but for the arena's argument.
// CHECK-LABEL: func.func @nothing
// CHECK-SAME: %{{.*}}: memref<0xi8> {moire.arena}) attributes {moire.arena_bytes = 0 : i64
// CHECK-LABEL: func.func private @kernel(%{{.*}}: index, %{{.*}}: index, %{{.*}}: memref<4xf32>) {
func.func @nothing() {
  return
}
func.func private @kernel(%begin: index, %end: index, %x: memref<4xf32>) {
  return
}
