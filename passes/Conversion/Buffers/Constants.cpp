//===- passes/Conversion/Buffers/Constants.cpp - tables in the package ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rotary tables, offsets of equal groups, and the pool that keeps equal tables once.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Buffers/Constants.h"
#include <cmath>

using namespace mlir;
using namespace moire;

std::pair<DenseElementsAttr, DenseElementsAttr> moire::rotaryTables(RotaryTableOp op) {
  auto type = cast<RankedTensorType>(op.getCos().getType());
  int64_t positions = type.getDimSize(0), half = type.getDimSize(1);
  SmallVector<double> cosines, sines, frequencies = op.frequencies();
  for (int64_t position = 0; position < positions; ++position)
    for (int64_t pair = 0; pair < half; ++pair) {
      double angle = double(position) * frequencies[pair];
      cosines.push_back(std::cos(angle));
      sines.push_back(std::sin(angle));
    }
  auto rounded = [&](ArrayRef<double> values) -> DenseElementsAttr {
    if (type.getElementType().isF64())
      return DenseElementsAttr::get(type, values);
    SmallVector<float> narrow(values.begin(), values.end());
    return DenseElementsAttr::get(type, ArrayRef<float>(narrow));
  };
  return {rounded(cosines), rounded(sines)};
}

DenseElementsAttr moire::evenOffsets(EvenOffsetsOp op) {
  RankedTensorType type = op.getOffsets().getType();
  SmallVector<int32_t> offsets;
  for (int64_t e = 0; e < type.getNumElements(); ++e)
    offsets.push_back(static_cast<int32_t>(e * op.getRows()));
  return DenseElementsAttr::get(type, ArrayRef<int32_t>(offsets));
}

Place ConstantPool::place(Location loc, DenseElementsAttr value, func::FuncOp function) {
  auto type = cast<RankedTensorType>(value.getType());
  memref::GlobalOp &global = globals[value];
  OpBuilder builder(module.getContext());
  if (!global) {
    builder.setInsertionPointToStart(module.getBody());
    auto memref = MemRefType::get(type.getShape(), type.getElementType());
    std::string name = "constant_" + std::to_string(globals.size() - 1);
    global = memref::GlobalOp::create(builder, loc, name, builder.getStringAttr("private"), memref, value,
                                      /*constant=*/true, builder.getI64IntegerAttr(64));
  }
  Root *&root = readers[{value, function}];
  if (!root) {
    root = &roots.emplace_back(loc);
    root->kind = Root::Kind::Constant;
    root->element = type.getElementType();
    root->shape.assign(type.getShape().begin(), type.getShape().end());
    root->writable = false;
    builder.setInsertionPointToStart(&function.getBody().front());
    root->memref = memref::GetGlobalOp::create(builder, loc, global.getType(), global.getSymName());
  }
  return Place::whole(*root);
}
