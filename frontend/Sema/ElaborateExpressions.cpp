//===- frontend/Sema/ElaborateExpressions.cpp - what an expression is worth ===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constants are computed, streams become operations. `and`, `or` and
// `if … then … else` look only at what they need.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::sema {

using ast::Operator;

void Records::note(const ast::Expr &expr, const Constant &value) {
  auto [it, fresh] = expressions.try_emplace(&expr, Record{value, false});
  if (!fresh && !(it->second.value == value))
    it->second.varies = true;
}

void Records::note(const ast::Expr &site, size_t parameter, size_t parameters, const Constant &value) {
  auto &slots = arguments[&site];
  slots.resize(parameters);
  if (!slots[parameter])
    slots[parameter] = Record{value, false};
  else if (!(slots[parameter]->value == value))
    slots[parameter]->varies = true;
}

Value *Elaborator::lookup(StringRef name) {
  for (Scope &scope : reverse(scopes)) {
    auto it = scope.find(name);
    if (it != scope.end())
      return &it->second;
  }
  auto it = globalScope.find(name);
  return it == globalScope.end() ? nullptr : &it->second;
}

Op &Elaborator::emit(Op::Kind kind, std::vector<Stream *> operands, int64_t width, SMRange range,
                     std::optional<int64_t> time) {
  int64_t positions = time.value_or(operands.front()->time);
  auto op = std::make_unique<Op>();
  op->kind = kind;
  op->operands = std::move(operands);
  op->results.push_back(model->makeStream(width, positions));
  op->range = range;
  op->caller = caller;
  region->ops.push_back(std::move(op));
  return *region->ops.back();
}

Value Elaborator::evaluate(const ast::Expr &expr) {
  Value value;
  switch (expr.kind) {
  case ast::Expr::Kind::Number: {
    const auto &number = cast<ast::Number>(expr);
    value = Value::of(number.count ? Constant::ofCount(*number.count) : Constant::ofReal(number.real));
    break;
  }
  case ast::Expr::Kind::String:
    value = Value::of(Constant::ofString(cast<ast::String>(expr).value));
    break;
  case ast::Expr::Kind::Bool:
    value = Value::of(Constant::ofBool(cast<ast::Bool>(expr).value));
    break;
  case ast::Expr::Kind::None:
    value = Value::of(Constant::ofNone());
    break;
  case ast::Expr::Kind::Name:
    value = evaluateName(cast<ast::Name>(expr));
    break;
  case ast::Expr::Kind::Call:
    value = call(cast<ast::Call>(expr), nullptr);
    break;
  case ast::Expr::Kind::Chain:
    value = evaluateChain(cast<ast::Chain>(expr));
    break;
  case ast::Expr::Kind::Unary:
    value = evaluateUnary(cast<ast::Unary>(expr));
    break;
  case ast::Expr::Kind::Pipe:
    value = evaluatePipe(cast<ast::Pipe>(expr));
    break;
  case ast::Expr::Kind::Choice: {
    const auto &choice = cast<ast::Choice>(expr);
    if (auto holds = condition(*choice.condition))
      value = evaluate(*holds ? *choice.yes : *choice.no);
    break;
  }
  case ast::Expr::Kind::Tuple: {
    std::vector<Constant> elements;
    for (const ast::ExprPtr &element : cast<ast::Tuple>(expr).elements) {
      auto one = constant(*element, "a constant");
      if (!one)
        return {};
      elements.push_back(std::move(*one));
    }
    value = Value::of(Constant::ofTuple(std::move(elements)));
    break;
  }
  case ast::Expr::Kind::Range:
  case ast::Expr::Kind::Record:
    break; // refused with the names
  }
  if (value.kind == Value::Kind::Constant)
    records.note(expr, value.constant);
  return value;
}

Value Elaborator::evaluateName(const ast::Name &name) {
  if (Value *value = lookup(name.text))
    return *value;
  if (isWord(name.text))
    return Value::of(Constant::ofWord(name.text));
  // The names were checked; what is left is a stream that was first bound in a branch not taken, or after a failure.
  if (diagnostics.errorCount() == 0)
    (void)diagnostics.error(name.range, "`" + name.text + "` has no value here");
  return {};
}

