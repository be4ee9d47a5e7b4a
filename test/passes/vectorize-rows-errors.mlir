// What is not a sweep over contiguous rows is an error.
// RUN: moire-opt %s --moire-vectorize-rows --split-input-file --verify-diagnostics

#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @two(%x: memref<4x8xf32>, %y: memref<4x8xf32>) {
  // expected-error@+1 {{is not a sweep over one row of buffers}}
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : memref<4x8xf32>) outs(%y : memref<4x8xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func @spread(%x: memref<8xf32, strided<[4]>>, %y: memref<8xf32>) {
  // expected-error@+1 {{reads or writes something that is neither a contiguous row nor a number}}
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<8xf32, strided<[4]>>) outs(%y : memref<8xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
#cell = affine_map<(d0) -> ()>
func.func @product(%x: memref<8xf32>, %y: memref<f32>) {
  // expected-error@+1 {{reduces by something that is neither a sum nor a maximum}}
  linalg.generic {indexing_maps = [#id, #cell], iterator_types = ["reduction"]} ins(%x : memref<8xf32>) outs(%y : memref<f32>) {
  ^bb0(%a: f32, %b: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func @memory(%x: memref<8xf32>, %y: memref<8xf32>, %z: memref<f32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<8xf32>) outs(%y : memref<8xf32>) {
  ^bb0(%a: f32, %b: f32):
    // expected-error@+1 {{has no vector form}}
    %p = memref.load %z[] : memref<f32>
    linalg.yield %p : f32
  }
  return
}
