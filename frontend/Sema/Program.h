//===- frontend/Sema/Program.h - a spec and all that it uses ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Follows `use`, and gathers the declarations of all files into one program
// with one model.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_PROGRAM_H
#define MOIRE_FRONTEND_SEMA_PROGRAM_H

#include "frontend/AST/Diagnostics.h"
#include "frontend/AST/Nodes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include <memory>
#include <vector>

namespace moire::sema {

/// All files of a spec. Names of lets, blocks and presets are unique across them.
struct Program {
  std::vector<std::unique_ptr<ast::File>> files; ///< used files before those that use them; the main file last
  std::vector<const ast::Let *> lets;            ///< in the order of evaluation
  llvm::StringMap<const ast::Block *> blocks;
  llvm::StringMap<const ast::Preset *> presets;
  const ast::Model *model = nullptr;
  const ast::Train *train = nullptr; ///< may be missing

  /// Whether a declaration stands in the main file, where it must be used.
  bool inMainFile(const ast::Node &node, const llvm::SourceMgr &sources) const;
};

/// Opens and parses `path` (`-` for standard input) and all files that it uses; null after errors.
std::unique_ptr<Program> loadProgram(llvm::StringRef path, Diagnostics &diagnostics);

/// How the arguments of a call meet the parameters of its callee.
struct BoundCall {
  const ast::Expr *stream = nullptr;              ///< the stream in the first place, if it is there
  const ast::Expr *routing = nullptr;             ///< the routing after it
  std::vector<const ast::Argument *> byParameter; ///< null where nothing was given
};

/// What checking the names found out, for elaboration to rely on.
struct Names {
  llvm::DenseMap<const ast::Call *, BoundCall> calls;
};

/// Checks all names: every one is known, declared once, and used; every call has the arguments that it needs, once
/// each. Reports all it finds; false after any error.
bool checkNames(const Program &program, Names &names, Diagnostics &diagnostics);

/// The same for the value of `-D name=value`, which sees no names but words; `setting` is its key when it is a
/// setting's, else empty.
bool checkDefine(const ast::Expr &expr, llvm::StringRef setting, const Program &program, Names &names,
                 Diagnostics &diagnostics);

/// Names that a body assigns to, nested bodies included, with the first place of each.
void assignedNames(const ast::Body &body, llvm::MapVector<llvm::StringRef, llvm::SMRange> &found);

/// The keys of a `train` section.
llvm::ArrayRef<llvm::StringRef> trainKeys();

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_PROGRAM_H
