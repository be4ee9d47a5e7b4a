//===- dialect/IR/MoireDialect.cpp - registration ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything that TableGen defines, compiled once here. What is written by hand (verifiers, inference, folds, costs,
// positions, reverse rules) has its own files, so that editing one of them does not compile this one again.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialect/IR/MoireDialect.cpp.inc"
#include "dialect/IR/MoireEnums.cpp.inc"
#include "dialect/IR/MoireInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/IR/MoireAttrs.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/IR/MoireTypes.cpp.inc"

#define GET_OP_CLASSES
#include "dialect/IR/MoireOps.cpp.inc"

void moire::MoireDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/IR/MoireAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/IR/MoireTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/IR/MoireOps.cpp.inc"
      >();
}
