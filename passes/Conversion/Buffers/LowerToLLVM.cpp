//===- passes/Conversion/Buffers/LowerToLLVM.cpp - the last dialect ---------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One conversion with upstream's patterns and two of ours: calls of kernels and launches.
//===----------------------------------------------------------------------===//
#include "dialect/IR/MoireOps.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Conversion/Buffers/KernelAliases.h"
#include "passes/Conversion/Buffers/Passes.h"

namespace moire {
#define GEN_PASS_DEF_LOWERTOLLVMPASS
#include "passes/Conversion/Buffers/Passes.h.inc"
} // namespace moire

using namespace mlir;
using namespace moire;

namespace {

/// The function of that name and type in `module`, declared when it is new.
FailureOr<LLVM::LLVMFuncOp> declare(ConversionPatternRewriter &rewriter, Operation *user, StringRef name,
                                    ArrayRef<Type> arguments) {
  auto module = user->getParentOfType<ModuleOp>();
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToStart(module.getBody());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(rewriter.getContext()), arguments);
  if (Operation *known = SymbolTable::lookupSymbolIn(module, name)) {
    auto function = dyn_cast<LLVM::LLVMFuncOp>(known);
    if (!function || function.getFunctionType() != type)
      return user->emitOpError("calls `") << name << "` with two different signatures";
    return function;
  }
  return LLVM::LLVMFuncOp::create(rewriter, module.getLoc(), name, type);
}

Value pointerTo(ConversionPatternRewriter &rewriter, Location loc, const LLVMTypeConverter &converter, Value buffer,
                Value converted) {
  return MemRefDescriptor(converted).bufferPtr(rewriter, loc, converter, cast<MemRefType>(buffer.getType()));
}

/// An array of pointers in the frame of the function, not of the loop: the stack must not grow with iterations.
Value contextOf(Operation *op, int64_t count, ConversionPatternRewriter &rewriter) {
  OpBuilder::InsertionGuard guard(rewriter);
  Region *function = op->getParentRegion();
  while (!isa<func::FuncOp, LLVM::LLVMFuncOp>(function->getParentOp()))
    function = function->getParentRegion();
  rewriter.setInsertionPointToStart(&function->front());
  Type pointer = LLVM::LLVMPointerType::get(op->getContext());
  Value one = LLVM::ConstantOp::create(rewriter, op->getLoc(), rewriter.getI64Type(), rewriter.getI64IntegerAttr(1));
  return LLVM::AllocaOp::create(rewriter, op->getLoc(), pointer, LLVM::LLVMArrayType::get(pointer, count), one);
}

/// A context that holds `pointers`.
Value packed(Operation *op, ValueRange pointers, ConversionPatternRewriter &rewriter) {
  Type pointer = LLVM::LLVMPointerType::get(op->getContext());
  Value context = contextOf(op, pointers.size(), rewriter);
  for (auto [index, value] : llvm::enumerate(pointers)) {
    Value slot =
        LLVM::GEPOp::create(rewriter, op->getLoc(), pointer, pointer, context, ArrayRef<LLVM::GEPArg>{int32_t(index)});
    LLVM::StoreOp::create(rewriter, op->getLoc(), value, slot);
  }
  return context;
}

/// `@kernel.range(begin, end, context)`: takes `count` pointers out of the context and calls the kernel.
LLVM::LLVMFuncOp rangeFunction(Operation *op, StringRef kernel, int64_t count, ConversionPatternRewriter &rewriter) {
  auto module = op->getParentOfType<ModuleOp>();
  std::string name = (kernel + ".range").str();
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return known;
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPointToEnd(module.getBody());
  Location loc = op->getLoc();
  Type pointer = LLVM::LLVMPointerType::get(op->getContext()), wide = rewriter.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(op->getContext()), {wide, wide, pointer});
  auto function = LLVM::LLVMFuncOp::create(rewriter, loc, name, type, LLVM::Linkage::Internal);
  Block *entry = function.addEntryBlock(rewriter);
  rewriter.setInsertionPointToStart(entry);
  SmallVector<Value> arguments{entry->getArgument(0), entry->getArgument(1)};
  for (int32_t index = 0; index < count; ++index) {
    Value slot =
        LLVM::GEPOp::create(rewriter, loc, pointer, pointer, entry->getArgument(2), ArrayRef<LLVM::GEPArg>{index});
    arguments.push_back(LLVM::LoadOp::create(rewriter, loc, pointer, slot));
  }
  LLVM::CallOp::create(rewriter, loc, TypeRange(), kernel, arguments);
  LLVM::ReturnOp::create(rewriter, loc, ValueRange());
  return function;
}

