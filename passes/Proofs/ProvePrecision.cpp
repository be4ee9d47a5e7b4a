//===- passes/Proofs/ProvePrecision.cpp - what is delicate stays exact ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Types keep most of the contract: such operands cannot be bf16. What types cannot see is a value that was bf16 a
// moment ago. So every operand under contract is followed back through moves, loops and row kernels to whatever
// computed it.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "passes/Proofs/Passes.h"
#include "passes/Proofs/Report.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSwitch.h"
#include <set>

namespace moire {
#define GEN_PASS_DEF_PROVEPRECISIONPASS
#include "passes/Proofs/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

constexpr const char *category = "moire-prove-precision";

bool isNarrow(Value value) { return elementOf(value.getType()).isBF16(); }
bool isFull(Value value) { return isFullPrecision(value.getType()); }

bool isMove(Operation *op) { return isa<ReshapeOp, SliceOp, ConcatOp, BroadcastOp, GatherRowsOp>(op); }
bool isPointwise(Operation *op) { return isa<UnaryOp, UnaryGradOp, BinaryOp, ScaleOp, ClampOp, ClampGradOp>(op); }

/// What an operand under contract is called; empty for an operand that may be anything.
StringRef contractOf(OpOperand &operand) {
  Operation *op = operand.getOwner();
  if (!isFull(operand.get()) || !isa_and_nonnull<MoireDialect>(op->getDialect()) || op->getNumRegions() != 0 ||
      isMove(op) || isPointwise(op) || isa<CastOp, ReduceLeadingOp, YieldOp>(op))
    return "";
  StringRef name = op->getName().stripDialect(), word;
  word = llvm::StringSwitch<StringRef>(name)
             .Cases({"route", "fused_route"}, operand.getOperandNumber() == 0 ? "router logits" : "selection biases")
             .Cases({"z_loss", "z_loss_grad"}, "router logits")
             .Cases({"route_grad", "balance_loss", "balance_loss_grad", "sequence_balance_loss"},
                    "router probabilities and loads")
             .Cases({"cross_entropy", "cross_entropy_grad"}, "logits of the loss")
             .Cases({"softmax", "softmax_grad"}, "operands of the softmax")
             .Cases({"combine", "combine_grad", "grouped_combine", "scale_rows"}, "gates")
             .Default("");
  // An op that also has bf16 in or out is full precision where it says so; elsewhere all might be.
  bool mixed = llvm::any_of(op->getOperands(), isNarrow) || llvm::any_of(op->getResults(), isNarrow);
  if (word == "gates")
    return mixed ? word : "";
  if (!word.empty() || !mixed)
    return word;
  if (name.contains("norm"))
    return "statistics and weights of the norm";
  if (name.contains("scan"))
    return "steps and states of the scan";
  if (name.contains("attention"))
    return "statistics of the attention";
  return "full-precision operands";
}

/// The values that `value` was a moment ago: before moves, and on the other side of loops and row kernels.
SmallVector<Value> movedFrom(Value value, bool throughPointwise) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Operation *parent = argument.getOwner()->getParentOp();
    unsigned number = argument.getArgNumber();
    if (auto rows = dyn_cast<RowwiseOp>(parent))
      return {rows.getInputs()[number]};
    auto repeat = dyn_cast<RepeatOp>(parent);
    if (!repeat)
      return {};
    SmallVector<Value> from{repeat->getOperand(number)};
    if (number < repeat.getNumCarried())
      from.push_back(repeat.getYield().getOperand(number));
    return from;
  }
  Operation *op = value.getDefiningOp();
  unsigned number = cast<OpResult>(value).getResultNumber();
  if (auto repeat = dyn_cast<RepeatOp>(op))
    return {repeat.getYield().getOperand(number)};
  if (auto rows = dyn_cast<RowwiseOp>(op))
    return rows.getSummed()[number] ? SmallVector<Value>() : SmallVector<Value>{rows.getYield().getOperand(number)};
  if (auto fused = dyn_cast<ProductRowsOp>(op))
    return {fused.getYield().getOperand(number)};
  if (isMove(op) || (throughPointwise && isPointwise(op)))
    return llvm::to_vector(llvm::make_filter_range(
        op->getOperands(), [](Value operand) { return isa<FloatType>(elementOf(operand.getType())); }));
  return {};
}

/// The cast between bf16 and full precision, in the given direction, that `value` comes from by nothing but moves.
CastOp castBehind(Value value, bool widening, bool throughPointwise) {
  llvm::DenseSet<Value> seen{value};
  SmallVector<Value> queue{value};
  while (!queue.empty()) {
    Value at = queue.pop_back_val();
    if (auto cast = at.getDefiningOp<CastOp>()) {
      if (isNarrow(widening ? cast.getX() : cast.getY()) && isFull(widening ? cast.getY() : cast.getX()))
        return cast;
      if (isNarrow(cast.getX()) == isNarrow(cast.getY()) && seen.insert(cast.getX()).second)
        queue.push_back(cast.getX());
      continue;
    }
    for (Value from : movedFrom(at, throughPointwise))
      if (seen.insert(from).second)
        queue.push_back(from);
  }
  return {};
}

