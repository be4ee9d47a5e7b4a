//===- dialect/IR/MoireOps.h - the dialect and its operations ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Everything that TableGen makes of the dialect: enumerations, attributes, types, ops.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_DIALECT_IR_MOIREOPS_H
#define MOIRE_DIALECT_IR_MOIREOPS_H

#include "dialect/IR/MoireInterfaces.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/IR/MoireDialect.h.inc"
#include "dialect/IR/MoireEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialect/IR/MoireAttrs.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/IR/MoireTypes.h.inc"

#define GET_OP_CLASSES
#include "dialect/IR/MoireOps.h.inc"

#endif // MOIRE_DIALECT_IR_MOIREOPS_H
