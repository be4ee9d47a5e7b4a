//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes from tensors to planned memory and LLVM.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_BUFFERS_PASSES_TD
#define MOIRE_PASSES_CONVERSION_BUFFERS_PASSES_TD

include "mlir/Pass/PassBase.td"

def BufferizePass : Pass<"moire-bufferize", "::mlir::ModuleOp"> {
  let summary = "Give every tensor a place in memory";
  let description = [{
    Every function of tensors becomes one of buffers: an argument per tensor argument, then one per result
    (`moire.result = k`, with the attributes of the result). A result that carries `moire.state = N` is the argument
    that carries it too, updated in place. Values are written where they are needed: results and gradients to their
    argument, parts of a `concat` into it, stacked values into their row; `reshape`, `slice` and `dynamic_slice` are
    views. `moire.repeat` becomes `scf.for`; a carried value that is stacked anyway lives in the rows of its stack,
    one that is overwritten harmlessly in one buffer, any other in two buffers used in turn. Ops backed by a kernel
    become `moire.kernel_call`, `moire.rowwise` gets `outs`. A copy that remains is a remark (`moire-bufferize`,
    `copy`). An op with neither form is an error.

    Before:
    ```mlir
    func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) -> tensor<2x4xf32> {
      %y = moire.linear %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
      return %y : tensor<2x4xf32>
    }
    ```
    After:
    ```mlir
    func.func @f(%x: memref<2x3xf32>, %w: memref<3x4xf32>, %y: memref<2x4xf32> {moire.result = 0 : i64}) {
      moire.kernel_call "moire_gemm_f32_f32" "iiibitbitbit" (%x, %w, %y
          : memref<2x3xf32>, memref<3x4xf32>, memref<2x4xf32>) {integers = array<i64: 2, 4, 3, 3, 0, 4, 0, 4, 0>}
      return
    }
    ```
  }];
  let dependentDialects = ["::moire::MoireDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def PlanMemoryPass : Pass<"moire-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Put all local buffers of a function into one arena";
  let description = [{
    Every `memref.alloc` of a public function, those in loops included, gets an offset in one arena, which becomes
    the function's last argument (`moire.arena`); its size is the function's attribute `moire.arena_bytes`, and
    `moire.live_bytes` is what is alive at the busiest moment, below which no arena can be. Buffers that are never
    alive at the same time share bytes: a buffer lives from its first to its last use, through views, and during the
    whole of a loop that uses it from outside. Largest first, each goes into the smallest gap that holds it. Offsets
    are multiples of 64 bytes. A remark (`moire-plan-memory`, `arena`) names what makes up the peak. The result is
    checked: an overlap in time and space is an internal error.

    Before:
    ```mlir
    func.func @f(%x: memref<4xf32>) {
      %a = memref.alloc() : memref<4xf32>
      memref.copy %x, %a : memref<4xf32> to memref<4xf32>
      memref.copy %a, %x : memref<4xf32> to memref<4xf32>
      return
    }
    ```
    After:
    ```mlir
    func.func @f(%x: memref<4xf32>, %arena: memref<64xi8> {moire.arena})
        attributes {moire.arena_bytes = 64 : i64, moire.live_bytes = 64 : i64} {
      %c0 = arith.constant 0 : index
      %a = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf32>
      memref.copy %x, %a : memref<4xf32> to memref<4xf32>
      memref.copy %a, %x : memref<4xf32> to memref<4xf32>
      return
    }
    ```
  }];
  let options = [
    Option<"noReuse", "no-reuse", "bool", /*default=*/"false",
           "Give every buffer bytes of its own: results must not change, so a difference is a bug in liveness">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect"];
}

def LowerToLLVMPass : Pass<"moire-lower-to-llvm", "::mlir::ModuleOp"> {
  let summary = "Turn planned functions and kernels into the LLVM dialect";
  let description = [{
    Buffers become bare pointers: their extents are known. `moire.kernel_call` becomes a call of the C function;
    `moire.launch` stores the pointers in an array on the stack and hands it, with a function that takes them out
    again, to `moire_parallel_for`; a launch of a single range is a plain call. Buffers that a kernel writes and
    that no launch gives it twice are marked `noalias`. Everything but the names of functions becomes internal.
    Parameters (`moire.param`) stay, for the package's tables. Expects control flow in `cf` (`convert-scf-to-cf`)
    and views in plain form (`expand-strided-metadata`).

    Before:
    ```mlir
    moire.launch @rows count 512 grain 16 (%x, %y : memref<512x8xf32>, memref<512x8xf32>)
    ```
    After:
    ```mlir
    llvm.store %x, %context : !llvm.ptr, !llvm.ptr
    llvm.store %y, %second : !llvm.ptr, !llvm.ptr
    %range = llvm.mlir.addressof @rows.range : !llvm.ptr
    llvm.call @moire_parallel_for(%count, %grain, %range, %context) : (i64, i64, !llvm.ptr, !llvm.ptr) -> ()
    ```
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif
