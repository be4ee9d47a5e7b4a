//===- passes/Transforms/Autodiff/OptimizerKernels.cpp - sweeps over parameters -===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Explicit vector code. A step is bound by memory, so each kernel reads and writes everything once and does not unroll.
// Products and sums may be contracted; nothing else about the arithmetic is left to the backend.
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Autodiff/OptimizerKernels.h"
#include <array>

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moire::optimizer {
namespace {

/// Elements of the largest task: 64 KiB of f32, so that a task is worth a thread and balances well.
constexpr int64_t taskElements = 16384;
constexpr StringRef taskTable = "moire_optimizer_tasks", factorTable = "moire_optimizer_factors";
constexpr auto contract = arith::FastMathFlags::contract;

Value constant(ImplicitLocOpBuilder &b, int64_t value) { return arith::ConstantIndexOp::create(b, value); }

/// `type` with other elements: vectors stay vectors, numbers numbers.
Type withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? VectorType::get(vector.getShape(), element) : element;
}

Value splat(ImplicitLocOpBuilder &b, Type type, Value scalar) {
  return isa<VectorType>(type) ? vector::BroadcastOp::create(b, type, scalar).getResult() : scalar;
}

Value load(ImplicitLocOpBuilder &b, Type type, Value buffer, Value index) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector::LoadOp::create(b, vector, buffer, index);
  return memref::LoadOp::create(b, buffer, index);
}

void store(ImplicitLocOpBuilder &b, Value value, Value buffer, Value index) {
  if (isa<VectorType>(value.getType()))
    vector::StoreOp::create(b, value, buffer, index);
  else
    memref::StoreOp::create(b, value, buffer, index);
}

Value mul(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::MulFOp::create(b, x, y, contract); }
Value add(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::AddFOp::create(b, x, y, contract); }

/// An integer constant of `type`, splat when that is a vector.
Value bits(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  Attribute attribute = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, attribute);
  return arith::ConstantOp::create(b, cast<TypedAttr>(attribute));
}

} // namespace

Kernels::Kernels(ModuleOp module, const ParameterLayout &layout, unsigned bits, bool nativeBf16)
    : module(module), element(layout.elementType()), width(bits / element.getWidth()), nativeBf16(nativeBf16) {
  flat = MemRefType::get({layout.parameterElements()}, element);
  trained = MemRefType::get({layout.trainedElements()}, element);
  if (layout.computeElements() > 0)
    compute = MemRefType::get({layout.computeElements()}, BFloat16Type::get(module.getContext()));
  writeTasks(layout);
}

void Kernels::writeTasks(const ParameterLayout &layout) {
  SmallVector<int64_t> places;
  SmallVector<double> factors;
  auto addTasks = [&](const ParameterSlot &slot, std::array<double, FactorCount> of) {
    for (int64_t done = 0; done < slot.elements(); done += taskElements) {
      int64_t computeOffset = slot.computeOffset < 0 ? -1 : slot.computeOffset + done;
      places.append({slot.offset + done, std::min(taskElements, slot.elements() - done), computeOffset});
      factors.append(of.begin(), of.end());
    }
  };
  for (const ParameterSlot &slot : layout.slots())
    if (ParamOp param = slot.param; !param.getSignRate() && !isFrozen(param)) {
      double rate = param.getLrFactor().convertToDouble();
      addTasks(slot, {rate * param.getRateStart().convertToDouble(), rate * param.getRateEnd().convertToDouble(),
                      param.getDecayFactor().convertToDouble()});
    }
  tasks = places.size() / 3;
  // After those of AdamW, so that these are a range of their own.
  for (const ParameterSlot &slot : layout.slots())
    if (ParamOp param = slot.param; param.getSignRate())
      addTasks(slot, {param.getSignRate()->convertToDouble(), 0, 0});
  signTasks = places.size() / 3 - tasks;
  // Last those that only have a copy to make.
  for (const ParameterSlot &slot : layout.slots())
    if (isFrozen(slot.param) && slot.computeOffset >= 0)
      addTasks(slot, {0, 0, 0});
  int64_t all = places.size() / 3;
  frozenTasks = all - tasks - signTasks;
  OpBuilder builder(module.getContext());
  taskType = MemRefType::get({all, 3}, builder.getI64Type());
  factorType = MemRefType::get({all, FactorCount}, builder.getF64Type());
  addGlobal(taskTable,
            DenseElementsAttr::get(RankedTensorType::get({all, 3}, builder.getI64Type()), ArrayRef<int64_t>(places)));
  addGlobal(factorTable, DenseElementsAttr::get(RankedTensorType::get({all, FactorCount}, builder.getF64Type()),
                                                ArrayRef<double>(factors)));
}

