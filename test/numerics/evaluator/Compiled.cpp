//===- test/numerics/evaluator/Compiled.cpp - functions as machine code -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The same passes, code generator and linker as a package, with another way in: a trampoline per function that takes
// an array of pointers.
//===----------------------------------------------------------------------===//
#include "test/numerics/evaluator/Compiled.h"

#include "kernels/reference/Element.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "passes/Pipelines/Codegen.h"
#include "passes/Pipelines/Pipelines.h"
#include "passes/Pipelines/Target.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Target/TargetMachine.h"

#include <dlfcn.h>

using namespace mlir;

namespace moire::evaluator {
namespace {

/// Bytes of a buffer, aligned as the runtime aligns them.
struct Bytes {
  explicit Bytes(int64_t size) : data(std::aligned_alloc(64, (size + 127) / 64 * 64), &std::free) {
    // Whoever reads what nobody wrote shall be noticed.
    std::memset(data.get(), 0xff, (size + 127) / 64 * 64);
  }
  std::unique_ptr<void, decltype(&std::free)> data;
};

/// Calls visit(pointer to typed elements) for the element type of a buffer.
template <typename Visit> void withElements(Type element, void *data, Visit visit) {
  if (element.isF64())
    visit(static_cast<double *>(data));
  else if (element.isF32())
    visit(static_cast<float *>(data));
  else if (element.isBF16())
    visit(static_cast<uint16_t *>(data));
  else
    visit(static_cast<int32_t *>(data));
}

void write(const Tensor &tensor, void *data) {
  withElements(tensor.type.getElementType(), data, [&]<typename T>(T *elements) {
    for (int64_t i = 0; i < tensor.size(); ++i)
      if constexpr (std::is_same_v<T, int32_t>)
        elements[i] = tensor.ints[i];
      else if constexpr (std::is_same_v<T, uint16_t>)
        reference::store(elements[i], static_cast<float>(tensor.floats[i]));
      else
        elements[i] = static_cast<T>(tensor.floats[i]);
  });
}

Tensor read(RankedTensorType type, void *data) {
  Tensor tensor(type);
  withElements(type.getElementType(), data, [&]<typename T>(T *elements) {
    for (int64_t i = 0; i < tensor.size(); ++i)
      if constexpr (std::is_same_v<T, int32_t>)
        tensor.ints[i] = elements[i];
      else if constexpr (std::is_same_v<T, uint16_t>)
        tensor.floats[i] = reference::load<float>(elements[i]);
      else
        tensor.floats[i] = elements[i];
  });
  return tensor;
}

/// Parameters and the marks of functions are for the package's tables; the translation knows neither.
void dropMarks(ModuleOp module) {
  for (auto param : llvm::make_early_inc_range(module.getOps<ParamOp>()))
    param.erase();
  module.walk([](Operation *op) {
    for (NamedAttribute attribute : llvm::to_vector(op->getDiscardableAttrs()))
      if (attribute.getName().strref().starts_with("moire."))
        op->removeDiscardableAttr(attribute.getName());
  });
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    for (unsigned number = 0; number < function.getNumArguments(); ++number)
      for (NamedAttribute attribute : llvm::to_vector(mlir::function_interface_impl::getArgAttrs(function, number)))
        if (attribute.getName().strref().starts_with("moire."))
          function.removeArgAttr(number, attribute.getName());
}

/// `int run.<name>(void **arguments)`, which calls `name` with all of them.
void addTrampoline(llvm::Module &module, StringRef name) {
  llvm::Function *callee = module.getFunction(name);
  llvm::IRBuilder<> b(module.getContext());
  auto *type = llvm::FunctionType::get(b.getInt32Ty(), {b.getPtrTy()}, false);
  auto *function = llvm::Function::Create(type, llvm::Function::ExternalLinkage, "run." + name, module);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "", function));
  SmallVector<llvm::Value *> arguments;
  for (unsigned k = 0; k < callee->arg_size(); ++k)
    arguments.push_back(b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_32(b.getPtrTy(), function->getArg(0), k)));
  llvm::Value *code = b.CreateCall(callee, arguments);
  b.CreateRet(code->getType()->isVoidTy() ? b.getInt32(0) : code);
}

LogicalResult lower(ModuleOp module, const CodePipelineOptions &options, bool toLLVM) {
  PassManager manager(module.getContext());
  if (!toLLVM) {
    buildFusePipeline(manager, FusePipelineOptions());
    buildBufferPipeline(manager, options);
  } else {
    buildLLVMPipeline(manager, options);
  }
  return manager.run(module);
}

} // namespace

