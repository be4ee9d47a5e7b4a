//===- passes/Proofs/Report.cpp - what proofs say, and where ----------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A spec's op carries the range of its text; calls of blocks stand around it and are left to the diagnostic handler.
//===----------------------------------------------------------------------===//
#include "passes/Proofs/Report.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace moire {

/// Notes at more lines than this say less than fewer would.
static constexpr size_t longestTrail = 8;

std::string placeOf(Location loc) {
  auto place = loc->findInstanceOf<FileLineColRange>();
  if (!place)
    return "";
  return (place.getFilename().getValue() + ":" + llvm::Twine(place.getStartLine())).str();
}

void attachTrail(InFlightDiagnostic &diagnostic, Location start, ArrayRef<Value> values) {
  llvm::StringSet<> seen;
  seen.insert(placeOf(start));
  SmallVector<Location> places;
  for (Value value : values) {
    std::string place = placeOf(value.getLoc());
    if (!place.empty() && seen.insert(place).second)
      places.push_back(value.getLoc());
  }
  size_t left = places.size() > longestTrail ? places.size() - longestTrail : 0;
  for (auto [index, place] : llvm::enumerate(places)) {
    if (left > 0 && index >= longestTrail / 2 && index < longestTrail / 2 + left)
      continue;
    Diagnostic &note = diagnostic.attachNote(place);
    note << "from there it comes through here";
    if (left > 0 && index == longestTrail / 2 + left)
      note << ", after " << left << " more lines";
  }
}

void recordProof(ModuleOp module, StringRef proof, ArrayRef<std::string> lines) {
  auto package = module->getAttrOfType<DictionaryAttr>("moire.package");
  if (!package)
    return;
  Builder builder(module.getContext());
  NamedAttrList entries(package);
  NamedAttrList proofs(llvm::dyn_cast_or_null<DictionaryAttr>(entries.get("proofs")));
  SmallVector<Attribute> all;
  if (auto before = llvm::dyn_cast_or_null<ArrayAttr>(proofs.get(proof)))
    llvm::append_range(all, before);
  for (const std::string &line : lines) {
    Attribute text = builder.getStringAttr(line);
    if (!llvm::is_contained(all, text))
      all.push_back(text);
  }
  proofs.set(proof, builder.getArrayAttr(all));
  entries.set("proofs", proofs.getDictionary(module.getContext()));
  module->setAttr("moire.package", entries.getDictionary(module.getContext()));
}

} // namespace moire
