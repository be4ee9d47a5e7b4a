//===- dialect/IR/RepeatOp.cpp - the loop over layers --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Syntax and verifier of moire.repeat: the operands are printed where the body names them, as in
// `moire.repeat 4 carried(%x = %a : tensor<8xf32>) slices(%w = %ws : tensor<4x8xf32>) -> (tensor<8xf32>) { .. }`.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

YieldOp RepeatOp::getYield() { return cast<YieldOp>(getBody().front().getTerminator()); }

//===----------------------------------------------------------------------===//
// Syntax
//===----------------------------------------------------------------------===//

namespace {
/// What stands between the parentheses of `carried(..)` or `slices(..)`.
struct Bindings {
  SmallVector<OpAsmParser::Argument> arguments;
  SmallVector<OpAsmParser::UnresolvedOperand> operands;
  SmallVector<Type> types;
};
} // namespace

/// `( %argument = %operand : type, .. )`, when `keyword` comes next.
static ParseResult parseBindings(OpAsmParser &parser, StringRef keyword, Bindings &bindings) {
  if (failed(parser.parseOptionalKeyword(keyword)))
    return success();
  return parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, [&]() -> ParseResult {
    return failure(parser.parseArgument(bindings.arguments.emplace_back()) || parser.parseEqual() ||
                   parser.parseOperand(bindings.operands.emplace_back()) ||
                   parser.parseColonType(bindings.types.emplace_back()));
  });
}

ParseResult RepeatOp::parse(OpAsmParser &parser, OperationState &result) {
  auto &properties = result.getOrAddProperties<RepeatOp::Properties>();
  int64_t count = 0;
  if (parser.parseInteger(count))
    return failure();
  properties.count = parser.getBuilder().getI64IntegerAttr(count);
  if (succeeded(parser.parseOptionalKeyword("reverse")))
    properties.reverse = parser.getBuilder().getUnitAttr();

  Bindings carried, slices;
  if (parseBindings(parser, "carried", carried))
    return failure();
  SMLoc slicesAt = parser.getCurrentLocation();
  if (parseBindings(parser, "slices", slices) || parser.parseOptionalArrowTypeList(result.types) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();

  SmallVector<OpAsmParser::Argument> arguments;
  for (auto [argument, type] : llvm::zip_equal(carried.arguments, carried.types)) {
    argument.type = type;
    arguments.push_back(argument);
  }
  for (auto [argument, type] : llvm::zip_equal(slices.arguments, slices.types)) {
    auto stacked = dyn_cast<RankedTensorType>(type);
    if (!stacked || stacked.getRank() == 0)
      return parser.emitError(slicesAt, "slices come from tensors with a first extent, got ") << type;
    argument.type = sliceType(stacked);
    arguments.push_back(argument);
  }
  if (parser.parseRegion(*result.addRegion(), arguments))
    return failure();

  properties.operandSegmentSizes = {static_cast<int32_t>(carried.operands.size()),
                                    static_cast<int32_t>(slices.operands.size())};
  return failure(parser.resolveOperands(carried.operands, carried.types, parser.getNameLoc(), result.operands) ||
                 parser.resolveOperands(slices.operands, slices.types, parser.getNameLoc(), result.operands));
}

static void printBindings(OpAsmPrinter &p, StringRef keyword, Block::BlockArgListType arguments,
                          OperandRange operands) {
  if (operands.empty())
    return;
  p << ' ' << keyword << '(';
  llvm::interleaveComma(llvm::zip_equal(arguments, operands), p, [&](auto pair) {
    auto [argument, operand] = pair;
    p << argument << " = " << operand << " : " << operand.getType();
  });
  p << ')';
}

void RepeatOp::print(OpAsmPrinter &p) {
  p << ' ' << getCount();
  if (getReverse())
    p << " reverse";
  printBindings(p, "carried", getCarriedArgs(), getCarried());
  printBindings(p, "slices", getSliceArgs(), getSlices());
  p.printOptionalArrowTypeList(getResultTypes());
  p.printOptionalAttrDictWithKeyword((*this)->getAttrs(), {"count", "reverse", "operandSegmentSizes"});
  p << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

//===----------------------------------------------------------------------===//
// Verifier
//===----------------------------------------------------------------------===//

/// Fails unless `stacked` has `count` as its first extent.
static LogicalResult expectStacked(RepeatOp op, StringRef what, unsigned index, Type stacked) {
  ArrayRef<int64_t> shape = shapeOf(stacked);
  int64_t count = op.getCount();
  if (!shape.empty() && shape.front() == count)
    return success();
  return op.emitOpError("expects ") << what << " #" << index << " to have " << count << " as its first extent, got "
                                    << shapeText(shape);
}

LogicalResult RepeatOp::verify() {
  int64_t count = getCount();
  if (count < 1) // repeat.C4
    return emitOpError("expects a count of at least 1, got ") << count;

  unsigned numCarried = getNumCarried();
  if (getNumResults() < numCarried) // repeat.C2
    return emitOpError("expects a result for each of ") << numCarried << " carried values, got " << getNumResults();
  for (auto [index, slice] : llvm::enumerate(getSlices())) // repeat.C3
    if (failed(expectStacked(*this, "slice operand", index, slice.getType())))
      return failure();
  for (auto [index, result] : llvm::enumerate(getStackedResults())) // repeat.C3
    if (failed(expectStacked(*this, "stacked result", index, result.getType())))
      return failure();

  SmallVector<Type> expected(getCarried().getTypes());
  for (Value slice : getSlices())
    expected.push_back(sliceType(cast<RankedTensorType>(slice.getType())));
  Block &body = getBody().front();
  if (body.getArgumentTypes() != TypeRange(expected)) // repeat.C1
    return emitOpError("expects block arguments of types (")
           << expected << "), got (" << body.getArgumentTypes() << ")";

  expected.assign(getCarried().getTypes().begin(), getCarried().getTypes().end());
  for (auto [index, type] : llvm::enumerate(expected)) // repeat.C2
    if (getResult(index).getType() != type)
      return emitOpError("expects result #")
             << index << " to have the carried type " << type << ", got " << getResult(index).getType();
  for (Value stacked : getStackedResults())
    expected.push_back(sliceType(cast<RankedTensorType>(stacked.getType())));
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield) // repeat.C2
    return emitOpError("expects its body to end in `moire.yield`, got `") << body.getTerminator()->getName() << "`";
  if (yield.getOperandTypes() != TypeRange(expected)) { // repeat.C2
    InFlightDiagnostic diag = emitOpError("expects its body to yield (")
                              << expected << "), got (" << yield.getOperandTypes() << ")";
    diag.attachNote(yield.getLoc()) << "yielded here";
    return diag;
  }
  return success();
}