void Kernels::addGlobal(StringRef name, DenseElementsAttr value) {
  auto builder = OpBuilder::atBlockEnd(module.getBody());
  auto type = MemRefType::get(value.getType().getShape(), value.getElementType());
  memref::GlobalOp::create(builder, module.getLoc(), name, builder.getStringAttr("private"), type, value,
                           /*constant=*/true, /*alignment=*/builder.getI64IntegerAttr(64));
}

void Kernels::buildKernel(StringRef name, ArrayRef<Type> buffers,
                          function_ref<void(Builder &, const Task &, ValueRange)> body, int64_t first) {
  Builder b(module.getLoc(), OpBuilder::atBlockEnd(module.getBody()));
  SmallVector<Type> types{b.getIndexType(), b.getIndexType()};
  llvm::append_range(types, buffers);
  auto function = func::FuncOp::create(b, name, b.getFunctionType(types, {}));
  function.setPrivate();
  Block *block = function.addEntryBlock();
  b.setInsertionPointToEnd(block);
  Value table = memref::GetGlobalOp::create(b, taskType, taskTable);
  auto loop = scf::ForOp::create(b, block->getArgument(0), block->getArgument(1), constant(b, 1));
  func::ReturnOp::create(b);
  b.setInsertionPointToStart(loop.getBody());
  Value number = loop.getInductionVar();
  if (first > 0)
    number = arith::AddIOp::create(b, number, constant(b, first));
  auto field = [&](int64_t which) -> Value {
    Value place = memref::LoadOp::create(b, table, ValueRange{number, constant(b, which)});
    return arith::IndexCastOp::create(b, b.getIndexType(), place);
  };
  Task task{number, field(0), field(1), field(2)};
  body(b, task, block->getArguments().drop_front(2));
}

void Kernels::sweep(Builder &b, const Task &task, function_ref<void(Builder &, Type, Value, Value)> body) {
  Value step = constant(b, width), one = constant(b, 1);
  Value rest = arith::RemUIOp::create(b, task.length, step), full = arith::SubIOp::create(b, task.length, rest);
  auto loop = [&](Type type, Value from, Value to, Value by) {
    auto loop = scf::ForOp::create(b, from, to, by);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    body(b, type, arith::AddIOp::create(b, task.offset, loop.getInductionVar()), loop.getInductionVar());
  };
  loop(VectorType::get({width}, element), constant(b, 0), full, step);
  loop(element, full, task.length, one);
}

Value Kernels::loadFactor(Builder &b, const Task &task, int64_t which) {
  Value table = memref::GetGlobalOp::create(b, factorType, factorTable);
  return memref::LoadOp::create(b, table, ValueRange{task.number, constant(b, which)});
}

Value Kernels::toBf16(Builder &b, Value value) {
  Type type = value.getType(), narrow = withElement(type, b.getBF16Type());
  if (nativeBf16 || !element.isF32())
    return arith::TruncFOp::create(b, narrow, value);
  // To nearest, ties to even: add half a unit of the last place that stays, less one when that place is even. A NaN
  // would overflow into an infinity, so it only keeps its upper half, made quiet.
  Type wide = withElement(type, b.getI32Type());
  Value x = arith::BitcastOp::create(b, wide, value), shift = bits(b, wide, 16);
  Value upper = arith::ShRUIOp::create(b, x, shift);
  Value odd = arith::AndIOp::create(b, upper, bits(b, wide, 1));
  Value rounded = arith::AddIOp::create(b, arith::AddIOp::create(b, x, bits(b, wide, 0x7fff)), odd);
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
  Value quiet = arith::OrIOp::create(b, upper, bits(b, wide, 0x40));
  Value result = arith::SelectOp::create(b, isNan, quiet, arith::ShRUIOp::create(b, rounded, shift));
  result = arith::TruncIOp::create(b, withElement(type, b.getI16Type()), result);
  return arith::BitcastOp::create(b, narrow, result);
}

