//===- passes/Transforms/Autodiff/BuildOptimizer.cpp - the optimizer's code ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The entry points @optimizer_step, @accumulate and @refresh, which launch the kernels of OptimizerKernels.h.
//===----------------------------------------------------------------------===//
#include "mlir/IR/Remarks.h"
#include "passes/Transforms/Autodiff/OptimizerKernels.h"
#include "passes/Transforms/Autodiff/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_BUILDOPTIMIZERPASS
#include "passes/Transforms/Autodiff/Passes.h.inc"

namespace {

using namespace optimizer;

constexpr StringRef normKernel = "moire_optimizer_norm", updateKernel = "moire_optimizer_update",
                    signKernel = "moire_optimizer_sign", accumulateKernel = "moire_accumulate",
                    refreshKernel = "moire_refresh";

/// Slots of `moire_adamw`, as the entry point reads them.
enum Scalar : int64_t { Lr, FirstBeta, SecondBeta, Eps, WeightDecay, Clip, GradScale, LrEnd, ScalarCount };

/// One argument of an entry point: its type, and the name that says which memory it is.
struct Argument {
  StringRef name;
  Type type;
};

/// Writes the entry points of one module.
class EntryPoints {
public:
  EntryPoints(ModuleOp module, Kernels &kernels)
      : module(module), kernels(kernels), b(module.getLoc(), module.getContext()), f64(b.getF64Type()) {}

  void buildStep() {
    SmallVector<Argument> arguments{{"params", kernels.flatType()},
                                    {"grads", kernels.trainedType()},
                                    {"moment1", kernels.trainedType()},
                                    {"moment2", kernels.trainedType()}};
    if (kernels.computeType())
      arguments.push_back({"compute", kernels.computeType()});
    size_t buffers = arguments.size();
    arguments.push_back({"adamw", MemRefType::get({ScalarCount}, f64)});
    arguments.push_back({"step", MemRefType::get({1}, b.getI64Type())});
    arguments.push_back({"grad_norm", MemRefType::get({1}, f64)});
    func::FuncOp function = begin("optimizer_step", arguments, b.getI32Type());
    auto values = function.getArguments();
    adamw = values[buffers];

    Value partials = memref::AllocOp::create(b, MemRefType::get({kernels.taskCount()}, f64));
    if (kernels.taskCount() > 0)
      launch(normKernel, {values[1], partials}, kernels.taskCount());
    Value norm = mul(math::SqrtOp::create(b, sum(partials)), scalar(GradScale));
    memref::StoreOp::create(b, norm, values[buffers + 2], index(0));

    // Infinities and NaNs are the numbers that differ from themselves less themselves.
    Value difference = arith::SubFOp::create(b, norm, norm);
    Value finite = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, difference, number(0));
    auto branch = scf::IfOp::create(b, b.getI32Type(), finite, /*withElseRegion=*/true);
    func::ReturnOp::create(b, branch.getResult(0));
    b.setInsertionPointToStart(branch.thenBlock());
    Value coefficients = memref::AllocOp::create(b, MemRefType::get({CoefficientCount}, f64));
    Value step = memref::LoadOp::create(b, values[buffers + 1], index(0));
    fillCoefficients(coefficients, norm, step);
    SmallVector<Value> operands(values.take_front(buffers));
    operands.push_back(coefficients);
    if (kernels.taskCount() > 0)
      launch(updateKernel, operands, kernels.taskCount());
    if (kernels.signTaskCount() > 0)
      launch(signKernel, values.take_front(2), kernels.signTaskCount());
    scf::YieldOp::create(b, code(0));
    b.setInsertionPointToStart(branch.elseBlock());
    scf::YieldOp::create(b, code(1));
  }

  void buildAccumulate() {
    func::FuncOp function =
        begin("accumulate", {{"accumulator", kernels.trainedType()}, {"grads", kernels.trainedType()}}, b.getI32Type());
    launch(accumulateKernel, llvm::to_vector(llvm::map_range(function.getArguments(), toValue)), movedTasks());
    func::ReturnOp::create(b, code(0));
  }

