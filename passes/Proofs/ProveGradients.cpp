//===- passes/Proofs/ProveGradients.cpp - every loss teaches, all are taught =//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before differentiation: who reaches whom, by GradientReach. After it: no gradient is a number known already.
//===----------------------------------------------------------------------===//
#include "mlir/IR/Remarks.h"
#include "passes/Analysis/Dependents.h"
#include "passes/Analysis/GradientReach.h"
#include "passes/Analysis/ParameterLayout.h"
#include "passes/Proofs/Passes.h"
#include "passes/Proofs/Report.h"
#include <map>

namespace moire {
#define GEN_PASS_DEF_PROVEGRADIENTSPASS
#include "passes/Proofs/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

constexpr const char *category = "moire-prove-gradients";

/// A loss that a function reports, or the objective itself (without a name).
struct Term {
  Value value;
  StringRef name;
  bool isAuxiliary = false;
};

/// A load-balancing loss somewhere in the function: its probabilities and its loads, each a term of its own.
struct Balance {
  Operation *loss;
  unsigned probs, load;
};

/// The op that computes `value`: through the loops that stack it and the sums that add it up.
Operation *sourceOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      value = repeat.getYield().getOperand(cast<OpResult>(value).getResultNumber());
    else if (isa<ReduceLeadingOp>(op))
      value = op->getOperand(0);
    else
      return op;
  }
  return nullptr;
}

/// Follows the losses of one training function to the parameters of its module.
class Teaching {
public:
  Teaching(func::FuncOp function, unsigned objective)
      : function(function), end(function.getBody().front().getTerminator()) {
    terms.push_back({end->getOperand(objective), "", false});
    for (unsigned number = 0; number < end->getNumOperands(); ++number) {
      auto kind = function.getResultAttrOfType<StringAttr>(number, "moire.metric_kind");
      auto name = function.getResultAttrOfType<StringAttr>(number, "moire.metric");
      if (kind && name && (kind.getValue() == "loss" || kind.getValue() == "aux_loss"))
        terms.push_back({end->getOperand(number), name.getValue(), kind.getValue() == "aux_loss"});
    }
    for (BlockArgument argument : function.getArguments())
      if (auto name = function.getArgAttrOfType<FlatSymbolRefAttr>(argument.getArgNumber(), "moire.param"))
        arguments[name.getAttr()].push_back(argument);
  }

  /// Whether everything holds; every fault is an error.
  bool check() {
    SmallVector<Value> values;
    for (const Term &term : terms)
      values.push_back(term.value);
    SmallVector<Balance> balances;
    auto balance = [&](auto loss) {
      balances.push_back({loss, unsigned(values.size()), unsigned(values.size() + 1)});
      values.append({loss.getProbs(), loss.getLoad()});
    };
    function.walk([&](BalanceLossOp loss) { balance(loss); });
    function.walk([&](SequenceBalanceLossOp loss) { balance(loss); });
    GradientReach reach(function, values);
    bool holds = checkGates();
    for (unsigned number = 1; number < terms.size(); ++number)
      holds &= checkTerm(reach, number);
    for (const Balance &balance : balances)
      holds &= checkLoad(reach, balance);
    for (auto param : function->getParentOfType<ModuleOp>().getOps<ParamOp>())
      holds &= checkParameter(reach, param);
    return holds;
  }

  /// What teaches what, for the package: one line per set of losses.
  std::vector<std::string> record() const {
    std::vector<std::string> lines;
    for (auto &[teachers, names] : taught)
      lines.push_back(std::to_string(names) + " parameters learn from " + teachers);
    if (frozen > 0)
      lines.push_back(std::to_string(frozen) + " parameters are frozen: none of them learns");
    return lines;
  }

private:
  bool teaches(const GradientReach &reach, unsigned term, ParamOp param) const {
    auto found = arguments.find(param.getSymNameAttr());
    return found != arguments.end() &&
           llvm::any_of(found->second, [&](Value argument) { return reach.teaches(term, argument); });
  }
  bool reads(const GradientReach &reach, unsigned term, ParamOp param) const {
    auto found = arguments.find(param.getSymNameAttr());
    return found != arguments.end() &&
           llvm::any_of(found->second, [&](Value argument) { return reach.reads(term, argument); });
  }
  template <typename Predicate> SmallVector<ParamOp> parametersIf(Predicate predicate) const {
    SmallVector<ParamOp> found;
    for (auto param : function->getParentOfType<ModuleOp>().getOps<ParamOp>())
      if (predicate(param))
        found.push_back(param);
    return found;
  }

  bool checkGates() {
    bool holds = true;
    function.walk([&](RouteOp route) {
      if (!hasConstantGates(route))
        return;
      InFlightDiagnostic diagnostic =
          emitError(route.getLoc()) << "the gate of the one chosen expert is the same number whatever its router says: "
                                       "the next-token loss teaches this router nothing";
      diagnostic.attachNote() << (route.getRenormalize()
                                      ? "a score divided by itself is 1: choose `renormalize = false`"
                                      : "the softmax of one logit is 1: take the softmax first")
                              << ", or more than one expert";
      holds = false;
    });
    return holds;
  }

