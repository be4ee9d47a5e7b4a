//===- passes/Transforms/Autodiff/Autodiff.cpp - the pass --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds the functions with an objective, has their bodies reversed, and makes gradients their results.
//===----------------------------------------------------------------------===//
#include "dialect/IR/ReverseRules.h"
#include "mlir/IR/Remarks.h"
#include "passes/Analysis/ParameterLayout.h"
#include "passes/Transforms/Autodiff/Passes.h"
#include "passes/Transforms/Autodiff/ReverseBlock.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_AUTODIFFPASS
#include "passes/Transforms/Autodiff/Passes.h.inc"

namespace {

/// One gradient that a function is to return.
struct Gradient {
  SmallVector<Value> arguments; ///< their cotangents are summed (one parameter may come in twice)
  RankedTensorType type;        ///< of the gradient
  NamedAttribute says;          ///< what the result carries
  Location loc;
};

/// Differentiates one function in place.
class FunctionGradients {
public:
  FunctionGradients(func::FuncOp function, unsigned objective, Recompute recompute)
      : function(function), objective(objective), recompute(recompute),
        terminator(cast<func::ReturnOp>(function.getBody().front().getTerminator())) {}

  LogicalResult run() {
    if (failed(collect()))
      return failure();
    Value value = terminator.getOperand(objective);
    SmallVector<Value> wanted;
    for (const Gradient &gradient : gradients)
      llvm::append_range(wanted, gradient.arguments);
    Activity activity(function.getBody().front(), wanted, value);
    OpBuilder builder(terminator);
    ReverseBlock reverse(builder, activity, recompute);
    reverse.accumulate(value, seed(builder, value));
    if (failed(reverse.run(function.getBody().front())))
      return failure();
    dropObjective();
    for (const Gradient &gradient : gradients)
      append(builder, reverse, gradient);
    eraseDead(function.getBody().front());
    return success();
  }

private:
  /// Gradients in the order of arguments, then of parameters that are no arguments.
  LogicalResult collect() {
    llvm::StringMap<unsigned> byParameter;
    Builder builder(function.getContext());
    auto module = function->getParentOfType<ModuleOp>();
    for (auto param : module.getOps<ParamOp>())
      if (isFrozen(param))
        frozen.insert(param.getSymName());
    for (BlockArgument argument : function.getArguments()) {
      unsigned number = argument.getArgNumber();
      auto parameter = function.getArgAttrOfType<FlatSymbolRefAttr>(number, "moire.param");
      if (parameter ? frozen.contains(parameter.getValue()) : !function.getArgAttr(number, "moire.differentiate"))
        continue;
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      if (!type || !isa<FloatType>(type.getElementType()))
        return function.emitError("argument ")
               << number << " has no gradient: expected a tensor of floats, got " << argument.getType();
      if (!parameter) {
        gradients.push_back({{argument},
                             fullTensor(type),
                             builder.getNamedAttr("moire.gradient_of", builder.getI64IntegerAttr(number)),
                             argument.getLoc()});
        function.removeArgAttr(number, "moire.differentiate");
        continue;
      }
      auto [entry, isNew] = byParameter.try_emplace(parameter.getValue(), gradients.size());
      if (!isNew) {
        gradients[entry->second].arguments.push_back(argument);
        continue;
      }
      gradients.push_back(
          {{argument}, fullTensor(type), builder.getNamedAttr("moire.gradient", parameter), argument.getLoc()});
    }
    for (auto param : module.getOps<ParamOp>()) {
      if (byParameter.contains(param.getSymName()) || frozen.contains(param.getSymName()))
        continue;
      auto type = cast<RankedTensorType>(param.getType());
      gradients.push_back({{},
                           fullTensor(type),
                           builder.getNamedAttr("moire.gradient", FlatSymbolRefAttr::get(param)),
                           param.getLoc()});
    }
    return success();
  }

  Value seed(OpBuilder &builder, Value value) {
    for (BlockArgument argument : function.getArguments())
      if (function.getArgAttr(argument.getArgNumber(), "moire.seed"))
        return castElements(builder, value.getLoc(), argument, elementOf(value.getType()));
    return FillOp::create(builder, value.getLoc(), value.getType(), llvm::APFloat(1.0));
  }

  void dropObjective() {
    terminator->eraseOperand(objective);
    (void)function.eraseResult(objective);
  }

  void append(OpBuilder &builder, ReverseBlock &reverse, const Gradient &gradient) {
    Value sum;
    for (Value argument : gradient.arguments)
      if (Value part = reverse.cotangent(argument)) {
        part = castElements(builder, gradient.loc, part, gradient.type.getElementType());
        sum = sum ? BinaryOp::create(builder, gradient.loc, gradient.type, sum, part, Binary::Add).getResult() : part;
      }
    if (!sum) {
      std::string text = llvm::formatv("the objective of `{0}` does not depend on {1}: its gradient is zero",
                                       function.getSymName(), describe(gradient));
      remark::missed(gradient.loc, remark::RemarkOpts::name("unreached").category("moire-autodiff")) << text;
      sum = FillOp::create(builder, gradient.loc, gradient.type, llvm::APFloat(0.0));
    }
    (void)function.insertResult(function.getNumResults(), gradient.type,
                                DictionaryAttr::get(function.getContext(), gradient.says));
    terminator->insertOperands(terminator.getNumOperands(), sum);
  }

  static std::string describe(const Gradient &gradient) {
    if (auto parameter = dyn_cast<FlatSymbolRefAttr>(gradient.says.getValue()))
      return "parameter `" + parameter.getValue().str() + "`";
    return "argument " + std::to_string(cast<IntegerAttr>(gradient.says.getValue()).getInt());
  }

  /// Rules may build more than is read in the end, and the objective itself may be read no more.
  static void eraseDead(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      if (isOpTriviallyDead(&op)) {
        op.erase();
        continue;
      }
      for (Region &region : op.getRegions())
        for (Block &nested : region)
          eraseDead(nested);
    }
  }

  func::FuncOp function;
  unsigned objective;
  Recompute recompute;
  func::ReturnOp terminator;
  SmallVector<Gradient> gradients;
  llvm::StringSet<> frozen; ///< parameters that no gradient is computed of
};

/// The number of the result that is the objective, or none; fails on what cannot be one.
FailureOr<std::optional<unsigned>> findObjective(func::FuncOp function) {
  std::optional<unsigned> objective;
  for (unsigned number = 0; number < function.getNumResults(); ++number) {
    if (!function.getResultAttr(number, "moire.objective"))
      continue;
    if (objective)
      return function.emitError("has two objectives, results ") << *objective << " and " << number;
    auto type = dyn_cast<RankedTensorType>(function.getResultTypes()[number]);
    if (!type || type.getRank() != 0 || !isFullPrecision(type))
      return function.emitError("objective must be a scalar tensor of f32 or f64, got ")
             << function.getResultTypes()[number];
    if (!llvm::hasSingleElement(function.getBody()))
      return function.emitError("objective must be computed in one block, without branches");
    objective = number;
  }
  return objective;
}

struct Autodiff final : impl::AutodiffPassBase<Autodiff> {
  using AutodiffPassBase::AutodiffPassBase;

  void runOnOperation() override {
    Recompute recompute{recomputePointwise, recomputeContraction, recomputeIterations};
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isDeclaration())
        continue;
      auto objective = findObjective(function);
      if (failed(objective))
        return signalPassFailure();
      if (*objective && failed(FunctionGradients(function, **objective, recompute).run()))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace moire
