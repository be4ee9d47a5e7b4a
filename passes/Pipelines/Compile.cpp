//===- passes/Pipelines/Compile.cpp - from any level to any other -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds out where a module stands, runs the pipelines between there and the goal, and hands LLVM modules to Codegen.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/Compile.h"
#include "dialect/IR/MoireOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "passes/Analysis/CostAnalysis.h"
#include "passes/Pipelines/Codegen.h"
#include "passes/Pipelines/EntryPoints.h"
#include "passes/Pipelines/Pipelines.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace moire;

void moire::registerCompilerDialects(DialectRegistry &registry) {
  registry.insert<MoireDialect, affine::AffineDialect, arith::ArithDialect, cf::ControlFlowDialect, func::FuncDialect,
                  linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect, scf::SCFDialect,
                  ub::UBDialect, vector::VectorDialect>();
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

Level moire::levelOf(ModuleOp module) {
  Level level = Level::LLVM;
  for (Operation &op : *module.getBody()) {
    if (isa<ModelOp>(op))
      return Level::Model;
    auto function = dyn_cast<func::FuncOp>(op);
    if (!function)
      continue;
    auto isTensor = [](Type type) { return isa<TensorType>(type); };
    bool tensors =
        llvm::any_of(function.getArgumentTypes(), isTensor) || llvm::any_of(function.getResultTypes(), isTensor);
    bool planned = function->hasAttr("moire.arena_bytes") || !function.isPublic();
    bool fused = function.walk([](RowwiseOp) { return WalkResult::interrupt(); }).wasInterrupted();
    level = std::min(level, planned && !tensors && !fused ? Level::Linalg
                            : tensors && !fused           ? Level::Tensor
                                                          : Level::Fused);
  }
  return level;
}

/// Hex digest of what fixes parameters and computation: the module as it came, without the train section and the
/// text of the spec, and the precision.
static std::string digestOf(ModuleOp module, StringRef precision) {
  OwningOpRef<ModuleOp> copy(module.clone());
  copy->walk([](ModelOp model) {
    model.setTrain("");
    model.setSpec("");
  });
  std::string text = (precision + "\n").str();
  llvm::raw_string_ostream out(text);
  copy->print(out);
  return llvm::toHex(llvm::SHA256::hash(llvm::arrayRefFromStringRef(text)), /*LowerCase=*/true).substr(0, 32);
}

static void setPackageEntry(ModuleOp module, StringRef name, StringRef value) {
  NamedAttrList entries;
  if (auto package = module->getAttrOfType<DictionaryAttr>("moire.package"))
    entries = NamedAttrList(package);
  else
    return;
  if (!entries.get(name))
    entries.set(name, StringAttr::get(module.getContext(), value));
  module->setAttr("moire.package", entries.getDictionary(module.getContext()));
}

LogicalResult moire::lowerTo(ModuleOp module, Level goal, const CompileOptions &options) {
  llvm::Expected<TargetFeatures> features = parseFeatures(options.features);
  if (!features)
    return emitError(module.getLoc()) << llvm::toString(features.takeError());
  CodePipelineOptions code;
  code.vectorBits = features->vectorBits();
  code.nativeBf16 = features->nativeBf16();
  code.noReuse = options.noReuse;
  TensorPipelineOptions tensor;
  tensor.precision = options.precision;
  tensor.prefillTokens = options.prefillTokens;
  tensor.decodeContext = options.decodeContext;
  tensor.probe = options.probe;
  tensor.recompute = options.recompute;
  FusePipelineOptions fuse;
  tensor.fuseRouting = fuse.fuseRouting = options.fuseRouting;
  for (const std::string &proof : options.skipProofs) {
    tensor.skipProofs.push_back(proof);
    fuse.skipProofs.push_back(proof);
  }

  Level at = levelOf(module);
  std::string digest = digestOf(module, options.precision);
  PassManager manager(module.getContext());
  if (failed(applyPassManagerCLOptions(manager)))
    return failure();
  applyDefaultTimingPassManagerCLOptions(manager);
  // The tensor pipeline also differentiates modules that are written as tensors.
  if (at <= Level::Tensor && goal >= Level::Tensor)
    buildTensorPipeline(manager, tensor);
  if (at <= Level::Tensor && goal >= Level::Fused)
    buildFusePipeline(manager, fuse);
  if (at <= Level::Fused && goal >= Level::Linalg)
    buildBufferPipeline(manager, code);
  if (at <= Level::Linalg && goal >= Level::LLVM)
    buildLLVMPipeline(manager, code);
  if (failed(manager.run(module)))
    return failure();
  setPackageEntry(module, "spec_hash", digest);
  return success();
}

/// Leaves what LLVM's translation understands.
static void stripMarks(ModuleOp module) {
  for (ParamOp param : llvm::make_early_inc_range(module.getOps<ParamOp>()))
    param.erase();
  auto isMark = [](NamedAttribute attribute) { return attribute.getName().strref().starts_with("moire."); };
  auto strip = [&](Operation *op) {
    for (NamedAttribute attribute : llvm::to_vector(op->getDiscardableAttrs()))
      if (isMark(attribute))
        op->removeDiscardableAttr(attribute.getName());
  };
  strip(module);
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    strip(function);
    for (unsigned number = 0; number < function.getNumArguments(); ++number)
      if (DictionaryAttr attributes = function.getArgAttrDict(number))
        for (NamedAttribute attribute : attributes)
          if (isMark(attribute))
            function.removeArgAttr(number, attribute.getName());
  }
}

