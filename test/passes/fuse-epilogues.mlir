// A row kernel joins the product over experts whose rows it reads; where it cannot, a remark says why.
// RUN: moire-opt %s --moire-fuse-epilogues=least-rows=6 --split-input-file --verify-diagnostics --remarks-filter=moire-fuse-epilogues | FileCheck %s

#row = affine_map<(d0) -> (d0)>
#all = affine_map<(d0) -> ()>

// Nobody else reads the product.
// CHECK-LABEL: func.func @alone
func.func @alone(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>, %s: tensor<6xf32>) -> tensor<6x4xf32> {
  // CHECK: %[[A:.*]] = moire.product_rows {
  // CHECK: %[[P:.*]] = moire.grouped_linear
  // CHECK: %[[R:.*]] = moire.rowwise {{.*}} ins(%[[P]], %arg3
  // CHECK: moire.yield %[[R]] :
  // CHECK: return %[[A]]
  // expected-remark @+1 {{a row kernel works on the rows of a product over experts as they are computed; the product is in no memory}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
  %a = moire.rowwise domain [6] maps [#row, #row] summed [false] ins(%p, %s : tensor<6x4xf32>, tensor<6xf32>) {
  ^bb0(%r: tensor<4xf32>, %n: tensor<f32>):
    %y = moire.scale_rows %r, %n : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
    moire.yield %y : tensor<4xf32>
  } -> tensor<6x4xf32>
  return %a : tensor<6x4xf32>
}

// -----

#row = affine_map<(d0) -> (d0)>

// The product is kept for another reader, who stands before the row kernel and moves behind.
// CHECK-LABEL: func.func @kept
func.func @kept(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> (tensor<6x4xf32>, tensor<3x8xf32>) {
  // CHECK: %[[B:.*]]:2 = moire.product_rows {
  // CHECK: moire.yield %{{.*}}, %{{.*}} : tensor<6x4xf32>, tensor<6x4xf32>
  // CHECK: moire.reshape %[[B]]#0
  // expected-remark @+1 {{the product is kept for others}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
  %v = moire.reshape %p : tensor<6x4xf32> to tensor<3x8xf32>
  %a = moire.rowwise domain [6] maps [#row] summed [false] ins(%p : tensor<6x4xf32>) {
  ^bb0(%r: tensor<4xf32>):
    %y = moire.unary silu %r : tensor<4xf32>
    moire.yield %y : tensor<4xf32>
  } -> tensor<6x4xf32>
  return %a, %v : tensor<6x4xf32>, tensor<3x8xf32>
}

// -----

// Declined: a sum over rows needs all of them.
// CHECK-LABEL: func.func @sum
func.func @sum(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> tensor<4xf32> {
  // CHECK-NOT: moire.product_rows
  // expected-remark @+1 {{a product over experts is stored for its reader: the row kernel sums over rows}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
  %a = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [true] ins(%p : tensor<6x4xf32>) {
  ^bb0(%r: tensor<4xf32>):
    moire.yield %r : tensor<4xf32>
  } -> tensor<4xf32>
  return %a : tensor<4xf32>
}

// -----

// Declined: another row may not be there yet.
// CHECK-LABEL: func.func @shifted
func.func @shifted(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> tensor<6x4xf32> {
  // CHECK-NOT: moire.product_rows
  // expected-remark @+1 {{a product over experts is stored for its reader: the row kernel reads other rows of the product than the one it computes}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
  %a = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0 - 1)>] summed [false] ins(%p : tensor<6x4xf32>) {
  ^bb0(%r: tensor<4xf32>):
    moire.yield %r : tensor<4xf32>
  } -> tensor<6x4xf32>
  return %a : tensor<6x4xf32>
}

// -----

// Declined: only some rows.
// CHECK-LABEL: func.func @some
func.func @some(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> tensor<3x4xf32> {
  // CHECK-NOT: moire.product_rows
  // expected-remark @+1 {{a product over experts is stored for its reader: the row kernel runs over something else than the product's rows}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
  %a = moire.rowwise domain [3] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<6x4xf32>) {
  ^bb0(%r: tensor<4xf32>):
    moire.yield %r : tensor<4xf32>
  } -> tensor<3x4xf32>
  return %a : tensor<3x4xf32>
}

// -----

// Declined: columns could not be cut.
// CHECK-LABEL: func.func @few
func.func @few(%x: tensor<4x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> tensor<4x4xf32> {
  // CHECK-NOT: moire.product_rows
  // expected-remark @+1 {{a product over experts is stored for its reader: 4 rows are too few to give each thread whole rows}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<4x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<4x4xf32>
  %a = moire.rowwise domain [4] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<4x4xf32>) {
  ^bb0(%r: tensor<4xf32>):
    moire.yield %r : tensor<4xf32>
  } -> tensor<4x4xf32>
  return %a : tensor<4x4xf32>
}

// -----

// Declined: rows would leave the cache before the row kernel sees them.
// CHECK-LABEL: func.func @long
func.func @long(%x: tensor<6x8xf32>, %w: tensor<5x8x5120xf32>, %o: tensor<6xi32>) -> tensor<6x5120xf32> {
  // CHECK-NOT: moire.product_rows
  // expected-remark @+1 {{a product over experts is stored for its reader: too few rows of 20480 bytes fit the cache of a thread}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x5120xf32>, tensor<6xi32>) -> tensor<6x5120xf32>
  %a = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<6x5120xf32>) {
  ^bb0(%r: tensor<5120xf32>):
    moire.yield %r : tensor<5120xf32>
  } -> tensor<6x5120xf32>
  return %a : tensor<6x5120xf32>
}

// -----

// Declined: what else is read comes from all rows of the product.
// CHECK-LABEL: func.func @otherwise
func.func @otherwise(%x: tensor<6x8xf32>, %w: tensor<5x8x4xf32>, %o: tensor<6xi32>) -> tensor<6x4xf32> {
  // CHECK-NOT: moire.product_rows
  // expected-remark @+1 {{a product over experts is stored for its reader: the row kernel needs something else that is computed from the product}}
  %p = moire.grouped_linear %x, %w, %o : (tensor<6x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>) -> tensor<6x4xf32>
  %e = moire.unary exp %p : tensor<6x4xf32>
  %a = moire.rowwise domain [6] maps [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>] summed [false] ins(%p, %e : tensor<6x4xf32>, tensor<6x4xf32>) {
  ^bb0(%r: tensor<4xf32>, %q: tensor<4xf32>):
    moire.yield %q : tensor<4xf32>
  } -> tensor<6x4xf32>
  return %a : tensor<6x4xf32>
}
