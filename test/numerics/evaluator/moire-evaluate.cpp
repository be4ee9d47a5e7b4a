//===- test/numerics/evaluator/moire-evaluate.cpp - the evaluator as a program -===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs tensor-level functions on made-up inputs: prints their results, checks their gradients, or checks that
// passes leave their results as they were.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/Passes.h"
#include "test/numerics/evaluator/Gradients.h"
#include "test/numerics/evaluator/Inputs.h"
#ifdef MOIRE_HAS_Expand
#include "passes/Transforms/Expand/Passes.h"
#endif
#ifdef MOIRE_HAS_FuseRowwise
#include "passes/Transforms/Rowwise/Passes.h"
#endif
#ifdef MOIRE_HAS_Pipelines
#include "kernels/include/Kernels.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "test/numerics/evaluator/Compiled.h"
#endif
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/SourceMgr.h"

#include <cmath>

using namespace mlir;
using namespace moire;
using namespace moire::evaluator;

namespace {

enum class Mode { Print, Gradients, Compare, Compiled };

llvm::cl::opt<std::string> file(llvm::cl::Positional, llvm::cl::desc("FILE (- for standard input)"),
                                llvm::cl::init("-"));
llvm::cl::opt<Mode> mode(
    llvm::cl::desc("What to do:"), llvm::cl::init(Mode::Print),
    llvm::cl::values(clEnumValN(Mode::Print, "print", "print the results (default)"),
                     clEnumValN(Mode::Gradients, "gradients", "compare gradients with differences"),
                     clEnumValN(Mode::Compare, "compare", "compare results before and after --passes"),
                     clEnumValN(Mode::Compiled, "compiled", "compare what machine code computes, after --passes")));
llvm::cl::opt<std::string> passes("passes", llvm::cl::desc("Pipeline, e.g. moire-autodiff,cse"),
                                  llvm::cl::init("moire-autodiff"));
llvm::cl::opt<std::string> preparation("before", llvm::cl::desc("Pipeline that runs before everything else"));
llvm::cl::opt<std::string> only("function", llvm::cl::desc("The one function to run (default: all)"));
llvm::cl::opt<double> tolerance("tolerance", llvm::cl::desc("Largest relative error"), llvm::cl::init(1e-6));
llvm::cl::opt<std::string> features("features", llvm::cl::desc("Instruction sets of machine code"),
                                    llvm::cl::init("native"));
llvm::cl::opt<int32_t> threads("pool-threads", llvm::cl::desc("Threads of machine code"), llvm::cl::init(2));
llvm::cl::opt<uint64_t> seed("seed", llvm::cl::desc("Of the inputs"), llvm::cl::init(1));

bool isSelected(func::FuncOp function) {
  return !function.isDeclaration() && (only.empty() || function.getSymName() == only);
}

LogicalResult print(func::FuncOp function, ArrayRef<Tensor> inputs) {
  auto results = evaluate(function, inputs);
  if (failed(results))
    return failure();
  for (auto [number, tensor] : llvm::enumerate(*results)) {
    llvm::outs() << "@" << function.getSymName() << " result " << number << " " << tensor.type << ":";
    for (double x : tensor.floats)
      llvm::outs() << " " << llvm::format("%.9g", x);
    for (int32_t x : tensor.ints)
      llvm::outs() << " " << x;
    llvm::outs() << "\n";
  }
  return success();
}

LogicalResult checkGradients(func::FuncOp function, func::FuncOp gradients, ArrayRef<Tensor> inputs) {
  auto errors = compareGradients(function, gradients, inputs);
  if (failed(errors))
    return failure();
  bool good = true;
  for (const GradientError &error : *errors) {
    bool passed = error.largest <= tolerance;
    good &= passed;
    llvm::outs() << "@" << function.getSymName() << " " << error.name << ": " << error.elements << " elements, "
                 << (error.zero ? "all zero"
                     : passed   ? "agree"
                                : "DIFFER")
                 << ", relative error " << llvm::format("%.1e", error.largest) << "\n";
  }
  return success(good);
}

LogicalResult compare(StringRef name, ArrayRef<Tensor> expected, ArrayRef<Tensor> results) {
  bool good = expected.size() == results.size();
  for (auto [number, pair] : llvm::enumerate(llvm::zip(expected, results))) {
    auto &[a, b] = pair;
    double largest = 0, size = 0;
    for (auto [x, y] : llvm::zip_equal(a.floats, b.floats)) {
      double difference = std::abs(x - y);
      // A NaN must not pass for a small difference.
      largest = difference <= largest ? largest : difference;
      size = std::max(size, std::abs(x));
    }
    bool passed = largest <= tolerance * size && a.ints == b.ints;
    good &= passed;
    llvm::outs() << "@" << name << " result " << number << ": " << (passed ? "agrees" : "DIFFERS")
                 << ", relative error " << llvm::format("%.1e", size == 0 ? largest : largest / size) << "\n";
  }
  return success(good);
}

LogicalResult compare(func::FuncOp before, func::FuncOp after, ArrayRef<Tensor> inputs) {
  auto expected = evaluate(before, inputs), results = evaluate(after, inputs);
  if (failed(expected) || failed(results))
    return failure();
  return compare(before.getSymName(), *expected, *results);
}

#ifdef MOIRE_HAS_Pipelines
/// Compares every function of `module` with its machine code.
LogicalResult compareCompiled(ModuleOp module) {
  moire_set_threads(threads);
  auto compiled = Compiled::create(module, features);
  if (!compiled) {
    llvm::errs() << "error: " << llvm::toString(compiled.takeError()) << "\n";
    return failure();
  }
  bool good = true;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!isSelected(function))
      continue;
    std::vector<Tensor> inputs = makeInputs(function, seed);
    auto expected = evaluate(function, inputs);
    if (failed(expected))
      return failure();
    good &= succeeded(compare(function.getSymName(), *expected, (*compiled)->call(function.getSymName(), inputs)));
  }
  return success(good);
}
#else
LogicalResult compareCompiled(ModuleOp module) { return module.emitError("this build has no code generator"); }
#endif

