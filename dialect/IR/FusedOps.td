//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Fused level: what one kernel does. Buffer level: calls on planned memory.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FUSED_OPS_TD
#define MOIRE_FUSED_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "dialect/IR/RoutingOps.td"

def Moire_RowwiseOp : Moire_Op<"rowwise", [SingleBlock, AttrSizedOperandSegments, Costed,
                                         DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "One kernel that computes row by row";
  let description = [{
    Runs its body once per index (d0, .., dk) of `domain`. A block argument is one row of the corresponding input: its
    map gives, from the domain index, the leading index of the input, the remaining dimensions are the row (the whole
    input when
    the map has no results and the argument has the input's shape). Map results are `di`, `di + constant`, or a
    constant; a row outside the
    input reads as zeros (a convolution's padding). The body holds row ops (RowOpInterface) on rank 0 and 1 values (an
    input taken
    whole may have any rank) and ends in `moire.yield`, one value per result. Result i is the yielded rows stacked
    over the
    domain, `tensor<domain.. x row>`, or with `summed[i]` their sum over the whole domain, in full precision and in a
    fixed order.

    Before memory is planned inputs and results are tensors; after, inputs and `outs` are buffers and there are no
    results.

    - (C1) one map and one block argument per input; block argument shape = trailing dimensions of the input
    - (C2) yielded types agree with results (or outs) as said above
    - (C3) domain extents are positive

    Example:
    ```mlir
    %y, %rstd, %total = moire.rowwise domain [2, 3] maps [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1)
        -> ()>] summed [false, false, true] ins(%x, %weight : tensor<2x3x4xbf16>, tensor<4xf32>) {
    ^bb0(%row: tensor<4xbf16>, %w: tensor<4xf32>):
      %n, %r = moire.rms_norm %row, %w eps 1.000000e-05 : (tensor<4xbf16>, tensor<4xf32>) -> (tensor<4xbf16>,
          tensor<f32>)
      moire.yield %n, %r, %n : tensor<4xbf16>, tensor<f32>, tensor<4xbf16>
    } -> tensor<2x3x4xbf16>, tensor<2x3xf32>, tensor<4xf32>
    ```
  }];
  let arguments = (ins DenseI64ArrayAttr:$domain, AffineMapArrayAttr:$maps, DenseBoolArrayAttr:$summed,
                       Variadic<Moire_TensorOrBuffer>:$inputs, Variadic<Moire_Buffer>:$outs);
  let results = (outs Variadic<Moire_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `domain` $domain `maps` $maps `summed` $summed (`ins` `(` $inputs^ `:` type($inputs) `)`)?
    (`outs` `(` $outs^ `:` type($outs) `)`)?
    attr-dict-with-keyword $body (`->` type($outputs)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Number of rows: the product of the domain.
    int64_t getDomainSize();
    ::moire::YieldOp getYield();
  }];
  let hasCanonicalizer = 1;
}

def Moire_FusedRouteOp : Moire_TensorOp<"fused_route", [AttrSizedOperandSegments]> {
  let summary = "Scores, choice, histogram and permutation of a router in one op";
  let description = [{
    `moire.route`, `moire.dispatch` and `moire.expert_load` together, from the router's logits. With `capacity` the
    weights are the gates that decide who stays, and with `threshold` those that are held against it. With `nulls` the last
    so many logits are choices without an expert:
    offsets and load are of the others.
    - (C1) as the three ops
    - (C2) nulls is from 0 to the logits less one

    Example:
    ```mlir
    %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk
        %logits renormalize : (tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3x2xf32>, tensor<2x3x2xi32>,
        tensor<9xi32>, tensor<12xi32>, tensor<12xi32>, tensor<2x3x2xi32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Moire_FullTensor:$logits, Optional<Moire_FullTensor>:$bias, Optional<Moire_Index>:$assigned,
                       Moire_GateAttr:$gate, UnitAttr:$renormalize, DefaultValuedAttr<F64Attr, "1.0">:$scale,
                       DefaultValuedAttr<I64Attr, "1">:$groups, DefaultValuedAttr<I64Attr, "1">:$best,
                       OptionalAttr<I64Attr>:$capacity, OptionalAttr<F64Attr>:$threshold,
                       DefaultValuedAttr<I64Attr, "0">:$nulls);
  let results = (outs Moire_FullTensor:$probs, Moire_FullTensor:$weights, Moire_Index:$chosen, Moire_Index:$offsets,
                      Moire_Index:$rows, Moire_Index:$slots, Moire_Index:$position, Moire_FullTensor:$load);
  let assemblyFormat = [{
    `` $gate $logits (`bias` $bias^)? (`assigned` $assigned^)? (`renormalize` $renormalize^)? (`scale` $scale^)?
    (`groups` $groups^ `best` $best)? (`capacity` $capacity^)? (`threshold` $threshold^)? (`nulls` $nulls^)?
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def Moire_ProductRowsOp : Moire_Op<"product_rows", [SingleBlock, RecursiveMemoryEffects]> {
  let summary = "A product over experts, and a row kernel on its rows while they are in the cache";
  let description = [{
    The body is a `moire.grouped_linear`, a `moire.rowwise` over its rows, and a `moire.yield` of what others read of
    the two. One kernel: a thread that has completed a block of rows of one expert runs the row kernel on
    it before it goes on. A product that is not yielded is never in memory as a whole. Rows that belong to no expert
    are not computed.

    On buffers the body is the call of the product and the row kernel, and there are no results. A product that is in no
    memory is input number `own` of the row kernel: that buffer is read by nobody, each thread has rows of its own.
    - (C1) the body is a product, a row kernel and a yield
    - (C2) the row kernel runs over the product's rows, reads the product row by row, and sums nothing over rows
    - (C3) results are of the types of the yielded values
    - (C4) own is the number of an input, given on buffers only

    Example:
    ```mlir
    %h, %a = moire.product_rows {
      %p = moire.grouped_linear %x, %w, %offsets rows %rows : (tensor<2x3x8xf32>, tensor<5x8x4xf32>, tensor<6xi32>,
          tensor<12xi32>) -> tensor<12x4xf32>
      %s = moire.rowwise domain [12] maps [affine_map<(d0) -> (d0)>] summed [false] ins(%p : tensor<12x4xf32>) {
      ^bb0(%row: tensor<4xf32>):
        %y = moire.unary silu %row : tensor<4xf32>
        moire.yield %y : tensor<4xf32>
      } -> tensor<12x4xf32>
      moire.yield %p, %s : tensor<12x4xf32>, tensor<12x4xf32>
    } -> tensor<12x4xf32>, tensor<12x4xf32>
    ```
  }];
  let arguments = (ins OptionalAttr<I64Attr>:$own);
  let results = (outs Variadic<Moire_AnyTensor>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "(`own` $own^)? attr-dict-with-keyword $body (`->` type($outputs)^)?";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Operation *getProduct() { return &getBody().front().front(); }
    ::moire::RowwiseOp getRows();
    ::moire::YieldOp getYield();
  }];
}

def Moire_KernelCallOp : Moire_Op<"kernel_call", [AttrSizedOperandSegments,
                                                  DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A call of a hand-written kernel on planned memory";
  let description = [{
    Calls the C function `callee` of kernels/include. `signature` has a letter per argument, in order: `b` the next of
    `buffers` as a pointer to its first element (its offset applied), `0` a null pointer, `i` the next of `integers`
    as int64_t, `t` the next
    of `integers` as int32_t, `f` the next of `floats` as float, `d` as double, `p` the next of `scalars` (index
    values computed at run time, such as a position) as int64_t, `r` the kernel behind `then` as a function of a range
    of rows and the array of its buffers' pointers.
    Writes what the kernel's contract says it writes.
    - (C1) the letters use up buffers, integers, floats and scalars exactly
    - (C2) there is a kernel if the letters ask for one; it exists and is one that could be launched with its buffers

    Example:
    ```mlir
    moire.kernel_call "moire_example" "bb0iifp" (%x, %y : memref<6x8xf32>, memref<6x8xf32>) at %at {floats =
        array<f64: 5.000000e-01>, integers = array<i64: 6, 8>}
    ```
  }];
  let arguments = (ins StrAttr:$callee, StrAttr:$signature, Variadic<Moire_Buffer>:$buffers, Variadic<Index>:$scalars,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$integers,
                       DefaultValuedAttr<DenseF64ArrayAttr, "{}">:$floats, OptionalAttr<FlatSymbolRefAttr>:$then,
                       Variadic<Moire_Buffer>:$thenBuffers);
  let assemblyFormat = [{
    $callee $signature `(` ($buffers^ `:` type($buffers))? `)` (`at` $scalars^)?
    (`then` $then^ `(` $thenBuffers `:` type($thenBuffers) `)`)? attr-dict
  }];
  let hasVerifier = 1;
}

def Moire_LaunchOp : Moire_Op<"launch", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Runs a generated kernel on all threads";
  let description = [{
    Calls `kernel(begin, end, buffers...)` so that [0, count) is covered in ranges of multiples of `grain`
    (moire_parallel_for). The kernel is a private `func.func` of this module whose first two arguments are `index`.
    - (C1) the kernel exists and its arguments are two indices, then the buffers' types with identity layout offset
    - (C2) count >= 1, grain >= 1

    Example:
    ```mlir
    moire.launch @double_rows count 6 grain 2 (%x, %y : memref<6x8xf32>, memref<6x8xf32, strided<[8, 1], offset:
        48>>)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$kernel, I64Attr:$count, I64Attr:$grain, Variadic<Moire_Buffer>:$buffers);
  let assemblyFormat = "$kernel `count` $count `grain` $grain `(` ($buffers^ `:` type($buffers))? `)` attr-dict";
  let hasVerifier = 1;
}

#endif
