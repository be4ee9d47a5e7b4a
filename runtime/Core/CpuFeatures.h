//===- runtime/Core/CpuFeatures.h - what the processor can do --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A package names the features that its code needs, in LLVM's spelling. They
// are looked up in CPUID, and in XCR0 for those whose registers the operating
// system must save; a model name is never asked.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_CPUFEATURES_H
#define MOIRE_RUNTIME_CORE_CPUFEATURES_H

#include <string>
#include <string_view>
#include <vector>

namespace moire::runtime {

/// Those of the comma-separated `features` that this processor lacks, or that this runtime does not know.
std::vector<std::string> missingCpuFeatures(std::string_view features);

/// All known features that this processor has, comma-separated, in a fixed order.
std::string cpuFeatures();

/// The processor's own name for itself, for records only.
std::string cpuName();

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_CPUFEATURES_H