  /// A reported loss is part of the objective, and an auxiliary one teaches the block that it belongs to.
  bool checkTerm(const GradientReach &reach, unsigned number) {
    const Term &term = terms[number];
    Operation *source = sourceOf(term.value);
    Location loc = source ? source->getLoc() : function.getLoc();
    if (!reach.teaches(0, term.value)) {
      emitError(loc) << "`" << term.name << "` is no part of what is trained: its coefficient has no effect";
      return false;
    }
    if (!term.isAuxiliary)
      return true;
    std::string owner = (term.name.rsplit('.').first + ".").str();
    auto isOwn = [&](ParamOp param) { return param.getSymName().starts_with(owner); };
    SmallVector<ParamOp> pupils =
        parametersIf([&](ParamOp param) { return isOwn(param) && param.getRole() == Role::Router; });
    if (pupils.empty())
      pupils = parametersIf(isOwn);
    bool anybody = pupils.empty();
    if (anybody)
      pupils = parametersIf([](ParamOp) { return true; });
    if (llvm::any_of(pupils, [&](ParamOp param) { return teaches(reach, number, param); }))
      return true;
    InFlightDiagnostic diagnostic = emitError(loc) << "`" << term.name << "` does not reach ";
    if (anybody || pupils.empty())
      diagnostic << "any parameter: it changes nothing";
    else
      diagnostic << "`" << pupils.front().getSymName() << "`: it is constant in what it should balance";
    return false;
  }

  /// The loads that a balancing loss weighs with are those of the router whose probabilities it moves.
  bool checkLoad(const GradientReach &reach, const Balance &balance) {
    SmallVector<ParamOp> routers = parametersIf(
        [&](ParamOp param) { return param.getRole() == Role::Router && teaches(reach, balance.probs, param); });
    if (routers.empty() || llvm::any_of(routers, [&](ParamOp param) { return reads(reach, balance.load, param); }))
      return true;
    emitError(balance.loss->getLoc()) << "the loads of this balancing loss do not come from the choices of `"
                                      << routers.front().getSymName() << "`: it pulls towards no balance";
    return false;
  }

  /// What is frozen is to be read all the same.
  bool checkFrozen(const GradientReach &reach, ParamOp param) {
    if (!reads(reach, 0, param)) {
      emitError(param.getLoc()) << "parameter `" << param.getSymName()
                                << "` is frozen, and the objective does not read it";
      return false;
    }
    ++frozen;
    if (param->getContext()->getRemarkEngine())
      remark::analysis(param.getLoc(), remark::RemarkOpts::name("frozen").category(category))
          << "`" + param.getSymName().str() + "` is frozen";
    return true;
  }

  bool checkParameter(const GradientReach &reach, ParamOp param) {
    if (isFrozen(param))
      return checkFrozen(reach, param);
    if (!teaches(reach, 0, param)) {
      InFlightDiagnostic diagnostic = emitError(param.getLoc()) << "parameter `" << param.getSymName()
                                                                << "` is reached by no loss: its gradient is zero";
      if (!arguments.contains(param.getSymNameAttr()))
        diagnostic.attachNote() << "`" << function.getSymName() << "` does not read it";
      else if (reads(reach, 0, param))
        diagnostic.attachNote() << "the objective is computed from it, but only by choices, which have no gradient";
      return false;
    }
    std::string teachers;
    for (unsigned number = 1; number < terms.size(); ++number)
      if (reach.teaches(0, terms[number].value) && teaches(reach, number, param))
        teachers += (teachers.empty() ? "" : ", ") +
                    (terms[number].isAuxiliary ? "`" + terms[number].name.str() + "`" : "the next-token loss");
    if (teachers.empty())
      teachers = "the objective";
    ++taught[teachers];
    if (param->getContext()->getRemarkEngine())
      remark::analysis(param.getLoc(), remark::RemarkOpts::name("taught").category(category))
          << "`" + param.getSymName().str() + "` learns from " + teachers;
    return true;
  }

  func::FuncOp function;
  Operation *end;
  SmallVector<Term> terms;
  llvm::DenseMap<StringAttr, SmallVector<Value>> arguments;
  std::map<std::string, int64_t> taught;
  int64_t frozen = 0;
};

/// The values of a function that depend on its data or its parameters, and not on the seed of its gradients alone.
llvm::DenseSet<Value> varyingValues(func::FuncOp function) {
  SmallVector<Value> seeds;
  for (BlockArgument argument : function.getArguments())
    if (!function.getArgAttr(argument.getArgNumber(), "moire.seed"))
      seeds.push_back(argument);
  return dependentsOf(function.getBody().front(), seeds);
}

struct ProveGradients final : moire::impl::ProveGradientsPassBase<ProveGradients> {
  void runOnOperation() override {
    bool holds = true;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        holds &= prove(function);
    if (!holds)
      signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  bool prove(func::FuncOp function) {
    for (unsigned number = 0; number < function.getNumResults(); ++number)
      if (function.getResultAttr(number, "moire.objective")) {
        Teaching teaching(function, number);
        if (!teaching.check())
          return false;
        recordProof(getOperation(), "gradients", teaching.record());
        remark::passed(function.getLoc(), remark::RemarkOpts::name("taught").category(category))
            << "proved of `" + function.getSymName().str() + "`: every parameter learns, and every loss teaches";
        return true;
      }
    return proveVarying(function);
  }

  /// After differentiation: gradients are results.
  bool proveVarying(func::FuncOp function) {
    std::optional<llvm::DenseSet<Value>> varying;
    bool holds = true;
    for (auto [number, value] : llvm::enumerate(function.getBody().front().getTerminator()->getOperands())) {
      auto name = function.getResultAttrOfType<FlatSymbolRefAttr>(number, "moire.gradient");
      if (!name)
        continue;
      if (!varying)
        varying = varyingValues(function);
      if (varying->contains(value))
        continue;
      auto fill = value.getDefiningOp<FillOp>();
      auto param = SymbolTable::lookupNearestSymbolFrom<ParamOp>(function, name);
      emitError(param ? param.getLoc() : value.getLoc())
          << "the gradient of parameter `" << name.getValue() << "` is "
          << (fill && fill.getValue().isZero() ? "zero" : "constant: it depends neither on tokens nor on parameters");
      holds = false;
    }
    return holds;
  }
};

} // namespace
