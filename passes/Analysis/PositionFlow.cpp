//===- passes/Analysis/PositionFlow.cpp - which positions a value depends on =//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Forward, op by op: a value depends on the tokens as its op depends on the operand, after what the operand does.
// Reaches compose by taking the larger, because the past of the past is the past. What moves whole positions is counted
// exactly beside that, so that a stream may go back by as much as it was late. Trails are found backwards.
//===----------------------------------------------------------------------===//
#include "passes/Analysis/PositionFlow.h"
#include "dialect/IR/TypeUtils.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"
#include <numeric>

using namespace mlir;
using namespace moire;

/// Calls deeper than this are not followed: what they return depends on everything.
static constexpr unsigned deepestCall = 16;
/// Rounds of a loop after which what still sees further ahead is taken to see everything.
static constexpr unsigned patience = 8;

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

//===----------------------------------------------------------------------===//
// Moves
//===----------------------------------------------------------------------===//

/// Whether `type` is a stream, with batch and time in front.
static bool isStream(Type type) {
  size_t least = isa<IntegerType>(elementOf(type)) ? 2 : 3;
  return shapeOf(type).size() >= least;
}

/// What an op does that moves whole positions along the sequence and nothing else: position j of its result is made of
/// positions up to `every / per * j + ahead` of the operand.
static std::optional<Horizon> moveOf(OpOperand &operand) {
  Operation *op = operand.getOwner();
  constexpr int64_t time = 1;
  if (auto conv = dyn_cast<ConvOp>(op); conv && operand.getOperandNumber() == 0 && conv.getPadding() == Padding::Valid)
    return Horizon{1, 1, shapeOf(conv.getW().getType())[0] - 1};
  if (!isa<SliceOp, ConcatOp, ReshapeOp>(op) || !isStream(operand.get().getType()) ||
      !isStream(op->getResult(0).getType()))
    return std::nullopt;
  if (auto slice = dyn_cast<SliceOp>(op))
    return static_cast<int64_t>(slice.getDim()) == time
               ? std::optional(Horizon{1, 1, static_cast<int64_t>(slice.getOffset())})
               : std::nullopt;
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    if (static_cast<int64_t>(concat.getDim()) != time)
      return std::nullopt;
    int64_t before = 0;
    for (Value x : concat.getXs().take_front(operand.getOperandNumber()))
      before += shapeOf(x.getType())[time];
    return Horizon{1, 1, -before};
  }
  // Neighbouring positions become one, or one becomes several.
  ArrayRef<int64_t> from = shapeOf(operand.get().getType()), to = shapeOf(op->getResult(0).getType());
  if (from[0] != to[0] || from[time] == to[time])
    return std::nullopt;
  if (from[time] % to[time] == 0)
    return Horizon{from[time] / to[time], 1, from[time] / to[time] - 1};
  return to[time] % from[time] == 0 ? std::optional(Horizon{1, to[time] / from[time], 0}) : std::nullopt;
}

/// A move of what sees as far as `inner`.
static Horizon compose(Horizon outer, Horizon inner) {
  int64_t every = outer.every * inner.every, per = outer.per * inner.per, common = std::gcd(every, per);
  int64_t scaled = outer.ahead * inner.every, rest = scaled % inner.per;
  int64_t steps = scaled / inner.per + (rest > 0); // rounded up
  return {every / common, per / common, inner.ahead + steps};
}

static bool sameRate(Horizon a, Horizon b) { return a.every == b.every && a.per == b.per; }

PositionFlow::PositionFlow(func::FuncOp function, ArrayRef<Value> sources) : function(function) {
  for (Value source : sources)
    raise(source, Dependence(), Horizon());
  run(function.getBody().front());
}

PositionFlow::PositionFlow(func::FuncOp function, ArrayRef<Dependence> start, ArrayRef<Horizon> far, unsigned depth)
    : function(function), depth(depth) {
  for (auto [argument, dependence, horizon] : llvm::zip_equal(function.getArguments(), start, far))
    raise(argument, dependence, horizon);
  run(function.getBody().front());
}

bool PositionFlow::raise(Value value, Dependence dependence, Horizon far) {
  if (!dependsAtAll(dependence))
    return false;
  auto [entry, isNew] = flows.try_emplace(value, dependence);
  if (isNew) {
    horizons[value] = far;
    return true;
  }
  Dependence before = entry->second;
  Horizon &known = horizons[value];
  if (!sameRate(known, far)) // positions of two kinds in one value
    dependence.time = Reach::All;
  entry->second = join(before, dependence);
  if (entry->second.time <= Reach::Past && far.ahead > known.ahead) {
    known.ahead = far.ahead;
    return true;
  }
  return entry->second.time != before.time || entry->second.batch != before.batch ||
         entry->second.documents != before.documents;
}