Value Elaborator::evaluateChain(const ast::Chain &chain) {
  Operator first = chain.links.front().op;
  Value left = evaluate(*chain.operands.front());
  for (size_t i = 0; i < chain.links.size() && !left.isPoison(); ++i) {
    const ast::Expr &operand = *chain.operands[i + 1];
    if ((first == Operator::And || first == Operator::Or) && left.kind == Value::Kind::Constant &&
        left.constant == Constant::ofBool(first == Operator::Or))
      return left;
    Value right = evaluate(operand);
    SMRange range(chain.operands.front()->range.Start, operand.range.End);
    left = combine(chain.links[i].op, left, right, range);
  }
  return left;
}

Value Elaborator::evaluateUnary(const ast::Unary &unary) {
  Value operand = evaluate(*unary.operand);
  if (operand.isPoison())
    return operand;
  if (operand.kind == Value::Kind::Constant) {
    std::string error;
    auto result = sema::apply(unary.op, operand.constant, error);
    if (result)
      return Value::of(*result);
    (void)diagnostics.error(unary.range, error);
    return {};
  }
  if (unary.op == Operator::Not) {
    (void)diagnostics.error(unary.range, "`not` takes a condition on constants");
    return {};
  }
  return combine(Operator::Mul, Value::of(Constant::ofReal(-1)), operand, unary.range);
}

Value Elaborator::evaluatePipe(const ast::Pipe &pipe) {
  Stream *current = stream(*pipe.stream);
  Value result;
  for (const ast::ExprPtr &stage : pipe.stages) {
    if (!current)
      return {};
    result = {};
    if (auto *callee = dyn_cast<ast::Call>(stage.get())) {
      result = call(*callee, current);
    } else {
      const auto &name = cast<ast::Name>(*stage);
      if (Value *value = lookup(name.text)) {
        if (value->kind == Value::Kind::Layer)
          result = apply(value->layer, current, nullptr, name.range);
        else if (!value->isPoison())
          (void)diagnostics.error(name.range, "`" + name.text + "` is not a layer");
      } else if (auto layer = makeLayer({name.text, name.range}, name)) {
        result = apply(layer, current, nullptr, name.range);
      }
    }
    bool routes = stage == pipe.stages.back() && result.kind == Value::Kind::Routing;
    current = routes ? result.stream : asStream(result, stage->range);
  }
  return current ? Value::of(current) : Value();
}

Value Elaborator::evaluateFunction(const ast::Call &call, const Function &function) {
  std::vector<Constant> arguments;
  for (const ast::Argument &argument : call.arguments) {
    auto value = constant(*argument.value, "a number");
    if (!value)
      return {};
    arguments.push_back(std::move(*value));
  }
  std::string error;
  if (auto result = function.apply(arguments, error))
    return Value::of(*result);
  (void)diagnostics.error(call.range, "`" + function.name + "`: " + error);
  return {};
}

