//===- passes/Conversion/Rowwise/ConstantPool.h - each constant once --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Unrolled vector code asks for the same constants again and again; every one that is written is carried through all
// passes that follow.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_PASSES_CONVERSION_ROWWISE_CONSTANTPOOL_H
#define MOIRE_PASSES_CONVERSION_ROWWISE_CONSTANTPOOL_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/DenseMap.h"

namespace moire::rows {

/// Constants of functions, each made once, at the function's beginning.
class ConstantPool {
public:
  /// `value` as a constant of the function that the builder writes in.
  mlir::Value get(mlir::OpBuilder &builder, mlir::Location loc, mlir::TypedAttr value) {
    mlir::Block *block = builder.getInsertionBlock();
    auto function = llvm::dyn_cast<mlir::FunctionOpInterface>(block->getParentOp());
    if (!function)
      function = block->getParentOp()->getParentOfType<mlir::FunctionOpInterface>();
    mlir::Value &known = constants[{function.getOperation(), value}];
    if (!known) {
      mlir::OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(&function.getFunctionBody().front());
      known = mlir::arith::ConstantOp::create(builder, loc, value);
    }
    return known;
  }

private:
  llvm::DenseMap<std::pair<mlir::Operation *, mlir::Attribute>, mlir::Value> constants;
};

} // namespace moire::rows

#endif // MOIRE_PASSES_CONVERSION_ROWWISE_CONSTANTPOOL_H
