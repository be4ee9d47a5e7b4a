//===- passes/Pipelines/PlainCalls.cpp - calling any function ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A module without a model becomes a shared object whose functions numeric tests call through ctypes.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/EntryPoints.h"
#include "llvm/Support/JSON.h"

using namespace moire;

static llvm::StringRef nameOf(mlir::Type type) {
  return type.isF64() ? "f64" : type.isBF16() ? "bf16" : type.isF32() ? "f32" : "i32";
}

static std::string signatureOf(const FunctionInfo &function) {
  std::string text;
  llvm::raw_string_ostream out(text);
  llvm::json::OStream json(out);
  json.array([&] {
    for (const ArgumentInfo &argument : function.arguments) {
      if (argument.role == ArgumentRole::Arena)
        continue;
      bool result = argument.role == ArgumentRole::Result || argument.role == ArgumentRole::Metric ||
                    argument.role == ArgumentRole::Gradient;
      json.object([&] {
        json.attribute("kind", result ? "result" : argument.role == ArgumentRole::State ? "state" : "argument");
        json.attribute("type", nameOf(argument.element));
        json.attributeArray("shape", [&] {
          for (int64_t extent : argument.shape)
            json.value(extent);
        });
      });
    }
  });
  return text;
}

llvm::Error moire::addPlainCalls(llvm::Module &module, const PackageInfo &info) {
  llvm::LLVMContext &context = module.getContext();
  llvm::IRBuilder<> b(context);
  for (const FunctionInfo &function : info.functions) {
    llvm::Function *callee = module.getFunction(function.name);
    if (!callee || callee->arg_size() != function.arguments.size())
      return llvm::createStringError("`%s` does not have the arguments that it says", function.name.c_str());
    auto *type = llvm::FunctionType::get(b.getVoidTy(), {b.getPtrTy(), b.getPtrTy()}, false);
    auto *wrapper =
        llvm::Function::Create(type, llvm::Function::ExternalLinkage, "moire_call_" + function.name, module);
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "", wrapper));
    llvm::SmallVector<llvm::Value *> arguments;
    unsigned number = 0;
    for (const ArgumentInfo &argument : function.arguments) {
      if (argument.role == ArgumentRole::Arena) {
        arguments.push_back(wrapper->getArg(1));
        continue;
      }
      llvm::Value *slot = b.CreateConstGEP1_32(b.getPtrTy(), wrapper->getArg(0), number++);
      arguments.push_back(b.CreateLoad(b.getPtrTy(), slot));
    }
    b.CreateCall(callee, arguments);
    b.CreateRetVoid();
    new llvm::GlobalVariable(module, b.getInt64Ty(), true, llvm::GlobalValue::ExternalLinkage,
                             b.getInt64(function.arenaBytes), "moire_arena_" + function.name);
    llvm::Constant *text = llvm::ConstantDataArray::getString(context, signatureOf(function));
    new llvm::GlobalVariable(module, text->getType(), true, llvm::GlobalValue::ExternalLinkage, text,
                             "moire_signature_" + function.name);
  }
  return llvm::Error::success();
}
