//===- runtime/tools/moire.cpp - the runtime's program -----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the command line and runs one subcommand. Any failure is one message on
// the standard error and exit code 1.
//
//===------------------------------------------------------------------------===//
#include "runtime/tools/Commands.h"

#include <csignal>

using namespace moire::runtime;

int main(int argc, char **argv) {
  // A file-size limit then ends in an error of write(), which is reported, instead of a signal.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app("Moire: trains and uses compiled mixture models", "moire");
  app.require_subcommand(1);
  Action action;
  const std::vector<std::string> line(argv, argv + argc);
  addTrainCommand(app, action, line);
  addEvalCommand(app, action);
  addGenerateCommand(app, action);
  addInspectCommand(app, action);
  addCostCommand(app, action);
  addPlanCommand(app, action);
  addTransformCommand(app, action, line);
  addSweepCommand(app, action, line);
  addCoordCheckCommand(app, action);
  addRatesCommand(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  auto result = action();
  if (result.ok())
    return *result;
  fmt::print(stderr, "moire: error: {}\n", result.message());
  return 1;
}
