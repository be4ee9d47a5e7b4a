//===- Rates.cpp - relative learning rates ----------------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the rule of each parameter, and the rules that are nobody's.
//===----------------------------------------------------------------------===//
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Scaling/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/GlobPattern.h"

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_RATESPASS
#include "passes/Transforms/Scaling/Passes.h.inc"

namespace {

/// One rule with the parameters it names.
struct Rule {
  RateOp op;
  SmallVector<ParamOp> named;
  bool rules = false; ///< at least one of them
  std::string title() {
    return op.getRole() ? ("role `" + stringifyRole(*op.getRole()) + "`").str()
                        : ("path `" + *op.getPath() + "`").str();
  }
};

/// The roles of the module's parameters, for the error that none has the one asked for.
std::string rolesOf(ModuleOp module) {
  SmallVector<StringRef> roles;
  for (auto param : module.getOps<ParamOp>())
    if (StringRef role = stringifyRole(param.getRole()); !llvm::is_contained(roles, role))
      roles.push_back(role);
  std::string text;
  for (StringRef role : roles)
    text += (text.empty() ? "`" : ", `") + role.str() + "`";
  return text;
}

class Matching {
public:
  explicit Matching(ModuleOp module) : module(module) {}

  LogicalResult run() {
    for (auto op : module.getOps<RateOp>()) {
      rules.push_back({op, {}});
      if (failed(find(rules.back())))
        return failure();
    }
    for (auto param : module.getOps<ParamOp>())
      if (failed(give(param)))
        return failure();
    for (Rule &rule : rules) {
      if (!rule.rules)
        return mlir::emitError(rule.op.getLoc())
               << "the rate of " << rule.title() << " has no effect: every parameter that it names belongs to a path";
      rule.op.erase();
    }
    return success();
  }

private:
  LogicalResult find(Rule &rule) {
    if (rule.op.getRole()) {
      for (auto param : module.getOps<ParamOp>())
        if (param.getRole() == *rule.op.getRole())
          rule.named.push_back(param);
    } else if (failed(findPath(rule))) {
      return failure();
    }
    if (!rule.named.empty())
      return success();
    auto diag = mlir::emitError(rule.op.getLoc()) << "no parameter has the " << rule.title();
    if (rule.op.getRole())
      diag << "; those of the model have " << rolesOf(module);
    else if (auto params = module.getOps<ParamOp>(); !params.empty())
      diag << "; one of the model's is `" << cast<StringAttr>((*params.begin()).getPaths()[0]).getValue() << "`";
    return diag;
  }

  LogicalResult findPath(Rule &rule) {
    llvm::Expected<llvm::GlobPattern> pattern = llvm::GlobPattern::create(*rule.op.getPath());
    if (!pattern)
      return mlir::emitError(rule.op.getLoc())
             << "`" << *rule.op.getPath() << "` is no pattern: " << llvm::toString(pattern.takeError());
    for (auto param : module.getOps<ParamOp>()) {
      StringRef matched, missed;
      for (Attribute attribute : param.getPaths()) {
        StringRef path = cast<StringAttr>(attribute).getValue();
        (pattern->match(path) ? matched : missed) = path;
      }
      if (!matched.empty() && !missed.empty())
        return mlir::emitError(rule.op.getLoc()) << rule.title() << " matches `" << matched << "` and not `" << missed
                                                 << "`; layers of one `repeat` have one rate";
      if (!matched.empty())
        rule.named.push_back(param);
    }
    return success();
  }

  LogicalResult give(ParamOp param) {
    Rule *chosen = nullptr;
    for (Rule &rule : rules) {
      if (!llvm::is_contained(rule.named, param))
        continue;
      if (chosen && bool(chosen->op.getRole()) == bool(rule.op.getRole())) {
        auto diag = mlir::emitError(rule.op.getLoc()) << "`" << param.getSymName() << "` has two rates: of "
                                                      << chosen->title() << " and of " << rule.title();
        diag.attachNote(chosen->op.getLoc()) << "the other one is given here";
        return diag;
      }
      if (!chosen || rule.op.getPath())
        chosen = &rule;
    }
    if (!chosen)
      return success();
    chosen->rules = true;
    param.setRateStartAttr(chosen->op.getStartAttr());
    param.setRateEndAttr(chosen->op.getEndAttr());
    std::string text =
        llvm::formatv("{0}: {1:F4} to {2:F4} of the learning rate, by {3}", param.getSymName(),
                      chosen->op.getStart().convertToDouble(), chosen->op.getEnd().convertToDouble(), chosen->title());
    remark::passed(param.getLoc(), remark::RemarkOpts::name("rate").category("moire-rates")) << text;
    return success();
  }

  ModuleOp module;
  std::vector<Rule> rules;
};

struct Rates final : impl::RatesPassBase<Rates> {
  void runOnOperation() override {
    if (failed(Matching(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace moire
