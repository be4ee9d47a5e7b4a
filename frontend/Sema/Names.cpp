//===- frontend/Sema/Names.cpp - every name known, every name used ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Looks at the text alone, whatever the numbers: also at branches that no
// preset takes. So a mistake in a name is found before any value is computed.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Builtins.h"
#include "frontend/Sema/Program.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/TypeSwitch.h"
#include <deque>

using namespace llvm;

namespace moire::sema {

ArrayRef<StringRef> trainKeys() {
  static constexpr StringRef keys[] = {"batch",    "context", "steps",      "accumulate",       "optimizer",
                                       "schedule", "holdout", "eval_every", "checkpoint_every", "seed"};
  return keys;
}

namespace {

/// A declared name.
struct Declared {
  enum class Kind { Let, Hyper, BlockParameter, Iteration, Stream } kind;
  SMRange range;
  bool used = false;
  bool mustBeUsed = true;
};

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

/// A callee's parameter as calls see it.
struct Parameter {
  StringRef name;
  bool required;
  const ArgumentInfo *info; ///< null for parameters of blocks
};

struct Signature {
  std::string title; ///< "`mlp`", "block `f`"
  bool takesStream;
  std::vector<Parameter> parameters;
  SMRange declaration; ///< of a block
};

class Checker {
public:
  Checker(const Program &program, Names &names, Diagnostics &diagnostics)
      : program(program), names(names), diagnostics(diagnostics) {}

