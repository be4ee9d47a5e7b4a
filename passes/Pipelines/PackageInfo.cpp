//===- passes/Pipelines/PackageInfo.cpp - what a package says of itself -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Offsets of parameters come from ParameterLayout; those of states and metrics are decided here, in the order of the
// functions' arguments.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/PackageInfo.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Analysis/ParameterLayout.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moire;

int64_t ArgumentInfo::elements() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

int64_t ArgumentInfo::bytes() const { return elements() * (element.getIntOrFloatBitWidth() / 8); }

const FunctionInfo *PackageInfo::function(StringRef name) const {
  for (const FunctionInfo &each : functions)
    if (each.name == name)
      return &each;
  return nullptr;
}

/// What the attributes of one argument say. `metrics` is the next free element of the metrics array.
static LogicalResult readArgument(LLVM::LLVMFuncOp function, unsigned number, const ParameterLayout &layout,
                                  int64_t &inputs, int64_t &metrics, ArgumentInfo &info) {
  auto attribute = [&](StringRef name) { return function.getArgAttr(number, name); };
  auto slotOf = [&](Attribute reference) -> FailureOr<const ParameterSlot *> {
    if (const ParameterSlot *slot = layout.lookup(reference))
      return slot;
    return function.emitError("argument ") << number << " belongs to a parameter that is not declared: " << reference;
  };
  if (attribute("moire.arena")) {
    info.role = ArgumentRole::Arena;
  } else if (auto name = dyn_cast_or_null<StringAttr>(attribute("moire.abi"))) {
    info.role = ArgumentRole::Named;
    info.kind = name.str();
  } else if (Attribute param = attribute("moire.param")) {
    FailureOr<const ParameterSlot *> slot = slotOf(param);
    if (failed(slot))
      return failure();
    info.role = ArgumentRole::Parameter;
    info.narrow = info.element.isBF16();
    info.number = info.narrow ? (*slot)->computeOffset : (*slot)->offset;
    if (info.number < 0)
      return function.emitError("argument ") << number << " reads a bf16 copy of " << param << ", which has none";
  } else if (Attribute gradient = attribute("moire.gradient")) {
    FailureOr<const ParameterSlot *> slot = slotOf(gradient);
    if (failed(slot))
      return failure();
    info.role = ArgumentRole::Gradient;
    info.number = (*slot)->offset;
  } else if (auto state = dyn_cast_or_null<IntegerAttr>(attribute("moire.state"))) {
    info.role = ArgumentRole::State;
    info.number = state.getInt();
  } else if (attribute("moire.seed")) {
    info.role = ArgumentRole::Seed;
  } else if (attribute("moire.position")) {
    info.role = ArgumentRole::Position;
  } else if (auto kind = dyn_cast_or_null<StringAttr>(attribute("moire.metric_kind"))) {
    info.role = ArgumentRole::Metric;
    info.kind = kind.str();
    info.number = metrics;
    metrics += info.elements();
    if (auto paths = dyn_cast_or_null<ArrayAttr>(attribute("moire.metric_paths")))
      for (Attribute path : paths)
        info.paths.push_back(cast<StringAttr>(path).str());
  } else if (auto result = dyn_cast_or_null<IntegerAttr>(attribute("moire.result"))) {
    info.role = ArgumentRole::Result;
    info.number = result.getInt();
  } else {
    info.number = inputs++;
  }
  return success();
}

static FailureOr<FunctionInfo> readFunction(LLVM::LLVMFuncOp function, const ParameterLayout &layout) {
  FunctionInfo info;
  info.name = function.getSymName().str();
  auto types = function->getAttrOfType<ArrayAttr>("moire.buffers");
  if (types.size() != function.getNumArguments())
    return function.emitError("has ") << function.getNumArguments() << " arguments, but `moire.buffers` lists "
                                      << types.size();
  if (auto bytes = function->getAttrOfType<IntegerAttr>("moire.arena_bytes"))
    info.arenaBytes = bytes.getInt();
  int64_t inputs = 0, metrics = 0;
  for (unsigned number = 0; number < types.size(); ++number) {
    auto type = dyn_cast<MemRefType>(cast<TypeAttr>(types[number]).getValue());
    if (!type)
      return function.emitError("lists in `moire.buffers` what is no buffer: ") << types[number];
    ArgumentInfo argument;
    argument.element = type.getElementType();
    argument.shape.assign(type.getShape().begin(), type.getShape().end());
    if (failed(readArgument(function, number, layout, inputs, metrics, argument)))
      return failure();
    info.arguments.push_back(std::move(argument));
  }
  return info;
}

