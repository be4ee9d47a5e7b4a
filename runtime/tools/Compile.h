//===- runtime/tools/Compile.h - from a spec to a package --------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler is another program, `moirec`: found in $MOIREC, else beside this
// program, else on the PATH. Packages are kept by content under
// $XDG_CACHE_HOME/moire (or ~/.cache/moire).
//
//===------------------------------------------------------------------------===//
#ifndef MOIRE_RUNTIME_TOOLS_COMPILE_H
#define MOIRE_RUNTIME_TOOLS_COMPILE_H

#include "runtime/Core/Status.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace moire::runtime {

/// What decides how a spec is compiled.
struct CompileOptions {
  std::string preset;
  std::vector<std::string> defines; ///< "name=value"
  bool recompute = false;           ///< layers are computed again in the reverse pass, not kept
  bool probe = false;               ///< a training step reports activations
  std::string precision;            ///< "f32", "bf16", or empty: as moirec chooses

  /// The options as moirec takes them.
  std::vector<std::string> arguments() const;
};

/// Adds --preset, -D, --precision and --recompute.
void addCompileOptions(CLI::App &command, CompileOptions &options);

/// Whether `path` is a package, rather than a spec: it is an ELF file, or its name ends in .so.
bool isPackage(const std::string &path);

/// The package of SPEC or PACKAGE: a package itself (options that only a compiler can follow are then errors), or a
/// spec's from the cache, compiled when it is not there.
Result<std::string> packageFor(const std::string &specOrPackage, const CompileOptions &options);

/// Runs moirec on `spec` with the options and `extra`; returns its output. It reports its own errors.
Result<std::string> runCompiler(const std::string &spec, const CompileOptions &options,
                                const std::vector<std::string> &extra);

/// Whether the front end takes `spec` with the options; says nothing.
bool compiles(const std::string &spec, const CompileOptions &options);

} // namespace moire::runtime

#endif // MOIRE_RUNTIME_TOOLS_COMPILE_H
