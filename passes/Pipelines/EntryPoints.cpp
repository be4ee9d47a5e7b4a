//===- passes/Pipelines/EntryPoints.cpp - the entry points of a package -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each wrapper loads the runtime's pointers, adds offsets, and calls a function of the module. In f64 packages
// metrics and logits are written to the arena first and narrowed to the floats of the ABI.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/EntryPoints.h"
#include "runtime/abi.h"
#include "llvm/Support/MathExtras.h"

using namespace moire;

EntryWriter::EntryWriter(llvm::Module &module, const PackageInfo &info)
    : module(module), info(info), b(module.getContext()) {
  for (const FunctionInfo &function : info.functions)
    arena = std::max(arena, function.arenaBytes);
}

llvm::Function *EntryWriter::begin(llvm::StringRef name, llvm::ArrayRef<llvm::Type *> arguments) {
  auto *type = llvm::FunctionType::get(b.getInt32Ty(), arguments, false);
  current = llvm::Function::Create(type, llvm::Function::InternalLinkage, "entry." + name, module);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "", current));
  seed = position = nullptr;
  used = 0;
  return current;
}

llvm::Function *EntryWriter::missing(llvm::StringRef name, llvm::ArrayRef<llvm::Type *> arguments) {
  llvm::Function *function = begin(name, arguments);
  b.CreateRet(b.getInt32(-1));
  return function;
}

llvm::Value *EntryWriter::buffer(Buffer which) {
  return b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_32(b.getPtrTy(), current->getArg(0), which));
}

llvm::Value *EntryWriter::at(llvm::Value *base, int64_t bytes) {
  return bytes == 0 ? base : b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), base, bytes);
}

llvm::Value *EntryWriter::scratch(const FunctionInfo &function, int64_t bytes) {
  int64_t offset = llvm::alignTo(function.arenaBytes, 64) + used;
  used += llvm::alignTo(bytes, 64);
  arena = std::max(arena, offset + bytes);
  return at(buffer(Arena), offset);
}

llvm::Value *EntryWriter::local(llvm::Type *type, llvm::Value *value) {
  llvm::Value *slot = b.CreateAlloca(type);
  if (value)
    b.CreateStore(value, slot);
  return slot;
}

llvm::Expected<llvm::Value *> EntryWriter::call(const FunctionInfo &function, llvm::ArrayRef<llvm::Value *> inputs,
                                                llvm::function_ref<llvm::Value *(const ArgumentInfo &)> outputs,
                                                const Pointers &named) {
  llvm::Function *callee = module.getFunction(function.name);
  if (!callee || callee->arg_size() != function.arguments.size())
    return llvm::createStringError("`%s` does not have the arguments that it says", function.name.c_str());
  llvm::SmallVector<llvm::Value *> pointers;
  for (const ArgumentInfo &argument : function.arguments) {
    llvm::Value *pointer = nullptr;
    switch (argument.role) {
    case ArgumentRole::Input:
      pointer = argument.number < int64_t(inputs.size()) ? inputs[argument.number] : nullptr;
      break;
    case ArgumentRole::Seed:
      pointer = seed;
      break;
    case ArgumentRole::Position:
      pointer = position;
      break;
    case ArgumentRole::Parameter:
      pointer = argument.narrow ? at(buffer(Compute), argument.number * 2)
                                : at(buffer(Params), argument.number * fullBytes());
      break;
    case ArgumentRole::Gradient:
      pointer = at(buffer(Grads), argument.number * fullBytes());
      break;
    case ArgumentRole::State:
      pointer = at(buffer(State), argument.number);
      break;
    case ArgumentRole::Metric:
    case ArgumentRole::Result:
      pointer = outputs(argument);
      break;
    case ArgumentRole::Named:
      pointer = named.lookup(argument.kind);
      break;
    case ArgumentRole::Arena:
      pointer = buffer(Arena);
      break;
    }
    if (!pointer)
      return llvm::createStringError("`%s` wants something that its entry point does not have (argument %zu)",
                                     function.name.c_str(), pointers.size());
    pointers.push_back(pointer);
  }
  return b.CreateCall(callee, pointers);
}

