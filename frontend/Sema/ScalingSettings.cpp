//===- frontend/Sema/ScalingSettings.cpp - `scaling` and `rates` -----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How parameters start and learn. Which parameters a rate is for is known when
// there are some, and checked by the pass that gives it to them.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "frontend/Sema/NameChecker.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

/// Before the name of a hyperparameter: its value in the base model.
static constexpr StringRef basePrefix = "base_";

static constexpr StringRef roles[] = {"embedding", "head", "attention", "ssm", "router", "expert", "ffn", "norm"};

//===----------------------------------------------------------------------===//
// Names
//===----------------------------------------------------------------------===//

void NameChecker::namedArguments(const ast::Call &call, StringRef example,
                                 function_ref<void(StringRef name, const ast::Argument &argument)> check) {
  StringMap<SMRange> given;
  for (const ast::Argument &argument : call.arguments) {
    if (!argument.name) {
      (void)diagnostics.error(argument.range, "the arguments of `" + call.callee.text + "` are named: " + example);
      continue;
    }
    StringRef name = argument.name->text;
    auto [it, fresh] = given.try_emplace(name, argument.name->range);
    if (!fresh)
      diagnostics.error(argument.name->range, "`" + name + "` is given twice")
          .note(it->second, "it was given here before");
    check(name, argument);
  }
}

void NameChecker::shapes(const ast::Argument &argument) {
  auto *record = dyn_cast<ast::Record>(argument.value.get());
  for (const ast::Record::Field &field : record ? ArrayRef(record->fields) : ArrayRef<ast::Record::Field>())
    expression(*field.value);
}

void NameChecker::scaling(const ast::Expr &expr) {
  if (isa<ast::None>(&expr))
    return;
  auto *call = dyn_cast<ast::Call>(&expr);
  if (!call || call->callee.text != "mup") {
    (void)diagnostics.error(expr.range, "`scaling` is `mup(base_width = …)`, with the base model's hyperparameters, or "
                                        "`none`");
    return;
  }
  bool hasBase = false, hasShapes = false;
  const Builtin &mup = *findTrainBuiltin("mup");
  namedArguments(*call, "`base_width = …`", [&](StringRef name, const ast::Argument &argument) {
    auto info = find_if(mup.arguments, [&](const ArgumentInfo &known) { return known.name == name; });
    if (info != mup.arguments.end() && info->kind == ArgumentKind::Word) {
      auto *word = dyn_cast<ast::Name>(argument.value.get());
      if (!word || !is_contained(info->words, word->text))
        (void)diagnostics.error(argument.value->range, "`" + name + "` is " + wordsOf(*info) +
                                                           (word ? didYouMean(word->text, info->words) : ""));
    } else if (name == "shapes") {
      hasShapes = true;
      shapes(argument);
    } else if (info != mup.arguments.end()) {
      expression(*argument.value);
    } else if (name.starts_with(basePrefix)) {
      hasBase = true;
      expression(*argument.value);
      hyperparameterName(name.drop_front(basePrefix.size()), argument.name->range);
    } else {
      (void)diagnostics.error(argument.name->range, "`mup` has no argument `" + name +
                                                        "`; it takes `base_NAME` for a hyperparameter NAME, " +
                                                        "`shapes` in their place, `input`, `output` and `router`");
    }
  });
  if (hasBase == hasShapes)
    (void)diagnostics.error(call->range, hasBase
                                             ? "`shapes` stands for the base model; it has no hyperparameters beside"
                                             : "`mup` needs its base model: `base_width = …`");
}