void Kernels::buildNorm(StringRef name) {
  Type f64 = Float64Type::get(module.getContext());
  auto partials = MemRefType::get({tasks}, f64);
  buildKernel(name, {trained, partials}, [&](Builder &b, const Task &task, ValueRange buffers) {
    auto square = [&](Type type, Value index) -> Value {
      Value x = load(b, type, buffers[0], index);
      if (element != f64)
        x = arith::ExtFOp::create(b, withElement(type, f64), x);
      return mul(b, x, x);
    };
    // Four sums in flight hide the latency of additions; their order is fixed.
    constexpr int lanes = 4;
    auto vector = VectorType::get({width}, element), wide = VectorType::get({width}, f64);
    Value step = constant(b, lanes * width);
    Value rest = arith::RemUIOp::create(b, task.length, step), full = arith::SubIOp::create(b, task.length, rest);
    Value zeros = arith::ConstantOp::create(b, cast<TypedAttr>(b.getZeroAttr(wide)));
    auto loop = scf::ForOp::create(b, constant(b, 0), full, step, SmallVector<Value>(lanes, zeros));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value index = arith::AddIOp::create(b, task.offset, loop.getInductionVar());
      SmallVector<Value> sums;
      for (int lane = 0; lane < lanes; ++lane) {
        Value at = arith::AddIOp::create(b, index, constant(b, lane * width));
        sums.push_back(add(b, loop.getRegionIterArg(lane), square(vector, at)));
      }
      scf::YieldOp::create(b, sums);
    }
    Value halves[] = {add(b, loop.getResult(0), loop.getResult(1)), add(b, loop.getResult(2), loop.getResult(3))};
    Value sum = vector::ReductionOp::create(b, vector::CombiningKind::ADD, add(b, halves[0], halves[1]));
    auto tail = scf::ForOp::create(b, full, task.length, constant(b, 1), sum);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(tail.getBody());
      Value index = arith::AddIOp::create(b, task.offset, tail.getInductionVar());
      scf::YieldOp::create(b, add(b, tail.getRegionIterArg(0), square(element, index)));
    }
    memref::StoreOp::create(b, tail.getResult(0), buffers[1], task.number);
  });
}

