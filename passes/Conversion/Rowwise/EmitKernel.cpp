//===- passes/Conversion/Rowwise/EmitKernel.cpp - a kernel's function -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loops over chunks and rows, and the numbers of a row as scalars.
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Conversion/Rowwise/KernelEmitter.h"
#include "passes/Conversion/Rowwise/LoopHelpers.h"

using namespace mlir;
using namespace moire;
using namespace moire::rows;

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

func::FuncOp KernelEmitter::emit(StringRef name, ArrayRef<Value> arguments) {
  SmallVector<Type> types(2, builder.getIndexType());
  for (Value argument : arguments)
    types.push_back(argumentType(cast<MemRefType>(argument.getType())));
  function = func::FuncOp::create(builder, loc, name, builder.getFunctionType(types, {}));
  function.setPrivate();
  for (unsigned i = 2; i < types.size(); ++i)
    function.setArgAttr(i, "llvm.noalias", builder.getUnitAttr());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(function.addEntryBlock());

  auto argumentOf = [&](Value buffer) {
    return function.getArgument(2 + std::distance(arguments.begin(), llvm::find(arguments, buffer)));
  };
  for (const Access &access : form.inputs)
    inputs.push_back(argumentOf(access.buffer));
  for (const Access &access : form.outputs)
    outputs.push_back(argumentOf(access.buffer));
  for (int64_t length : plan.schedule.buffers)
    rowBuffers.push_back(
        memref::AllocaOp::create(builder, loc, MemRefType::get({length}, plan.real), builder.getI64IntegerAttr(64)));
  for (Node *node : plan.body.graph.getNodes())
    if (node->isReduction())
      reductionCells[node] = memref::AllocaOp::create(builder, loc, MemRefType::get({}, plan.real));
  Value begin = function.getArgument(0), end = function.getArgument(1);
  if (plan.stepsPerChunk)
    loop(builder, loc, begin, end, [&](Value number) { emitChunk(number); });
  else
    emitSteps(begin, end);
  func::ReturnOp::create(builder, loc);
  return function;
}

void KernelEmitter::emitChunk(Value number) {
  chunk = number;
  Value per = constantIndex(plan.stepsPerChunk), total = constantIndex(plan.steps());
  Value begin = arith::MulIOp::create(builder, loc, number, per);
  Value end = arith::MinUIOp::create(builder, loc, arith::AddIOp::create(builder, loc, begin, per), total);
  clearSums();
  emitSteps(begin, end);
}

void KernelEmitter::clearSums() {
  for (auto [output, access] : llvm::enumerate(form.outputs)) {
    if (!form.summed[output])
      continue;
    if (access.rowRank() == 0) {
      SmallVector<Value> at;
      if (plan.partials)
        at.push_back(chunk);
      memref::StoreOp::create(builder, loc, constantReal(0), outputs[output], at);
      continue;
    }
    Value zero = constantReal(0);
    Value row = rowAt({Place::Output, unsigned(output), 0}, access.type().getShape().back());
    sweep(builder, loc, {}, {row}, [&](OpBuilder &b, ValueRange) { return SmallVector<Value>{zero}; });
  }
}

void KernelEmitter::emitSteps(Value begin, Value end) {
  loop(builder, loc, begin, end, [&](Value step) { emitStep(step); });
}

void KernelEmitter::emitStep(Value step) {
  // The domain index of a step, last dimension fastest.
  size_t outer = form.domain.size() - (plan.innerRows > 1);
  SmallVector<Value> at(outer);
  Value rest = step;
  for (size_t dim = outer; dim-- > 0;) {
    if (dim == 0) {
      at[0] = rest;
      break;
    }
    Value extent = constantIndex(form.domain[dim]);
    at[dim] = arith::RemUIOp::create(builder, loc, rest, extent);
    rest = arith::DivUIOp::create(builder, loc, rest, extent);
  }
  if (plan.innerRows == 1)
    return emitRow(at);
  loop(builder, loc, constantIndex(0), constantIndex(plan.innerRows), [&](Value inner) {
    at.push_back(inner);
    emitRow(at);
  });
}

void KernelEmitter::emitRow(ArrayRef<Value> domainIndex) {
  index.assign(domainIndex.begin(), domainIndex.end());
  numbers.clear();
  loadedRows.clear();
  for (const Sweep &sweep : plan.schedule.sweeps)
    emitSweep(sweep);
  for (const NumberStore &store : plan.schedule.numbers)
    emitNumber(store);
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value KernelEmitter::constantReal(double value) {
  Value &known = reals[value];
  if (!known) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&function.front());
    known = arith::ConstantOp::create(builder, loc, builder.getFloatAttr(plan.real, value));
  }
  return known;
}

Value KernelEmitter::constantIndex(int64_t value) {
  Value &known = indices[value];
  if (!known) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&function.front());
    known = arith::ConstantIndexOp::create(builder, loc, value);
  }
  return known;
}

Value KernelEmitter::toReal(OpBuilder &b, Value value) {
  if (!isa<FloatType>(value.getType()))
    return value;
  // Between bf16 and f64 there is no instruction: f32 stands between them.
  if (value.getType().isBF16())
    value = arith::ExtFOp::create(b, loc, b.getF32Type(), value);
  return convertScalarToDtype(b, loc, value, plan.real, false);
}

