//===- dialect/IR/DocumentOps.cpp - where documents begin ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the ops on documents ask of their operands, and what they cost.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/Verify.h"

using namespace mlir;
using namespace moire;

LogicalResult DocumentPositionsOp::verify() {
  Type tokens = getTokens().getType();
  if (failed(expectRank(*this, "tokens", tokens, 2)) || // document_positions.C1
      failed(expectType(*this, "y", getY().getType(), tokens)))
    return failure();
  if (bool(getCount()) != bool(getNext())) // document_positions.C2
    return emitOpError("expects `count` and a second result together");
  for (auto [name, value] : {std::pair("count", getCount()), std::pair("next", getNext())}) // document_positions.C2
    if (value && failed(expectShape(*this, name, value.getType(), {shapeOf(tokens)[0]}, getTokens())))
      return failure();
  return expect(int64_t(getSeparator()) >= 0, *this, "a separator of 0 or more", // document_positions.C3
                int64_t(getSeparator()));
}

LogicalResult ReachesBackOp::verify() {
  if (failed(expectShape(*this, "y", getY().getType(), shapeOf(getDocuments().getType()),
                         getDocuments()))) // reaches_back.C1
    return failure();
  return expect(int64_t(getBy()) >= 0, *this, "to look 0 or more tokens back", int64_t(getBy())); // reaches_back.C2
}

LogicalResult moire::expectDocuments(Operation *op, Value documents, Value of) {
  if (!documents)
    return success();
  return expectShape(op, "documents", documents.getType(), shapeOf(of.getType()).take_front(2), of);
}
