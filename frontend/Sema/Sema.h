//===- frontend/Sema/Sema.h - from a file to a resolved model --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The face of the checker: reads a spec with all that it uses, applies presets
// and overrides, and hands out the model with every number known.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_SEMA_H
#define MOIRE_FRONTEND_SEMA_SEMA_H

#include "frontend/AST/Diagnostics.h"
#include "frontend/Sema/Program.h"
#include "frontend/Sema/Resolved.h"
#include <memory>
#include <string>
#include <vector>

namespace moire::sema {

/// What a command line says about a spec.
struct Options {
  std::string preset;                                     ///< empty: none
  std::vector<std::string> defines;                       ///< `name=value`, in order; of two for a name the last wins
  std::vector<std::pair<std::string, Constant>> replaced; ///< hyperparameters whose values come before all others
};

/// A resolved spec.
struct Resolved {
  std::unique_ptr<Program> program;
  std::unique_ptr<ResolvedModel> model;
  std::unique_ptr<ResolvedModel> base;   ///< the model that `scaling` starts from; null when there is none
  std::unique_ptr<ResolvedModel> source; ///< the model that `compress` projects from; null when there is none
  std::string modelText;                 ///< the resolved spec in the language, without its train section
  std::string text;                      ///< all of it: every default and derived number filled in

  /// Writes the extents of the base model's parameters into the scaling, which stands for itself from then on.
  void setBaseShapes(std::vector<BaseShape> shapes);
  /// The same of the source, into `compress`.
  void setSourceShapes(std::vector<BaseShape> shapes);
};

/// Resolves the spec at `path`. All errors are reported; null after any.
std::unique_ptr<Resolved> resolve(llvm::StringRef path, const Options &options, Diagnostics &diagnostics);

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_SEMA_H
