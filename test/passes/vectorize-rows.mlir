// Sweeps become vector code: a loop of several vectors, whole vectors that are left, a tail.
// RUN: moire-opt %s --moire-vectorize-rows --split-input-file | FileCheck %s
// RUN: moire-opt %s --moire-vectorize-rows="vector-bits=256 native-bf16=false" --split-input-file | FileCheck %s --check-prefix=NARROW
// RUN: moire-opt %s --moire-vectorize-rows --split-input-file | FileCheck %s --check-prefix=NOCALL

// Nothing is left that would become a call per lane.
// NOCALL-NOT: math.{{exp|log|log1p|erf|erfc|tanh|rsqrt}}

#id = affine_map<(d0) -> (d0)>
#cell = affine_map<(d0) -> ()>

// 100 columns: a loop of one turn is none; four vectors, then two, then four lanes under a mask.
// CHECK-LABEL: func @product
// CHECK: %[[MASK:.*]] = arith.constant dense<[true, true, true, true, false,
// CHECK-NOT: scf.for
// CHECK-COUNT-8: vector.load
// CHECK: arith.mulf %{{.*}}, %{{.*}} : vector<16xf32>
// CHECK-COUNT-4: vector.store
// CHECK-COUNT-4: vector.load
// CHECK-COUNT-2: vector.store
// CHECK: vector.maskedload %{{.*}}, %[[MASK]]
// CHECK: vector.maskedstore %{{.*}}, %[[MASK]]
// Without masks the tail is one vector of four.
// NARROW-LABEL: func @product
// NARROW: scf.for %{{.*}} to %c96
// NARROW: vector.load {{.*}} vector<8xf32>
// NARROW: vector.load {{.*}} vector<4xf32>
// NARROW-NOT: masked
func.func @product(%x: memref<100xf32>, %y: memref<100xf32>, %z: memref<100xf32>) {
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %y : memref<100xf32>, memref<100xf32>) outs(%z : memref<100xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
#cell = affine_map<(d0) -> ()>

// A sum has four accumulators; they are added in pairs, then halves are folded, then what was in the cell.
// CHECK-LABEL: func @sum
// CHECK: %[[A:.*]]:4 = scf.for %{{.*}} = %c0{{.*}} to %c256{{.*}} step %c64{{.*}} iter_args(
// CHECK: %[[L:.*]] = arith.addf %[[A]]#0, %[[A]]#1 : vector<16xf32>
// CHECK: %[[H:.*]] = arith.addf %[[A]]#2, %[[A]]#3 : vector<16xf32>
// CHECK: %[[V:.*]] = arith.addf %[[L]], %[[H]] : vector<16xf32>
// CHECK: vector.shuffle %[[V]], %[[V]] [0, 1, 2, 3, 4, 5, 6, 7]
// CHECK: %[[S:.*]] = vector.extract %{{.*}}[0] : f32 from vector<1xf32>
// CHECK: %[[B:.*]] = memref.load %arg1[]
// CHECK: %[[T:.*]] = arith.addf %[[B]], %[[S]] : f32
// CHECK: memref.store %[[T]], %arg1[]
func.func @sum(%x: memref<256xf32>, %s: memref<f32>) {
  linalg.generic {indexing_maps = [#id, #cell], iterator_types = ["reduction"]} ins(%x : memref<256xf32>) outs(%s : memref<f32>) {
  ^bb0(%a: f32, %b: f32):
    %p = arith.addf %b, %a : f32
    linalg.yield %p : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
#cell = affine_map<(d0) -> ()>

// Lanes outside a row keep the accumulator as it was.
// CHECK-LABEL: func @maximum
// CHECK-DAG: %[[LOW:.*]] = arith.constant dense<0xFF800000> : vector<16xf32>
// CHECK-DAG: %[[MASK:.*]] = arith.constant dense<[true, true, true, false,
// CHECK: %[[X:.*]] = vector.maskedload
// CHECK: %[[C:.*]] = arith.cmpf uge, %[[LOW]], %[[X]]
// CHECK: %[[N:.*]] = arith.select %[[C]], %[[LOW]], %[[X]]
// CHECK: arith.select %[[MASK]], %[[N]], %[[LOW]]
func.func @maximum(%x: memref<3xf32>, %s: memref<f32>) {
  linalg.generic {indexing_maps = [#id, #cell], iterator_types = ["reduction"]} ins(%x : memref<3xf32>) outs(%s : memref<f32>) {
  ^bb0(%a: f32, %b: f32):
    %c = arith.cmpf uge, %b, %a : f32
    %m = arith.select %c, %b, %a : f32
    linalg.yield %m : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// bf16 is widened on load and rounded on store, by the processor or by integer arithmetic.
// CHECK-LABEL: func @halves
// CHECK: %[[X:.*]] = vector.load {{.*}} vector<16xbf16>
// CHECK: arith.extf %[[X]] : vector<16xbf16> to vector<16xf32>
// CHECK: arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// NARROW-LABEL: func @halves
// NARROW: %[[B:.*]] = arith.bitcast %{{.*}} : vector<8xbf16> to vector<8xi16>
// NARROW: %[[W:.*]] = arith.extui %[[B]] : vector<8xi16> to vector<8xi32>
// NARROW: arith.shli %[[W]]
// NARROW: arith.trunci {{.*}} : vector<8xi32> to vector<8xi16>
// NARROW-NOT: arith.truncf
func.func @halves(%x: memref<64xbf16>, %y: memref<64xbf16>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<64xbf16>) outs(%y : memref<64xbf16>) {
  ^bb0(%a: bf16, %b: bf16):
    %w = arith.extf %a : bf16 to f32
    %p = arith.mulf %w, %w : f32
    %n = arith.truncf %p : f32 to bf16
    linalg.yield %n : bf16
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// A copy of bf16 takes 32 lanes, and no rounding where the processor has the type.
// CHECK-LABEL: func @copied
// CHECK: %[[X:.*]] = vector.load {{.*}} vector<32xbf16>
// CHECK: vector.store %[[X]]
// NARROW-LABEL: func @copied
// NARROW: arith.bitcast %{{.*}} : vector<8xbf16> to vector<8xi16>
func.func @copied(%x: memref<32xbf16>, %y: memref<32xbf16>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<32xbf16>) outs(%y : memref<32xbf16>) {
  ^bb0(%a: bf16, %b: bf16):
    linalg.yield %a : bf16
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Numbers from outside are repeated before the loop; column numbers are counted inside.
// CHECK-LABEL: func @marked
// CHECK: %[[LANES:.*]] = arith.constant dense<[0, 1, 2,
// CHECK: %[[T:.*]] = vector.broadcast %arg2 : i32 to vector<16xi32>
// CHECK: scf.for %[[I:.*]] =
// CHECK: %[[BASE:.*]] = arith.index_cast %[[I]] : index to i32
// CHECK: %[[V:.*]] = vector.broadcast %[[BASE]]
// CHECK: %[[C:.*]] = arith.addi %[[V]], %[[LANES]]
// CHECK: arith.cmpi eq, %{{.*}}, %[[T]] : vector<16xi32>
func.func @marked(%x: memref<256xf32>, %y: memref<256xf32>, %target: i32) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<256xf32>) outs(%y : memref<256xf32>) {
  ^bb0(%a: f32, %b: f32):
    %zero = arith.constant 0.0 : f32
    %i = linalg.index 0 : index
    %c = arith.index_cast %i : index to i32
    %same = arith.cmpi eq, %c, %target : i32
    %p = arith.select %same, %a, %zero : f32
    linalg.yield %p : f32
  }
  return
}

// -----

#id = affine_map<(d0) -> (d0)>

// Functions become polynomials, for vectors and for single numbers.
// CHECK-LABEL: func @functions
// CHECK: arith.bitcast %{{.*}} : vector<8xf64> to vector<8xi64>
// CHECK: arith.bitcast %{{.*}} : f32 to i32
// CHECK: return
func.func @functions(%x: memref<8xf64>, %y: memref<8xf64>, %number: f32) -> f32 {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<8xf64>) outs(%y : memref<8xf64>) {
  ^bb0(%a: f64, %b: f64):
    %1 = math.exp %a : f64
    %2 = math.log1p %1 : f64
    %3 = math.erf %2 : f64
    %e = math.erfc %3 : f64
    %4 = math.tanh %e : f64
    linalg.yield %4 : f64
  }
  %l = math.log %number : f32
  %r = math.rsqrt %l : f32
  return %r : f32
}

// -----

#id = affine_map<(d0) -> (d0)>

// A row that is not used is asked for, once per cache line.
// CHECK-LABEL: func @ahead
// CHECK: scf.for
// CHECK-COUNT-2: memref.prefetch %arg1[%{{.*}}], read, locality<3>, data
// CHECK-NOT: memref.prefetch
func.func @ahead(%x: memref<256xbf16>, %next: memref<256xbf16>, %y: memref<256xf32>) {
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %next : memref<256xbf16>, memref<256xbf16>) outs(%y : memref<256xf32>) {
  ^bb0(%a: bf16, %b: bf16, %c: f32):
    %w = arith.extf %a : bf16 to f32
    linalg.yield %w : f32
  }
  return
}
