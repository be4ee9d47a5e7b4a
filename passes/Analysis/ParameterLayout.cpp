//===- passes/Analysis/ParameterLayout.cpp - where parameters lie -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lays parameters out in the order of the module, frozen ones behind the others, each at a cache line, full precision
// and bf16 copies apart.
//===----------------------------------------------------------------------===//
#include "passes/Analysis/ParameterLayout.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moire;

bool moire::isFrozen(ParamOp param) { return param.getLrFactor().isZero() && !param.getSignRate(); }

ParameterLayout::ParameterLayout(ModuleOp module) {
  type = Float32Type::get(module.getContext());
  for (ParamOp param : module.getOps<ParamOp>()) {
    ParameterSlot slot;
    slot.param = param;
    RankedTensorType tensor = slot.type();
    for (int64_t extent : tensor.getShape().take_front(param.getStack()))
      slot.instances *= extent;
    slot.instanceElements = 1;
    for (int64_t extent : slot.instanceShape())
      slot.instanceElements *= extent;
    if (!isFrozen(param)) {
      slot.offset = trained;
      trained += llvm::alignTo(slot.elements(), alignment);
    }
    if (param.getCompute()) {
      slot.computeOffset = narrow;
      narrow += llvm::alignTo(slot.elements(), alignment);
    }
    exact += slot.elements();
    if (tensor.getElementType().isF64())
      type = Float64Type::get(module.getContext());
    byName[param.getSymName()] = all.size();
    all.push_back(slot);
  }
  elements = trained;
  for (ParameterSlot &slot : all)
    if (isFrozen(slot.param)) {
      slot.offset = elements;
      elements += llvm::alignTo(slot.elements(), alignment);
    }
}

const ParameterSlot *ParameterLayout::lookup(StringRef name) const {
  auto found = byName.find(name);
  return found == byName.end() ? nullptr : &all[found->second];
}

const ParameterSlot *ParameterLayout::lookup(Attribute reference) const {
  auto symbol = dyn_cast_or_null<FlatSymbolRefAttr>(reference);
  return symbol ? lookup(symbol.getValue()) : nullptr;
}
