//===- frontend/Sema/ElaborateHead.cpp - overrides, presets, settings ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A value comes from `-D` before the preset before the text. A name may be a
// hyperparameter and a setting at once; then an override means both.
//===----------------------------------------------------------------------===//
#include "frontend/Parser/Parser.h"
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace moire::sema {

using Kind = ArgumentKind;

/// Everything that an override may name.
static std::vector<StringRef> overridable(const ast::Model &model) {
  std::vector<StringRef> known;
  for (const ast::Parameter &parameter : model.parameters)
    known.push_back(parameter.name.text);
  append_range(known, trainKeys());
  return known;
}

bool Elaborator::readDefines() {
  std::vector<StringRef> known = overridable(*program.model);
  bool ok = true;
  for (StringRef define : options.defines) {
    // The whole text is a buffer, so that an error can point into it.
    unsigned id = diagnostics.sourceManager().AddNewSourceBuffer(MemoryBuffer::getMemBufferCopy(define, "-D"), SMLoc());
    StringRef text = diagnostics.sourceManager().getMemoryBuffer(id)->getBuffer();
    auto [name, value] = text.split('=');
    name = name.trim();
    SMRange range(SMLoc::getFromPointer(name.begin()), SMLoc::getFromPointer(name.end()));
    if (!text.contains('=') || name.empty()) {
      (void)diagnostics.error({SMLoc::getFromPointer(text.begin()), SMLoc::getFromPointer(text.end())},
                              "expected `-D name=value`");
      ok = false;
      continue;
    }
    if (!is_contained(known, name)) {
      diagnostics.error(range, "nothing is called `" + name + "`" + didYouMean(name, known))
          .note(program.model->name.range,
                "`-D` overrides hyperparameters of the model and settings: " + listNames(known));
      ok = false;
      continue;
    }
    ast::ExprPtr expr = parseExpression(id, value.begin() - text.begin(), diagnostics);
    StringRef setting = is_contained(trainKeys(), name) ? name : StringRef();
    if (!expr || !checkDefine(*expr, setting, program, names, diagnostics)) {
      ok = false;
      continue;
    }
    defines[name] = {std::move(expr), range};
  }
  return ok;
}

bool Elaborator::selectPreset() {
  if (options.preset.empty())
    return true;
  preset = program.presets.lookup(options.preset);
  if (!preset) {
    std::vector<StringRef> known;
    for (const auto &entry : program.presets)
      known.push_back(entry.first());
    llvm::sort(known);
    (void)diagnostics.error(
        {}, "there is no preset `" + Twine(options.preset) + "`" +
                (known.empty() ? std::string("; the spec has none") : "; the spec has " + listNames(known)));
    return false;
  }
  for (const ast::Argument &argument : preset->values)
    presetValues[argument.name->text] = &argument;
  return true;
}

bool Elaborator::globals() {
  unsigned before = diagnostics.errorCount();
  for (const ast::Let *node : program.lets)
    let(*node);
  return diagnostics.errorCount() == before;
}

//===----------------------------------------------------------------------===//
// Hyperparameters
//===----------------------------------------------------------------------===//

bool Elaborator::hyperparameter(const ast::Parameter &parameter) {
  StringRef name = parameter.name.text;
  const ast::Expr *override = nullptr;
  std::deque<Scope> hidden;
  auto define = defines.find(name);
  if (define != defines.end())
    override = define->second.value.get();
  else if (auto *argument = presetValues.lookup(name))
    override = argument->value.get();

  std::optional<Constant> value, standard;
  for (const auto &[replaced, other] : options.replaced)
    if (replaced == name) {
      scopes.back()[name] = Value::of(other);
      return true;
    }
  if (parameter.value) {
    // The default also tells the kind; it is not looked at for its value when it is overridden.
    if (!override || isa<ast::Number>(parameter.value.get()) || isa<ast::Bool>(parameter.value.get()) ||
        isa<ast::String>(parameter.value.get()))
      if (!(standard = constant(*parameter.value, "a constant")))
        return false;
  }
  if (!override) {
    if (!standard) {
      diagnostics.error(parameter.name.range, "`" + name + "` has no value")
          .note({}, "give it by a preset or by `-D " + name + "=…`");
      return false;
    }
    value = standard;
  } else {
    // Overrides see top-level constants, but no hyperparameters.
    std::swap(hidden, scopes);
    value = constant(*override, "a constant");
    std::swap(hidden, scopes);
    if (!value)
      return false;
    if (standard && standard->kind == Constant::Kind::Real && value->kind == Constant::Kind::Count)
      value = Constant::ofReal(value->asReal());
    if (standard && standard->kind != value->kind && standard->kind != Constant::Kind::None &&
        value->kind != Constant::Kind::None) {
      diagnostics
          .error(override->range, "`" + name + "` is " + kindName(standard->kind) + ", not " + value->described())
          .note(parameter.range, "its default is " + standard->described());
      return false;
    }
  }
  scopes.back()[name] = Value::of(*value);
  return true;
}

bool Elaborator::hyperparameters() {
  bool ok = true;
  for (const ast::Parameter &parameter : program.model->parameters)
    if (!hyperparameter(parameter)) {
      ok = false;
      scopes.back()[parameter.name.text] = Value();
    }
  return ok;
}

//===----------------------------------------------------------------------===//
// Settings
//===----------------------------------------------------------------------===//

const ast::Expr *Elaborator::settingValue(StringRef key) {
  auto define = defines.find(key);
  if (define != defines.end())
    return define->second.value.get();
  if (auto *argument = presetValues.lookup(key))
    return argument->value.get();
  if (program.train)
    for (const ast::Setting &setting : program.train->settings)
      if (setting.key.text == key)
        return setting.value.get();
  return nullptr;
}

bool Elaborator::countSetting(StringRef key, int64_t &slot, Kind kind) {
  const ast::Expr *expr = settingValue(key);
  // A hyperparameter of the same name means the same thing: it serves where the setting is not given, and agrees with
  // it where it is.
  auto hyper = scopes.back().find(key);
  bool isHyper = hyper != scopes.back().end() && hyper->second.kind == Value::Kind::Constant;
  if (!expr && !isHyper)
    return true;
  auto value = expr ? constant(*expr, "a count") : hyper->second.constant;
  if (!value)
    return false;
  const ast::Parameter *parameter = nullptr;
  for (const ast::Parameter &candidate : program.model->parameters)
    if (candidate.name.text == key)
      parameter = &candidate;
  SMRange range = expr ? expr->range : parameter->range;
  if (isHyper && !(hyper->second.constant == *value)) {
    diagnostics
        .error(range, "the setting `" + key + "` is " + value->spelled() + ", the hyperparameter of the same name " +
                          hyper->second.constant.spelled())
        .note(parameter->range, "the hyperparameter is declared here");
    return false;
  }
  ArgumentInfo info{key, kind, ArgumentInfo::Default::Required, {}, {}, ""};
  auto fitted = fit(*value, info, range, diagnostics);
  if (!fitted)
    return false;
  slot = fitted->count;
  return true;
}

bool Elaborator::callSetting(StringRef key, ArrayRef<StringRef> callees, StringRef &callee,
                             std::vector<ArgumentValue> &values) {
  const ast::Expr *expr = settingValue(key);
  if (!expr)
    return true;
  auto *call = dyn_cast<ast::Call>(expr);
  auto *name = dyn_cast<ast::Name>(expr);
  StringRef text = call ? StringRef(call->callee.text) : name ? StringRef(name->text) : StringRef();
  if (!is_contained(callees, text)) {
    std::vector<StringRef> known(callees);
    (void)diagnostics.error(expr->range,
                            "`" + key + "` is " + listNames(known, "or") + ", with arguments in parentheses");
    return false;
  }
  const Builtin &builtin = *findTrainBuiltin(text);
  callee = builtin.name;
  bool ok = true;
  BoundCall none;
  none.byParameter.resize(builtin.arguments.size());
  for (auto [info, argument] : zip(builtin.arguments, call ? names.calls[call].byParameter : none.byParameter)) {
    ArgumentValue value;
    value.constant = info.value;
    if (argument) {
      auto given = constant(*argument->value, "a constant");
      value.constant = given ? fit(*given, info, argument->value->range, diagnostics) : std::nullopt;
      ok &= value.constant.has_value();
    }
    values.push_back(std::move(value));
  }
  return ok;
}

bool Elaborator::optimizerAndSchedule() {
  TrainSettings &s = model->train;
  StringRef optimizer, schedule;
  std::vector<ArgumentValue> o, c;
  if (!callSetting("optimizer", {"adamw"}, optimizer, o) ||
      !callSetting("schedule", {"cosine", "constant"}, schedule, c))
    return false;
  if (!o.empty()) {
    s.lr = o[0].constant->real;
    s.beta1 = o[1].constant->elements[0].real;
    s.beta2 = o[1].constant->elements[1].real;
    s.eps = o[2].constant->real;
    s.weightDecay = o[3].constant->real;
    s.clip = o[4].constant->real;
  }
  if (!c.empty()) {
    const Constant &warmup = *c[0].constant;
    s.cosine = schedule == "cosine";
    s.warmupIsCount = warmup.kind == Constant::Kind::Count;
    s.warmupSteps = s.warmupIsCount ? warmup.count : 0;
    s.warmupShare = s.warmupIsCount ? 0 : warmup.real;
    if (s.cosine)
      s.final = c[1].constant->real;
  }
  return true;
}

bool Elaborator::documentSettings() {
  TrainSettings &s = model->train;
  int64_t separator = -1;
  if (!countSetting("separator", separator, Kind::CountOrZero))
    return false;
  if (separator >= 0)
    s.separator = separator;
  const ast::Expr *expr = settingValue("isolate");
  if (!expr)
    return true;
  auto value = constant(*expr, "true or false");
  ArgumentInfo info{"isolate", Kind::Bool, ArgumentInfo::Default::Required, {}, {}, ""};
  auto fitted = value ? fit(*value, info, expr->range, diagnostics) : std::nullopt;
  if (!fitted)
    return false;
  s.isolate = fitted->boolean;
  if (s.isolate && !s.separator) {
    (void)diagnostics.error(expr->range, "`isolate` needs `separator`: the token that every document begins with");
    return false;
  }
  return true;
}

bool Elaborator::checkSeparator() {
  if (!model->train.separator)
    return true;
  const ast::Expr *expr = settingValue("separator");
  for (const Stream &stream : model->streams)
    if (stream.time != model->train.context) {
      (void)diagnostics.error(expr ? expr->range : program.model->name.range,
                              "documents are kept apart position by position, and this model has streams of " +
                                  Twine(stream.time) + " positions beside those of its context");
      return false;
    }
  if (*model->train.separator < model->vocab)
    return true;
  (void)diagnostics.error(expr ? expr->range : program.model->name.range,
                          "the separator is a token below the vocabulary of " + Twine(model->vocab) + ", not " +
                              Twine(*model->train.separator));
  return false;
}

bool Elaborator::trainSettings() {
  TrainSettings &s = model->train;
  bool ok = countSetting("batch", s.batch, Kind::Count);
  ok &= countSetting("context", s.context, Kind::Count);
  ok &= countSetting("steps", s.steps, Kind::Count);
  ok &= countSetting("accumulate", s.accumulate, Kind::Count);
  ok &= countSetting("eval_every", s.evalEvery, Kind::CountOrZero);
  ok &= countSetting("checkpoint_every", s.checkpointEvery, Kind::CountOrZero);
  ok &= countSetting("seed", s.seed, Kind::CountOrZero);
  ok &= optimizerAndSchedule();
  ok &= documentSettings();
  ok &= scalingSetting();
  ok &= ratesSetting();
  ok &= compressSetting();
  if (const ast::Expr *expr = settingValue("holdout")) {
    auto value = constant(*expr, "a share");
    ArgumentInfo info{"holdout", Kind::Fraction, ArgumentInfo::Default::Required, {}, {}, ""};
    auto fitted = value ? fit(*value, info, expr->range, diagnostics) : std::nullopt;
    ok &= fitted.has_value();
    if (fitted)
      s.holdout = fitted->real;
  }
  return ok;
}

//===----------------------------------------------------------------------===//
// The whole
//===----------------------------------------------------------------------===//

std::unique_ptr<ResolvedModel> Elaborator::run() {
  model = std::make_unique<ResolvedModel>();
  const ast::Model &node = *program.model;
  model->name = node.name.text.str();
  model->range = node.name.range;
  model->tokens = model->makeStream(0, 0);
  region = &model->body;
  pathScope = makeScope({});
  if (!readDefines() || !selectPreset() || !globals())
    return nullptr;
  scopes.emplace_back();
  bool ok = hyperparameters();
  ok &= ok && trainSettings();
  if (!ok)
    return nullptr;

  model->tokens->time = model->train.context;
  scopes.back()["tokens"] = Value::of(model->tokens);
  scopes.emplace_back();
  statements(node.body);
  if (diagnostics.errorCount() != 0)
    return nullptr;
  const auto &ret = cast<ast::Return>(*node.body.back());
  model->logits = stream(*ret.value);
  model->returnRange = ret.value->range;
  if (!model->logits)
    return nullptr;
  if (model->vocab == 0) {
    (void)diagnostics.error(node.name.range, "the model never reads its tokens: there is no `embed`");
    return nullptr;
  }
  if (model->logits->width != model->vocab) {
    (void)diagnostics.error(ret.value->range, "a model returns logits over its vocabulary of " + Twine(model->vocab) +
                                                  ", this stream has " + Twine(model->logits->width) + " features");
    return nullptr;
  }
  if (model->logits->time != model->train.context) {
    (void)diagnostics.error(ret.value->range, "a model returns logits for each of the " + Twine(model->train.context) +
                                                  " positions of its context, this stream has " +
                                                  Twine(model->logits->time));
    return nullptr;
  }
  if (!checkSeparator() || !checkReached(*model, diagnostics))
    return nullptr;
  return std::move(model);
}

/// The same spec at other hyperparameters, which a setting at `range` asks for; `role` says what for. Null after
/// errors.
static std::unique_ptr<ResolvedModel> resolveAgain(const Resolved &resolved, Names &names, const Options &options,
                                                   Diagnostics &diagnostics, SMRange range, StringRef role,
                                                   const std::vector<std::pair<std::string, Constant>> &values) {
  std::string text;
  for (const auto &[name, value] : values)
    text += (text.empty() ? "" : ", ") + name + " = " + value.spelled();
  Diagnostics::FrameScope frame(diagnostics, range, "in the " + role.str() + ", at " + text);
  Options again = options;
  again.replaced = values;
  return Elaborator(*resolved.program, names, again, diagnostics).run();
}

/// The models that settings compare this one with. False after errors.
static bool resolveOthers(Resolved &resolved, Names &names, const Options &options, Diagnostics &diagnostics) {
  const TrainSettings &train = resolved.model->train;
  if (const auto &mup = train.mup; mup && !mup->base.empty())
    if (!(resolved.base =
              resolveAgain(resolved, names, options, diagnostics, mup->range, "base model of `scaling`", mup->base)))
      return false;
  if (const auto &projected = train.projected; projected && !projected->source.empty())
    if (!(resolved.source = resolveAgain(resolved, names, options, diagnostics, projected->range,
                                         "source of `compress`", projected->source)))
      return false;
  return true;
}

void Resolved::setBaseShapes(std::vector<BaseShape> shapes) {
  model->train.mup->shapes = std::move(shapes);
  text = modelText + trainText(model->train);
}

void Resolved::setSourceShapes(std::vector<BaseShape> shapes) {
  model->train.projected->shapes = std::move(shapes);
  text = modelText + trainText(model->train);
}

std::unique_ptr<Resolved> resolve(StringRef path, const Options &options, Diagnostics &diagnostics) {
  auto resolved = std::make_unique<Resolved>();
  resolved->program = loadProgram(path, diagnostics);
  if (!resolved->program)
    return nullptr;
  Names names;
  if (!checkNames(*resolved->program, names, diagnostics))
    return nullptr;
  Elaborator elaborator(*resolved->program, names, options, diagnostics);
  resolved->model = elaborator.run();
  if (!resolved->model)
    return nullptr;
  resolved->modelText = printSpec(*resolved->program, names, elaborator.allRecords(), *resolved->model);
  resolved->text = resolved->modelText + trainText(resolved->model->train);
  if (!resolveOthers(*resolved, names, options, diagnostics))
    return nullptr;
  return resolved;
}

} // namespace moire::sema
