//===- runtime/Core/Elf.h - what a shared object asks for -------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the dynamic symbol table of a package, so that `moire inspect` can say
// which functions its code calls without loading it.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_ELF_H
#define MOIRE_RUNTIME_CORE_ELF_H

#include "runtime/Core/Status.h"

#include <string>
#include <vector>

namespace moire::runtime {

/// Names of the undefined symbols of the 64-bit ELF shared object `path`, sorted; weak ones are left out.
Result<std::vector<std::string>> undefinedSymbols(const std::string &path);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_ELF_H
