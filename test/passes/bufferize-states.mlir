// Decoding states are updated in place where that is provably harmless, and copied at the end where it is not.
// RUN: moire-opt %s --moire-bufferize --canonicalize --cse --split-input-file | FileCheck %s
// RUN: moire-opt %s --moire-bufferize --split-input-file --remarks-filter-missed=moire-bufferize --remark-format=emitRemark -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Caches of all layers: each iteration extends its rows where they lie.
// CHECK-LABEL: func.func @caches
// CHECK-SAME: %[[Q:.*]]: memref<1x1x2x4xf32>, %[[P:.*]]: memref<i32> {moire.position}, %[[K:.*]]: memref<3x8x2x4xf32> {moire.state = 0 : i64}, %[[V:.*]]: memref<3x8x2x4xf32> {moire.state = 1 : i64}, %[[Y:.*]]: memref<1x1x2x4xf32> {moire.result = 0 : i64})
// CHECK: scf.for
// CHECK-DAG: %[[KROW:.*]] = memref.reinterpret_cast %[[K]] to offset: [%{{.*}}], sizes: [8, 2, 4]
// CHECK-DAG: %[[VROW:.*]] = memref.reinterpret_cast %[[V]] to offset: [%{{.*}}], sizes: [8, 2, 4]
// CHECK: moire.kernel_call "moire_attention_cached_f32" "ipiiiiiitff00bibibibbbi"({{.*}}, %[[KROW]], %[[VROW]], {{.*}}) at %{{.*}} {floats = {{.*}}, integers = array<i64: 1, 8, 2, 2, 4, 4, 0, 0, 8, 8, 8, 8>}
// CHECK-NEXT: }
func.func @caches(%q: tensor<1x1x2x4xf32>, %p: tensor<i32> {moire.position}, %k: tensor<3x8x2x4xf32> {moire.state = 0 : i64}, %v: tensor<3x8x2x4xf32> {moire.state = 1 : i64})
    -> (tensor<1x1x2x4xf32>, tensor<3x8x2x4xf32> {moire.state = 0 : i64}, tensor<3x8x2x4xf32> {moire.state = 1 : i64}) {
  %r:3 = moire.repeat 3 carried(%x = %q : tensor<1x1x2x4xf32>) slices(%kc = %k : tensor<3x8x2x4xf32>, %vc = %v : tensor<3x8x2x4xf32>)
      -> (tensor<1x1x2x4xf32>, tensor<3x8x2x4xf32>, tensor<3x8x2x4xf32>) {
    %y, %ko, %vo = moire.cached_attention %x, %x, %x, %kc, %vc at %p scale 0.5
      : (tensor<1x1x2x4xf32>, tensor<1x1x2x4xf32>, tensor<1x1x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<i32>)
      -> (tensor<1x1x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>)
    moire.yield %y, %ko, %vo : tensor<1x1x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>
  }
  return %r#0, %r#1, %r#2 : tensor<1x1x2x4xf32>, tensor<3x8x2x4xf32>, tensor<3x8x2x4xf32>
}

// -----

// The state is read after its new value is there: the new value waits elsewhere and is copied last.
// REMARK: copy {{.*}}8 elements: a state cannot be updated in place
// CHECK-LABEL: func.func @still_read
// CHECK-SAME: %[[S:.*]]: memref<2x4xf32> {moire.state = 0 : i64}, %[[OUT:.*]]: memref<2x4xf32>
// CHECK: %[[NEW:.*]] = memref.alloc() : memref<2x4xf32>
// CHECK: moire.rowwise {{.*}} ins(%[[S]] : {{.*}}) outs(%[[NEW]] :
// CHECK: moire.rowwise {{.*}} ins(%[[S]], %[[NEW]] : {{.*}}) outs(%[[OUT]] :
// CHECK: memref.copy %[[NEW]], %[[S]]
// CHECK-NEXT: return
func.func @still_read(%s: tensor<2x4xf32> {moire.state = 0 : i64}) -> (tensor<2x4xf32> {moire.state = 0 : i64}, tensor<2x4xf32>) {
  %n = moire.rowwise domain [2] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%s : tensor<2x4xf32>) {
  ^bb0(%p: tensor<4xf32>):
    %t = moire.unary neg %p : tensor<4xf32>
    moire.yield %t : tensor<4xf32>
  } -> tensor<2x4xf32>
  %o = moire.rowwise domain [2] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] summed [false] ins(%s, %n : tensor<2x4xf32>, tensor<2x4xf32>) {
  ^bb0(%p: tensor<4xf32>, %q: tensor<4xf32>):
    %t = moire.binary add %p, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    moire.yield %t : tensor<4xf32>
  } -> tensor<2x4xf32>
  return %n, %o : tensor<2x4xf32>, tensor<2x4xf32>
}

