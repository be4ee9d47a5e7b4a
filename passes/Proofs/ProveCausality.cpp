//===- passes/Proofs/ProveCausality.cpp - no future, no neighbours ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Asks PositionFlow about the logits of every function, and tells of what it finds in the words of the spec.
//===----------------------------------------------------------------------===//
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/Remarks.h"
#include "passes/Analysis/PositionFlow.h"
#include "passes/Proofs/Passes.h"
#include "passes/Proofs/Report.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include <set>

namespace moire {
#define GEN_PASS_DEF_PROVECAUSALITYPASS
#include "passes/Proofs/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

constexpr const char *category = "moire-prove-causality";

/// What a function computes, and from what.
struct Question {
  llvm::SetVector<Value> logits, tokens, targets;
  /// What the logits must not see. Documents are apart where the tokens say with what one begins.
  SmallVector<Axis> axes{Axis::Time, Axis::Batch};

  bool isolated() const { return llvm::is_contained(axes, Axis::Documents); }
};

Question questionOf(func::FuncOp function) {
  Question question;
  function.walk([&](CrossEntropyOp loss) {
    question.logits.insert(loss.getLogits());
    question.targets.insert(loss.getTargets());
  });
  Operation *end = function.getBody().front().getTerminator();
  for (auto [number, value] : llvm::enumerate(end->getOperands()))
    if (function.getResultAttr(number, "moire.logits"))
      question.logits.insert(value);
  for (BlockArgument argument : function.getArguments())
    if (isa<IntegerType>(elementOf(argument.getType())) && !question.targets.contains(argument) &&
        !function.getArgAttr(argument.getArgNumber(), "moire.position"))
      question.tokens.insert(argument);
  if (llvm::any_of(function.getArguments(), [&](BlockArgument argument) {
        return function.getArgAttr(argument.getArgNumber(), "moire.separator");
      }))
    question.axes.push_back(Axis::Documents);
  return question;
}

/// Whether an op could be told where documents begin, but is not, or not by what can be trusted.
std::string missingDocuments(Operation *op) {
  if (isa<DocumentPositionsOp>(op))
    return ": it does not look for the separator of this function's tokens";
  Value documents;
  bool takes = llvm::TypeSwitch<Operation *, bool>(op)
                   .Case<SoftmaxAttentionOp, ConvOp, SelectiveScanOp, SsdScanOp>([&](auto looking) {
                     documents = looking.getDocuments();
                     return true;
                   })
                   .Default(false);
  if (!takes)
    return "";
  return documents ? ": its `documents` are no positions in documents" : ": it is not told where documents begin";
}

/// What an op does to positions, where its name does not say it.
std::string detailOf(Operation *op, Axis axis) {
  if (auto slice = dyn_cast<SliceOp>(op))
    return std::string(": its result begins at ") + (axis == Axis::Batch ? "example " : "position ") +
           std::to_string(slice.getOffset()) + " of its operand";
  if (auto reshape = dyn_cast<ReshapeOp>(op)) {
    ArrayRef<int64_t> from = shapeOf(reshape.getX().getType()), to = shapeOf(reshape.getY().getType());
    if (axis == Axis::Time && from.size() > 2 && to.size() > 2 && from[0] == to[0] && from[1] > to[1])
      return ": a position of its result is " + std::to_string(from[1] / to[1]) +
             " of its operand; a stream that comes " + std::to_string(from[1] / to[1] - 1) +
             " positions later holds no later ones";
    return ": it divides the same numbers into other tokens";
  }
  if (isa<ReduceLeadingOp>(op))
    return ": it sums over all tokens";
  if (axis == Axis::Documents)
    if (std::string missing = missingDocuments(op); !missing.empty())
      return missing;
  if (!isa<PositionalOpInterface>(op))
    return ": it does not say how positions depend on each other";
  return "";
}

std::string claimOf(bool isolated) {
  return std::string("logits at a position depend on tokens up to it, of its own ") +
         (isolated ? "document only" : "example only");
}

/// What an op lets happen along an axis, and what logits may depend on.
StringRef leakAlong(Axis axis) {
  return axis == Axis::Time    ? "a position see later ones"
         : axis == Axis::Batch ? "an example see other examples of its batch"
                               : "a document see other documents of its sequence";
}
StringRef limitAlong(Axis axis) {
  return axis == Axis::Time    ? "at their own and earlier positions only"
         : axis == Axis::Batch ? "of their own example only"
                               : "of their own document only";
}

std::string describe(const PositionFlow::Exception &exception) {
  std::string text = "`" + exception.op->getName().getStringRef().str() + "`";
  text += exception.reach.time == Reach::Group ? " lets all tokens of the batch compete, later ones too"
                                               : " mixes tokens of one position across examples";
  return text + ": what the spec asks for, and so no error";
}

struct ProveCausality final : moire::impl::ProveCausalityPassBase<ProveCausality> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isDeclaration())
        prove(function);
    if (!blamed.empty())
      signalPassFailure();
    else if (proved)
      recordProof(getOperation(), "causality", record);
    markAllAnalysesPreserved();
  }

private:
  void prove(func::FuncOp function) {
    Question question = questionOf(function);
    if (question.logits.empty())
      return;
    PositionFlow flow(function, question.tokens.getArrayRef());
    unsigned before = blamed.size();
    for (Value logits : question.logits) {
      for (Axis axis : question.axes)
        if (axis == Axis::Time ? flow.seesAhead(logits) : flow.isLoose(logits, axis))
          blame(function, flow, logits, axis);
      refuseTargets(function, question, logits);
    }
    if (blamed.size() > before)
      return;
    proved = true;
    remark::passed(function.getLoc(), remark::RemarkOpts::name("causal").category(category))
        << "proved of `" + function.getSymName().str() + "`: " + claimOf(question.isolated());
    record.front() = claimOf(question.isolated());
    for (Value logits : question.logits)
      for (const PositionFlow::Exception &exception : flow.exceptions(logits))
        except(exception);
  }

  /// Both @train and @eval hold the same fault; it is told once.
  bool isNews(Operation *culprit, Axis axis) {
    return blamed.insert({placeOf(culprit->getLoc()), culprit->getName().getStringRef().str(), axis}).second;
  }

  void blame(func::FuncOp function, const PositionFlow &flow, Value logits, Axis axis) {
    PositionFlow::Trail trail = flow.explain(logits, axis);
    Operation *culprit = trail.culprit ? trail.culprit : function;
    if (!isNews(culprit, axis))
      return;
    InFlightDiagnostic diagnostic = emitError(culprit->getLoc()) << "`" << culprit->getName() << "` lets "
                                                                 << leakAlong(axis) << detailOf(culprit, axis);
    attachTrail(diagnostic, culprit->getLoc(), trail.values);
    diagnostic.attachNote(logits.getLoc())
        << "these logits of `" << function.getSymName() << "` may depend on tokens " << limitAlong(axis);
  }

  /// Targets are read by losses alone; only where something else reads them is there anything to follow.
  void refuseTargets(func::FuncOp function, const Question &question, Value logits) {
    for (Value target : question.targets) {
      if (llvm::all_of(target.getUsers(), [](Operation *user) { return isa<CrossEntropyOp, CountTargetsOp>(user); }))
        continue;
      PositionFlow flow(function, target);
      Dependence found = flow.of(logits);
      if (found.time == Reach::None && found.batch == Reach::None)
        continue;
      for (Operation *user : target.getUsers())
        if (!isa<CrossEntropyOp, CountTargetsOp>(user) && isNews(user, Axis::Time))
          user->emitError() << "the logits of `" << function.getSymName() << "` depend on their targets: `"
                            << user->getName() << "` reads them";
    }
  }

  void except(const PositionFlow::Exception &exception) {
    std::string text = describe(exception), place = placeOf(exception.op->getLoc());
    if (!excepted.insert({place, text}).second)
      return;
    remark::analysis(exception.op->getLoc(), remark::RemarkOpts::name("exception").category(category)) << text;
    record.push_back(place.empty() ? text : place + ": " + text);
  }

  std::set<std::tuple<std::string, std::string, Axis>> blamed;
  std::set<std::pair<std::string, std::string>> excepted;
  std::vector<std::string> record{claimOf(/*isolated=*/false)};
  bool proved = false;
};

} // namespace
