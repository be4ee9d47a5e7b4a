// Calls of kernels, launches on all threads, and what kernels may assume of their buffers.
// RUN: moire-opt %s --moire-lower-to-llvm --reconcile-unrealized-casts --canonicalize --cse --split-input-file | FileCheck %s

// Every letter of a signature becomes an argument, pointers with their offset.
// CHECK: llvm.func @moire_scan_f32(!llvm.ptr, !llvm.ptr, i64, i32, f32, f64, i64)
// CHECK-LABEL: llvm.func internal @call
// CHECK-SAME: %[[X:.*]]: !llvm.ptr, %[[N:.*]]: i64)
// CHECK-SAME: moire.buffers = [memref<8xf32>, index]
// CHECK-DAG: %[[P:.*]] = llvm.getelementptr %[[X]][3] : (!llvm.ptr) -> !llvm.ptr, f32
// CHECK-DAG: %[[ZERO:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: llvm.call @moire_scan_f32(%[[P]], %[[ZERO]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[N]])
func.func @call(%x: memref<8xf32>, %n: index) {
  %v = memref.reinterpret_cast %x to offset: [3], sizes: [2], strides: [1] : memref<8xf32> to memref<2xf32, strided<[1], offset: 3>>
  moire.kernel_call "moire_scan_f32" "b0itfdp"(%v : memref<2xf32, strided<[1], offset: 3>>) at %n {integers = array<i64: 7, 1>, floats = array<f64: 0.5, 0.25>}
  return
}

// -----

// The frame holds the pointers even when the launch is in a loop; a single range is a plain call.
// CHECK: llvm.func @moire_parallel_for(i64, i64, !llvm.ptr, !llvm.ptr)
// CHECK-LABEL: llvm.func internal @launches
// CHECK-DAG: %[[CONTEXT:.*]] = llvm.alloca %{{.*}} x !llvm.array<2 x ptr>
// CHECK-DAG: %[[F:.*]] = llvm.mlir.addressof @rows.range
// CHECK: ^bb
// CHECK: llvm.store %{{.*}}, %[[CONTEXT]] : !llvm.ptr, !llvm.ptr
// CHECK: llvm.call @moire_parallel_for(%{{.*}}, %{{.*}}, %[[F]], %[[CONTEXT]])
// CHECK: llvm.call @rows(
// CHECK-LABEL: llvm.func internal @rows(
// CHECK-SAME: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias}
// CHECK-LABEL: llvm.func internal @rows.range(
// CHECK-SAME: %[[B:.*]]: i64, %[[E:.*]]: i64, %[[C:.*]]: !llvm.ptr)
// CHECK: %[[X:.*]] = llvm.load
// CHECK: %[[Y:.*]] = llvm.load
// CHECK: llvm.call @rows(%[[B]], %[[E]], %[[X]], %[[Y]])
func.func @launches(%x: memref<8xf32>, %y: memref<8xf32>) {
  cf.br ^body
^body:
  moire.launch @rows count 8 grain 2(%x, %y : memref<8xf32>, memref<8xf32>)
  moire.launch @rows count 2 grain 2(%x, %y : memref<8xf32>, memref<8xf32>)
  return
}
func.func private @rows(%begin: index, %end: index, %x: memref<8xf32>, %y: memref<8xf32>) {
  %v = memref.load %x[%begin] : memref<8xf32>
  memref.store %v, %y[%begin] : memref<8xf32>
  return
}

// -----

// Launched over the same bytes, a kernel may assume nothing; ranges of the arena that do not meet are distinct.
// CHECK-LABEL: llvm.func internal @same(
// CHECK: llvm.func internal @shared(%{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)
// CHECK: llvm.func internal @apart(%{{.*}}: i64, %{{.*}}: i64, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{.*}}: !llvm.ptr {llvm.noalias})
func.func @same(%arena: memref<128xi8> {moire.arena}) {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %a = memref.view %arena[%c0][] : memref<128xi8> to memref<8xf32>
  %b = memref.view %arena[%c64][] : memref<128xi8> to memref<8xf32>
  %c = memref.reinterpret_cast %a to offset: [0], sizes: [8], strides: [1] : memref<8xf32> to memref<8xf32>
  moire.launch @shared count 8 grain 2(%a, %c : memref<8xf32>, memref<8xf32>)
  moire.launch @apart count 8 grain 2(%a, %b : memref<8xf32>, memref<8xf32>)
  return
}
func.func private @shared(%begin: index, %end: index, %x: memref<8xf32> {llvm.noalias}, %y: memref<8xf32> {llvm.noalias}) {
  %v = memref.load %x[%begin] : memref<8xf32>
  memref.store %v, %y[%begin] : memref<8xf32>
  return
}
func.func private @apart(%begin: index, %end: index, %x: memref<8xf32>, %y: memref<8xf32>) {
  %v = memref.load %x[%begin] : memref<8xf32>
  memref.store %v, %y[%begin] : memref<8xf32>
  return
}

// -----

// A kernel behind a call goes to it as a function of a range and the array of its buffers.
// CHECK: llvm.func @moire_product(!llvm.ptr, i64, !llvm.ptr, !llvm.ptr)
// CHECK-LABEL: llvm.func internal @then(
// CHECK: %[[RANGE:.*]] = llvm.mlir.addressof @rows.range
// CHECK: %[[CONTEXT:.*]] = llvm.alloca %{{.*}} x !llvm.array<2 x ptr>
// CHECK: llvm.store %arg1, %[[CONTEXT]]
// CHECK: llvm.store %arg0
// CHECK: llvm.call @moire_product(%arg0, %{{.*}}, %[[RANGE]], %[[CONTEXT]])
// CHECK: llvm.func internal @rows.range(
func.func @then(%x: memref<8xf32>, %y: memref<8xf32>) {
  moire.kernel_call "moire_product" "bir"(%x : memref<8xf32>) then @rows(%y, %x : memref<8xf32>, memref<8xf32>) {integers = array<i64: 8>}
  return
}
func.func private @rows(%begin: index, %end: index, %x: memref<8xf32>, %y: memref<8xf32>) {
  %v = memref.load %x[%begin] : memref<8xf32>
  memref.store %v, %y[%begin] : memref<8xf32>
  return
}
