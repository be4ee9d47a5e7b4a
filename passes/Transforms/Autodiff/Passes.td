//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes that turn a forward computation into a training step.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_TRANSFORMS_AUTODIFF_PASSES_TD
#define MOIRE_PASSES_TRANSFORMS_AUTODIFF_PASSES_TD

include "mlir/Pass/PassBase.td"

def AutodiffPass : Pass<"moire-autodiff", "::mlir::ModuleOp"> {
  let summary = "Differentiate every function that has an objective";
  let description = [{
    A function with a result marked `moire.objective` (a scalar) gets its gradients as further results, with respect to
    each argument marked `moire.param = @name` (the result says `moire.gradient = @name`) or `moire.differentiate` (the
    result says `moire.gradient_of = <argument number>`), in full precision. The objective's own result goes away. Its
    cotangent is the argument marked `moire.seed`, or 1. Every parameter of the module gets a gradient; one that the
    objective does not reach gets zeros and a remark. Frozen parameters (their factor of the learning rate is 0) get
    none, and nothing is computed for them.

    Reverse mode, with the rule of each op (DifferentiableOpInterface); only values between a wanted argument and the
    objective are visited. A `moire.repeat` stays a loop: a second loop runs the other way, carries the cotangents of
    the carried values, sums those of captured values, and stacks those of sliced operands. What it needs of
    an iteration is, whichever costs the fewest bytes, re-read (slices of the operands of the first loop, values from
    above), computed again from such (row ops, moves of rows, short products; see the options), or stacked by the first
    loop; a minimum cut decides. What was stacked is a remark. An op on the way without a reverse rule is an error.

    Before:
    ```mlir
    func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32> {moire.differentiate}) -> (tensor<f32> {moire.objective}) {
      %y = moire.linear %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
      %loss = moire.reduce_leading %y : tensor<2x4xf32> to tensor<f32>
      return %loss : tensor<f32>
    }
    ```
    After:
    ```mlir
    func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) -> (tensor<3x4xf32> {moire.gradient_of = 1 : i64}) {
      %seed = moire.fill 1.0 : tensor<f32>
      %dy = moire.broadcast %seed : tensor<f32> to tensor<2x4xf32>
      %dw = moire.linear_grad_weight %x, %dy : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<3x4xf32>
      return %dw : tensor<3x4xf32>
    }
    ```
  }];
  let options = [
    Option<"recomputePointwise", "recompute-pointwise", "bool", /*default=*/"true",
           "Compute cheap values (row ops, convolutions, reshapes, gathers) again in reverse loops, not stack them">,
    Option<"recomputeContraction", "recompute-contraction", "int64_t", /*default=*/"32",
           "Compute products again that sum at most this many terms per element; 0 for none">,
    Option<"recomputeIterations", "recompute-iterations", "bool", /*default=*/"false",
           "Compute whatever is cheaper to compute again than to keep in bytes: an iteration keeps what entered it">
  ];
  let dependentDialects = ["::moire::MoireDialect", "::mlir::func::FuncDialect"];
}

def FuseCombinePass : Pass<"moire-fuse-combine"> {
  let summary = "The experts' last product and the weighted sum of their outputs in one op";
  let description = [{
    A `moire.combine` of a `moire.grouped_linear` that nobody else reads becomes `moire.grouped_combine`. It comes before
    `moire-autodiff`, because the two have another reverse together than apart: the experts' outputs, and the
    gradients of these, occur nowhere. It declines, and says why, when the outputs are not a product's, when others read
    them, and when no `moire.dispatch` tells which gate a row belongs to.

    Before:
    ```mlir
    %y = moire.grouped_linear %a, %w, %offsets : ...
    %z = moire.combine %y, %weights, %position : ...
    ```
    After:
    ```mlir
    %z = moire.grouped_combine %a, %w, %offsets rows %rows slots %slots weights %weights position %position : ...
    ```
  }];
  let dependentDialects = ["::moire::MoireDialect"];
}

