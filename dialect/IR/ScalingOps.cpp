//===- dialect/IR/ScalingOps.cpp - how parameters start and learn ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the ops of the train section ask of their attributes.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace moire;

LogicalResult MupOp::verify() {
  std::pair<StringRef, APFloat> factors[] = {{"input", getInput()}, {"output", getOutput()}};
  for (auto &[name, factor] : factors)
    if (double value = factor.convertToDouble(); !(value > 0)) // mup.C1
      return emitOpError("expects `") << name << "` above 0, got " << value;
  for (NamedAttribute entry : getBase()) {
    auto extents = dyn_cast<DenseI64ArrayAttr>(entry.getValue());
    if (!extents || llvm::any_of(extents.asArrayRef(), [](int64_t extent) { return extent < 1; })) // mup.C2
      return emitOpError("expects extents of 1 or more for `")
             << entry.getName().strref() << "`, got " << entry.getValue();
  }
  return success();
}

LogicalResult RateOp::verify() {
  if (bool(getRoleAttr()) == bool(getPathAttr())) // rate.C1
    return emitOpError("expects either a role or a path");
  std::pair<StringRef, APFloat> rates[] = {{"start", getStart()}, {"end", getEnd()}};
  for (auto &[name, rate] : rates)
    if (double value = rate.convertToDouble(); !(value >= 0)) // rate.C2
      return emitOpError("expects `") << name << "` of 0 or more, got " << value;
  return success();
}
