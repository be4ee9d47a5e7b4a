//===- passes/Pipelines/Target.cpp - which processor to compile for ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Names of features and levels, and the target machine made of them.
//===----------------------------------------------------------------------===//
#include "passes/Pipelines/Target.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace moire;

// What pays in generated code; every name is one that the runtime can look up. Order: from old to new.
static constexpr llvm::StringLiteral usefulFeatures[] = {
    "sse3", "ssse3", "sse4.1", "sse4.2",  "popcnt",   "avx",      "f16c",     "fma",      "avx2",
    "bmi",  "bmi2",  "lzcnt",  "avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl", "avx512bf16"};

/// How many of usefulFeatures a level takes.
static constexpr std::pair<llvm::StringLiteral, size_t> levels[] = {
    {"baseline", 0}, {"avx2", 12}, {"avx512", 17}, {"avx512bf16", 18}};

bool TargetFeatures::has(llvm::StringRef name) const {
  return llvm::any_of(names, [&](const std::string &each) { return each == name; });
}

unsigned TargetFeatures::vectorBits() const {
  if (has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl"))
    return 512;
  return has("avx2") && has("fma") ? 256 : 128;
}

bool TargetFeatures::nativeBf16() const { return vectorBits() == 512 && has("avx512bf16"); }

std::string TargetFeatures::list() const { return llvm::join(names, ","); }

llvm::Expected<TargetFeatures> moire::parseFeatures(llvm::StringRef text) {
  TargetFeatures features;
  if (text == "native") {
    llvm::StringMap<bool> host = llvm::sys::getHostCPUFeatures();
    for (llvm::StringRef name : usefulFeatures)
      if (host.lookup(name))
        features.names.push_back(name.str());
    return features;
  }
  for (auto [name, count] : levels)
    if (text == name) {
      for (llvm::StringRef each : llvm::ArrayRef(usefulFeatures).take_front(count))
        features.names.push_back(each.str());
      return features;
    }
  llvm::SmallVector<llvm::StringRef> wanted;
  text.split(wanted, ',', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef name : wanted)
    if (!llvm::is_contained(usefulFeatures, name))
      return llvm::createStringError("there is no feature `%s`; there are `native`, `baseline`, `avx2`, `avx512`, "
                                     "`avx512bf16`, and lists of single features such as `avx2,fma`",
                                     name.str().c_str());
  for (llvm::StringRef name : usefulFeatures)
    if (llvm::is_contained(wanted, name))
      features.names.push_back(name.str());
  return features;
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>> moire::createTargetMachine(const TargetFeatures &features) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError("cannot compile for x86-64: %s", error.c_str());
  std::string switches;
  for (const std::string &name : features.names)
    switches += (switches.empty() ? "+" : ",+") + name;
  llvm::TargetOptions options;
  options.FunctionSections = true;
  options.DataSections = true;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, "x86-64", switches, options, llvm::Reloc::PIC_, llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}
