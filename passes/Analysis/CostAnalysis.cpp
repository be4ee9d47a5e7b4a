//===- passes/Analysis/CostAnalysis.cpp - the bill --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums what the ops say of themselves. Nothing is estimated from names or sizes of layers.
//===----------------------------------------------------------------------===//
#include "passes/Analysis/CostAnalysis.h"
#include "passes/Analysis/ParameterLayout.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include <algorithm>
#include <cmath>
#include <map>

using namespace mlir;
using namespace moire;

static Cost costOf(Block &block) {
  Cost sum;
  for (Operation &op : block) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      sum += costOf(repeat.getBody().front()).scaled(double(repeat.getCount()));
    else if (auto costed = dyn_cast<CostedOpInterface>(op))
      sum += costed.getCost();
  }
  return sum;
}

Cost moire::costOf(func::FuncOp function) { return ::costOf(function.getBody().front()); }

/// Calls `visit` for the arguments of the function that `value` is made of, each once, if it is made of parameters
/// alone: a matrix of weights, or one that is composed of several. Whether it is.
static bool visitWeights(Value value, llvm::SmallPtrSetImpl<void *> &seen, function_ref<void(BlockArgument)> visit) {
  if (!seen.insert(value.getAsOpaquePointer()).second)
    return true;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Operation *owner = argument.getOwner()->getParentOp();
    if (auto repeat = dyn_cast<RepeatOp>(owner))
      return argument.getArgNumber() >= repeat.getNumCarried() &&
             visitWeights(repeat->getOperand(argument.getArgNumber()), seen, visit);
    auto function = dyn_cast<func::FuncOp>(owner);
    if (!function || !function.getArgAttr(argument.getArgNumber(), "moire.param"))
      return false;
    visit(argument);
    return true;
  }
  Operation *op = value.getDefiningOp();
  return !isa<RepeatOp>(op) &&
         llvm::all_of(op->getOperands(), [&](Value operand) { return visitWeights(operand, seen, visit); });
}

/// How often each copy of `param` is read by one run of `op`'s function.
static double usesOf(Operation *op, ParamOp param) {
  double executions = 1, copies = 1;
  for (auto repeat = op->getParentOfType<RepeatOp>(); repeat; repeat = repeat->getParentOfType<RepeatOp>())
    executions *= static_cast<double>(repeat.getCount());
  for (int64_t extent : param.getType().getShape().take_front(param.getStack()))
    copies *= static_cast<double>(extent);
  return executions / copies;
}

/// A grouped product sends `rows` rows through `experts` matrices; a token makes `rows / tokens` of them. Uses of one
/// pool add up: a token may meet other experts in each, but no more than there are.
static void noteActive(func::FuncOp function, int64_t tokens, SymbolTable &symbols) {
  llvm::MapVector<ParamOp, double> shares;
  function.walk([&](GroupedLinearOp op) {
    llvm::SmallPtrSet<void *, 16> seen;
    llvm::SmallVector<BlockArgument> weights;
    // Weights may be composed of others; a product of weights alone is such a composition, and no token passes it.
    auto isWeight = [&](Value value) {
      return visitWeights(value, seen, [&](BlockArgument argument) { weights.push_back(argument); });
    };
    if (op.getTranspose() || !isWeight(op.getW()))
      return;
    size_t read = weights.size();
    seen.clear();
    if (isWeight(op.getX()) && weights.size() > read) // ones times a bias is none: tokens pass it
      return;
    weights.resize(read);
    int64_t rows = cast<ShapedType>(op.getY().getType()).getDimSize(0);
    int64_t experts = cast<ShapedType>(op.getW().getType()).getDimSize(0);
    for (BlockArgument argument : weights) {
      auto name = function.getArgAttrOfType<FlatSymbolRefAttr>(argument.getArgNumber(), "moire.param");
      if (auto param = symbols.lookup<ParamOp>(name.getValue()))
        shares[param] += usesOf(op, param) * double(rows) / double(tokens * experts);
    }
  });
  for (auto [param, share] : shares) {
    int64_t active = std::llround(double(param.getType().getNumElements()) * std::min(share, 1.0));
    ParamOp(param)->setAttr("moire.active_elements",
                            IntegerAttr::get(IntegerType::get(function.getContext(), 64), active));
  }
}

void moire::noteCosts(ModuleOp module) {
  Builder builder(module.getContext());
  SymbolTable symbols(module);
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal() || function.getNumArguments() == 0)
      continue;
    auto first = dyn_cast<RankedTensorType>(function.getArgumentTypes().front());
    if (!first)
      continue;
    bool objective = false;
    for (unsigned result = 0; result < function.getNumResults(); ++result)
      objective |= bool(function.getResultAttr(result, "moire.objective"));
    function->setAttr(objective ? "moire.forward_flops" : "moire.flops",
                      builder.getF64FloatAttr(costOf(function).flops));
    if (first.getElementType().isInteger(32))
      noteActive(function, first.getNumElements(), symbols);
  }
}