//===----------------------------------------------------------------------===//
// Forward
//===----------------------------------------------------------------------===//

/// An op that does not say how positions depend on each other is taken to depend on everything, its regions included.
void PositionFlow::through(Operation *op, OpResult result) {
  if (auto positional = dyn_cast<PositionalOpInterface>(op)) {
    for (OpOperand &operand : op->getOpOperands()) {
      Dependence inner = of(operand.get());
      if (!dependsAtAll(inner))
        continue;
      Dependence outer = positional.getDependence(operand.getOperandNumber(), result.getResultNumber());
      Horizon far = horizon(operand.get());
      if (std::optional<Horizon> move = moveOf(operand)) { // its horizon says the rest
        outer.time = Reach::Past, outer.batch = Reach::Same;
        far = compose(*move, far);
      }
      raise(result, compose(outer, inner), far);
    }
    return;
  }
  op->walk([&](Operation *nested) {
    for (Value operand : nested->getOperands())
      if (dependsAtAll(of(operand)))
        raise(result, everything, Horizon());
  });
}

void PositionFlow::run(Block &block) {
  for (Operation &op : block) {
    if (auto repeat = dyn_cast<RepeatOp>(op))
      run(repeat);
    else if (auto call = dyn_cast<func::CallOp>(op))
      run(call);
    else
      for (OpResult result : op.getResults())
        through(&op, result);
  }
}

void PositionFlow::run(RepeatOp repeat) {
  for (auto [operand, argument] : llvm::zip_equal(repeat->getOperands(), repeat.getBody().getArguments()))
    raise(argument, of(operand), horizon(operand));
  bool again = true;
  for (unsigned round = 0; again; ++round) {
    again = false;
    run(repeat.getBody().front());
    for (auto [argument, next] : llvm::zip_first(repeat.getCarriedArgs(), repeat.getYield().getOperands())) {
      bool news = raise(argument, of(next), horizon(next));
      if (news && round >= patience) // a little further ahead with each iteration
        raise(argument, {Reach::All, of(next).batch, of(next).documents}, horizon(next));
      again |= news;
    }
  }
  for (auto [result, yielded] : llvm::zip_equal(repeat.getResults(), repeat.getYield().getOperands())) {
    // Stacked values have the iteration in front of batch and time: only another loop may take them apart.
    bool stacked = result.getResultNumber() >= repeat.getNumCarried();
    bool slicedOnly = llvm::all_of(result.getUses(), [](OpOperand &use) {
      auto reader = dyn_cast<RepeatOp>(use.getOwner());
      return isa<func::ReturnOp>(use.getOwner()) || (reader && use.getOperandNumber() >= reader.getNumCarried());
    });
    raise(result, stacked && !slicedOnly && dependsAtAll(of(yielded)) ? everything : of(yielded), horizon(yielded));
  }
}

void PositionFlow::run(func::CallOp call) {
  SmallVector<Dependence> start;
  SmallVector<Horizon> far;
  bool reached = false;
  for (Value operand : call.getOperands()) {
    start.push_back(of(operand));
    far.push_back(horizon(operand));
    reached |= dependsAtAll(start.back());
  }
  if (!reached)
    return;
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
  if (!callee || callee.isDeclaration() || depth >= deepestCall) {
    for (Value result : call.getResults())
      raise(result, everything, Horizon());
    return;
  }
  std::unique_ptr<PositionFlow> &inside = calls[call];
  inside.reset(new PositionFlow(callee, start, far, depth + 1));
  Operation *end = callee.getBody().front().getTerminator();
  for (auto [result, returned] : llvm::zip_equal(call.getResults(), end->getOperands()))
    raise(result, inside->of(returned), inside->horizon(returned));
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

bool PositionFlow::isLoose(Value value, Axis axis) const {
  Dependence dependence = of(value);
  return isTooMuch(dependence, axis) ||
         (axis == Axis::Time && dependence.time != Reach::None && horizon(value).ahead > 0);
}

bool PositionFlow::seesAhead(Value value) const {
  Horizon far = horizon(value);
  return isLoose(value, Axis::Time) || (of(value).time != Reach::None && far.every > far.per);
}

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
    if (std::optional<Horizon> move = moveOf(operand); move && axis != Axis::Documents)
      return axis == Axis::Time && move->ahead > 0;
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