void NameChecker::rates(const ast::Expr &expr) {
  if (isa<ast::None>(&expr))
    return;
  auto *record = dyn_cast<ast::Record>(&expr);
  if (!record) {
    (void)diagnostics.error(expr.range,
                            "`rates` is a record: `{ router: 0.6 -> 1.0, \"layers.*.attention.*\": 0.5 }`, or "
                            "`none`");
    return;
  }
  StringMap<SMRange> given;
  for (const ast::Record::Field &field : record->fields) {
    StringRef key = field.key.text;
    auto [it, fresh] = given.try_emplace((field.key.quoted ? "\"" : "") + key.str(), field.key.range);
    if (!fresh)
      diagnostics.error(field.key.range, "`" + key + "` is given twice").note(it->second, "it was given here before");
    if (!field.key.quoted && !is_contained(roles, key))
      (void)diagnostics.error(field.key.range, "there is no role `" + key + "`" + didYouMean(key, roles) +
                                                   "; the roles are " + listNames(roles) +
                                                   ", and a path stands in quotes");
    if (auto *range = dyn_cast<ast::Range>(field.value.get())) {
      expression(*range->from);
      expression(*range->to);
    } else {
      expression(*field.value);
    }
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

bool Elaborator::shapesOf(const ast::Expr &expr, std::vector<BaseShape> &shapes) {
  auto *record = dyn_cast<ast::Record>(&expr);
  if (!record) {
    (void)diagnostics.error(expr.range, "`shapes` is a record: `{ \"head.weight\": (64, 256) }`");
    return false;
  }
  bool ok = true;
  for (const ast::Record::Field &field : record->fields) {
    auto value = constant(*field.value, "extents");
    std::vector<Constant> extents;
    if (value)
      extents = value->kind == Constant::Kind::Tuple ? value->elements : std::vector<Constant>{*value};
    BaseShape shape{field.key.text.str(), {}};
    for (const Constant &extent : extents)
      shape.extents.push_back(extent.kind == Constant::Kind::Count ? extent.count : 0);
    if (shape.extents.empty() || is_contained(shape.extents, 0)) {
      (void)diagnostics.error(field.value->range, "extents are counts of at least 1, such as `(64, 256)`");
      ok = false;
    }
    shapes.push_back(std::move(shape));
  }
  return ok;
}

bool Elaborator::sameKinds(ArrayRef<std::pair<std::string, Constant>> values, SMRange range, StringRef where) {
  bool ok = true;
  for (const auto &[name, value] : values) {
    const Value &own = scopes.back()[name];
    if (own.kind != Value::Kind::Constant || own.constant.kind == value.kind)
      continue;
    (void)diagnostics.error(range, "`" + name + "` is " + kindName(own.constant.kind) + ", in " + where + " " +
                                       value.described());
    ok = false;
  }
  return ok;
}

bool Elaborator::scalingSetting() {
  const ast::Expr *expr = settingValue("scaling");
  if (!expr || isa<ast::None>(expr))
    return true;
  MupSettings mup;
  mup.range = expr->range;
  bool ok = true;
  for (const ast::Argument &argument : cast<ast::Call>(expr)->arguments) {
    StringRef name = argument.name->text;
    if (name == "router") {
      mup.router = cast<ast::Name>(argument.value.get())->text.str();
    } else if (name == "shapes") {
      ok &= shapesOf(*argument.value, mup.shapes);
    } else if (auto value = constant(*argument.value, "a constant"); !value) {
      ok = false;
    } else if (name.consume_front(basePrefix)) {
      mup.base.emplace_back(name.str(), *value);
    } else {
      ArgumentInfo info{name, ArgumentKind::Positive, ArgumentInfo::Default::Required, {}, {}, ""};
      auto fitted = fit(*value, info, argument.value->range, diagnostics);
      ok &= fitted.has_value();
      if (fitted)
        (name == "input" ? mup.input : mup.output) = fitted->real;
    }
  }
  ok &= sameKinds(mup.base, expr->range, "the base model");
  model->train.mup = std::move(mup);
  return ok;
}

std::optional<double> Elaborator::rate(const ast::Expr &expr) {
  auto value = constant(expr, "a relative learning rate");
  ArgumentInfo info{"rates", ArgumentKind::NonNegative, ArgumentInfo::Default::Required, {}, {}, ""};
  auto fitted = value ? fit(*value, info, expr.range, diagnostics) : std::nullopt;
  return fitted ? std::optional(fitted->real) : std::nullopt;
}

bool Elaborator::ratesSetting() {
  const ast::Expr *expr = settingValue("rates");
  if (!expr || isa<ast::None>(expr))
    return true;
  bool ok = true;
  for (const ast::Record::Field &field : cast<ast::Record>(expr)->fields) {
    auto *range = dyn_cast<ast::Range>(field.value.get());
    std::optional<double> start = rate(range ? *range->from : *field.value);
    std::optional<double> end = range ? rate(*range->to) : start;
    if (range && !model->train.cosine) {
      (void)diagnostics.error(range->range,
                              "a constant schedule never comes to the second of two rates; one would do, or "
                              "`schedule = cosine(…)`");
      ok = false;
    }
    ok &= start && end;
    if (start && end)
      model->train.rates.push_back({field.key.text.str(), field.key.quoted, *start, *end, field.key.range});
  }
  return ok;
}

} // namespace moire::sema
