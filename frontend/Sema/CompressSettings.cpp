//===- frontend/Sema/CompressSettings.cpp - `compress` ----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which larger model this one is made from. Whether its weights can be projected is
// known when there are some, and checked by the pass that projects them.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "frontend/Sema/NameChecker.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace moire::sema {

/// In the place of hyperparameters: the extents that the source's parameters have.
static constexpr StringRef shapesName = "shapes";

void NameChecker::hyperparameterName(StringRef name, SMRange range) {
  std::vector<StringRef> known;
  for (const ast::Parameter &parameter : program.model->parameters)
    known.push_back(parameter.name.text);
  if (!is_contained(known, name))
    diagnostics.error(range, "the model has no hyperparameter `" + name + "`" + didYouMean(name, known))
        .note(program.model->name.range, "the model is declared here");
}

void NameChecker::compress(const ast::Expr &expr) {
  if (isa<ast::None>(&expr))
    return;
  auto *call = dyn_cast<ast::Call>(&expr);
  if (!call || call->callee.text != "projected") {
    (void)diagnostics.error(
        expr.range, "`compress` is `projected(width = …)`, with the hyperparameters of the larger model, or `none`");
    return;
  }
  bool hasSource = false, hasShapes = false;
  namedArguments(*call, "`width = …`", [&](StringRef name, const ast::Argument &argument) {
    if (name == shapesName) {
      hasShapes = true;
      return shapes(argument);
    }
    hasSource = true;
    expression(*argument.value);
    hyperparameterName(name, argument.name->range);
  });
  if (!hasSource && !hasShapes)
    (void)diagnostics.error(call->range, "`projected` needs the larger model: `width = …`");
  else if (hasSource && hasShapes)
    (void)diagnostics.error(call->range, "`shapes` stands for the larger model; it has no hyperparameters beside");
}

bool Elaborator::compressSetting() {
  const ast::Expr *expr = settingValue("compress");
  if (!expr || isa<ast::None>(expr))
    return true;
  if (model->train.mup) {
    (void)diagnostics.error(expr->range, "`compress` keeps the weights of a model that was trained at its own rates, "
                                         "`scaling` transfers rates to new weights: choose one");
    return false;
  }
  ProjectedSettings projected;
  projected.range = expr->range;
  bool ok = true;
  for (const ast::Argument &argument : cast<ast::Call>(expr)->arguments) {
    if (argument.name->text == shapesName)
      ok &= shapesOf(*argument.value, projected.shapes);
    else if (auto value = constant(*argument.value, "a constant"))
      projected.source.emplace_back(argument.name->text.str(), *value);
    else
      ok = false;
  }
  ok &= sameKinds(projected.source, expr->range, "the source");
  model->train.projected = std::move(projected);
  return ok;
}

} // namespace moire::sema