struct CallKernel final : ConvertOpToLLVMPattern<KernelCallOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult matchAndRewrite(KernelCallOp op, OpAdaptor adaptor,
                                ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(getContext()), wide = rewriter.getI64Type();
    SmallVector<Value> arguments;
    unsigned buffer = 0, scalar = 0, integer = 0, real = 0;
    auto constant = [&](Type type, Attribute value) {
      arguments.push_back(LLVM::ConstantOp::create(rewriter, loc, type, value));
    };
    for (char letter : op.getSignature()) {
      switch (letter) {
      case 'b':
        arguments.push_back(
            pointerTo(rewriter, loc, *getTypeConverter(), op.getBuffers()[buffer], adaptor.getBuffers()[buffer]));
        ++buffer;
        break;
      case '0':
        arguments.push_back(LLVM::ZeroOp::create(rewriter, loc, pointer));
        break;
      case 'i':
        constant(wide, rewriter.getI64IntegerAttr(op.getIntegers()[integer++]));
        break;
      case 't':
        constant(rewriter.getI32Type(), rewriter.getI32IntegerAttr(op.getIntegers()[integer++]));
        break;
      case 'f':
        constant(rewriter.getF32Type(), rewriter.getF32FloatAttr(op.getFloats()[real++]));
        break;
      case 'd':
        constant(rewriter.getF64Type(), rewriter.getF64FloatAttr(op.getFloats()[real++]));
        break;
      case 'p':
        arguments.push_back(adaptor.getScalars()[scalar++]);
        break;
      case 'r': {
        SmallVector<Value> pointers;
        for (auto [memref, converted] : llvm::zip_equal(op.getThenBuffers(), adaptor.getThenBuffers()))
          pointers.push_back(pointerTo(rewriter, loc, *getTypeConverter(), memref, converted));
        LLVM::LLVMFuncOp range = rangeFunction(op, *op.getThen(), pointers.size(), rewriter);
        arguments.push_back(LLVM::AddressOfOp::create(rewriter, loc, range));
        arguments.push_back(packed(op, pointers, rewriter));
        break;
      }
      default:
        return op.emitOpError("has no meaning for the letter '") << letter << "'";
      }
    }
    SmallVector<Type> types = llvm::to_vector(ValueRange(arguments).getTypes());
    FailureOr<LLVM::LLVMFuncOp> function = declare(rewriter, op, op.getCallee(), types);
    if (failed(function))
      return failure();
    rewriter.replaceOpWithNewOp<LLVM::CallOp>(op, *function, arguments);
    return success();
  }
};

struct LaunchKernel final : ConvertOpToLLVMPattern<LaunchOp> {
  using ConvertOpToLLVMPattern::ConvertOpToLLVMPattern;

  LogicalResult matchAndRewrite(LaunchOp op, OpAdaptor adaptor, ConversionPatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(getContext()), wide = rewriter.getI64Type();
    SmallVector<Value> pointers;
    for (auto [buffer, converted] : llvm::zip(op.getBuffers(), adaptor.getBuffers()))
      pointers.push_back(pointerTo(rewriter, loc, *getTypeConverter(), buffer, converted));
    auto number = [&](int64_t value) {
      return LLVM::ConstantOp::create(rewriter, loc, wide, rewriter.getI64IntegerAttr(value)).getResult();
    };
    if (op.getCount() <= op.getGrain()) {
      SmallVector<Value> arguments{number(0), number(op.getCount())};
      llvm::append_range(arguments, pointers);
      rewriter.replaceOpWithNewOp<LLVM::CallOp>(op, TypeRange(), op.getKernel(), arguments);
      return success();
    }
    Value context = packed(op, pointers, rewriter);
    FailureOr<LLVM::LLVMFuncOp> loop = declare(rewriter, op, "moire_parallel_for", {wide, wide, pointer, pointer});
    if (failed(loop))
      return failure();
    Value body = LLVM::AddressOfOp::create(rewriter, loc, rangeFunction(op, op.getKernel(), pointers.size(), rewriter));
    rewriter.replaceOpWithNewOp<LLVM::CallOp>(op, *loop,
                                              ValueRange{number(op.getCount()), number(op.getGrain()), body, context});
    return success();
  }
};

/// Pointers forget what they point at; the package needs to know.
void recordBuffers(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isExternal())
      continue;
    SmallVector<Attribute> types;
    for (Type type : function.getArgumentTypes())
      types.push_back(TypeAttr::get(type));
    function->setAttr("moire.buffers", ArrayAttr::get(module.getContext(), types));
  }
}

struct LowerToLLVM final : moire::impl::LowerToLLVMPassBase<LowerToLLVM> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    recordBuffers(module);
    markDistinctBuffers(module);
    LowerToLLVMOptions options(&getContext());
    options.useBarePtrCallConv = true;
    LLVMTypeConverter converter(&getContext(), options);
    RewritePatternSet patterns(&getContext());
    arith::populateArithExpandOpsPatterns(patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    populateFuncToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);
    populateVectorToLLVMConversionPatterns(converter, patterns);
    patterns.add<CallKernel, LaunchKernel>(converter);

    LLVMConversionTarget target(getContext());
    target.addLegalOp<ModuleOp, ParamOp>();
    if (failed(applyFullConversion(module, target, std::move(patterns))))
      return signalPassFailure();
    for (auto function : module.getOps<LLVM::LLVMFuncOp>())
      if (!function.isExternal())
        function.setLinkage(LLVM::Linkage::Internal);
    for (auto global : module.getOps<LLVM::GlobalOp>())
      global.setLinkage(LLVM::Linkage::Internal);
  }
};

} // namespace
