// The optimizer's code: tasks inside one parameter, full vectors with a tail, the entry points of the ABI.
// RUN: moire-opt %s --moire-build-optimizer --canonicalize --split-input-file --verify-diagnostics --remarks-filter=moire-build-optimizer | FileCheck %s
// RUN: moire-opt %s --moire-build-optimizer="vector-bits=256 native-bf16=false" --canonicalize --split-input-file | FileCheck %s --check-prefix=PLAIN

// 20000 elements are two tasks; the second parameter begins at a multiple of 16, has no bf16 copy, and factors of its own:
// its share of the rate at the start and at the end, and of the decay.
// expected-remark @below {{AdamW over 20021 elements in 3 tasks, vectors of 512 bits}}
module {
moire.param @w : tensor<20x1000xf32> role ffn init normal {stack = 0 : i64, paths = ["w"], compute}
moire.param @b : tensor<21xf32> role norm init constant {stack = 0 : i64, paths = ["b"], lr_factor = 0.5, decay_factor = 0.0, rate_start = 4.0, rate_end = 0.5}
}

// CHECK: memref.global "private" constant @moire_optimizer_tasks
// CHECK-SAME{LITERAL}: dense<[[0, 16384, 0], [16384, 3616, 16384], [20000, 21, -1]]>
// CHECK: memref.global "private" constant @moire_optimizer_factors
// CHECK-SAME{LITERAL}: dense<[[1.000000e+00, 1.000000e+00, 1.000000e+00], [1.000000e+00, 1.000000e+00, 1.000000e+00], [2.000000e+00, 2.500000e-01, 0.000000e+00]]>

// Sums of squares in f64, four at a time, one per task.
// CHECK-LABEL: func.func private @moire_optimizer_norm(
// CHECK-SAME: %[[BEGIN:.*]]: index, %[[END:.*]]: index, %[[GRADS:.*]]: memref<20032xf32>, %[[PARTIALS:.*]]: memref<3xf64>)
// CHECK: scf.for %[[TASK:.*]] = %[[BEGIN]] to %[[END]]
// CHECK: scf.for {{.*}} -> (vector<16xf64>, vector<16xf64>, vector<16xf64>, vector<16xf64>)
// CHECK-COUNT-4: vector.load %[[GRADS]]
// CHECK: vector.reduction <add>
// CHECK: scf.for
// CHECK: memref.load %[[GRADS]]
// CHECK: memref.store %{{.*}}, %[[PARTIALS]][%[[TASK]]]

// One sweep reads and writes everything, the bf16 copy included, for tasks that have one.
// CHECK-LABEL: func.func private @moire_optimizer_update(
// CHECK-SAME: %{{.*}}: index, %{{.*}}: index, %[[P:.*]]: memref<20032xf32>, %[[G:.*]]: memref<20032xf32>, %[[M:.*]]: memref<20032xf32>, %[[V:.*]]: memref<20032xf32>, %[[C:.*]]: memref<20000xbf16>
// CHECK: scf.if
// CHECK: scf.for
// CHECK: vector.load %[[P]]{{.*}} vector<16xf32>
// CHECK: vector.load %[[G]]
// CHECK: vector.load %[[M]]
// CHECK: vector.load %[[V]]
// CHECK: math.sqrt %{{.*}} : vector<16xf32>
// CHECK: vector.store %{{.*}}, %[[M]]
// CHECK: vector.store %{{.*}}, %[[V]]
// CHECK: vector.store %[[NEW:.*]], %[[P]]
// CHECK: %[[NARROW:.*]] = arith.truncf %[[NEW]] : vector<16xf32> to vector<16xbf16>
// CHECK: vector.store %[[NARROW]], %[[C]]
// CHECK: } else {
// CHECK-NOT: bf16
// CHECK: return

// CHECK-LABEL: func.func private @moire_accumulate(
// CHECK: vector.load
// CHECK: vector.load
// CHECK: arith.addf
// CHECK: vector.store
// CHECK-LABEL: func.func private @moire_refresh(
// CHECK: arith.truncf {{.*}} to vector<16xbf16>

