//===- passes/Analysis/PositionFlow.cpp - which positions a value depends on =//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Forward, op by op: a value depends on the tokens as its op depends on the operand, after what the operand does.
// Reaches compose by taking the larger, because the past of the past is the past. Trails are found backwards.
//===----------------------------------------------------------------------===//
#include "passes/Analysis/PositionFlow.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace moire;

/// Calls deeper than this are not followed: what they return depends on everything.
static constexpr unsigned deepestCall = 16;

static constexpr Dependence nothing = {Reach::None, Reach::None, Reach::None},
                            everything = {Reach::All, Reach::All, Reach::All};

static bool dependsAtAll(Dependence dependence) {
  return dependence.time != Reach::None || dependence.batch != Reach::None;
}

static Dependence join(Dependence a, Dependence b) {
  return {std::max(a.time, b.time), std::max(a.batch, b.batch), std::max(a.documents, b.documents)};
}

/// What an op's own dependence says when declared grouping is set apart.
static Reach undeclared(Reach reach) { return reach == Reach::Group ? Reach::Same : reach; }

/// An operand that depends on tokens as `inner`, read as `outer` says.
static Dependence compose(Dependence outer, Dependence inner) {
  if (!dependsAtAll(inner) || !dependsAtAll(outer))
    return nothing;
  return join({undeclared(outer.time), undeclared(outer.batch), undeclared(outer.documents)}, inner);
}

PositionFlow::PositionFlow(func::FuncOp function, ArrayRef<Value> sources) : function(function) {
  for (Value source : sources)
    raise(source, Dependence());
  run(function.getBody().front());
}

PositionFlow::PositionFlow(func::FuncOp function, ArrayRef<Dependence> start, unsigned depth)
    : function(function), depth(depth) {
  for (auto [argument, dependence] : llvm::zip_equal(function.getArguments(), start))
    raise(argument, dependence);
  run(function.getBody().front());
}

bool PositionFlow::raise(Value value, Dependence dependence) {
  if (!dependsAtAll(dependence))
    return false;
  auto [entry, isNew] = flows.try_emplace(value, dependence);
  if (isNew)
    return true;
  Dependence before = entry->second;
  entry->second = join(before, dependence);
  return entry->second.time != before.time || entry->second.batch != before.batch ||
         entry->second.documents != before.documents;
}

//===----------------------------------------------------------------------===//
// Forward
//===----------------------------------------------------------------------===//

/// An op that does not say how positions depend on each other is taken to depend on everything, its regions included.
Dependence PositionFlow::through(Operation *op, OpResult result) const {
  Dependence sum = nothing;
  if (auto positional = dyn_cast<PositionalOpInterface>(op)) {
    for (OpOperand &operand : op->getOpOperands())
      if (Dependence inner = of(operand.get()); dependsAtAll(inner))
        sum = join(sum, compose(positional.getDependence(operand.getOperandNumber(), result.getResultNumber()), inner));
    return sum;
  }
  op->walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (dependsAtAll(of(operand)))
        sum = everything;
  });
  return sum;
}

void PositionFlow::run(Block &block) {
  for (Operation &op : block) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      run(repeat);
    else if (auto call = dyn_cast<func::CallOp>(op))
      run(call);
    else
      for (OpResult result : op.getResults())
        raise(result, through(&op, result));
  }
}

void PositionFlow::run(RepeatOp repeat) {
  for (auto [operand, argument] : llvm::zip_equal(repeat->getOperands(), repeat.getBody().getArguments()))
    raise(argument, of(operand));
  bool again = true;
  while (again) {
    again = false;
    run(repeat.getBody().front());
    for (auto [argument, next] : llvm::zip_first(repeat.getCarriedArgs(), repeat.getYield().getOperands()))
      again |= raise(argument, of(next));
  }
  for (auto [result, yielded] : llvm::zip_equal(repeat.getResults(), repeat.getYield().getOperands())) {
    // Stacked values have the iteration in front of batch and time: only another loop may take them apart.
    bool stacked = result.getResultNumber() >= repeat.getNumCarried();
    bool slicedOnly = llvm::all_of(result.getUses(), [](OpOperand &use) {
      auto reader = dyn_cast<RepeatOp>(use.getOwner());
      return isa<func::ReturnOp>(use.getOwner()) || (reader && use.getOperandNumber() >= reader.getNumCarried());
    });
    raise(result, stacked && !slicedOnly && dependsAtAll(of(yielded)) ? everything : of(yielded));
  }
}

void PositionFlow::run(func::CallOp call) {
  SmallVector<Dependence> start;
  bool reached = false;
  for (Value operand : call.getOperands()) {
    start.push_back(of(operand));
    reached |= dependsAtAll(start.back());
  }
  if (!reached)
    return;
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
  if (!callee || callee.isDeclaration() || depth >= deepestCall) {
    for (Value result : call.getResults())
      raise(result, everything);
    return;
  }
  std::unique_ptr<PositionFlow> &inside = calls[call];
  inside.reset(new PositionFlow(callee, start, depth + 1));
  Operation *end = callee.getBody().front().getTerminator();
  for (auto [result, returned] : llvm::zip_equal(call.getResults(), end->getOperands()))
    raise(result, inside->of(returned));
}

