//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor level: pointwise ops, shapes, and parameters.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_POINTWISE_OPS_TD
#define MOIRE_POINTWISE_OPS_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"
include "mlir/IR/SymbolInterfaces.td"

/// Result types follow from operands.
defvar InferTypes = DeclareOpInterfaceMethods<InferTypeOpInterface>;

/// A pure op on whole tensors that knows its cost and how positions depend on each other.
class Moire_TensorOp<string mnemonic, list<Trait> traits = []>
    : Moire_Op<mnemonic, !listconcat([Pure, Costed,
                                      Positional], traits)>;

def Moire_ParamOp : Moire_Op<"param", [Symbol]> {
  let summary = "A parameter of the model";
  let description = [{
    Declares storage and first values of one parameter; functions take it as an argument that carries
    `moire.param = @name`. Stacked parameters (copies per iteration of the enclosing repeats) have `stack` leading
    extents that count copies, and as many `paths` as copies. `compute` says that products read a bf16 copy.
    A parameter with `sign_rate` is none of the loss: the optimizer moves it by that rate against the sign of what
    its gradient holds, without decay, and leaves it out of the gradient's norm.

    How it learns: `lr_factor` times (`rate_start` times the part of the scheduled learning rate that fades, plus
    `rate_end` times the part that rises to the last learning rate). `multiplier` is noted by the pass that scales what
    products of this parameter give (moire-mup); the scaling itself is an op.

    - (C1) the product of the first `stack` extents is the number of paths
    - (C2) lr_factor, decay_factor, rate_start, rate_end >= 0
    - (C3) sign_rate > 0
    - (C4) multiplier > 0

    Example:
    ```mlir
    moire.param @w : tensor<2x4x8xf32> role ffn init truncated_normal {compute, init_a = 0.02, paths =
        ["layers.0.ffn.w", "layers.1.ffn.w"], stack = 1 : i64}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<Moire_Tensor>:$type, I64Attr:$stack, Moire_RoleAttr:$role,
                       StrArrayAttr:$paths, Moire_InitAttr:$init, DefaultValuedAttr<F64Attr, "0.0">:$init_a,
                       DefaultValuedAttr<F64Attr, "0.0">:$init_b, DefaultValuedAttr<F64Attr, "1.0">:$lr_factor,
                       DefaultValuedAttr<F64Attr, "1.0">:$decay_factor, UnitAttr:$compute,
                       OptionalAttr<F64Attr>:$sign_rate, DefaultValuedAttr<F64Attr, "1.0">:$rate_start,
                       DefaultValuedAttr<F64Attr, "1.0">:$rate_end, DefaultValuedAttr<F64Attr, "1.0">:$multiplier);
  let assemblyFormat = "$sym_name `:` $type `role` `` $role `init` `` $init attr-dict";
  let hasVerifier = 1;
}

def Moire_UnaryOp : Moire_TensorOp<"unary", [Differentiable, Rows, SameOperandsAndResultType]> {
  let summary = "Pointwise function";
  let description = [{
    `y = kind(x)`; gelu is the exact one (erf), relu2 is `max(x,0)^2`. Computed in f32 for bf16.

    Example:
    ```mlir
    %y = moire.unary silu %x : tensor<2x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_UnaryAttr:$kind);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "`` $kind $x attr-dict `:` type($y)";
}

def Moire_UnaryGradOp : Moire_TensorOp<"unary_grad", [Rows, SameOperandsAndResultType]> {
  let summary = "Reverse of a pointwise function";
  let description = [{
    `dx = kind'(x) * dy`, from the function's input.

    Example:
    ```mlir
    %dx = moire.unary_grad relu2 %x, %dy : tensor<2x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$dy, Moire_UnaryAttr:$kind);
  let results = (outs Moire_Tensor:$dx);
  let assemblyFormat = "`` $kind $x `,` $dy attr-dict `:` type($dx)";
}

def Moire_BinaryOp : Moire_TensorOp<"binary", [Differentiable, Rows, InferTypes]> {
  let summary = "Pointwise function of two operands";
  let description = [{
    `y = a op b`; the shape of b is a suffix of the shape of a (a bias, a scalar), and is broadcast over the leading
    extents.
    - (C1) shape(b) is a suffix of shape(a)
    - (C2) `type(y) = type(a)`; b has the element type of a, or full precision

    Example:
    ```mlir
    %s = moire.binary add %now, %before : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$a, Moire_Tensor:$b, Moire_BinaryAttr:$kind);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "`` $kind $a `,` $b attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moire_ScaleOp : Moire_TensorOp<"scale", [Differentiable, Rows, SameOperandsAndResultType]> {
  let summary = "Product with a constant";
  let description = [{
    `y = factor * x`.

    Example:
    ```mlir
    %s = moire.scale %w by 2.000000e+00 : tensor<8xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, F64Attr:$factor);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x `by` $factor attr-dict `:` type($y)";
  let hasFolder = 1;
}

def Moire_ClampOp : Moire_TensorOp<"clamp", [Differentiable, Rows, SameOperandsAndResultType]> {
  let summary = "Values kept within bounds";
  let description = [{
    `y = max(low, min(high, x))`; a bound that is not given is none.
    - (C1) at least one bound is given, and low < high

    Example:
    ```mlir
    %y = moire.clamp %x from -7.000000e+00 to 7.000000e+00 : tensor<2x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, OptionalAttr<F64Attr>:$low, OptionalAttr<F64Attr>:$high);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x (`from` $low^)? (`to` $high^)? attr-dict `:` type($y)";
  let hasVerifier = 1;
}

def Moire_ClampGradOp : Moire_TensorOp<"clamp_grad", [Rows, SameOperandsAndResultType]> {
  let summary = "Reverse of the bounds";
  let description = [{
    `dx = dy` where `low <= x <= high`, else 0.
    - (C1) as clamp

    Example:
    ```mlir
    %dx = moire.clamp_grad %x, %dy to 7.000000e+00 : tensor<2x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x, Moire_Tensor:$dy, OptionalAttr<F64Attr>:$low, OptionalAttr<F64Attr>:$high);
  let results = (outs Moire_Tensor:$dx);
  let assemblyFormat = "$x `,` $dy (`from` $low^)? (`to` $high^)? attr-dict `:` type($dx)";
  let hasVerifier = 1;
}

def Moire_CastOp : Moire_TensorOp<"cast", [Differentiable, Rows, SameOperandsAndResultShape]> {
  let summary = "Change of element type";
  let description = [{
    Rounds to nearest even when narrowing. Between f32, bf16 and f64.

    Example:
    ```mlir
    %y = moire.cast %x : tensor<2x4xf32> to tensor<2x4xbf16>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($y)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Moire_BroadcastOp : Moire_TensorOp<"broadcast", [Differentiable, Rows]> {
  let summary = "Repetition along leading extents";
  let description = [{
    `y[l.., s..] = x[s..]`.
    - (C1) shape(x) is a suffix of shape(y); element types agree

    Example:
    ```mlir
    %y = moire.broadcast %x : tensor<4xf32> to tensor<2x3x4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($y)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Moire_ReduceLeadingOp : Moire_TensorOp<"reduce_leading", [Differentiable, SummedSomeRows]> {
  let summary = "Sum over leading extents";
  let description = [{
    `y[s..] = sum_l x[l.., s..]`, in full precision and in a fixed order.
    - (C1) shape(y) is a suffix of shape(x)
    - (C2) y is f64 when x is f64, else f32

    Example:
    ```mlir
    %y = moire.reduce_leading %x : tensor<2x3x4xbf16> to tensor<4xf32>
    ```
  }];
  let arguments = (ins Moire_Tensor:$x);
  let results = (outs Moire_FullTensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($y)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Moire_FillOp : Moire_TensorOp<"fill", []> {
  let summary = "A constant tensor";
  let description = [{
    Every element is `value`.

    Example:
    ```mlir
    %y = moire.fill 1.000000e+00 : tensor<4xf32>
    ```
  }];
  let arguments = (ins F64Attr:$value);
  let results = (outs Moire_Tensor:$y);
  let assemblyFormat = "$value attr-dict `:` type($y)";
}

def Moire_ReshapeOp : Moire_TensorOp<"reshape", [Differentiable]> {
  let summary = "Other extents for the same elements";
  let description = [{
    Row-major order is kept.
    - (C1) as many elements, same element type

    Example:
    ```mlir
    %y = moire.reshape %x : tensor<2x3x8xf32> to tensor<2x3x2x4xf32>
    ```
  }];
  let arguments = (ins Moire_AnyTensor:$x);
  let results = (outs Moire_AnyTensor:$y);
  let assemblyFormat = "$x attr-dict `:` type($x) `to` type($y)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Moire_SliceOp : Moire_TensorOp<"slice", [Differentiable, SomeRows]> {
  let summary = "A range along one dimension";
  let description = [{
    `y = x[.., offset : offset + dim(y, dim), ..]`. Along the last dimension this is a row op.
    - (C1) 0 <= dim < rank, and the range lies inside x
    - (C2) all other extents and the element type agree

    Example:
    ```mlir
    %y = moire.slice %x dim 1 at 4 : tensor<2x8xf32> to tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Moire_AnyTensor:$x, I64Attr:$dim, I64Attr:$offset);
  let results = (outs Moire_AnyTensor:$y);
  let assemblyFormat = "$x `dim` $dim `at` $offset attr-dict `:` type($x) `to` type($y)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Moire_ConcatOp : Moire_TensorOp<"concat", [Differentiable, SomeRows]> {
  let summary = "Operands one after the other along one dimension";
  let description = [{
    `y = [xs[0], xs[1], ..]` along `dim`.
    - (C1) all extents but `dim` and all element types agree; the extents of `dim` add up
    - (C2) at least one operand, 0 <= dim < rank

    Example:
    ```mlir
    %y = moire.concat %a, %b dim 1 : (tensor<2x3xf32>, tensor<2x5xf32>) -> tensor<2x8xf32>
    ```
  }];
  let arguments = (ins Variadic<Moire_AnyTensor>:$xs, I64Attr:$dim);
  let results = (outs Moire_AnyTensor:$y);
  let assemblyFormat = "$xs `dim` $dim attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Moire_DynamicSliceOp : Moire_TensorOp<"dynamic_slice", []> {
  let summary = "Rows from a position known at run time";
  let description = [{
    `y = x[position : position + dim(y, 0), ..]`; position is a scalar i32. The caller keeps it in range.
    - (C1) position is `tensor<i32>`
    - (C2) extents but the first agree, and the first of y is no more than that of x; element types agree

    Example:
    ```mlir
    %y = moire.dynamic_slice %table, %position : (tensor<64x4xf32>, tensor<i32>) -> tensor<8x4xf32>
    ```
  }];
  let arguments = (ins Moire_AnyTensor:$x, Moire_Index:$position);
  let results = (outs Moire_AnyTensor:$y);
  let assemblyFormat = "$x `,` $position attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif
