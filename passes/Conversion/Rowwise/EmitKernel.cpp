//===- passes/Conversion/Rowwise/EmitKernel.cpp - a kernel's function -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loop over rows, rows as views, numbers per row as scalars, and sweeps as `linalg.generic`. Rows outside an input
// (a convolution's padding) are read from a constant row of zeros, so the sweeps need no branches.
//===----------------------------------------------------------------------===//
#include "passes/Conversion/Rowwise/EmitKernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Conversion/Rowwise/LoopHelpers.h"
#include "llvm/Support/FormatVariadic.h"
#include <limits>
#include <map>

using namespace mlir;
using namespace moire;
using namespace moire::rows;

namespace {

/// A sweep's or a row's values so far.
using Values = DenseMap<const Node *, Value>;

/// Whether `node` is loaded from where an earlier sweep put it.
bool isKept(const RowSchedule &schedule, const Sweep &sweep, const Node *node) {
  return node->level < sweep.level && schedule.kept.contains(const_cast<Node *>(node));
}

class KernelEmitter {
public:
  KernelEmitter(OpBuilder &builder, Location loc, const KernelPlan &plan)
      : builder(builder), loc(loc), plan(plan), form(plan.form) {}

  func::FuncOp emit(StringRef name, ArrayRef<Value> arguments);

private:
  void emitSteps(Value begin, Value end);
  void emitStep(Value step);
  void emitRow(ArrayRef<Value> domainIndex);
  void emitChunk(Value number);
  void clearSums();
  void emitSweep(const Sweep &sweep);
  void emitNumber(const NumberStore &store);

  SmallVector<OpFoldResult> leadingIndex(const Access &access);
  Value isInside(const Access &access);
  Value inputRow(const Node *load);
  Value rowAt(const Place &place, int64_t length);
  Value zeroRow(MemRefType view);
  Value number(const Node *node);
  Value loadNumber(const Node *node);
  Value applyFn(OpBuilder &b, Fn fn, ValueRange operands);
  Value toReal(OpBuilder &b, Value value);
  Value fromReal(OpBuilder &b, Value value, Type element);
  Value constantReal(double value);
  Value constantIndex(int64_t value);
  Value asIndex(Value integer) { return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), integer); }

  OpBuilder &builder;
  Location loc;
  const KernelPlan &plan;
  const KernelForm &form;
  func::FuncOp function;
  SmallVector<Value> inputs, outputs, rowBuffers;
  DenseMap<const Node *, Value> reductionCells;
  std::map<double, Value> reals;
  DenseMap<int64_t, Value> indices;
  // Of the row that is being written:
  SmallVector<Value> index;
  Value chunk;
  Values numbers, loadedRows;
};

} // namespace

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
    rowBuffers.push_back(memref::AllocaOp::create(builder, loc, MemRefType::get({length}, plan.real),
                                                  builder.getI64IntegerAttr(64)));
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
// Rows
//===----------------------------------------------------------------------===//

/// The leading index of an access at the current row.
SmallVector<OpFoldResult> KernelEmitter::leadingIndex(const Access &access) {
  SmallVector<OpFoldResult> leading;
  for (AffineExpr result : access.map.getResults()) {
    if (auto fixed = dyn_cast<AffineConstantExpr>(result)) {
      leading.push_back(builder.getIndexAttr(fixed.getValue()));
      continue;
    }
    auto [dim, shift] = shiftedDim(result);
    Value at = index[dim];
    leading.push_back(shift ? arith::AddIOp::create(builder, loc, at, constantIndex(shift)).getResult() : at);
  }
  return leading;
}

/// Whether the current row of an access lies inside its buffer; null when it always does.
Value KernelEmitter::isInside(const Access &access) {
  Value inside;
  for (auto [result, extent] : llvm::zip(access.map.getResults(), access.type().getShape())) {
    if (isa<AffineConstantExpr>(result))
      continue;
    auto [dim, shift] = shiftedDim(result);
    if (shift >= 0 && form.domain[dim] + shift <= extent)
      continue;
    // One unsigned comparison finds rows before the beginning too.
    Value at = arith::AddIOp::create(builder, loc, index[dim], constantIndex(shift));
    Value fits = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, at, constantIndex(extent));
    inside = inside ? arith::AndIOp::create(builder, loc, inside, fits).getResult() : fits;
  }
  return inside;
}

Value KernelEmitter::zeroRow(MemRefType view) {
  int64_t length = view.getDimSize(0);
  auto type = MemRefType::get({length}, view.getElementType());
  auto module = function->getParentOfType<ModuleOp>();
  std::string name = llvm::formatv("zeros_{0}x{1}", length, view.getElementType());
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(function);
    auto value = DenseElementsAttr::get(RankedTensorType::get(type.getShape(), type.getElementType()),
                                        cast<Attribute>(builder.getZeroAttr(type.getElementType())));
    memref::GlobalOp::create(builder, loc, name, builder.getStringAttr("private"), type, value, /*constant=*/true,
                             builder.getI64IntegerAttr(64));
  }
  Value zeros = memref::GetGlobalOp::create(builder, loc, type, name);
  return memref::CastOp::create(builder, loc, view, zeros);
}

Value KernelEmitter::inputRow(const Node *load) {
  Value &known = loadedRows[load];
  if (known)
    return known;
  const Access &access = form.inputs[load->input];
  SmallVector<OpFoldResult> leading = leadingIndex(access);
  if (!load->operands.empty())
    leading.push_back(asIndex(number(load->operands.front())));
  Value view = rowView(builder, loc, inputs[load->input], leading, builder.getIndexAttr(load->offset), load->length);
  if (Value inside = isInside(access))
    view = arith::SelectOp::create(builder, loc, inside, view, zeroRow(cast<MemRefType>(view.getType())));
  return known = view;
}

Value KernelEmitter::rowAt(const Place &place, int64_t length) {
  if (place.kind == Place::Buffer)
    return rowView(builder, loc, rowBuffers[place.index], {}, builder.getIndexAttr(place.offset), length);
  const Access &access = form.outputs[place.index];
  SmallVector<OpFoldResult> leading;
  if (form.summed[place.index]) {
    if (plan.partials)
      leading.push_back(chunk);
  } else {
    leading = leadingIndex(access);
  }
  return rowView(builder, loc, outputs[place.index], leading, builder.getIndexAttr(place.offset), length);
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

//===----------------------------------------------------------------------===//
// Sweeps
//===----------------------------------------------------------------------===//

void KernelEmitter::emitSweep(const Sweep &planned) {
  // Everything that the sweep reads, before it: views of rows, and numbers that are the same in every column.
  SmallVector<Value> read, written;
  DenseMap<const Node *, unsigned> position;
  Values constants;
  auto kept = [&](const Node *node) { return isKept(plan.schedule, planned, node); };
  auto gather = [&](auto &&self, const Node *node) -> void {
    if (position.contains(node) || constants.contains(node))
      return;
    if (!node->isRow()) {
      constants[node] = number(node);
    } else if (node->kind == NodeKind::Splat) {
      constants[node] = number(node->operands.front());
    } else if (node->kind == NodeKind::Load || kept(node)) {
      position[node] = read.size();
      read.push_back(kept(node) ? rowAt(plan.schedule.kept.lookup(const_cast<Node *>(node)), node->length)
                                  : inputRow(node));
    } else {
      for (Node *operand : node->operands)
        self(self, operand);
    }
  };
  for (const RowStore &store : planned.stores) {
    gather(gather, store.node);
    written.push_back(rowAt(store.place, planned.length));
  }
  for (Node *reduction : planned.reductions) {
    gather(gather, reduction->operands.front());
    Value cell = reductionCells.lookup(reduction);
    double start = reduction->kind == NodeKind::Sum ? 0 : -std::numeric_limits<double>::infinity();
    memref::StoreOp::create(builder, loc, constantReal(start), cell);
    written.push_back(cell);
  }

  sweep(builder, loc, read, written, [&](OpBuilder &b, ValueRange arguments) {
    Values values = constants;
    auto value = [&](auto &&self, const Node *node) -> Value {
      if (Value known = values.lookup(node))
        return known;
      Value result;
      if (auto it = position.find(node); it != position.end()) {
        result = toReal(b, arguments[it->second]);
      } else if (node->kind == NodeKind::Column) {
        Value column = linalg::IndexOp::create(b, loc, 0);
        result = arith::IndexCastOp::create(b, loc, b.getI32Type(), column);
        if (node->offset)
          result = arith::AddIOp::create(b, loc, result, arith::ConstantIntOp::create(b, loc, node->offset, 32));
      } else {
        SmallVector<Value> operands;
        for (Node *operand : node->operands)
          operands.push_back(self(self, operand));
        result = applyFn(b, node->fn, operands);
      }
      return values[node] = result;
    };
    SmallVector<Value> results;
    for (auto [number, store] : llvm::enumerate(planned.stores)) {
      Value before = arguments[read.size() + number];
      // A plain copy needs no rounding back and forth.
      if (auto it = position.find(store.node);
          it != position.end() && !store.add && arguments[it->second].getType() == before.getType()) {
        results.push_back(arguments[it->second]);
        continue;
      }
      Value result = fromReal(b, value(value, store.node), before.getType());
      if (store.add)
        result = arith::AddFOp::create(b, loc, before, result);
      results.push_back(result);
    }
    for (auto [number, reduction] : llvm::enumerate(planned.reductions)) {
      Value before = arguments[read.size() + planned.stores.size() + number];
      Value element = value(value, reduction->operands.front());
      results.push_back(applyFn(b, reduction->kind == NodeKind::Sum ? Fn::Add : Fn::Max, {before, element}));
    }
    return results;
  });
}

func::FuncOp moire::rows::emitKernel(OpBuilder &builder, Location loc, StringRef name, const KernelPlan &plan,
                                     ArrayRef<Value> arguments) {
  return KernelEmitter(builder, loc, plan).emit(name, arguments);
}