void Compiled::collectStates(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    for (unsigned number = 0; number < function.getNumResults(); ++number)
      for (unsigned argument = 0; argument < function.getNumArguments(); ++argument)
        if (Attribute state = function.getResultAttr(number, "moire.state");
            state && state == function.getArgAttr(argument, "moire.state"))
          functions[function.getSymName()].states.push_back({number, argument});
}

void Compiled::collectArguments(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isDeclaration())
      continue;
    Function &entry = functions[function.getSymName()];
    if (auto bytes = function->getAttrOfType<IntegerAttr>("moire.arena_bytes"))
      entry.arenaBytes = bytes.getInt();
    for (unsigned number = 0; number < function.getNumArguments(); ++number) {
      auto result = function.getArgAttrOfType<IntegerAttr>(number, "moire.result");
      entry.arguments.push_back({cast<MemRefType>(function.getArgumentTypes()[number]), result ? result.getInt() : -1,
                                 !!function.getArgAttr(number, "moire.arena")});
    }
  }
}

llvm::Expected<std::unique_ptr<Compiled>> Compiled::create(ModuleOp original, StringRef featureText) {
  auto features = parseFeatures(featureText);
  if (!features)
    return features.takeError();
  CodePipelineOptions options;
  options.vectorBits = features->vectorBits();
  options.nativeBf16 = features->nativeBf16();

  OwningOpRef<ModuleOp> module(cast<ModuleOp>(original->clone()));
  std::unique_ptr<Compiled> compiled(new Compiled);
  compiled->collectStates(*module);
  if (failed(lower(*module, options, /*toLLVM=*/false)))
    return llvm::createStringError("the module does not reach memory");
  compiled->collectArguments(*module);
  if (failed(lower(*module, options, /*toLLVM=*/true)))
    return llvm::createStringError("the module does not reach LLVM");
  dropMarks(*module);

  registerBuiltinDialectTranslation(*module->getContext());
  registerLLVMDialectTranslation(*module->getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(*module, context, "moire");
  if (!code)
    return llvm::createStringError("the module has no translation to LLVM");
  auto machine = createTargetMachine(*features);
  if (!machine)
    return machine.takeError();
  code->setDataLayout((*machine)->createDataLayout());
  code->setTargetTriple((*machine)->getTargetTriple());
  for (const auto &entry : compiled->functions)
    addTrampoline(*code, entry.getKey());
  optimiseModule(*code, **machine, *features);
  auto object = emitMachineCode(*code, **machine, /*assembly=*/false);
  if (!object)
    return object.takeError();

  SmallString<64> path;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("moire-compiled", "so", path))
    return llvm::createStringError(error, "no temporary file");
  llvm::Error linked = linkSharedObject(*object, path);
  if (!linked)
    compiled->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  const char *reason = compiled->library || linked ? nullptr : dlerror();
  (void)llvm::sys::fs::remove(path);
  if (linked)
    return std::move(linked);
  if (!compiled->library)
    return llvm::createStringError("cannot load the code: %s", reason);
  return compiled;
}

Compiled::~Compiled() {
  if (library)
    dlclose(library);
}

int32_t Compiled::callRaw(StringRef name, std::vector<void *> buffers) const {
  const Function &function = functions.at(name);
  Bytes arena(function.arenaBytes);
  if (buffers.size() < function.arguments.size())
    buffers.push_back(arena.data.get());
  auto *run = reinterpret_cast<int32_t (*)(void **)>(dlsym(library, ("run." + name).str().c_str()));
  assert(run && "every function has a trampoline");
  return run(buffers.data());
}

std::vector<Tensor> Compiled::call(StringRef name, ArrayRef<Tensor> inputs) const {
  const Function &function = functions.at(name);
  std::vector<Bytes> memory;
  std::vector<void *> buffers;
  size_t input = 0, count = 0;
  for (const Argument &argument : function.arguments) {
    if (argument.isArena)
      break;
    bool isInput = input < inputs.size();
    memory.emplace_back(bytesOf(argument.type));
    buffers.push_back(memory.back().data.get());
    if (isInput)
      write(inputs[input++], buffers.back());
    count += argument.result >= 0;
  }
  callRaw(name, buffers);
  std::vector<Tensor> results(count + function.states.size());
  auto take = [&](size_t result, size_t argument) {
    MemRefType type = function.arguments[argument].type;
    results[result] = read(RankedTensorType::get(type.getShape(), type.getElementType()), buffers[argument]);
  };
  for (size_t number = 0; number < buffers.size(); ++number)
    if (function.arguments[number].result >= 0)
      take(function.arguments[number].result, number);
  for (auto [result, argument] : function.states)
    take(result, argument);
  return results;
}

} // namespace moire::evaluator