  void run() {
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

  /// A value given outside of the text: `-D name=value`.
  void lone(const ast::Expr &expr, bool isTrain) {
    trainSection = isTrain;
    push();
    expression(expr);
    pop();
  }

private:
  //===-- scopes ---------------------------------------------------------===//

  using Scope = StringMap<Declared>;

  void push() { scopes.emplace_back(); }

  void pop() {
    for (const auto &entry : scopes.back())
      if (!entry.second.used && entry.second.mustBeUsed)
        unused.push_back({entry.second.range, ("the " + describe(entry.second.kind) + " `" + entry.first() + "`").str()});
    scopes.pop_back();
  }

  /// After other errors the list would only repeat them: a misspelt use leaves a name unused.
  void reportUnused() {
    if (diagnostics.errorCount() != 0)
      return;
    llvm::sort(unused, [](const auto &a, const auto &b) { return a.first.Start.getPointer() < b.first.Start.getPointer(); });
    for (const auto &[range, what] : unused)
      (void)diagnostics.error(range, what + " is never used");
  }

  Declared *lookup(StringRef name) {
    for (Scope &scope : reverse(scopes)) {
      auto it = scope.find(name);
      if (it != scope.end())
        return &it->second;
    }
    return nullptr;
  }

  void declare(const ast::Ident &name, Declared::Kind kind, bool mustBeUsed) {
    if (Declared *before = lookup(name.text)) {
      diagnostics.error(name.range, "`" + name.text + "` is declared twice")
          .note(before->range, "the " + describe(before->kind) + " is declared here");
      return;
    }
    if (name.text == "tokens" || findBuiltin(name.text) || findFunction(name.text) || isWord(name.text)) {
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

  std::vector<StringRef> visibleNames() {
    std::vector<StringRef> all;
    for (Scope &scope : scopes)
      for (const auto &entry : scope)
        all.push_back(entry.first());
    if (tokensVisible)
      all.push_back("tokens");
    llvm::sort(all); // suggestions must not depend on hashing
    return all;
  }

  //===-- declarations ---------------------------------------------------===//

  void callable(const ast::Ident &name, const std::vector<ast::Parameter> &parameters, const ast::Body &body,
                bool isModel) {
    if (!isModel && (name.text == "tokens" || findBuiltin(name.text) || findFunction(name.text) || isWord(name.text)))
      (void)diagnostics.error(name.range, "`" + name.text + "` is a word of the language, choose another name");
    push();
    for (size_t i = 0; i < parameters.size(); ++i) {
      const ast::Parameter &parameter = parameters[i];
      bool isStream = !isModel && i == 0;
      if (isStream && parameter.value)
        (void)diagnostics.error(parameter.value->range, "the first parameter of a block is its stream, it has no default");
      else if (parameter.value)
        expression(*parameter.value);
      declare(parameter.name,
              isModel ? Declared::Kind::Hyper : isStream ? Declared::Kind::Stream : Declared::Kind::BlockParameter, true);
    }
    if (!isModel && parameters.empty())
      (void)diagnostics.error(name.range, "a block takes a stream as its first parameter");
    if (isModel)
      return; // the caller goes on in this scope
    topBody(name, body);
    pop();
  }

  void modelAndTrain() {
    const ast::Model &model = *program.model;
    callable(model.name, model.parameters, model.body, /*isModel=*/true);
    if (program.train)
      train(*program.train);
    tokensVisible = true;
    topBody(model.name, model.body);
    tokensVisible = false;
    pop();
  }

  void preset(const ast::Preset &preset) {
    StringMap<SMRange> given;
    for (const ast::Argument &argument : preset.values) {
      if (!argument.name) {
        (void)diagnostics.error(argument.range, "a preset names each value: `name = value`");
        continue;
      }
      expression(*argument.value);
      StringRef name = argument.name->text;
      auto [it, fresh] = given.try_emplace(name, argument.name->range);
      if (!fresh)
        diagnostics.error(argument.name->range, "`" + name + "` is given twice").note(it->second, "it was given here before");
      if (!hyperparameters.contains(name) && !is_contained(trainKeys(), name))
        diagnostics.error(argument.name->range, "the model has no hyperparameter `" + name + "`" + nearestHyper(name))
            .note(program.model->name.range, "the model is declared here");
    }
  }

  std::string nearestHyper(StringRef name) {
    std::vector<StringRef> known(trainKeys());
    for (const ast::Parameter &parameter : program.model->parameters)
      known.push_back(parameter.name.text);
    return didYouMean(name, known);
  }

  void train(const ast::Train &train) {
    StringMap<SMRange> given;
    for (const ast::Setting &setting : train.settings) {
      StringRef key = setting.key.text;
      if (key == "scaling" || key == "rates") {
        (void)diagnostics.error(setting.key.range, "`" + key + "` is not available yet; the settings are " +
                                                       listNames(trainKeys()));
        continue;
      }
      auto [it, fresh] = given.try_emplace(key, setting.key.range);
      if (!fresh)
        diagnostics.error(setting.key.range, "`" + key + "` is given twice").note(it->second, "it was given here before");
      if (!is_contained(trainKeys(), key)) {
        (void)diagnostics.error(setting.key.range, "there is no setting `" + key + "`" + didYouMean(key, trainKeys()) +
                                                       (nearest(key, trainKeys()).empty()
                                                            ? "; the settings are " + listNames(trainKeys())
                                                            : std::string()));
        continue;
      }
      trainSection = true;
      expression(*setting.value);
      trainSection = false;
    }
  }

  //===-- statements -----------------------------------------------------===//

  void topBody(const ast::Ident &name, const ast::Body &body) {
    push();
    statements(body);
    if (body.empty() || !isa<ast::Return>(body.back().get()))
      (void)diagnostics.error(name.range, "`" + name.text + "` must end in `return …`");
    for (const ast::StmtPtr &stmt : body)
      if (isa<ast::Return>(stmt.get()) && stmt != body.back())
        (void)diagnostics.error(stmt->range, "`return` must be the last statement");
    pop();
  }

  void nestedBody(const ast::Body &body) {
    push();
    statements(body);
    for (const ast::StmtPtr &stmt : body)
      if (isa<ast::Return>(stmt.get()))
        (void)diagnostics.error(stmt->range, "`return` must be the last statement of the model or block");
    pop();
  }

  void statements(const ast::Body &body) {
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

  void assign(const ast::Assign &assign) {
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
      diagnostics
          .error(assign.name.range, "`" + assign.name.text + "` is no stream and cannot be assigned to")
          .note(before->range, "the " + describe(before->kind) + " is declared here");
    else if (!before && !assign.adds)
      // Whether a stream is used is seen in the resolved model, where it also counts what its layers learn.
      declare(assign.name, Declared::Kind::Stream, false);
  }

  //===-- expressions ----------------------------------------------------===//

  /// `info` is the argument whose value this is, if it is one.
  void expression(const ast::Expr &expr, const ArgumentInfo *info = nullptr) {
    if (diagnostics.isFull())
      return;
    TypeSwitch<const ast::Expr *>(&expr)
        .Case([&](const ast::Name *name) { reference(*name, info); })
        .Case([&](const ast::Call *call) { this->call(*call, /*piped=*/false); })
        .Case([&](const ast::Chain *chain) {
          for (const ast::ExprPtr &operand : chain->operands)
            expression(*operand);
        })
        .Case([&](const ast::Unary *unary) { expression(*unary->operand); })
        .Case([&](const ast::Pipe *pipe) {
          expression(*pipe->stream);
          for (const ast::ExprPtr &stage : pipe->stages) {
            if (auto *call = dyn_cast<ast::Call>(stage.get()))
              this->call(*call, /*piped=*/true);
            else
              pipeName(*cast<ast::Name>(stage.get()));
          }
        })
        .Case([&](const ast::Choice *choice) {
          expression(*choice->condition);
          expression(*choice->yes, info);
          expression(*choice->no, info);
        })
        .Case([&](const ast::Tuple *tuple) {
          for (const ast::ExprPtr &element : tuple->elements)
            expression(*element);
        })
        .Case([&](const ast::Range *range) {
          (void)diagnostics.error(range->range, "a range `a -> b` fits nothing here yet");
        })
        .Case([&](const ast::Record *record) {
          (void)diagnostics.error(record->range, "a record `{ key: value }` fits nothing here yet");
        });
  }

  void reference(const ast::Name &name, const ArgumentInfo *info) {
    if (name.text == "tokens" && tokensVisible)
      return;
    if (Declared *declared = lookup(name.text)) {
      declared->used = true;
      return;
    }
    if (info && !info->words.empty()) {
      if (!is_contained(info->words, name.text))
        (void)diagnostics.error(name.range, "`" + info->name + "` is " + listNames(info->words, "or") + ", not `" +
                                                name.text + "`" + didYouMean(name.text, info->words));
      return;
    }
    if (isWord(name.text))
      return;
    if (findBuiltin(name.text) || program.blocks.count(name.text)) {
      (void)diagnostics.error(name.range, "`" + name.text + "` is the name of a layer; a layer value is a call without " +
                                              "its stream: `" + name.text + "(…)`");
      return;
    }
    if (name.text == "tokens") {
      (void)diagnostics.error(name.range, "`tokens` is known in the model only; hand it to the block as its stream");
      return;
    }
    std::vector<StringRef> known = visibleNames();
    if (info && info->kind == ArgumentKind::Word)
      llvm::append_range(known, info->words);
    (void)diagnostics.error(name.range, "unknown name `" + name.text + "`" + didYouMean(name.text, known));
  }

  /// `x |> f`: f is a layer bound before, or a built-in or block that needs no arguments.
  void pipeName(const ast::Name &name) {
    if (Declared *declared = lookup(name.text)) {
      declared->used = true;
      if (declared->kind == Declared::Kind::Stream)
        (void)diagnostics.error(name.range, "`" + name.text + "` is a stream, not a layer");
      return;
    }
    if (std::optional<Signature> signature = signatureOf(name.text))
      return missing(*signature, BoundCall{nullptr, std::vector<const ast::Argument *>(signature->parameters.size())},
                     name.range);
    unknownCallee(name.text, name.range);
  }

  void unknownCallee(StringRef name, SMRange range) {
    if (trainSection) {
      (void)diagnostics.error(range, "there is no `" + name + "`; `optimizer` takes `adamw(…)`, `schedule` takes " +
                                         "`cosine(…)` or `constant(…)`");
      return;
    }
    std::vector<StringRef> known;
    for (Scope &scope : scopes)
      for (const auto &entry : scope)
        if (entry.second.kind == Declared::Kind::Let || entry.second.kind == Declared::Kind::BlockParameter)
          known.push_back(entry.first());
    for (const auto &entry : program.blocks)
      known.push_back(entry.first());
    llvm::sort(known);
    for (const Builtin &builtin : builtins())
      known.push_back(builtin.name);
    for (const Function &function : functions())
      known.push_back(function.name);
    (void)diagnostics.error(range, "unknown layer or function `" + name + "`" + didYouMean(name, known));
  }

  //===-- calls ----------------------------------------------------------===//

  std::optional<Signature> signatureOf(StringRef name) {
    Signature signature;
    const Builtin *builtin = trainSection ? findTrainBuiltin(name) : findBuiltin(name);
    if (builtin) {
      signature.title = ("`" + name + "`").str();
      signature.takesStream = builtin->input != Input::None;
      for (const ArgumentInfo &info : builtin->arguments)
        signature.parameters.push_back({info.name, info.defaults == ArgumentInfo::Default::Required, &info});
      return signature;
    }
    auto it = program.blocks.find(name);
    if (it == program.blocks.end() || trainSection)
      return std::nullopt;
    signature.title = ("block `" + name + "`").str();
    signature.takesStream = true;
    signature.declaration = it->second->name.range;
    for (const ast::Parameter &parameter : ArrayRef(it->second->parameters).drop_front(!it->second->parameters.empty()))
      signature.parameters.push_back({parameter.name.text, !parameter.value, nullptr});
    return signature;
  }

  void call(const ast::Call &call, bool piped) {
    StringRef callee = call.callee.text;
    if (Declared *declared = lookup(callee)) {
      declared->used = true;
      return boundLayer(call, *declared, piped);
    }
    if (const Function *function = findFunction(callee))
      return constantFunction(call, *function);
    if (std::optional<Signature> signature = signatureOf(callee))
      return bind(call, *signature, piped);
    for (const ast::Argument &argument : call.arguments)
      expression(*argument.value);
    unknownCallee(callee, call.callee.range);
  }

  /// `f(x)` where f was bound by `let`: its arguments are fixed, it takes its stream alone.
  void boundLayer(const ast::Call &call, const Declared &declared, bool piped) {
    BoundCall bound;
    if (declared.kind == Declared::Kind::Stream)
      (void)diagnostics.error(call.callee.range, "`" + call.callee.text + "` is a stream, not a layer");
    for (const ast::Argument &argument : call.arguments) {
      expression(*argument.value);
      if (!argument.name && !bound.stream && !piped)
        bound.stream = argument.value.get();
      else
        diagnostics
            .error(argument.range, "`" + call.callee.text + "` has its arguments already, it takes a stream and nothing else")
            .note(declared.range, "they were given here");
    }
    if (call.arguments.empty() && !piped)
      (void)diagnostics.error(call.range, "`" + call.callee.text + "` needs its stream; the layer as a value is `" +
                                              call.callee.text + "` alone");
    names.calls[&call] = std::move(bound);
  }

  void constantFunction(const ast::Call &call, const Function &function) {
    for (const ast::Argument &argument : call.arguments) {
      expression(*argument.value);
      if (argument.name)
        (void)diagnostics.error(argument.name->range, "the arguments of `" + function.name + "` have no names");
    }
    size_t count = call.arguments.size();
    if (count < function.minArguments || count > function.maxArguments)
      (void)diagnostics.error(call.range, "`" + function.name + "` takes " +
                                              (function.minArguments == function.maxArguments
                                                   ? Twine(function.minArguments)
                                                   : "at least " + Twine(function.minArguments)) +
                                              " arguments, not " + Twine(count));
  }

  void bind(const ast::Call &call, const Signature &signature, bool piped) {
    BoundCall bound;
    bound.byParameter.resize(signature.parameters.size());
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      const ast::Argument &argument = call.arguments[i];
      auto *name = dyn_cast<ast::Name>(argument.value.get());
      if (!argument.name && i == 0 && isStream(argument, signature)) {
        expression(*argument.value);
        if (piped)
          (void)diagnostics.error(argument.range, "the stream of " + signature.title + " comes through `|>` already");
        else if (!signature.takesStream)
          (void)diagnostics.error(argument.range, signature.title + " takes named arguments only");
        bound.stream = argument.value.get();
      } else if (argument.name || name) {
        bindNamed(argument, signature, bound);
      } else {
        expression(*argument.value);
        (void)diagnostics.error(argument.range, "arguments after the stream are named: `name = value`");
      }
    }
    missing(signature, bound, call.callee.range);
    names.calls[&call] = std::move(bound);
  }

  /// Whether the first argument, which has no name, is the stream: anything but a bare name that stands for itself.
  bool isStream(const ast::Argument &argument, const Signature &signature) {
    auto *name = dyn_cast<ast::Name>(argument.value.get());
    if (!name || (name->text == "tokens" && tokensVisible))
      return true;
    Declared *declared = lookup(name->text);
    if (declared && declared->kind == Declared::Kind::Stream)
      return true;
    return !any_of(signature.parameters, [&](const Parameter &p) { return p.name == name->text; }) && !declared &&
           signature.takesStream;
  }

  void bindNamed(const ast::Argument &argument, const Signature &signature, BoundCall &bound) {
    StringRef name = argument.name ? argument.name->text : cast<ast::Name>(argument.value.get())->text;
    SMRange range = argument.name ? argument.name->range : argument.range;
    std::vector<StringRef> known;
    for (size_t i = 0; i < signature.parameters.size(); ++i) {
      known.push_back(signature.parameters[i].name);
      if (known.back() != name)
        continue;
      expression(*argument.value, signature.parameters[i].info);
      if (const ast::Argument *before = bound.byParameter[i])
        diagnostics.error(range, "`" + name + "` is given twice").note(before->range, "it was given here before");
      bound.byParameter[i] = &argument;
      return;
    }
    expression(*argument.value);
    std::string hint = didYouMean(name, known);
    if (hint.empty())
      hint = known.empty() ? "; it takes none" : "; it takes " + listNames(known);
    auto error = diagnostics.error(range, signature.title + " has no argument `" + name + "`" + hint);
    if (signature.declaration.isValid())
      error.note(signature.declaration, "the block is declared here");
  }

  void missing(const Signature &signature, const BoundCall &bound, SMRange range) {
    std::vector<StringRef> absent;
    for (size_t i = 0; i < signature.parameters.size(); ++i)
      if (signature.parameters[i].required && !bound.byParameter[i])
        absent.push_back(signature.parameters[i].name);
    if (absent.empty())
      return;
    auto error = diagnostics.error(range, signature.title + " needs " + listNames(absent));
    if (signature.declaration.isValid())
      error.note(signature.declaration, "the block is declared here");
  }

  const Program &program;
  Names &names;
  Diagnostics &diagnostics;
  std::deque<Scope> scopes;
  StringSet<> hyperparameters;
  std::vector<std::pair<SMRange, std::string>> unused;
  bool tokensVisible = false;
  bool trainSection = false;
};

} // namespace

bool checkNames(const Program &program, Names &names, Diagnostics &diagnostics) {
  unsigned before = diagnostics.errorCount();
  Checker(program, names, diagnostics).run();
  return diagnostics.errorCount() == before;
}

bool checkDefine(const ast::Expr &expr, bool isTrain, const Program &program, Names &names, Diagnostics &diagnostics) {
  unsigned before = diagnostics.errorCount();
  Checker(program, names, diagnostics).lone(expr, isTrain);
  return diagnostics.errorCount() == before;
}

} // namespace moire::sema
