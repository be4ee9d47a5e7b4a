//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the train section says of how parameters start and learn: beside the model until passes have written it into
// the parameters.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_SCALING_OPS_TD
#define MOIRE_SCALING_OPS_TD

include "dialect/IR/MoireEnums.td"
include "dialect/IR/MoireInterfaces.td"

def Moire_MupOp : Moire_Op<"mup", [HasParent<"::mlir::ModuleOp">]> {
  let summary = "Maximal-update scaling from a base model";
  let description = [{
    Asks `moire-mup` for the scaling of muP (arXiv 2203.03466) relative to a base model: the same spec at other
    hyperparameters. `base` holds the extents of each parameter there, those of one copy; for a block of attention under
    its path the size of a head. `input` multiplies what embeddings give, `output` the logits. `router` says how weights
    of routers are treated: as the `head` (first values and rate of the base, scores divided by the growth of the
    width), as in the `branch` of arXiv 2508.09752's code (the same, scores not divided), or as `hidden` weights.

    - (C1) input and output are above 0
    - (C2) every entry of base is an array of extents, each at least 1

    Example:
    ```mlir
    moire.mup input 1.0 output 1.0 router head base {"attention" = array<i64: 32>, head.weight = array<i64: 64, 256>}
    ```
  }];
  let arguments = (ins F64Attr:$input, F64Attr:$output, Moire_RouterScalingAttr:$router, DictionaryAttr:$base);
  let assemblyFormat = "`input` $input `output` $output `router` $router `base` $base attr-dict";
  let hasVerifier = 1;
}

def Moire_RateOp : Moire_Op<"rate", [HasParent<"::mlir::ModuleOp">]> {
  let summary = "Relative learning rate of some parameters";
  let description = [{
    Asks `moire-rates` to give the parameters of a `role`, or those whose path matches `path` (`*` stands for any
    characters), `start` times the scheduled learning rate at the beginning and `end` times the one at the end (arXiv
    2507.03526). A path comes before a role.

    - (C1) either a role or a path
    - (C2) start and end are 0 or more

    Example:
    ```mlir
    moire.rate role router start 0.6 end 1.0
    moire.rate path "layers.*.attention.*" start 1.0 end 0.2
    ```
  }];
  let arguments = (ins OptionalAttr<Moire_RoleAttr>:$role, OptionalAttr<StrAttr>:$path, F64Attr:$start, F64Attr:$end);
  let assemblyFormat = "(`role` $role^)? (`path` $path^)? `start` $start `end` $end attr-dict";
  let hasVerifier = 1;
}

#endif