/// Whether `value`, but for moves, is what an op keeps in full precision beside bf16: a statistic, a state, a gate. Any
/// other value of full precision may be rounded to bf16 as an activation.
bool isKept(Value value) {
  llvm::DenseSet<Value> seen{value};
  SmallVector<Value> queue{value};
  while (!queue.empty()) {
    Value at = queue.pop_back_val();
    for (Value from : movedFrom(at, /*throughPointwise=*/false))
      if (seen.insert(from).second)
        queue.push_back(from);
    Operation *op = at.getDefiningOp();
    if (!op || !isFull(at) || op->getNumRegions() != 0 || isMove(op) || isPointwise(op) ||
        isa<CastOp, ReduceLeadingOp, LinearOp, GroupedLinearOp, FillOp>(op))
      continue;
    if (isa<RouteOp, FusedRouteOp, SoftmaxOp>(op) || llvm::any_of(op->getOperands(), isNarrow) ||
        llvm::any_of(op->getResults(), isNarrow))
      return true;
  }
  return false;
}

struct ProvePrecision final : moire::impl::ProvePrecisionPassBase<ProvePrecision> {
  void runOnOperation() override {
    for (auto param : getOperation().getOps<ParamOp>())
      checkParameter(param);
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](Operation *op) {
        if (auto cast = dyn_cast<CastOp>(op))
          checkRoundTrip(cast);
        for (OpOperand &operand : op->getOpOperands())
          checkOperand(operand);
      });
    if (!blamed.empty())
      signalPassFailure();
    else
      conclude();
    markAllAnalysesPreserved();
  }

private:
  void conclude() {
    std::string text = std::to_string(kept) + " operands keep full precision";
    remark::passed(getOperation().getLoc(), remark::RemarkOpts::name("kept").category(category)) << "proved: " + text;
    if (!recorded(getOperation()))
      recordProof(getOperation(), "precision", {"operands under contract keep full precision"});
  }
  static bool recorded(ModuleOp module) {
    auto package = module->getAttrOfType<DictionaryAttr>("moire.package");
    auto proofs = package ? package.getAs<DictionaryAttr>("proofs") : DictionaryAttr();
    return proofs && proofs.get("precision");
  }

  /// The same fault stands in several functions, and in forward and reverse code.
  bool isNews(Operation *op, StringRef what) { return blamed.insert({placeOf(op->getLoc()), what.str()}).second; }

  void checkParameter(ParamOp param) {
    if (!isFullPrecision(param.getType())) {
      if (isNews(param, param.getSymName()))
        emitError(param.getLoc()) << "parameter `" << param.getSymName()
                                  << "` is kept in bf16: small updates would be lost";
    } else if (param.getCompute() && param.getRole() == Role::Router && isNews(param, param.getSymName())) {
      emitError(param.getLoc()) << "router `" << param.getSymName()
                                << "` is read by way of a bf16 copy: its logits decide, and need full precision";
    }
  }

  void checkOperand(OpOperand &operand) {
    StringRef word = contractOf(operand);
    if (word.empty())
      return;
    ++kept;
    bool decides = word == "router logits" || word == "selection biases";
    CastOp cast = castBehind(operand.get(), /*widening=*/true, /*throughPointwise=*/decides);
    Operation *op = operand.getOwner();
    if (!cast || !isNews(op, word))
      return;
    InFlightDiagnostic diagnostic = emitError(op->getLoc())
                                    << "the " << word << " of `" << op->getName() << "` were rounded to bf16";
    diagnostic.attachNote(cast.getLoc()) << "what is cast to " << elementOf(cast.getY().getType())
                                         << " here has lost its precision already";
  }

  void checkRoundTrip(CastOp widening) {
    if (!isNarrow(widening.getX()) || !isFull(widening.getY()))
      return;
    CastOp narrowing = castBehind(widening.getX(), /*widening=*/false, /*throughPointwise=*/false);
    if (!narrowing || !isKept(narrowing.getX()) || !isNews(widening, "round trip"))
      return;
    InFlightDiagnostic diagnostic = emitError(widening.getLoc())
                                    << "a value of full precision went through bf16 on its way here";
    diagnostic.attachNote(narrowing.getLoc()) << "rounded to bf16 here";
  }

  std::set<std::pair<std::string, std::string>> blamed;
  int64_t kept = 0;
};

} // namespace