/// `to[i] = (float)from[i]`.
void EntryWriter::narrow(llvm::Value *from, llvm::Value *to, int64_t count) {
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto *loop = llvm::BasicBlock::Create(module.getContext(), "", current);
  auto *after = llvm::BasicBlock::Create(module.getContext(), "", current);
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  llvm::PHINode *i = b.CreatePHI(b.getInt64Ty(), 2);
  llvm::Value *wide = b.CreateLoad(b.getDoubleTy(), b.CreateGEP(b.getDoubleTy(), from, i));
  b.CreateStore(b.CreateFPTrunc(wide, b.getFloatTy()), b.CreateGEP(b.getFloatTy(), to, i));
  llvm::Value *next = b.CreateAdd(i, b.getInt64(1));
  i->addIncoming(b.getInt64(0), before);
  i->addIncoming(next, loop);
  b.CreateCondBr(b.CreateICmpEQ(next, b.getInt64(count)), after, loop);
  b.SetInsertPoint(after);
}

llvm::Expected<llvm::Function *> EntryWriter::writeTrain() {
  // (buffers, tokens, targets, loss_scale, metrics)
  llvm::Type *arguments[] = {b.getPtrTy(), b.getPtrTy(), b.getPtrTy(), b.getDoubleTy(), b.getPtrTy()};
  const FunctionInfo *train = info.function("train");
  if (!train)
    return missing("train_step", arguments);
  llvm::Function *function = begin("train_step", arguments);
  seed = local(fullType(), toFull(function->getArg(3)));
  llvm::Value *metrics = function->getArg(4);
  llvm::Value *wide = info.full64 ? scratch(*train, info.metricFloats * 8) : metrics;
  auto outputs = [&](const ArgumentInfo &argument) {
    return argument.role == ArgumentRole::Metric ? at(wide, argument.number * fullBytes()) : nullptr;
  };
  auto done = call(*train, {function->getArg(1), function->getArg(2)}, outputs, {});
  if (!done)
    return done.takeError();
  if (info.full64 && info.metricFloats > 0)
    narrow(wide, metrics, info.metricFloats);
  b.CreateRet(b.getInt32(0));
  return function;
}

llvm::Expected<llvm::Function *> EntryWriter::writeEval() {
  // (buffers, tokens, targets, loss_sum, count)
  llvm::Type *arguments[] = {b.getPtrTy(), b.getPtrTy(), b.getPtrTy(), b.getPtrTy(), b.getPtrTy()};
  const FunctionInfo *eval = info.function("eval");
  if (!eval)
    return missing("eval_step", arguments);
  llvm::Function *function = begin("eval_step", arguments);
  llvm::Value *loss = local(fullType()), *count = local(fullType());
  auto outputs = [&](const ArgumentInfo &argument) {
    return argument.kind == "loss_sum" ? loss : argument.kind == "count" ? count : nullptr;
  };
  auto done = call(*eval, {function->getArg(1), function->getArg(2)}, outputs, {});
  if (!done)
    return done.takeError();
  b.CreateStore(toDouble(b.CreateLoad(fullType(), loss)), function->getArg(3));
  b.CreateStore(b.CreateFPToSI(b.CreateLoad(fullType(), count), b.getInt64Ty()), function->getArg(4));
  b.CreateRet(b.getInt32(0));
  return function;
}