  void buildRefresh() {
    SmallVector<Argument> arguments;
    if (kernels.computeType())
      arguments.append({{"params", kernels.flatType()}, {"compute", kernels.computeType()}});
    func::FuncOp function = begin("refresh", arguments, b.getI32Type());
    if (kernels.computeType())
      launch(refreshKernel, llvm::to_vector(llvm::map_range(function.getArguments(), toValue)),
             movedTasks() + kernels.frozenTaskCount());
    func::ReturnOp::create(b, code(0));
  }

private:
  static Value toValue(BlockArgument argument) { return argument; }
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value number(double value) { return arith::ConstantOp::create(b, b.getF64FloatAttr(value)); }
  Value code(int32_t value) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(value)); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value scalar(Scalar which) { return memref::LoadOp::create(b, adamw, index(which)); }

  /// Starts a public function; every argument says in `moire.abi` what it is.
  func::FuncOp begin(StringRef name, ArrayRef<Argument> arguments, Type result) {
    b.setInsertionPointToEnd(module.getBody());
    auto types = llvm::map_to_vector(arguments, [](const Argument &argument) { return argument.type; });
    auto function = func::FuncOp::create(b, name, b.getFunctionType(types, result));
    for (auto [k, argument] : llvm::enumerate(arguments))
      function.setArgAttr(k, "moire.abi", b.getStringAttr(argument.name));
    b.setInsertionPointToEnd(function.addEntryBlock());
    return function;
  }

  int64_t movedTasks() const { return kernels.taskCount() + kernels.signTaskCount(); }

  void launch(StringRef kernel, ValueRange buffers, int64_t tasks) {
    LaunchOp::create(b, kernel, static_cast<uint64_t>(tasks), /*grain=*/uint64_t(1), buffers);
  }

  /// The sum of all elements, in order.
  Value sum(Value partials) {
    auto loop = scf::ForOp::create(b, index(0), index(kernels.taskCount()), index(1), number(0));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value partial = memref::LoadOp::create(b, partials, loop.getInductionVar());
    scf::YieldOp::create(b, arith::AddFOp::create(b, loop.getRegionIterArg(0), partial).getResult());
    return loop.getResult(0);
  }

  /// base^exponent for a non-negative exponent, by squaring: no call of a mathematical library.
  Value power(Value base, Value exponent) {
    Value one = arith::ConstantOp::create(b, b.getI64IntegerAttr(1));
    auto loop = scf::ForOp::create(b, index(0), index(63), index(1), ValueRange{number(1), base, exponent});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value result = loop.getRegionIterArg(0), square = loop.getRegionIterArg(1), left = loop.getRegionIterArg(2);
    Value zero = arith::ConstantOp::create(b, b.getI64IntegerAttr(0));
    Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, left, one), zero);
    Value next = arith::SelectOp::create(b, odd, mul(result, square), result);
    scf::YieldOp::create(b, ValueRange{next, mul(square, square), arith::ShRUIOp::create(b, left, one)});
    return loop.getResult(0);
  }

  void fillCoefficients(Value buffer, Value norm, Value step) {
    auto set = [&](Coefficient which, Value value) { memref::StoreOp::create(b, value, buffer, index(which)); };
    auto rest = [&](Value x) -> Value { return arith::SubFOp::create(b, number(1), x); };
    auto inverse = [&](Value x) -> Value { return arith::DivFOp::create(b, number(1), x); };
    Value clip = scalar(Clip);
    Value clips = arith::AndIOp::create(b, arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, clip, number(0)),
                                        arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, norm, clip));
    Value factor = arith::SelectOp::create(b, clips, arith::DivFOp::create(b, clip, norm), number(1));
    set(GradientScale, mul(scalar(GradScale), factor));
    Value beta1 = scalar(FirstBeta), beta2 = scalar(SecondBeta);
    set(Beta1, beta1);
    set(Rest1, rest(beta1));
    set(Beta2, beta2);
    set(Rest2, rest(beta2));
    set(Unbias1, inverse(rest(power(beta1, step))));
    set(Unbias2, inverse(rest(power(beta2, step))));
    set(Epsilon, scalar(Eps));
    set(RateStart, scalar(Lr));
    set(RateEnd, scalar(LrEnd));
    set(Decay, scalar(WeightDecay));
  }

  ModuleOp module;
  Kernels &kernels;
  ImplicitLocOpBuilder b;
  Type f64;
  Value adamw;
};

struct BuildOptimizer final : impl::BuildOptimizerPassBase<BuildOptimizer> {
  using BuildOptimizerPassBase::BuildOptimizerPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (vectorBits != 128 && vectorBits != 256 && vectorBits != 512) {
      module.emitError("expects vectors of 128, 256 or 512 bits, got ") << unsigned(vectorBits);
      return signalPassFailure();
    }
    for (StringRef name : {"optimizer_step", "accumulate", "refresh"})
      if (Operation *other = module.lookupSymbol(name)) {
        other->emitError("the optimizer needs the name `") << name << "`";
        return signalPassFailure();
      }
    ParameterLayout layout(module);
    if (layout.slots().empty()) {
      remark::missed(module.getLoc(), remark::RemarkOpts::name("optimizer").category("moire-build-optimizer"))
          << "no optimizer: the module has no parameters";
      return;
    }
    Kernels kernels(module, layout, vectorBits, nativeBf16);
    kernels.buildNorm(normKernel);
    kernels.buildUpdate(updateKernel);
    if (kernels.signTaskCount() > 0)
      kernels.buildSign(signKernel);
    kernels.buildAccumulate(accumulateKernel);
    if (kernels.computeType())
      kernels.buildRefresh(refreshKernel);
    EntryPoints entries(module, kernels);
    entries.buildStep();
    entries.buildAccumulate();
    entries.buildRefresh();
    int64_t allTaskCount = kernels.taskCount() + kernels.signTaskCount();
    std::string text = llvm::formatv("AdamW over {0} elements in {1} tasks, vectors of {2} bits",
                                     layout.exactElements(), allTaskCount, unsigned(vectorBits));
    remark::passed(module.getLoc(), remark::RemarkOpts::name("optimizer").category("moire-build-optimizer")) << text;
  }
};

} // namespace
} // namespace moire
