//===----------------------------------------------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What passes ask of an op: its reverse rule, its cost, how its results depend on positions.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_INTERFACES_TD
#define MOIRE_INTERFACES_TD

include "mlir/IR/OpBase.td"

def DifferentiableOpInterface : OpInterface<"DifferentiableOpInterface"> {
  let cppNamespace = "::moire";
  let description = [{
    An op with a reverse rule. The rule stands in ReverseRules.cpp, and nowhere else.
  }];
  let methods = [
    InterfaceMethod<[{
      Builds the vector-Jacobian product. `scope.cotangent(result)` gives the cotangent of a result, or null when it
      is zero; `scope.wanted(operand)` says whether the operand's is asked for; `scope.accumulate(operand, gradient)`
      hands it over. Cotangents have the type of the value they belong to, except that those of parameters are full
      precision.
      Called only when at least one result has a cotangent and at least one operand's is wanted.
    }], "::llvm::LogicalResult", "buildReverse", (ins "::mlir::OpBuilder &":$builder, "::moire::ReverseScope &":$scope)>
  ];
}

def CostedOpInterface : OpInterface<"CostedOpInterface"> {
  let cppNamespace = "::moire";
  let description = [{ An op that knows what it costs: the source of every bill. }];
  let methods = [
    InterfaceMethod<"Floating-point operations and bytes moved by one execution (a multiply-add counts as two).",
                    "::moire::Cost", "getCost">
  ];
}

def PositionalOpInterface : OpInterface<"PositionalOpInterface"> {
  let cppNamespace = "::moire";
  let description = [{
    An op that says how positions of a result depend on positions of an operand, along the sequence and along the
    batch. What causality and isolation are proved from.
  }];
  let methods = [
    InterfaceMethod<"Dependence of result number `result` on operand number `operand`.",
                    "::moire::Dependence", "getDependence", (ins "unsigned":$operand, "unsigned":$result)>
  ];
}

def RowOpInterface : OpInterface<"RowOpInterface"> {
  let cppNamespace = "::moire";
  let description = [{
    An op that works row by row: every result row depends on the operand rows with the same leading index (and on
    operands taken whole or broadcast). Such ops can live inside `moire.rowwise` at the rank of one row.
  }];
  let methods = [
    InterfaceMethod<[{
      Rank of one row of an operand: 1 for features, 0 for a scalar per row; -1 for an operand that every row
      reads whole.
    }], "int64_t", "getOperandRowRank", (ins "unsigned":$operand)>,
    InterfaceMethod<"Rank of one row of a result.", "int64_t", "getResultRowRank", (ins "unsigned":$result)>,
    InterfaceMethod<"Whether a result is summed over all rows instead of being one row per row.",
                    "bool", "isResultSummed", (ins "unsigned":$result), "", "return false;">,
    InterfaceMethod<[{
      Whether this very op works row by row: false for a slice or a concatenation along another dimension than the
      last, and for a sum over leading extents that leaves more than one row.
    }], "bool", "worksRowByRow", (ins), "", "return true;">
  ];
}

/// Short names for the traits that most ops have.
defvar Differentiable = DeclareOpInterfaceMethods<DifferentiableOpInterface>;
defvar Costed = DeclareOpInterfaceMethods<CostedOpInterface>;
defvar Positional = DeclareOpInterfaceMethods<PositionalOpInterface>;
defvar Rows = DeclareOpInterfaceMethods<RowOpInterface>;
defvar SummedRows = DeclareOpInterfaceMethods<RowOpInterface, ["isResultSummed"]>;
defvar SomeRows = DeclareOpInterfaceMethods<RowOpInterface, ["worksRowByRow"]>;
defvar SummedSomeRows = DeclareOpInterfaceMethods<RowOpInterface, ["isResultSummed", "worksRowByRow"]>;

#endif
