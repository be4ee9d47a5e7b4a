//===- frontend/tools/moirec/Blocks.cpp - a model's blocks for other programs =//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The model level as a list: what `moire transform` decides by.
//===----------------------------------------------------------------------===//
#include "frontend/tools/moirec/Blocks.h"
#include "dialect/IR/MoireOps.h"
#include "frontend/tools/moirec/Backend.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace mlir;

namespace moire {

/// Numbers, booleans and text as themselves; an enumeration as its word.
static llvm::json::Value toJson(Attribute attribute) {
  if (isa<UnitAttr>(attribute))
    return true;
  if (auto boolean = dyn_cast<BoolAttr>(attribute))
    return boolean.getValue();
  if (auto number = dyn_cast<IntegerAttr>(attribute))
    return number.getInt();
  if (auto number = dyn_cast<FloatAttr>(attribute))
    return number.getValueAsDouble();
  if (auto text = dyn_cast<StringAttr>(attribute))
    return text.getValue();
  if (auto list = dyn_cast<ArrayAttr>(attribute)) {
    llvm::json::Array array;
    for (Attribute item : list)
      array.push_back(toJson(item));
    return array;
  }
  std::string printed; // `#moire<choice token>`
  llvm::raw_string_ostream(printed) << attribute;
  llvm::StringRef word = printed;
  return word.drop_back(word.ends_with(">")).rsplit(' ').second.str(); // a copy: `printed` goes
}

/// The paths of the routers that send tokens to a pool, which may be used more than once.
static llvm::json::Array routersOf(ExpertsOp pool) {
  llvm::json::Array routers;
  pool->getParentOfType<ModelOp>().walk([&](ExpertsOp use) {
    auto router = use.getRouting().getDefiningOp<RouterOp>();
    if (use.getPath() == pool.getPath() && router && !llvm::is_contained(routers, llvm::json::Value(router.getPath())))
      routers.push_back(router.getPath());
  });
  return routers;
}

/// What muP multiplies the scores of an attention by, beside 1 / sqrt(dim): sqrt(base dim / dim).
static double scoreFactor(Operation *op, int64_t dim) {
  for (auto mup : op->getParentOfType<ModuleOp>().getOps<MupOp>())
    if (auto base = mup.getBase().getAs<DenseI64ArrayAttr>(op->getAttrOfType<StringAttr>("path")))
      return std::sqrt(double(base[0]) / double(dim));
  return 1;
}

static llvm::json::Object describe(Operation *op) {
  llvm::json::Object attributes;
  for (NamedAttribute attribute : op->getAttrDictionary())
    if (attribute.getName() != "path" && attribute.getName() != "paths")
      attributes[attribute.getName().getValue()] = toJson(attribute.getValue());
  if (auto experts = dyn_cast<ExpertsOp>(op)) {
    attributes["experts"] = experts.getRouting().getType().getExperts();
    attributes["routers"] = routersOf(experts);
  }
  if (auto attention = dyn_cast<AttentionOp>(op); attention && !attention.getScale())
    attributes["mup_scores"] = scoreFactor(op, attention.getHeadDim());
  if (auto attention = dyn_cast<LatentAttentionOp>(op))
    attributes["mup_scores"] = scoreFactor(op, attention.getNopeDim() + attention.getRopeDim());
  return llvm::json::Object{{"op", op->getName().stripDialect()},
                            {"path", op->getAttrOfType<StringAttr>("path").getValue()},
                            {"paths", toJson(op->getAttr("paths"))},
                            {"attributes", std::move(attributes)}};
}

LogicalResult writeBlocks(ModuleOp module, llvm::StringRef output) {
  ModelOp model;
  llvm::json::Array blocks;
  llvm::StringSet<> seen;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (auto found = dyn_cast<ModelOp>(op))
      model = found;
    auto path = op->getAttrOfType<StringAttr>("path");
    if (path && op->hasAttrOfType<ArrayAttr>("paths") && seen.insert(path.getValue()).second)
      blocks.push_back(describe(op));
  });
  if (!model)
    return emitError(module.getLoc()) << "blocks are those of the model level, and there is no model here";
  std::string text;
  llvm::raw_string_ostream os(text);
  os << llvm::formatv(
      "{0}\n", llvm::json::Value(llvm::json::Object{{"model", model.getSymName()}, {"blocks", std::move(blocks)}}));
  return writeText(text, output, module.getLoc());
}

} // namespace moire