namespace {
/// Machine code of a module, with its entry points.
struct Machine {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> target;
  std::unique_ptr<llvm::Module> module;
};
} // namespace

/// Lowers, translates, adds what is exported, optimises.
static LogicalResult generate(ModuleOp module, const CompileOptions &options, Machine &machine) {
  auto fail = [&](llvm::Error error) { return emitError(module.getLoc()) << llvm::toString(std::move(error)); };
  if (failed(lowerTo(module, Level::LLVM, options)))
    return failure();
  llvm::Expected<TargetFeatures> features = parseFeatures(options.features);
  if (!features)
    return fail(features.takeError());
  auto target = createTargetMachine(*features);
  if (!target)
    return fail(target.takeError());
  machine.target = std::move(*target);
  FailureOr<PackageInfo> info = readPackageInfo(module);
  if (failed(info))
    return failure();
  info->features = features->list();
  bool isModel = module->hasAttr("moire.package");
  if (isModel) {
    int64_t arena = 0;
    for (const FunctionInfo &function : info->functions)
      arena = std::max(arena, function.arenaBytes);
    info->costJson = costJson(module, arena);
  }
  stripMarks(module);
  machine.module = translateModuleToLLVMIR(module, machine.context, "moire");
  if (!machine.module)
    return emitError(module.getLoc(), "cannot be translated to LLVM IR");
  machine.module->setTargetTriple(machine.target->getTargetTriple());
  machine.module->setDataLayout(machine.target->createDataLayout());
  if (llvm::Error error = isModel ? addPackage(*machine.module, *info) : addPlainCalls(*machine.module, *info))
    return fail(std::move(error));
  optimiseModule(*machine.module, *machine.target, *features);
  return success();
}

FailureOr<std::string> moire::compileToText(ModuleOp module, Level level, const CompileOptions &options) {
  std::string text;
  llvm::raw_string_ostream out(text);
  if (level <= Level::LLVM) {
    if (failed(lowerTo(module, level, options)))
      return failure();
    module->print(out);
    out << '\n';
    return text;
  }
  Machine machine;
  if (failed(generate(module, options, machine)))
    return failure();
  auto bytes = emitMachineCode(*machine.module, *machine.target, /*assembly=*/true);
  if (!bytes)
    return emitError(module.getLoc()) << llvm::toString(bytes.takeError());
  return std::string(bytes->begin(), bytes->end());
}

LogicalResult moire::compileToPackage(ModuleOp module, StringRef path, const CompileOptions &options) {
  Machine machine;
  if (failed(generate(module, options, machine)))
    return failure();
  auto bytes = emitMachineCode(*machine.module, *machine.target, /*assembly=*/false);
  llvm::Error error = bytes ? linkSharedObject(*bytes, path) : bytes.takeError();
  if (error)
    return emitError(module.getLoc()) << llvm::toString(std::move(error));
  return success();
}

FailureOr<std::string> moire::costOf(ModuleOp module, const CompileOptions &options) {
  if (failed(lowerTo(module, Level::Linalg, options)))
    return failure();
  int64_t arena = 0;
  for (Operation &op : *module.getBody())
    if (auto bytes = op.getAttrOfType<IntegerAttr>("moire.arena_bytes"))
      arena = std::max(arena, bytes.getInt());
  return costJson(module, arena);
}