Value Elaborator::combine(Operator op, const Value &left, const Value &right, SMRange range) {
  if (left.isPoison() || right.isPoison())
    return {};
  if (left.kind == Value::Kind::Constant && right.kind == Value::Kind::Constant) {
    std::string error;
    if (auto result = sema::apply(op, left.constant, right.constant, error))
      return Value::of(*result);
    (void)diagnostics.error(range, error);
    return {};
  }
  for (const Value *side : {&left, &right})
    if (side->kind == Value::Kind::Routing) {
      (void)diagnostics.error(range,
                              "a routing is no stream to compute with; `experts(x, r, …)` applies experts by it");
      return {};
    } else if (side->kind == Value::Kind::Layer) {
      (void)diagnostics.error(range,
                              "`" + side->layer->name + "` is a layer here, not a stream: it was not applied to any");
      return {};
    }
  // One side at least is a stream.
  if (left.kind == Value::Kind::Stream && right.kind == Value::Kind::Stream) {
    Op::Kind kind = op == Operator::Add   ? Op::Kind::Add
                    : op == Operator::Sub ? Op::Kind::Sub
                    : op == Operator::Mul ? Op::Kind::Mul
                                          : Op::Kind::Loop;
    if (kind == Op::Kind::Loop) {
      (void)diagnostics.error(range, "streams can be added, subtracted and multiplied, `" + ast::spelling(op) +
                                         "` is not for them");
      return {};
    }
    if (left.stream->width == 0 || right.stream->width == 0) {
      (void)diagnostics.error(range, "tokens are no numbers to compute with; `embed` makes a stream of them");
      return {};
    }
    if (left.stream->width != right.stream->width) {
      (void)diagnostics.error(range, "the streams have " + Twine(left.stream->width) + " and " +
                                         Twine(right.stream->width) + " features, they must be alike");
      return {};
    }
    if (!sameLength(left.stream, right.stream, range))
      return {};
    return Value::of(emit(kind, {left.stream, right.stream}, left.stream->width, range).results[0]);
  }
  bool streamFirst = left.kind == Value::Kind::Stream;
  const Constant &factor = streamFirst ? right.constant : left.constant;
  Stream *operand = streamFirst ? left.stream : right.stream;
  bool scales = op == Operator::Mul || (op == Operator::Div && streamFirst);
  if (!scales || !factor.isNumber()) {
    (void)diagnostics.error(range, "a stream can be multiplied or divided by a number, not combined with " +
                                       factor.described() + " by `" + ast::spelling(op) + "`");
    return {};
  }
  if (operand->width == 0) {
    (void)diagnostics.error(range, "tokens are no numbers to compute with; `embed` makes a stream of them");
    return {};
  }
  if (op == Operator::Div && factor.asReal() == 0) {
    (void)diagnostics.error(range, "division by zero");
    return {};
  }
  Op &scale = emit(Op::Kind::Scale, {operand}, operand->width, range);
  scale.factor = op == Operator::Div ? 1 / factor.asReal() : factor.asReal();
  return Value::of(scale.results[0]);
}

std::optional<Constant> Elaborator::constant(const ast::Expr &expr, StringRef wanted) {
  Value value = evaluate(expr);
  if (value.kind == Value::Kind::Constant)
    return value.constant;
  if (!value.isPoison())
    (void)diagnostics.error(expr.range, "expected " + wanted + ", found " +
                                            (value.kind == Value::Kind::Stream    ? "a stream"
                                             : value.kind == Value::Kind::Routing ? "a routing"
                                                                                  : "a layer"));
  return std::nullopt;
}

std::optional<bool> Elaborator::condition(const ast::Expr &expr) {
  auto value = constant(expr, "a condition");
  if (!value)
    return std::nullopt;
  if (value->kind == Constant::Kind::Bool)
    return value->boolean;
  (void)diagnostics.error(expr.range, "expected a condition, found " + value->described());
  return std::nullopt;
}

bool Elaborator::sameLength(const Stream *left, const Stream *right, SMRange range) {
  if (left->time == right->time)
    return true;
  (void)diagnostics.error(range, "the streams have " + Twine(left->time) + " and " + Twine(right->time) +
                                     " positions, they must be alike; `stack`, `unstack` and `conv1d` change them");
  return false;
}

Stream *Elaborator::asStream(const Value &value, SMRange range) {
  if (value.kind == Value::Kind::Stream)
    return value.stream;
  if (value.kind == Value::Kind::Layer)
    (void)diagnostics.error(range, "expected a stream, found the layer `" + value.layer->name +
                                       "`, which was not applied to any");
  else if (value.kind == Value::Kind::Routing)
    (void)diagnostics.error(range, "expected a stream, found a routing; `experts(x, r, …)` applies experts by it");
  else if (!value.isPoison())
    (void)diagnostics.error(range, "expected a stream, found " + value.constant.described());
  return nullptr;
}

Stream *Elaborator::routing(const ast::Expr &expr) {
  Value value = evaluate(expr);
  if (value.kind == Value::Kind::Routing)
    return value.stream;
  if (!value.isPoison())
    (void)diagnostics.error(expr.range, "expected a routing, found " +
                                            (value.kind == Value::Kind::Stream  ? std::string("a stream")
                                             : value.kind == Value::Kind::Layer ? std::string("a layer")
                                                                                : value.constant.described()) +
                                            "; `route(x, …)` makes one");
  return nullptr;
}

Stream *Elaborator::stream(const ast::Expr &expr) { return asStream(evaluate(expr), expr.range); }

} // namespace moire::sema
