//===- frontend/Sema/NameChecker.h - every name known, every name used -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the check of names: its state, and what it does for each kind of
// node. Names.cpp has declarations and statements, NameExpressions.cpp the rest.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_NAMECHECKER_H
#define MOIRE_FRONTEND_SEMA_NAMECHECKER_H

#include "frontend/Sema/Builtins.h"
#include "frontend/Sema/Program.h"
#include "llvm/ADT/StringSet.h"
#include <deque>

namespace moire::sema {

/// A declared name.
struct Declared {
  enum class Kind { Let, Hyper, BlockParameter, Iteration, Stream } kind;
  llvm::SMRange range;
  bool used = false;
  bool mustBeUsed = true;
};

/// "hyperparameter", "stream", …
llvm::StringRef describe(Declared::Kind kind);

/// A callee's parameter as calls see it.
struct CalleeParameter {
  llvm::StringRef name;
  bool required;
  const ArgumentInfo *info; ///< null for parameters of blocks
};

/// What a call of a built-in or a block must look like.
struct Signature {
  std::string title; ///< "`mlp`", "block `f`"
  bool takesStream;
  bool takesRouting = false; ///< or, where it `joins`, a second stream
  bool joins = false;
  std::vector<CalleeParameter> parameters;
  llvm::SMRange declaration; ///< of a block
};

/// Walks the text of a program once.
class NameChecker {
public:
  NameChecker(const Program &program, Names &names, Diagnostics &diagnostics)
      : program(program), names(names), diagnostics(diagnostics) {}

  /// Checks everything.
  void run();
  /// Checks a value given outside of the text: `-D name=value`. `setting` is its key, or empty for a hyperparameter's.
  void lone(const ast::Expr &expr, llvm::StringRef setting);

private:
  using Scope = llvm::StringMap<Declared>;

  // scopes
  void push();
  void pop();
  /// After other errors the list would only repeat them: a misspelt use leaves a name unused.
  void reportUnused();
  Declared *lookup(llvm::StringRef name);
  void declare(const ast::Ident &name, Declared::Kind kind, bool mustBeUsed);
  std::vector<llvm::StringRef> visibleNames();

  // declarations
  void callable(const ast::Ident &name, const std::vector<ast::Parameter> &parameters, const ast::Body &body,
                bool isModel);
  void modelAndTrain();
  void preset(const ast::Preset &preset);
  std::string nearestHyper(llvm::StringRef name);
  void train(const ast::Train &train);
  void setting(llvm::StringRef key, const ast::Expr &value);
  // ScalingSettings.cpp
  void scaling(const ast::Expr &expr);
  /// Checks that the arguments of a setting's call are named, each once, and hands each on. `example` is one of them.
  void namedArguments(const ast::Call &call, llvm::StringRef example,
                      llvm::function_ref<void(llvm::StringRef name, const ast::Argument &argument)> check);
  /// `shapes = { "path": (64, 256), … }`, of a setting that compares with another model.
  void shapes(const ast::Argument &argument);
  void rates(const ast::Expr &expr);
  // CompressSettings.cpp
  void compress(const ast::Expr &expr);
  /// `name` is to be a hyperparameter of the model.
  void hyperparameterName(llvm::StringRef name, llvm::SMRange range);

  // statements
  void topBody(const ast::Ident &name, const ast::Body &body);
  void nestedBody(const ast::Body &body);
  void statements(const ast::Body &body);
  void assign(const ast::Assign &assign);

  // expressions
  /// `info` is the argument whose value this is, if it is one.
  void expression(const ast::Expr &expr, const ArgumentInfo *info = nullptr);
  void reference(const ast::Name &name, const ArgumentInfo *info);
  /// `x |> f`: f is a layer bound before, or a built-in or block that needs no arguments.
  void pipeName(const ast::Name &name);
  void unknownCallee(llvm::StringRef name, llvm::SMRange range);

  // calls
  std::optional<Signature> signatureOf(llvm::StringRef name);
  void call(const ast::Call &call, bool piped);
  /// `f(x)` where f was bound by `let`: its arguments are fixed, it takes its stream alone, or with a routing.
  void boundLayer(const ast::Call &call, const Declared &declared, bool piped);
  void constantFunction(const ast::Call &call, const Function &function);
  void bind(const ast::Call &call, const Signature &signature, bool piped);
  /// Whether the first argument, which has no name, is the stream: anything but a bare name that stands for itself.
  bool isStream(const ast::Argument &argument, const Signature &signature);
  void bindNamed(const ast::Argument &argument, const Signature &signature, BoundCall &bound);
  void missing(const Signature &signature, const BoundCall &bound, llvm::SMRange range, bool applied = false);

  const Program &program;
  Names &names;
  Diagnostics &diagnostics;
  std::deque<Scope> scopes;
  llvm::MapVector<llvm::StringRef, llvm::SMRange> assigned; ///< anywhere in the model or block that is being checked
  llvm::StringSet<> hyperparameters;
  std::vector<std::pair<llvm::SMRange, std::string>> unused; ///< with what it is: "the `let` `x`"
  bool tokensVisible = false;
  bool trainSection = false;
};

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_NAMECHECKER_H
