//===- frontend/Sema/Names.cpp - every name known, every name used ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Looks at the text alone, whatever the numbers: also at branches that no
// preset takes. So a mistake in a name is found before any value is computed.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/NameChecker.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace llvm;

namespace moire::sema {

ArrayRef<StringRef> trainKeys() {
  static constexpr StringRef keys[] = {
      "batch",      "context",          "steps", "accumulate", "optimizer", "schedule", "holdout",
      "eval_every", "checkpoint_every", "seed",  "separator",  "isolate",   "scaling",  "rates",
      "compress"};
  return keys;
}

StringRef describe(Declared::Kind kind) {
  switch (kind) {
  case Declared::Kind::Let:
    return "`let`";
  case Declared::Kind::Hyper:
    return "hyperparameter";
  case Declared::Kind::BlockParameter:
    return "parameter";
  case Declared::Kind::Iteration:
    return "iteration number";
  case Declared::Kind::Stream:
    return "stream";
  }
  llvm_unreachable("not a kind");
}

//===----------------------------------------------------------------------===//
// Scopes
//===----------------------------------------------------------------------===//

void NameChecker::run() {
  for (const ast::Parameter &parameter : program.model->parameters)
    hyperparameters.insert(parameter.name.text);
  push();
  for (const ast::Let *let : program.lets) {
    expression(*let->value);
    declare(let->name, Declared::Kind::Let, program.inMainFile(*let, diagnostics.sourceManager()));
  }
  for (const auto &file : program.files)
    for (const auto &block : file->blocks)
      callable(block->name, block->parameters, block->body, /*isModel=*/false);
  for (const auto &entry : program.presets)
    preset(*entry.second);
  modelAndTrain();
  pop();
  reportUnused();
}

void NameChecker::lone(const ast::Expr &expr, StringRef setting) {
  push();
  if (setting.empty())
    expression(expr);
  else
    this->setting(setting, expr);
  pop();
}

void NameChecker::push() { scopes.emplace_back(); }

void NameChecker::pop() {
  for (const auto &entry : scopes.back())
    if (!entry.second.used && entry.second.mustBeUsed)
      unused.push_back({entry.second.range, ("the " + describe(entry.second.kind) + " `" + entry.first() + "`").str()});
  scopes.pop_back();
}

void NameChecker::reportUnused() {
  if (diagnostics.errorCount() != 0)
    return;
  llvm::sort(unused,
             [](const auto &a, const auto &b) { return a.first.Start.getPointer() < b.first.Start.getPointer(); });
  for (const auto &[range, what] : unused)
    (void)diagnostics.error(range, what + " is never used");
}

Declared *NameChecker::lookup(StringRef name) {
  for (Scope &scope : reverse(scopes)) {
    auto it = scope.find(name);
    if (it != scope.end())
      return &it->second;
  }
  return nullptr;
}

void NameChecker::declare(const ast::Ident &name, Declared::Kind kind, bool mustBeUsed) {
  if (Declared *before = lookup(name.text)) {
    diagnostics.error(name.range, "`" + name.text + "` is declared twice")
        .note(before->range, "the " + describe(before->kind) + " is declared here");
    return;
  }
  // `experts` is the name of a layer and of a count that models like to have: as a value it means the count. So it is
  // with `expert`, a way to choose and a layer that models like to bind.
  bool isCount = name.text == "experts" && kind != Declared::Kind::Stream;
  bool isExpert = name.text == "expert" && kind != Declared::Kind::Stream;
  if (name.text == "tokens" || (findBuiltin(name.text) && !isCount) || findFunction(name.text) ||
      (isWord(name.text) && !isExpert)) {
    (void)diagnostics.error(name.range, "`" + name.text + "` is a word of the language, choose another name");
    return;
  }
  if (auto it = program.blocks.find(name.text); it != program.blocks.end()) {
    diagnostics.error(name.range, "`" + name.text + "` is declared twice")
        .note(it->second->name.range, "the block is declared here");
    return;
  }
  scopes.back()[name.text] = {kind, name.range, false, mustBeUsed};
}

std::vector<StringRef> NameChecker::visibleNames() {
  std::vector<StringRef> all;
  for (Scope &scope : scopes)
    for (const auto &entry : scope)
      all.push_back(entry.first());
  if (tokensVisible)
    all.push_back("tokens");
  llvm::sort(all); // suggestions must not depend on hashing
  return all;
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

void NameChecker::callable(const ast::Ident &name, const std::vector<ast::Parameter> &parameters, const ast::Body &body,
                           bool isModel) {
  if (!isModel && (name.text == "tokens" || findBuiltin(name.text) || findFunction(name.text) || isWord(name.text)))
    (void)diagnostics.error(name.range, "`" + name.text + "` is a word of the language, choose another name");
  push();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const ast::Parameter &parameter = parameters[i];
    bool isStream = !isModel && i == 0;
    if (isStream && parameter.value)
      (void)diagnostics.error(parameter.value->range,
                              "the first parameter of a block is its stream, it has no default");
    else if (parameter.value)
      expression(*parameter.value);
    declare(parameter.name,
            isModel    ? Declared::Kind::Hyper
            : isStream ? Declared::Kind::Stream
                       : Declared::Kind::BlockParameter,
            true);
  }
  if (!isModel && parameters.empty())
    (void)diagnostics.error(name.range, "a block takes a stream as its first parameter");
  if (isModel)
    return; // the caller goes on in this scope
  topBody(name, body);
  pop();
}

void NameChecker::modelAndTrain() {
  const ast::Model &model = *program.model;
  callable(model.name, model.parameters, model.body, /*isModel=*/true);
  if (program.train)
    train(*program.train);
  tokensVisible = true;
  topBody(model.name, model.body);
  tokensVisible = false;
  pop();
}

void NameChecker::preset(const ast::Preset &preset) {
  StringMap<SMRange> given;
  for (const ast::Argument &argument : preset.values) {
    if (!argument.name) {
      (void)diagnostics.error(argument.range, "a preset names each value: `name = value`");
      continue;
    }
    StringRef name = argument.name->text;
    if (is_contained(trainKeys(), name))
      setting(name, *argument.value);
    else
      expression(*argument.value);
    auto [it, fresh] = given.try_emplace(name, argument.name->range);
    if (!fresh)
      diagnostics.error(argument.name->range, "`" + name + "` is given twice")
          .note(it->second, "it was given here before");
    if (!hyperparameters.contains(name) && !is_contained(trainKeys(), name))
      diagnostics.error(argument.name->range, "the model has no hyperparameter `" + name + "`" + nearestHyper(name))
          .note(program.model->name.range, "the model is declared here");
  }
}

std::string NameChecker::nearestHyper(StringRef name) {
  std::vector<StringRef> known(trainKeys());
  for (const ast::Parameter &parameter : program.model->parameters)
    known.push_back(parameter.name.text);
  return didYouMean(name, known);
}

void NameChecker::train(const ast::Train &train) {
  StringMap<SMRange> given;
  for (const ast::Setting &setting : train.settings) {
    StringRef key = setting.key.text;
    auto [it, fresh] = given.try_emplace(key, setting.key.range);
    if (!fresh)
      diagnostics.error(setting.key.range, "`" + key + "` is given twice").note(it->second, "it was given here before");
    if (!is_contained(trainKeys(), key)) {
      (void)diagnostics.error(
          setting.key.range,
          "there is no setting `" + key + "`" + didYouMean(key, trainKeys()) +
              (nearest(key, trainKeys()).empty() ? "; the settings are " + listNames(trainKeys()) : std::string()));
      continue;
    }
    this->setting(key, *setting.value);
  }
}

void NameChecker::setting(StringRef key, const ast::Expr &value) {
  trainSection = true;
  if (key == "scaling")
    scaling(value);
  else if (key == "rates")
    rates(value);
  else if (key == "compress")
    compress(value);
  else
    expression(value);
  trainSection = false;
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void NameChecker::topBody(const ast::Ident &name, const ast::Body &body) {
  push();
  assigned.clear();
  assignedNames(body, assigned);
  statements(body);
  if (body.empty() || !isa<ast::Return>(body.back().get()))
    (void)diagnostics.error(name.range, "`" + name.text + "` must end in `return …`");
  for (const ast::StmtPtr &stmt : body)
    if (isa<ast::Return>(stmt.get()) && stmt != body.back())
      (void)diagnostics.error(stmt->range, "`return` must be the last statement");
  pop();
}

void NameChecker::nestedBody(const ast::Body &body) {
  push();
  statements(body);
  for (const ast::StmtPtr &stmt : body)
    if (isa<ast::Return>(stmt.get()))
      (void)diagnostics.error(stmt->range, "`return` must be the last statement of the model or block");
  pop();
}

void NameChecker::statements(const ast::Body &body) {
  for (const ast::StmtPtr &stmt : body)
    TypeSwitch<const ast::Stmt *>(stmt.get())
        .Case([&](const ast::Let *let) {
          expression(*let->value);
          declare(let->name, Declared::Kind::Let, true);
        })
        .Case([&](const ast::Assign *assign) { this->assign(*assign); })
        .Case([&](const ast::Repeat *repeat) {
          expression(*repeat->count);
          push();
          if (repeat->variable)
            declare(*repeat->variable, Declared::Kind::Iteration, true);
          nestedBody(repeat->body);
          pop();
        })
        .Case([&](const ast::If *branch) {
          expression(*branch->condition);
          nestedBody(branch->then);
          nestedBody(branch->otherwise);
        })
        .Case([&](const ast::Require *require) { expression(*require->condition); })
        .Case([&](const ast::Return *ret) { expression(*ret->value); });
}

void NameChecker::assign(const ast::Assign &assign) {
  expression(*assign.value);
  Declared *before = lookup(assign.name.text);
  if (assign.adds) {
    if (!before)
      (void)diagnostics.error(assign.name.range, "`" + assign.name.text + "` has no value yet that could be added to" +
                                                     didYouMean(assign.name.text, visibleNames()));
    else
      before->used = true;
  }
  if (before && before->kind != Declared::Kind::Stream)
    diagnostics.error(assign.name.range, "`" + assign.name.text + "` is no stream and cannot be assigned to")
        .note(before->range, "the " + describe(before->kind) + " is declared here");
  else if (!before && !assign.adds)
    // Whether a stream is used is seen in the resolved model, where it also counts what its layers learn.
    declare(assign.name, Declared::Kind::Stream, false);
}

void assignedNames(const ast::Body &body, MapVector<StringRef, SMRange> &found) {
  for (const ast::StmtPtr &stmt : body)
    TypeSwitch<const ast::Stmt *>(stmt.get())
        .Case([&](const ast::Assign *node) {
          found.insert({node->name.text, node->name.range});
        })
        .Case([&](const ast::Repeat *node) { assignedNames(node->body, found); })
        .Case([&](const ast::If *node) {
          assignedNames(node->then, found);
          assignedNames(node->otherwise, found);
        });
}

bool checkNames(const Program &program, Names &names, Diagnostics &diagnostics) {
  unsigned before = diagnostics.errorCount();
  NameChecker(program, names, diagnostics).run();
  return diagnostics.errorCount() == before;
}

bool checkDefine(const ast::Expr &expr, StringRef setting, const Program &program, Names &names,
                 Diagnostics &diagnostics) {
  unsigned before = diagnostics.errorCount();
  NameChecker(program, names, diagnostics).lone(expr, setting);
  return diagnostics.errorCount() == before;
}

} // namespace moire::sema