LogicalResult transform(ModuleOp module, StringRef pipeline) {
  PassManager manager(module.getContext());
  if (failed(parsePassPipeline(pipeline, manager)))
    return failure();
  return manager.run(module);
}

LogicalResult run(ModuleOp module) {
  if (failed(transform(module, preparation)))
    return failure();
  OwningOpRef<ModuleOp> transformed(cast<ModuleOp>(module->clone()));
  if (mode != Mode::Print && failed(transform(*transformed, passes)))
    return failure();
  if (mode == Mode::Compiled)
    return compareCompiled(*transformed);
  bool good = true, any = false;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!isSelected(function) || (mode == Mode::Gradients && !objectiveOf(function)))
      continue;
    any = true;
    std::vector<Tensor> inputs = makeInputs(function, seed);
    auto twin = transformed->lookupSymbol<func::FuncOp>(function.getSymName());
    LogicalResult result = mode == Mode::Print       ? print(function, inputs)
                           : mode == Mode::Gradients ? checkGradients(function, twin, inputs)
                                                     : compare(function, twin, inputs);
    good &= succeeded(result);
  }
  if (!any)
    llvm::errs() << "error: no function to run in " << file << "\n";
  return success(good && any);
}

} // namespace

int main(int argc, char **argv) {
  llvm::cl::ParseCommandLineOptions(argc, argv, "Evaluates tensor-level functions\n");
  registerTransformsPasses();
  registerMoireAutodiffPasses();
#ifdef MOIRE_HAS_Expand
  registerMoireExpandPasses();
#endif
#ifdef MOIRE_HAS_FuseRowwise
  registerMoireFuseRowwisePasses();
#endif
  DialectRegistry registry;
#ifdef MOIRE_HAS_Pipelines
  registerAllDialects(registry);
  registerAllExtensions(registry);
#endif
  registry.insert<MoireDialect, func::FuncDialect, arith::ArithDialect, affine::AffineDialect>();
  MLIRContext context(registry);
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(file, sources, &context);
  return module && succeeded(run(*module)) ? 0 : 1;
}
