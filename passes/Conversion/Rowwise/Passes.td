//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From row kernels on buffers to loops, and from loops to vectors.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_PASSES_TD
#define MOIRE_PASSES_CONVERSION_ROWWISE_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowerRowwisePass : Pass<"moire-lower-rowwise", "::mlir::ModuleOp"> {
  let summary = "Turn row kernels into functions of loops and sweeps";
  let description = [{
    Replaces every `moire.rowwise` on buffers by a `moire.launch` of a private function; equal kernels are written
    once. The function walks its rows in an `scf.for`; a row is computed in sweeps, each one `linalg.generic` over the
    columns. A reduction ends a sweep; a row that is needed after it is computed again from the inputs when that is
    cheap, else kept in a buffer of one row. Slices and concatenations along a row cost nothing: they move where loads
    and stores begin.

    Results summed over rows are added up in chunks of rows whose number depends on the shapes only, so that any
    number of threads gives the same bits; a second kernel adds the chunks in order.

    Declines nothing: a body that is not made of row ops, or a buffer whose last dimension is not contiguous, is an
    error.

    Before:
    ```mlir
    moire.rowwise domain [8, 64] maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>]
        summed [false, false]
        ins(%x, %w : memref<8x64x256xf32>, memref<256xf32>) outs(%y, %r : memref<8x64x256xf32>, memref<8x64xf32>) {
    ^bb0(%row: tensor<256xf32>, %weight: tensor<256xf32>):
      %n, %s = moire.rms_norm %row, %weight eps 1.0e-5 : (tensor<256xf32>, tensor<256xf32>) -> (tensor<256xf32>,
          tensor<f32>)
      moire.yield %n, %s : tensor<256xf32>, tensor<f32>
    }
    ```
    After:
    ```mlir
    moire.launch @rows_rms_norm count 512 grain 16 (%x2, %w, %y2, %r2 : memref<512x256xf32>, ...)
    func.func private @rows_rms_norm(%begin: index, %end: index, ...) {
      scf.for %i = %begin to %end step %c1 {
        linalg.generic ... // sum of squares
        linalg.generic ... // product with 1 / root and weight
    ```
  }];
  let options = [
    Option<"bufferBytes", "buffer-bytes", "int64_t", /*default=*/"65536",
           "Most bytes of row buffers in one kernel; rows beyond are computed again">,
    Option<"maxChunks", "max-chunks", "int64_t", /*default=*/"64",
           "Most chunks that the rows of a summed result are cut in">,
    Option<"grainBytes", "grain-bytes", "int64_t", /*default=*/"32768",
           "Bytes that one thread should at least have to move">
  ];
  let dependentDialects = ["::moire::MoireDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def VectorizeRowsPass : Pass<"moire-vectorize-rows", "::mlir::ModuleOp"> {
  let summary = "Turn sweeps into vector code";
  let description = [{
    Replaces every 1-D `linalg.generic` over buffers whose rows are contiguous by a loop over full vectors, unrolled,
    and a tail that is masked (512 bits, and `native-bf16` where bf16 is stored) or made of ever narrower vectors. Sums
    and maxima use several accumulators that are combined in a fixed order. exp, log, log1p, erf, erfc and tanh become
    polynomials, for vectors as for single numbers: in f32 within 2 units in the last place or 1e-6, in f64 within
    1e-14, so that no call of a mathematical library is left. Conversions between f32 and bf16 use the processor's
    instructions, or integer arithmetic without `native-bf16`.

    Declines nothing: a `linalg.generic` of another form is an error.

    Before:
    ```mlir
    linalg.generic {indexing_maps = [#id, #cell], iterator_types = ["reduction"]} ins(%row : memref<256xf32>)
        outs(%sum : memref<f32>) {
    ^bb0(%x: f32, %s: f32):
      %p = arith.mulf %x, %x : f32
      %t = arith.addf %s, %p : f32
      linalg.yield %t : f32
    }
    ```
    After:
    ```mlir
    %a:4 = scf.for %i = %c0 to %c256 step %c64 iter_args(...) -> (vector<16xf32>, ...) {
      %x0 = vector.load %row[%i] : memref<256xf32>, vector<16xf32>
      ...
    ```
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "unsigned", /*default=*/"512", "Width of vectors: 128, 256 or 512">,
    Option<"nativeBf16", "native-bf16", "bool", /*default=*/"true",
           "The processor converts between f32 and bf16 (AVX512_BF16)">
  ];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
}

#endif