llvm::Expected<llvm::Function *> EntryWriter::writeStep(llvm::StringRef name) {
  // (buffers, tokens, position, logits)
  llvm::Type *arguments[] = {b.getPtrTy(), b.getPtrTy(), b.getInt64Ty(), b.getPtrTy()};
  const FunctionInfo *step = info.function(name);
  if (!step)
    return missing(name, arguments);
  llvm::Function *function = begin(name, arguments);
  position = local(b.getInt32Ty(), b.CreateTrunc(function->getArg(2), b.getInt32Ty()));
  llvm::Value *wide = nullptr;
  int64_t count = 0;
  auto outputs = [&](const ArgumentInfo &argument) -> llvm::Value * {
    if (argument.role != ArgumentRole::Result || argument.element.isBF16())
      return nullptr;
    if (!argument.element.isF64())
      return function->getArg(3);
    count = argument.elements();
    return wide = scratch(*step, argument.bytes());
  };
  auto done = call(*step, {function->getArg(1)}, outputs, {});
  if (!done)
    return done.takeError();
  if (wide)
    narrow(wide, function->getArg(3), count);
  b.CreateRet(b.getInt32(0));
  return function;
}

llvm::Expected<llvm::Function *> EntryWriter::writeAccumulate() {
  // (buffers, accumulator)
  llvm::Type *arguments[] = {b.getPtrTy(), b.getPtrTy()};
  const FunctionInfo *accumulate = info.function("accumulate");
  if (!accumulate)
    return missing("accumulate", arguments);
  llvm::Function *function = begin("accumulate", arguments);
  Pointers named{{"accumulator", function->getArg(1)}, {"grads", buffer(Grads)}};
  auto code = call(
      *accumulate, {}, [](const ArgumentInfo &) { return nullptr; }, named);
  if (!code)
    return code.takeError();
  b.CreateRet(*code);
  return function;
}

llvm::Expected<llvm::Function *> EntryWriter::writeOptimizer() {
  // (buffers, adamw, grad_norm)
  llvm::Type *arguments[] = {b.getPtrTy(), b.getPtrTy(), b.getPtrTy()};
  const FunctionInfo *optimizer = info.function("optimizer_step");
  if (!optimizer)
    return missing("optimizer_step", arguments);
  llvm::Function *function = begin("optimizer_step", arguments);
  Pointers named{{"params", buffer(Params)},
                 {"grads", buffer(Grads)},
                 {"moment1", buffer(Moment1)},
                 {"moment2", buffer(Moment2)},
                 {"compute", buffer(Compute)},
                 {"adamw", function->getArg(1)},
                 {"step", at(function->getArg(1), offsetof(moire_adamw, step))},
                 {"grad_norm", function->getArg(2)}};
  auto code = call(
      *optimizer, {}, [](const ArgumentInfo &) { return nullptr; }, named);
  if (!code)
    return code.takeError();
  b.CreateRet(*code);
  return function;
}

llvm::Expected<llvm::Function *> EntryWriter::writeRefresh() {
  llvm::Type *arguments[] = {b.getPtrTy()};
  const FunctionInfo *refresh = info.function("refresh");
  if (!refresh)
    return missing("refresh", arguments);
  begin("refresh", arguments);
  llvm::Function *function = current;
  Pointers named{{"params", buffer(Params)}, {"compute", buffer(Compute)}};
  auto code = call(
      *refresh, {}, [](const ArgumentInfo &) { return nullptr; }, named);
  if (!code)
    return code.takeError();
  b.CreateRet(*code);
  return function;
}

llvm::Expected<std::vector<llvm::Function *>> EntryWriter::writeAll() {
  std::vector<llvm::Function *> all;
  auto add = [&](llvm::Expected<llvm::Function *> written) -> llvm::Error {
    if (!written)
      return written.takeError();
    all.push_back(*written);
    return llvm::Error::success();
  };
  for (auto write : {&EntryWriter::writeTrain, &EntryWriter::writeAccumulate, &EntryWriter::writeOptimizer,
                     &EntryWriter::writeRefresh, &EntryWriter::writeEval})
    if (llvm::Error error = add((this->*write)()))
      return error;
  for (llvm::StringRef name : {"prefill", "decode"})
    if (llvm::Error error = add(writeStep(name)))
      return error;
  return all;
}
