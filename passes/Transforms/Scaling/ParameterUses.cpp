//===- ParameterUses.cpp - what reads a parameter ---------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A worklist of values that hold the parameter or a part of it.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Scaling/ParameterUses.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace moire {

static void follow(Value value, ParameterUses &uses) {
  for (OpOperand &use : value.getUses()) {
    if (auto repeat = dyn_cast<RepeatOp>(use.getOwner())) {
      unsigned number = use.getOperandNumber();
      if (number >= repeat.getNumCarried())
        follow(repeat.getSliceArgs()[number - repeat.getNumCarried()], uses);
      continue;
    }
    if (auto cast = dyn_cast<CastOp>(use.getOwner()))
      follow(cast.getY(), uses);
    else
      uses.push_back(&use);
  }
}

llvm::MapVector<ParamOp, ParameterUses> usesOfParameters(ModuleOp module) {
  llvm::MapVector<ParamOp, ParameterUses> all;
  for (auto param : module.getOps<ParamOp>())
    all[param];
  SymbolTable symbols(module);
  for (auto function : module.getOps<func::FuncOp>())
    for (BlockArgument argument : function.getArguments())
      if (auto name = function.getArgAttrOfType<FlatSymbolRefAttr>(argument.getArgNumber(), "moire.param"))
        if (auto param = symbols.lookup<ParamOp>(name.getValue()))
          follow(argument, all[param]);
  return all;
}

} // namespace moire