def FuseRoutingPass : Pass<"moire-fuse-routing"> {
  let summary = "Fuse the ops of a router, and gathers into grouped products";
  let description = [{
    `moire.route`, the `moire.dispatch` of its choice and the `moire.expert_load` of that become one
    `moire.fused_route`. It declines when the choice is sorted by several ops or in another block.

    A `moire.gather_rows` whose every reader is a grouped product is folded into them: `moire.grouped_linear` reads its
    rows through `rows`, `moire.grouped_linear_grad_weight` through `x_rows` or `dy_rows`, and the gathered copy is
    never made. It declines, and says who, when somebody else reads the rows. Both fire on forward and reverse code.

    Before:
    ```mlir
    %probs, %weights, %chosen = moire.route softmax_topk %logits : ...
    %offsets, %rows, %slots, %position = moire.dispatch %chosen : ...
    %load = moire.expert_load %offsets : ...
    %sorted = moire.gather_rows %x, %rows, %position : ...
    %h = moire.grouped_linear %sorted, %w, %offsets : ...
    ```
    After:
    ```mlir
    %probs, %weights, %chosen, %offsets, %rows, %slots, %position, %load = moire.fused_route softmax_topk %logits : ...
    %h = moire.grouped_linear %x, %w, %offsets rows %rows position %position : ...
    ```
  }];
  let dependentDialects = ["::moire::MoireDialect"];
}

def BuildOptimizerPass : Pass<"moire-build-optimizer", "::mlir::ModuleOp"> {
  let summary = "Write the code that updates the parameters";
  let description = [{
    Adds three public functions over the flat buffers of runtime/abi.h (see ParameterLayout), and the kernels that they
    launch. Every argument says in `moire.abi` which memory it is; f64 packages have f64 for f32.

    - `@optimizer_step(params: memref<Nxf32>, grads, moment1, moment2: memref<Txf32>,
      [compute: memref<Cxbf16>,] adamw: memref<8xf64>, step: memref<1xi64>, grad_norm: memref<1xf64>) -> i32`.
      `adamw` and `step` are the eight doubles and the
      integer of `moire_adamw`, in order. Returns 0, or 1 when the norm is not finite and nothing was updated.
    - `@accumulate(accumulator, grads: memref<Txf32>) -> i32`; T of N elements are not frozen.
    - `@refresh([params: memref<Nxf32>, compute: memref<Cxbf16>]) -> i32`; without bf16 copies it has no arguments.

    The buffers are cut into tasks of at most 16384 elements, each inside one parameter; a constant table holds offset,
    length, offset of the bf16 copy (or -1) and the factors of rate and decay. The norm is one f64 sum of squares per
    task, added in order. Frozen parameters have no tasks but those that make their bf16 copies. Decoupled AdamW,
    `p -= rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + decay p)`, writes moments, parameters and bf16 copies in one sweep of explicit vector code. Scratch is `memref.alloc`, for
    moire-plan-memory to place. A module without parameters is left alone.

    Before:
    ```mlir
    moire.param @w : tensor<20xf32> role ffn init normal {stack = 0 : i64, paths = ["w"]}
    ```
    After:
    ```mlir
    memref.global "private" constant @moire_optimizer_tasks : memref<1x3xi64> = dense<[[0, 20, -1]]>
    func.func private @moire_accumulate(%begin: index, %end: index, %acc: memref<32xf32>, %grads: memref<32xf32>) {
      scf.for %task = %begin to %end step %c1 {
        scf.for %i = %c0 to %full step %c16 {
          %a = vector.load %acc[%at] : memref<32xf32>, vector<16xf32>
          ...
    func.func @accumulate(%acc: memref<32xf32> {moire.abi = "accumulator"},
                          %grads: memref<32xf32> {moire.abi = "grads"}) -> i32 {
      moire.launch @moire_accumulate count 1 grain 1(%acc, %grads : memref<32xf32>, memref<32xf32>)
    ```
  }];
  let options = [
    Option<"vectorBits", "vector-bits", "unsigned", /*default=*/"512", "Width of vectors: 128, 256 or 512">,
    Option<"nativeBf16", "native-bf16", "bool", /*default=*/"true",
           "The processor rounds f32 to bf16 (AVX512_BF16); else integer arithmetic does">
  ];
  let dependentDialects = ["::moire::MoireDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

#endif
