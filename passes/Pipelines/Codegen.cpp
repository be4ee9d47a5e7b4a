//===- passes/Pipelines/Codegen.cpp - LLVM to machine code ------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sweeps are vectors already, so LLVM's own vectorisers stay off: they would spend time on tails.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/Codegen.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace moire;

void moire::optimiseModule(llvm::Module &module, llvm::TargetMachine &machine, const TargetFeatures &features) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
    if (features.vectorBits() == 512)
      function.addFnAttr("prefer-vector-width", "512");
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = false;
  tuning.LoopInterleaving = false;
  tuning.SLPVectorization = false;
  tuning.LoopUnrolling = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2).run(module, modules);
}

llvm::Expected<llvm::SmallVector<char, 0>> moire::emitMachineCode(llvm::Module &module, llvm::TargetMachine &machine,
                                                                  bool assembly) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream out(bytes);
  llvm::legacy::PassManager passes;
  auto kind = assembly ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  if (machine.addPassesToEmitFile(passes, out, nullptr, kind))
    return llvm::createStringError("the code generator cannot write this kind of file");
  passes.run(module);
  return bytes;
}

static llvm::Expected<std::string> findLinker() {
  if (auto found = llvm::sys::findProgramByName("ld.lld", {MOIRE_LLVM_TOOLS}))
    return *found;
  for (llvm::StringRef name : {"ld.lld-22", "ld.lld", "ld"})
    if (auto found = llvm::sys::findProgramByName(name))
      return *found;
  return llvm::createStringError(
      "no linker: neither `ld.lld-22`, `ld.lld` nor `ld` is on PATH (Debian: lld-22 or binutils)");
}

llvm::Error moire::linkSharedObject(llvm::ArrayRef<char> object, llvm::StringRef path) {
  llvm::Expected<std::string> linker = findLinker();
  if (!linker)
    return linker.takeError();
  auto failure = [&](const llvm::Twine &what, const std::string &why) {
    return llvm::createStringError((what + ": " + why).str());
  };
  // Both temporary files lie beside the result: the last step is a rename, which either happens or does not.
  llvm::SmallString<128> objectPath, sharedPath;
  int descriptor = -1;
  if (std::error_code error = llvm::sys::fs::createUniqueFile(path + ".%%%%%%.o", descriptor, objectPath))
    return failure("cannot write beside `" + path + "`", error.message());
  llvm::FileRemover removeObject(objectPath);
  {
    llvm::raw_fd_ostream out(descriptor, /*shouldClose=*/true);
    out.write(object.data(), object.size());
    out.close();
    if (out.has_error()) {
      std::string why = out.error().message();
      out.clear_error();
      return failure("cannot write `" + objectPath + "`", why);
    }
  }
  if (std::error_code error = llvm::sys::fs::createUniqueFile(path + ".%%%%%%.so", sharedPath))
    return failure("cannot write beside `" + path + "`", error.message());
  llvm::FileRemover removeShared(sharedPath);
  llvm::SmallString<128> messages;
  if (std::error_code error = llvm::sys::fs::createTemporaryFile("moirec-link", "txt", messages))
    return failure("cannot make a temporary file", error.message());
  llvm::FileRemover removeMessages(messages);
  llvm::StringRef arguments[] = {*linker,      "-shared", "--gc-sections", "--hash-style=gnu",
                                 "-Bsymbolic", "-z",      "noexecstack",   "-z",
                                 "relro",      "-o",      sharedPath,      objectPath};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(messages),
                                                llvm::StringRef(messages)};
  std::string why;
  int status = llvm::sys::ExecuteAndWait(*linker, arguments, std::nullopt, redirects, 0, 0, &why);
  if (status != 0) {
    if (auto text = llvm::MemoryBuffer::getFile(messages))
      why += (*text)->getBuffer().trim().str();
    return failure("the linker `" + *linker + "` failed", why);
  }
  if (std::error_code error = llvm::sys::fs::rename(sharedPath, path))
    return failure("cannot write `" + path + "`", error.message());
  removeShared.releaseFile();
  return llvm::Error::success();
}
