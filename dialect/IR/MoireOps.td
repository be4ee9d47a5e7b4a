//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All operations, for TableGen: one file per family.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_OPS_TD
#define MOIRE_OPS_TD

include "dialect/IR/ModelOps.td"
include "dialect/IR/LengthOps.td"
include "dialect/IR/PointwiseOps.td"
include "dialect/IR/RowOps.td"
include "dialect/IR/MixingOps.td"
include "dialect/IR/SsdOps.td"
include "dialect/IR/DocumentOps.td"
include "dialect/IR/RoutingOps.td"
include "dialect/IR/GroupOps.td"
include "dialect/IR/FusedOps.td"
include "dialect/IR/ScalingOps.td"

#endif