/// States of all functions share one buffer; a state of a number is the same memory in each.
static LogicalResult placeStates(ModuleOp module, PackageInfo &info) {
  std::map<int64_t, int64_t> bytes, offsets;
  for (FunctionInfo &function : info.functions)
    for (ArgumentInfo &argument : function.arguments) {
      if (argument.role != ArgumentRole::State)
        continue;
      auto [known, fresh] = bytes.try_emplace(argument.number, argument.bytes());
      if (!fresh && known->second != argument.bytes())
        return module.emitError("state ")
               << argument.number << " has " << known->second << " bytes in one function and " << argument.bytes()
               << " in `" << function.name << "`";
    }
  for (auto [number, size] : bytes) {
    offsets[number] = info.stateBytes;
    info.stateBytes += llvm::alignTo(size, 64);
  }
  for (FunctionInfo &function : info.functions)
    for (ArgumentInfo &argument : function.arguments)
      if (argument.role == ArgumentRole::State)
        argument.number = offsets[argument.number];
  return success();
}

FailureOr<PackageInfo> moire::readPackageInfo(ModuleOp module) {
  PackageInfo info;
  ParameterLayout layout(module);
  info.parameterElements = layout.parameterElements();
  info.trainedElements = layout.trainedElements();
  info.computeElements = layout.computeElements();
  info.full64 = layout.elementType().isF64();
  for (const ParameterSlot &slot : layout.slots()) {
    ParamOp param = slot.param;
    ParameterInfo out;
    out.name = param.getSymName().str();
    out.role = stringifyRole(param.getRole()).str();
    for (Attribute path : param.getPaths())
      out.paths.push_back(cast<StringAttr>(path).str());
    out.shape = slot.instanceShape().vec();
    out.offset = slot.offset;
    out.computeOffset = slot.computeOffset;
    out.init = int32_t(param.getInit());
    out.initA = param.getInitA().convertToDouble();
    out.initB = param.getInitB().convertToDouble();
    out.learningRate = param.getLrFactor().convertToDouble();
    out.decay = param.getDecayFactor().convertToDouble();
    out.signRate = param.getSignRate() ? param.getSignRate()->convertToDouble() : 0;
    out.rateStart = param.getRateStart().convertToDouble();
    out.rateEnd = param.getRateEnd().convertToDouble();
    out.multiplier = param.getMultiplier().convertToDouble();
    info.parameters.push_back(std::move(out));
  }
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal() || !function->hasAttr("moire.buffers"))
      continue;
    FailureOr<FunctionInfo> read = readFunction(function, layout);
    if (failed(read))
      return failure();
    info.functions.push_back(std::move(*read));
  }
  if (failed(placeStates(module, info)))
    return failure();
  if (auto package = module->getAttrOfType<DictionaryAttr>("moire.package")) {
    auto text = [&](StringRef name) {
      auto value = package.getAs<StringAttr>(name);
      return value ? value.str() : std::string();
    };
    auto number = [&](StringRef name) {
      auto value = package.getAs<IntegerAttr>(name);
      return value ? value.getInt() : int64_t(0);
    };
    info.model = text("model");
    info.spec = text("spec");
    info.specHash = text("spec_hash");
    info.trainJson = text("train");
    info.precision = text("precision");
    info.batch = number("batch");
    info.context = number("context");
    info.vocab = number("vocab");
    info.prefillTokens = number("prefill_tokens");
    info.decodeContext = number("decode_context");
  }
  if (const FunctionInfo *train = info.function("train"))
    for (const ArgumentInfo &argument : train->arguments)
      if (argument.role == ArgumentRole::Metric)
        info.metricFloats = std::max(info.metricFloats, argument.number + argument.elements());
  return info;
}