// -----

// Two states that change places: one is saved before it is overwritten.
// CHECK-LABEL: func.func @swapped
// CHECK-SAME: %[[A:.*]]: memref<4xf32> {moire.state = 0 : i64}, %[[B:.*]]: memref<4xf32> {moire.state = 1 : i64})
// CHECK: memref.copy %[[B]], %[[T:.*]] :
// CHECK: memref.copy %[[A]], %[[U:.*]] :
// CHECK: memref.copy %[[T]], %[[A]]
// CHECK: memref.copy %[[U]], %[[B]]
func.func @swapped(%a: tensor<4xf32> {moire.state = 0 : i64}, %b: tensor<4xf32> {moire.state = 1 : i64})
    -> (tensor<4xf32> {moire.state = 0 : i64}, tensor<4xf32> {moire.state = 1 : i64}) {
  return %b, %a : tensor<4xf32>, tensor<4xf32>
}

// -----

// An unchanged state costs nothing.
// CHECK-LABEL: func.func @unchanged
// CHECK-NEXT: return
func.func @unchanged(%a: tensor<4xf32> {moire.state = 0 : i64}) -> (tensor<4xf32> {moire.state = 0 : i64}) {
  return %a : tensor<4xf32>
}

// -----

// Loops within loops: the inner one takes the rows of the outer one's row.
// REMARK-NOT: a cache is extended
// CHECK-LABEL: func.func @nested
// CHECK-SAME: %[[K:[a-z0-9]+]]: memref<2x3x8x2x4xf32> {moire.state = 0 : i64}
// CHECK: scf.for
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = memref.reinterpret_cast %[[K]] to offset: [%{{.*}}], sizes: [8, 2, 4]
// CHECK: moire.kernel_call "moire_attention_cached_f32" {{.*}}%[[ROW]], {{.*}} at
// CHECK-NOT: {{^ *}}memref.copy
// CHECK: }
func.func @nested(%q: tensor<1x1x2x4xf32>, %p: tensor<i32>, %k: tensor<2x3x8x2x4xf32> {moire.state = 0 : i64}, %v: tensor<2x3x8x2x4xf32> {moire.state = 1 : i64})
    -> (tensor<2x3x8x2x4xf32> {moire.state = 0 : i64}, tensor<2x3x8x2x4xf32> {moire.state = 1 : i64}) {
  %r:2 = moire.repeat 2 slices(%ko = %k : tensor<2x3x8x2x4xf32>, %vo = %v : tensor<2x3x8x2x4xf32>) -> (tensor<2x3x8x2x4xf32>, tensor<2x3x8x2x4xf32>) {
    %i:2 = moire.repeat 3 slices(%kc = %ko : tensor<3x8x2x4xf32>, %vc = %vo : tensor<3x8x2x4xf32>) -> (tensor<3x8x2x4xf32>, tensor<3x8x2x4xf32>) {
      %y, %kn, %vn = moire.cached_attention %q, %q, %q, %kc, %vc at %p scale 0.5
        : (tensor<1x1x2x4xf32>, tensor<1x1x2x4xf32>, tensor<1x1x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>, tensor<i32>)
        -> (tensor<1x1x2x4xf32>, tensor<8x2x4xf32>, tensor<8x2x4xf32>)
      moire.yield %kn, %vn : tensor<8x2x4xf32>, tensor<8x2x4xf32>
    }
    moire.yield %i#0, %i#1 : tensor<3x8x2x4xf32>, tensor<3x8x2x4xf32>
  }
  return %r#0, %r#1 : tensor<2x3x8x2x4xf32>, tensor<2x3x8x2x4xf32>
}

// -----

// How much of its document a sequence has read is written over what it had.
// REMARK-NOT: documents
// CHECK-LABEL: func.func @documents
// CHECK-SAME: %[[T:[a-z0-9]+]]: memref<1x4xi32>, %[[COUNT:[a-z0-9]+]]: memref<1xi32> {moire.state = 0 : i64}, %[[Y:[a-z0-9]+]]: memref<1x4xi32>
// CHECK-NEXT: moire.kernel_call "moire_document_positions" "iiibbbb"(%[[T]], %[[COUNT]], %[[Y]], %[[COUNT]] : {{.*}}) {integers = array<i64: 1, 4, 7>}
// CHECK-NEXT: return
func.func @documents(%t: tensor<1x4xi32>, %count: tensor<1xi32> {moire.state = 0 : i64}) -> (tensor<1x4xi32>, tensor<1xi32> {moire.state = 0 : i64}) {
  %y, %next = moire.document_positions %t from %count separator 7 : (tensor<1x4xi32>, tensor<1xi32>) -> (tensor<1x4xi32>, tensor<1xi32>)
  return %y, %next : tensor<1x4xi32>, tensor<1xi32>
}
