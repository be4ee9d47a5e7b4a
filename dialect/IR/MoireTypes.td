//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Types: what is no tensor at the model level.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_TYPES_TD
#define MOIRE_TYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "dialect/IR/MoireDialect.td"

def Moire_Routing : TypeDef<Moire_Dialect, "Routing"> {
  let mnemonic = "routing";
  let summary = "Which experts the tokens of a stream go to, and with what weight";
  let description = [{
    Result of `moire.router`, read by `moire.experts`. Opaque at the model level; expansion turns it into tensors:
    gates, and the assignments sorted by expert. `batch` and `time` are the extents of the stream that was routed,
    `experts` counts the experts that have parameters.
  }];
  let parameters = (ins "int64_t":$batch, "int64_t":$time, "int64_t":$experts);
  let assemblyFormat = "`<` struct(params) `>`";
}

#endif