static double noted(ModuleOp module, StringRef function, StringRef name) {
  auto *op = module.lookupSymbol(function);
  auto value = op ? op->getAttrOfType<FloatAttr>(name) : FloatAttr();
  return value ? value.getValueAsDouble() : 0;
}

/// Batches in an update, of the train section that the package carries.
static int64_t accumulated(DictionaryAttr package) {
  auto train = package ? package.getAs<StringAttr>("train") : StringAttr();
  auto settings = llvm::json::parse(train ? train.getValue() : "{}");
  if (!settings) {
    llvm::consumeError(settings.takeError());
    return 1;
  }
  const llvm::json::Object *object = settings->getAsObject();
  return object ? object->getInteger("accumulate").value_or(1) : 1;
}

/// The layer that owns a parameter: its path up to the first name behind the last number of an iteration.
/// `layers.#.moe.router.weight` is of `layers.#.moe`.
static StringRef layerOf(StringRef name) {
  auto isIteration = [](StringRef part) { return part.contains('#') || llvm::all_of(part, llvm::isDigit); };
  size_t end = 0;
  for (size_t begin = 0, dot; (dot = name.find('.', begin)) != StringRef::npos; begin = dot + 1)
    if (end == 0 || isIteration(name.slice(begin, dot)))
      end = std::min(name.find('.', isIteration(name.slice(begin, dot)) ? dot + 1 : begin), name.size());
  return end == 0 ? name : name.take_front(end);
}

namespace {
/// Parameters of one part of a model.
struct Share {
  int64_t total = 0, active = 0;
};
} // namespace

std::string moire::costJson(ModuleOp module, int64_t arenaBytes) {
  ParameterLayout layout(module);
  std::map<std::string, int64_t> roles;
  llvm::MapVector<StringRef, Share> layers;
  int64_t active = 0, frozen = 0;
  for (const ParameterSlot &slot : layout.slots()) {
    ParamOp param = slot.param;
    frozen += isFrozen(param) ? slot.elements() : 0;
    roles[stringifyRole(param.getRole()).str()] += slot.elements();
    auto some = param->getAttrOfType<IntegerAttr>("moire.active_elements");
    active += some ? some.getInt() : slot.elements();
    Share &layer = layers[layerOf(param.getSymName())];
    layer.total += slot.elements();
    layer.active += some ? some.getInt() : slot.elements();
  }
  auto number = [&](StringRef name) {
    auto package = module->getAttrOfType<DictionaryAttr>("moire.package");
    auto value = package ? package.getAs<IntegerAttr>(name) : IntegerAttr();
    return value ? value.getInt() : int64_t(0);
  };
  double tokens = std::max<double>(1, double(number("batch")) * double(number("context")));
  double forward = noted(module, "train", "moire.forward_flops"), training = noted(module, "train", "moire.flops");
  int64_t width = layout.elementType().getWidth() / 8;
  int64_t weights = layout.parameterElements() * width + layout.computeElements() * 2;
  int64_t gradients = layout.trainedElements() * width, optimizer = 2 * gradients;
  // Batches of an update are summed beside the gradients of the last one.
  if (accumulated(module->getAttrOfType<DictionaryAttr>("moire.package")) > 1)
    gradients *= 2;
  int64_t alive = 0;
  if (Operation *train = module.lookupSymbol("train"))
    if (auto bytes = train->getAttrOfType<IntegerAttr>("moire.live_bytes"))
      alive = bytes.getInt();

  std::string text;
  llvm::raw_string_ostream out(text);
  llvm::json::OStream json(out);
  json.object([&] {
    json.attributeObject("parameters", [&] {
      json.attribute("total", layout.exactElements());
      json.attribute("active", active);
      if (frozen > 0)
        json.attribute("frozen", frozen);
      json.attributeObject("by_role", [&] {
        for (auto &[role, elements] : roles)
          json.attribute(role, elements);
      });
    });
    json.attributeObject("flops_per_token", [&] {
      json.attribute("forward", std::llround(forward / tokens));
      json.attribute("training", std::llround(training / tokens));
    });
    json.attributeObject("bytes", [&] {
      json.attribute("weights", weights);
      json.attribute("gradients", gradients);
      json.attribute("optimizer", optimizer);
      json.attribute("activations", alive);
      json.attribute("arena", arenaBytes);
      json.attribute("peak", weights + gradients + optimizer + arenaBytes);
    });
    json.attributeObject("layers", [&] {
      for (auto &[layer, share] : layers)
        json.attributeObject(layer, [&, &share = share] {
          json.attribute("total", share.total);
          json.attribute("active", share.active);
        });
    });
    auto package = module->getAttrOfType<DictionaryAttr>("moire.package");
    json.attributeObject("proofs", [&] {
      auto proofs = package ? package.getAs<DictionaryAttr>("proofs") : DictionaryAttr();
      for (NamedAttribute proof : proofs ? proofs.getValue() : ArrayRef<NamedAttribute>())
        json.attributeArray(proof.getName(), [&] {
          for (Attribute line : cast<ArrayAttr>(proof.getValue()))
            json.value(cast<StringAttr>(line).getValue());
        });
    });
  });
  return text;
}
