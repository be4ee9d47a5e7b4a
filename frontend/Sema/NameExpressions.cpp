//===- frontend/Sema/NameExpressions.cpp - names in expressions and calls --===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides what each name means, and which argument of a call meets which
// parameter of its callee.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/NameChecker.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace llvm;

namespace moire::sema {

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

void NameChecker::expression(const ast::Expr &expr, const ArgumentInfo *info) {
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
        (void)diagnostics.error(range->range, "a range `a -> b` fits nothing here; `rates` has ranges");
      })
      .Case([&](const ast::Record *record) {
        (void)diagnostics.error(record->range, "a record `{ key: value }` fits nothing here; `rates` is one");
      });
}

void NameChecker::reference(const ast::Name &name, const ArgumentInfo *info) {
  if (name.text == "tokens" && tokensVisible)
    return;
  if (Declared *declared = lookup(name.text)) {
    declared->used = true;
    return;
  }
  if (info && !info->words.empty()) {
    if (!is_contained(info->words, name.text))
      (void)diagnostics.error(name.range, "`" + info->name + "` is " + wordsOf(*info) + ", not `" + name.text + "`" +
                                              didYouMean(name.text, info->words));
    return;
  }
  // A setting by its name alone has the defaults, where all of its arguments have one.
  if (const Builtin *setting = trainSection ? findTrainBuiltin(name.text) : nullptr)
    return missing(*signatureOf(name.text),
                   BoundCall{nullptr, nullptr, std::vector<const ast::Argument *>(setting->arguments.size())},
                   name.range);
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
  if (auto found = assigned.find(name.text); found != assigned.end()) {
    bool later = found->second.Start.getPointer() > name.range.Start.getPointer();
    diagnostics.error(name.range, "`" + name.text + (later ? "` has no value yet" : "` has no value here"))
        .note(found->second,
              later ? "it gets its first one here; assigned before a `repeat` as well, it would be that of "
                      "the iteration before"
                    : "it is assigned here, inside of a `repeat` or an `if`, and known there only; "
                      "assigned before it as well, it would be known after it");
    return;
  }
  std::vector<StringRef> known = visibleNames();
  if (info)
    llvm::append_range(known, info->words);
  (void)diagnostics.error(name.range, "unknown name `" + name.text + "`" + didYouMean(name.text, known));
}

void NameChecker::pipeName(const ast::Name &name) {
  using Arguments = std::vector<const ast::Argument *>;
  if (Declared *declared = lookup(name.text)) {
    declared->used = true;
    if (declared->kind == Declared::Kind::Stream)
      (void)diagnostics.error(name.range, "`" + name.text + "` is a stream, not a layer");
    return;
  }
  if (std::optional<Signature> signature = signatureOf(name.text))
    return missing(*signature, BoundCall{nullptr, nullptr, Arguments(signature->parameters.size())}, name.range,
                   /*applied=*/true);
  unknownCallee(name.text, name.range);
}

void NameChecker::unknownCallee(StringRef name, SMRange range) {
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

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

std::optional<Signature> NameChecker::signatureOf(StringRef name) {
  Signature signature;
  const Builtin *builtin = trainSection ? findTrainBuiltin(name) : findBuiltin(name);
  if (builtin) {
    signature.title = ("`" + name + "`").str();
    signature.takesStream = builtin->input != Input::None;
    signature.takesRouting = builtin->routes == Routes::Takes || builtin->routes == Routes::Joins;
    signature.joins = builtin->routes == Routes::Joins;
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

void NameChecker::call(const ast::Call &call, bool piped) {
  StringRef callee = call.callee.text;
  // A constant may be called `experts`: calls mean the layer.
  if (Declared *declared = findBuiltin(callee) ? nullptr : lookup(callee)) {
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

void NameChecker::boundLayer(const ast::Call &call, const Declared &declared, bool piped) {
  BoundCall bound;
  if (declared.kind == Declared::Kind::Stream)
    (void)diagnostics.error(call.callee.range, "`" + call.callee.text + "` is a stream, not a layer");
  for (const ast::Argument &argument : call.arguments) {
    expression(*argument.value);
    auto *name = dyn_cast<ast::Name>(argument.value.get());
    Declared *value = name ? lookup(name->text) : nullptr;
    bool mayRoute = name ? value && value->kind == Declared::Kind::Stream : isa<ast::Call>(argument.value.get());
    if (!argument.name && !bound.stream && !piped)
      bound.stream = argument.value.get();
    else if (!argument.name && !bound.routing && mayRoute)
      bound.routing = argument.value.get();
    else
      diagnostics
          .error(argument.range,
                 "`" + call.callee.text + "` has its arguments already, it takes a stream and nothing else")
          .note(declared.range, "they were given here");
  }
  if (call.arguments.empty() && !piped)
    (void)diagnostics.error(call.range, "`" + call.callee.text + "` needs its stream; the layer as a value is `" +
                                            call.callee.text + "` alone");
  names.calls[&call] = std::move(bound);
}

void NameChecker::constantFunction(const ast::Call &call, const Function &function) {
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

void NameChecker::bind(const ast::Call &call, const Signature &signature, bool piped) {
  BoundCall bound;
  bound.byParameter.resize(signature.parameters.size());
  for (size_t i = 0; i < call.arguments.size(); ++i) {
    const ast::Argument &argument = call.arguments[i];
    auto *name = dyn_cast<ast::Name>(argument.value.get());
    bool routingPlace = piped ? i == 0 : i == 1 && bound.stream;
    if (signature.takesRouting && routingPlace && !argument.name && isStream(argument, signature)) {
      expression(*argument.value);
      bound.routing = argument.value.get();
    } else if (!argument.name && i == 0 && isStream(argument, signature)) {
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
  if (signature.takesRouting && !bound.routing && (piped || bound.stream))
    (void)diagnostics.error(
        call.callee.range,
        signature.title + (signature.joins ? " needs a second stream after its first: `" + call.callee.text + "(x, y)`"
                                           : " needs a routing after its stream: `" + call.callee.text +
                                                 "(x, r, …)` with `r = route(x, …)`"));
  missing(signature, bound, call.callee.range, piped || bound.stream);
  names.calls[&call] = std::move(bound);
}

bool NameChecker::isStream(const ast::Argument &argument, const Signature &signature) {
  auto *name = dyn_cast<ast::Name>(argument.value.get());
  if (!name || (name->text == "tokens" && tokensVisible))
    return true;
  Declared *declared = lookup(name->text);
  if (declared && declared->kind == Declared::Kind::Stream)
    return true;
  return !any_of(signature.parameters, [&](const CalleeParameter &p) { return p.name == name->text; }) && !declared &&
         signature.takesStream;
}

void NameChecker::bindNamed(const ast::Argument &argument, const Signature &signature, BoundCall &bound) {
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

void NameChecker::missing(const Signature &signature, const BoundCall &bound, SMRange range, bool applied) {
  std::vector<StringRef> absent;
  for (auto [parameter, given] : zip(signature.parameters, bound.byParameter)) {
    bool wanted = applied && parameter.info && parameter.info->defaults == ArgumentInfo::Default::Applied;
    if ((parameter.required || wanted) && !given)
      absent.push_back(parameter.name);
  }
  if (absent.empty())
    return;
  auto error = diagnostics.error(range, signature.title + " needs " + listNames(absent));
  if (signature.declaration.isValid())
    error.note(signature.declaration, "the block is declared here");
}

} // namespace moire::sema
