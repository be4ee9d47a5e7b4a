//===- runtime/Core/Process.h - running another program --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime never links the compiler: it runs it.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_CORE_PROCESS_H
#define MOIRE_RUNTIME_CORE_PROCESS_H

#include "runtime/Core/Status.h"

#include <string>
#include <vector>

namespace moire::runtime {

/// Runs `command` (program, then its arguments; no shell) and returns what it wrote to its standard output. Its
/// standard error is ours, or with `quiet` thrown away. A failure to start, a signal or a non-zero exit code is a
/// failure.
Result<std::string> runProgram(const std::vector<std::string> &command, bool quiet = false);

/// The path of the running executable.
Result<std::string> executablePath();

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_CORE_PROCESS_H