void Kernels::buildUpdate(StringRef name) {
  auto coefficients = MemRefType::get({CoefficientCount}, Float64Type::get(module.getContext()));
  SmallVector<Type> types{flat, trained, trained, trained};
  if (compute)
    types.push_back(compute);
  types.push_back(coefficients);
  buildKernel(name, types, [&](Builder &b, const Task &task, ValueRange buffers) {
    // Scalars are computed in f64 and rounded once.
    auto full = [&](Coefficient which) -> Value {
      return memref::LoadOp::create(b, buffers.back(), constant(b, which));
    };
    auto rounded = [&](Value x) { return element.isF64() ? x : arith::TruncFOp::create(b, element, x).getResult(); };
    auto coefficient = [&](Coefficient which) { return rounded(full(which)); };
    auto times = [&](Coefficient which, Factor factor) -> Value {
      return arith::MulFOp::create(b, full(which), loadFactor(b, task, factor));
    };
    Value scale = coefficient(GradientScale), beta1 = coefficient(Beta1), rest1 = coefficient(Rest1);
    Value beta2 = coefficient(Beta2), rest2 = coefficient(Rest2), unbias1 = coefficient(Unbias1);
    Value unbias2 = coefficient(Unbias2), epsilon = coefficient(Epsilon);
    Value rate = rounded(arith::AddFOp::create(b, times(RateStart, StartFactor), times(RateEnd, EndFactor)));
    Value decay = rounded(times(Decay, DecayFactor));
    auto update = [&](Builder &b, Type type, Value index, Value number, bool copy) {
      auto all = [&](Value scalar) { return splat(b, type, scalar); };
      // All loads before all stores: the buffers may lie a multiple of 4 KiB apart, where a processor takes a load
      // for one of what was just stored.
      Value p = load(b, type, buffers[0], index), g = load(b, type, buffers[1], index);
      Value m = load(b, type, buffers[2], index), v = load(b, type, buffers[3], index);
      g = mul(b, g, all(scale));
      m = add(b, mul(b, m, all(beta1)), mul(b, g, all(rest1)));
      v = add(b, mul(b, v, all(beta2)), mul(b, mul(b, g, g), all(rest2)));
      Value root = add(b, math::SqrtOp::create(b, mul(b, v, all(unbias2))), all(epsilon));
      Value direction = arith::DivFOp::create(b, mul(b, m, all(unbias1)), root);
      direction = add(b, direction, mul(b, all(decay), p));
      p = arith::SubFOp::create(b, p, mul(b, all(rate), direction), contract);
      store(b, m, buffers[2], index);
      store(b, v, buffers[3], index);
      store(b, p, buffers[0], index);
      if (copy)
        store(b, toBf16(b, p), buffers[4], arith::AddIOp::create(b, task.computeOffset, number));
    };
    auto sweepTask = [&](bool copy) {
      sweep(b, task, [&](Builder &b, Type type, Value index, Value number) { update(b, type, index, number, copy); });
    };
    if (!compute)
      return sweepTask(false);
    Value copies = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, task.computeOffset, constant(b, 0));
    auto branch = scf::IfOp::create(b, copies, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    sweepTask(true);
    b.setInsertionPointToStart(branch.elseBlock());
    sweepTask(false);
  });
}

void Kernels::buildSign(StringRef name) {
  auto body = [&](Builder &b, const Task &task, ValueRange buffers) {
    Value rate = loadFactor(b, task, StartFactor);
    if (!element.isF64())
      rate = arith::TruncFOp::create(b, element, rate);
    sweep(b, task, [&](Builder &b, Type type, Value index, Value) {
      Value zero = arith::ConstantOp::create(b, cast<TypedAttr>(b.getZeroAttr(type))), step = splat(b, type, rate);
      Value p = load(b, type, buffers[0], index), g = load(b, type, buffers[1], index);
      auto when = [&](arith::CmpFPredicate predicate) -> Value {
        return arith::SelectOp::create(b, arith::CmpFOp::create(b, predicate, g, zero), step, zero);
      };
      Value down = when(arith::CmpFPredicate::OGT), up = when(arith::CmpFPredicate::OLT);
      store(b, arith::AddFOp::create(b, arith::SubFOp::create(b, p, down), up), buffers[0], index);
    });
  };
  buildKernel(name, {flat, trained}, body, /*first=*/tasks);
}

void Kernels::buildAccumulate(StringRef name) {
  buildKernel(name, {trained, trained}, [&](Builder &b, const Task &task, ValueRange buffers) {
    sweep(b, task, [&](Builder &b, Type type, Value index, Value) {
      store(b, add(b, load(b, type, buffers[0], index), load(b, type, buffers[1], index)), buffers[0], index);
    });
  });
}

void Kernels::buildRefresh(StringRef name) {
  buildKernel(name, {flat, compute}, [&](Builder &b, const Task &task, ValueRange buffers) {
    Value copies = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, task.computeOffset, constant(b, 0));
    auto branch = scf::IfOp::create(b, copies, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    sweep(b, task, [&](Builder &b, Type type, Value index, Value number) {
      Value to = arith::AddIOp::create(b, task.computeOffset, number);
      store(b, toBf16(b, load(b, type, buffers[0], index)), buffers[1], to);
    });
  });
}

} // namespace moire::optimizer