Value KernelEmitter::fromReal(OpBuilder &b, Value value, Type element) {
  if (element.isBF16() && value.getType().isF64())
    value = arith::TruncFOp::create(b, loc, b.getF32Type(), value);
  return convertScalarToDtype(b, loc, value, element, false);
}

Value KernelEmitter::applyFn(OpBuilder &b, Fn fn, ValueRange v) {
  // Products may join the addition that follows them, nothing else is licensed.
  constexpr auto fused = arith::FastMathFlags::contract;
  switch (fn) {
  case Fn::Add:
    return arith::AddFOp::create(b, loc, v[0], v[1], fused);
  case Fn::Sub:
    return arith::SubFOp::create(b, loc, v[0], v[1], fused);
  case Fn::Mul:
    return arith::MulFOp::create(b, loc, v[0], v[1], fused);
  case Fn::Div:
    return arith::DivFOp::create(b, loc, v[0], v[1]);
  case Fn::Reciprocal: {
    // On vectors of f32 an estimate and a Newton step: a quotient takes as long as all the rest of a sigmoid. The step
    // multiplies the number by its reciprocal, hence the promise that it is finite.
    Value one = arith::ConstantOp::create(b, loc, b.getFloatAttr(v[0].getType(), 1));
    return arith::DivFOp::create(b, loc, one, v[0], arith::FastMathFlags::arcp | arith::FastMathFlags::ninf);
  }
  case Fn::Max: {
    // This order keeps a NaN on the left, and is one instruction on x86.
    Value larger = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UGE, v[0], v[1]);
    return arith::SelectOp::create(b, loc, larger, v[0], v[1]);
  }
  case Fn::Neg:
    return arith::NegFOp::create(b, loc, v[0]);
  case Fn::Abs:
    return math::AbsFOp::create(b, loc, v[0]);
  case Fn::Exp:
    return math::ExpOp::create(b, loc, v[0]);
  case Fn::FiniteExp:
    return math::ExpOp::create(b, loc, v[0], arith::FastMathFlags::ninf);
  case Fn::Log:
    return math::LogOp::create(b, loc, v[0]);
  case Fn::Log1p:
    return math::Log1pOp::create(b, loc, v[0]);
  case Fn::Erfc:
    return math::ErfcOp::create(b, loc, v[0]);
  case Fn::Sqrt:
    return math::SqrtOp::create(b, loc, v[0]);
  case Fn::ToReal:
    return arith::SIToFPOp::create(b, loc, plan.real, v[0]);
  case Fn::Greater:
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, v[0], v[1]);
  case Fn::NotNegative: {
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(v[0].getType()));
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, v[0], zero);
  }
  case Fn::Same:
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, v[0], v[1]);
  case Fn::Select:
    return arith::SelectOp::create(b, loc, v[0], v[1], v[2]);
  }
  llvm_unreachable("all functions are listed");
}

/// A number per row that lies in memory: an input of rank 0, or one element of a row. Rows outside the input give zero.
Value KernelEmitter::loadNumber(const Node *node) {
  const Access &access = form.inputs[node->input];
  Value inside = isInside(access);
  SmallVector<Value> at;
  for (OpFoldResult leading : leadingIndex(access)) {
    Value position = getValueOrCreateConstantIndexOp(builder, loc, leading);
    // A row that does not exist must not be touched: read row 0 instead and drop what it holds.
    at.push_back(inside ? arith::SelectOp::create(builder, loc, inside, position, constantIndex(0)).getResult()
                        : position);
  }
  if (node->kind == NodeKind::Element) {
    // The number may be negative where it does not count.
    Value position = arith::MaxSIOp::create(builder, loc, asIndex(number(node->operands.front())), constantIndex(0));
    at.push_back(node->offset ? arith::AddIOp::create(builder, loc, position, constantIndex(node->offset)).getResult()
                              : position);
  }
  Value loaded = toReal(builder, memref::LoadOp::create(builder, loc, inputs[node->input], at));
  if (!inside)
    return loaded;
  Value zero = arith::ConstantOp::create(builder, loc, builder.getZeroAttr(loaded.getType()));
  return arith::SelectOp::create(builder, loc, inside, loaded, zero);
}

Value KernelEmitter::number(const Node *node) {
  if (node->kind == NodeKind::Constant)
    return constantReal(node->value);
  if (Value known = numbers.lookup(node))
    return known;
  Value value;
  if (node->isReduction()) {
    value = memref::LoadOp::create(builder, loc, reductionCells.lookup(node));
  } else if (node->kind == NodeKind::Apply) {
    SmallVector<Value> operands;
    for (Node *operand : node->operands)
      operands.push_back(number(operand));
    value = applyFn(builder, node->fn, operands);
  } else {
    value = loadNumber(node);
  }
  return numbers[node] = value;
}

void KernelEmitter::emitNumber(const NumberStore &store) {
  Value value = number(store.node), output = outputs[store.output];
  SmallVector<Value> at;
  if (!store.add)
    at = index;
  else if (plan.partials)
    at.push_back(chunk);
  value = fromReal(builder, value, cast<MemRefType>(output.getType()).getElementType());
  if (store.add)
    value = arith::AddFOp::create(builder, loc, memref::LoadOp::create(builder, loc, output, at), value);
  memref::StoreOp::create(builder, loc, value, output, at);
}

func::FuncOp moire::rows::emitKernel(OpBuilder &builder, Location loc, StringRef name, const KernelPlan &plan,
                                     ArrayRef<Value> arguments) {
  return KernelEmitter(builder, loc, plan).emit(name, arguments);
}