// CHECK-LABEL: func.func @optimizer_step(
// CHECK-SAME: memref<20032xf32> {moire.abi = "params"}
// CHECK-SAME: memref<20032xf32> {moire.abi = "grads"}
// CHECK-SAME: memref<20032xf32> {moire.abi = "moment1"}
// CHECK-SAME: memref<20032xf32> {moire.abi = "moment2"}
// CHECK-SAME: memref<20000xbf16> {moire.abi = "compute"}
// CHECK-SAME: memref<8xf64> {moire.abi = "adamw"}
// CHECK-SAME: memref<1xi64> {moire.abi = "step"}
// CHECK-SAME: %[[NORM:.*]]: memref<1xf64> {moire.abi = "grad_norm"}) -> i32
// CHECK: moire.launch @moire_optimizer_norm count 3 grain 1
// CHECK: memref.store %{{.*}}, %[[NORM]]
// CHECK: %[[FINITE:.*]] = arith.cmpf oeq
// CHECK: scf.if %[[FINITE]] {
// CHECK: moire.launch @moire_optimizer_update count 3 grain 1
// CHECK-LABEL: func.func @accumulate(
// CHECK: moire.launch @moire_accumulate count 3 grain 1
// CHECK-LABEL: func.func @refresh(
// CHECK: moire.launch @moire_refresh count 3 grain 1

// Narrower vectors, and rounding to bf16 by integers.
// PLAIN-LABEL: func.func private @moire_refresh(
// PLAIN: vector.load {{.*}} vector<8xf32>
// PLAIN: arith.bitcast {{.*}} to vector<8xi32>
// PLAIN: arith.cmpf uno
// PLAIN: arith.trunci {{.*}} to vector<8xi16>
// PLAIN-NOT: arith.truncf {{.*}} to vector<8xbf16>
// PLAIN-LABEL: func.func @optimizer_step(

// -----

// In f64 everything is f64, and there is nothing to refresh.
// expected-remark @below {{AdamW over 8 elements in 1 tasks}}
module {
moire.param @w : tensor<8xf64> role ffn init normal {stack = 0 : i64, paths = ["w"]}
}
// CHECK-LABEL: func.func private @moire_optimizer_update(
// CHECK: vector<8xf64>
// CHECK-NOT: f32
// CHECK-LABEL: func.func @refresh() -> i32
// CHECK-NEXT: arith.constant 0
// CHECK-NEXT: return

// -----

// Declined: no parameters.
// expected-remark @below {{no optimizer: the module has no parameters}}
module {
}
// CHECK: module {
// CHECK-NEXT: }

// -----

// Frozen parameters lie behind the others: gradients and moments end before them. Their only task is the bf16 copy.
// expected-remark @below {{AdamW over 60 elements in 1 tasks}}
module {
moire.param @frozen : tensor<40xf32> role ffn init normal {stack = 0 : i64, paths = ["frozen"], compute, lr_factor = 0.0}
moire.param @w : tensor<20xf32> role ffn init normal {stack = 0 : i64, paths = ["w"]}
}
// CHECK: memref.global "private" constant @moire_optimizer_tasks
// CHECK-SAME{LITERAL}: dense<[[0, 20, -1], [32, 40, 0]]>
// CHECK-LABEL: func.func private @moire_optimizer_norm(
// CHECK-SAME: memref<32xf32>, %{{.*}}: memref<1xf64>)
// CHECK-LABEL: func.func @optimizer_step(
// CHECK-SAME: memref<80xf32> {moire.abi = "params"}
// CHECK-SAME: memref<32xf32> {moire.abi = "grads"}
// CHECK-SAME: memref<32xf32> {moire.abi = "moment1"}
// CHECK: moire.launch @moire_optimizer_update count 1
// CHECK-LABEL: func.func @accumulate(
// CHECK-SAME: memref<32xf32> {moire.abi = "accumulator"}
// CHECK: moire.launch @moire_accumulate count 1
// CHECK-LABEL: func.func @refresh(
// CHECK: moire.launch @moire_refresh count 2