//===----------------------------------------------------------------------===//
// Backward
//===----------------------------------------------------------------------===//

/// Whether a dependence is more along `axis` than logits may have.
static bool isTooMuch(Dependence dependence, Axis axis) {
  if (axis == Axis::Time)
    return dependence.time > Reach::Past;
  return (axis == Axis::Batch ? dependence.batch : dependence.documents) > Reach::Same;
}

bool PositionFlow::isLoose(Value value, Axis axis) const { return isTooMuch(of(value), axis); }

SmallVector<Value> PositionFlow::parents(Value value) const {
  SmallVector<Value> out;
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (auto repeat = dyn_cast<RepeatOp>(argument.getOwner()->getParentOp())) {
      out.push_back(repeat->getOperand(argument.getArgNumber()));
      if (argument.getArgNumber() < repeat.getNumCarried())
        out.push_back(repeat.getYield().getOperand(argument.getArgNumber()));
    }
    return out;
  }
  Operation *op = value.getDefiningOp();
  if (auto repeat = dyn_cast<RepeatOp>(op))
    return {repeat.getYield().getOperand(cast<OpResult>(value).getResultNumber())};
  auto positional = dyn_cast<PositionalOpInterface>(op);
  for (OpOperand &operand : op->getOpOperands())
    if (!positional ||
        dependsAtAll(positional.getDependence(operand.getOperandNumber(), cast<OpResult>(value).getResultNumber())))
      if (dependsAtAll(of(operand.get())))
        out.push_back(operand.get());
  return out;
}

/// Whether `result` is loose by what its op does itself, and not only by what it reads.
bool PositionFlow::lets(OpResult result, Axis axis) const {
  Operation *op = result.getOwner();
  if (isa<RepeatOp>(op))
    return false;
  if (isa<func::CallOp>(op))
    return true;
  auto positional = dyn_cast<PositionalOpInterface>(op);
  return llvm::any_of(op->getOpOperands(), [&](OpOperand &operand) {
    if (!dependsAtAll(of(operand.get())))
      return false;
    if (!positional)
      return true;
    Dependence own = positional.getDependence(operand.getOperandNumber(), result.getResultNumber());
    return isTooMuch({undeclared(own.time), undeclared(own.batch), undeclared(own.documents)}, axis);
  });
}

PositionFlow::Trail PositionFlow::explain(Value value, Axis axis) const {
  llvm::MapVector<Value, Value> towards; // the next value on the way to the one asked about
  SmallVector<Value> queue{value};
  towards[value] = Value();
  Value found; // in loops all values may be loose: then the op that is farthest from the end is as good as any
  for (size_t next = 0; next < queue.size(); ++next) {
    Value at = queue[next];
    bool innocent = true;
    for (Value parent : parents(at))
      if (isLoose(parent, axis)) {
        innocent = false;
        if (towards.insert({parent, at}).second)
          queue.push_back(parent);
      }
    auto result = dyn_cast<OpResult>(at);
    if (!result || !lets(result, axis))
      continue;
    found = at;
    if (innocent)
      break;
  }
  Trail trail;
  if (!found)
    return {value.getDefiningOp(), {value}};
  trail.culprit = found.getDefiningOp();
  if (auto inside = calls.find(trail.culprit); inside != calls.end()) {
    auto callee = inside->second->function;
    unsigned number = cast<OpResult>(found).getResultNumber();
    trail = inside->second->explain(callee.getBody().front().getTerminator()->getOperand(number), axis);
  }
  for (Value step = found; step; step = towards.lookup(step))
    trail.values.push_back(step);
  return trail;
}

SmallVector<PositionFlow::Exception> PositionFlow::exceptions(Value value) const {
  llvm::SetVector<Value> reached;
  llvm::MapVector<Operation *, Dependence> found;
  reached.insert(value);
  for (size_t next = 0; next < reached.size(); ++next) {
    Value at = reached[next];
    for (Value parent : parents(at))
      reached.insert(parent);
    auto positional = dyn_cast_or_null<PositionalOpInterface>(at.getDefiningOp());
    if (!positional)
      continue;
    for (OpOperand &operand : positional->getOpOperands()) {
      if (!dependsAtAll(of(operand.get())))
        continue;
      Dependence own = positional.getDependence(operand.getOperandNumber(), cast<OpResult>(at).getResultNumber());
      if (own.time == Reach::Group || own.batch == Reach::Group)
        found[positional] = join(found.lookup(positional), own);
    }
  }
  for (auto &[call, inside] : calls)
    for (Value result : call->getResults())
      if (reached.contains(result))
        for (const Exception &inner : inside->exceptions(inside->function.getBody().front().getTerminator()->getOperand(
                 cast<OpResult>(result).getResultNumber())))
          found[inner.op] = join(found.lookup(inner.op), inner.reach);
  SmallVector<Exception> out;
  for (auto &[op, reach] : found)
    out.push_back({op, reach});
  std::reverse(out.begin(), out.end()); // found from the end of the model to its beginning
  return out;
}
