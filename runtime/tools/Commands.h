//===- runtime/tools/Commands.h - the subcommands of moire ------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each subcommand registers its options and, when it was chosen, leaves a
// function to run behind.
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TOOLS_COMMANDS_H
#define MOIRE_RUNTIME_TOOLS_COMMANDS_H

#include "runtime/Core/Status.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace moire::runtime {

/// What the command line chose; returns the exit code.
using Action = std::function<Result<int>()>;

/// `command` is the whole command line, for the record, here and below.
void addTrainCommand(CLI::App &app, Action &action, const std::vector<std::string> &command);
void addEvalCommand(CLI::App &app, Action &action);
void addGenerateCommand(CLI::App &app, Action &action);
void addInspectCommand(CLI::App &app, Action &action);
void addCostCommand(CLI::App &app, Action &action);
void addPlanCommand(CLI::App &app, Action &action);
void addTransformCommand(CLI::App &app, Action &action, const std::vector<std::string> &command);
void addCoordCheckCommand(CLI::App &app, Action &action);
void addSweepCommand(CLI::App &app, Action &action, const std::vector<std::string> &command);
void addRatesCommand(CLI::App &app, Action &action);

/// Adds `--threads N` (1 to 256; by default all processors that this process may use).
void addThreadsOption(CLI::App &command, int32_t &threads);
/// Sets the number of threads of the kernels.
void useThreads(int32_t threads);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TOOLS_COMMANDS_H
