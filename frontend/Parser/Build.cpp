//===- frontend/Parser/Build.cpp - from the raw tree to the syntax tree ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The shapes of raw nodes are fixed by the grammar, so this file asserts them;
// only numbers and the use of record and tuple can still be wrong.
//===----------------------------------------------------------------------===//
#include "frontend/Parser/Syntax.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/ErrorHandling.h"
#include <cassert>
#include <cmath>

using namespace llvm;

namespace moire::syntax {

namespace {

class Builder {
public:
  explicit Builder(Diagnostics &diagnostics) : diagnostics(diagnostics) {}

  ast::ExprPtr expression(const Node &node);
  std::unique_ptr<ast::File> file(const Node &node);

private:
  ast::ExprPtr number(const Node &node);
  ast::ExprPtr chain(const Node &node);
  ast::ExprPtr unary(const Node &node);
  ast::ExprPtr call(const Node &node);
  ast::ExprPtr record(const Node &node);
  ast::Argument argument(const Node &node);
  ast::StmtPtr statement(const Node &node);
  ast::Body body(const Node &node);
  std::unique_ptr<ast::Let> let(const Node &node);
  std::vector<ast::Parameter> parameters(const Node &node);
  std::string string(const Node &node);
  ast::Ident ident(const Node &node) { return {node.text(), node.range()}; }
  /// The name of a record's field, or what its quotes enclose.
  ast::Record::Key key(const Node &node) {
    bool quoted = node.kind == Kind::String;
    StringRef text = quoted ? node.text().drop_front().drop_back() : node.text();
    return {{text, node.range()}, quoted};
  }

  /// A node of type T with the range of `node`.
  template <typename T> std::unique_ptr<T> make(const Node &node) {
    auto made = std::make_unique<T>();
    made->range = node.range();
    return made;
  }

  Diagnostics &diagnostics;
};

} // namespace

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

/// value * 10^exponent as an exact count, if it is one and fits.
static std::optional<int64_t> exactCount(StringRef digits, int64_t multiplier) {
  auto [whole, fraction] = digits.split('.');
  fraction = fraction.rtrim('0');
  unsigned __int128 mantissa = 0, scale = 1;
  constexpr unsigned __int128 limit = static_cast<unsigned __int128>(INT64_MAX) * 1000000;
  for (char c : (whole + fraction).str()) {
    mantissa = mantissa * 10 + (c - '0');
    if (mantissa > limit)
      return std::nullopt;
  }
  for (size_t i = 0; i < fraction.size(); ++i) {
    scale *= 10;
    if (scale > limit)
      return std::nullopt;
  }
  if (mantissa > limit * 1000 / multiplier)
    return std::nullopt;
  unsigned __int128 product = mantissa * static_cast<unsigned __int128>(multiplier);
  if (product % scale != 0 || product / scale > INT64_MAX)
    return std::nullopt;
  return static_cast<int64_t>(product / scale);
}

ast::ExprPtr Builder::number(const Node &node) {
  auto made = make<ast::Number>(node);
  StringRef text = node.text();
  bool percent = text.consume_back("%");
  size_t split = text.find_first_not_of("0123456789.");
  StringRef digits = text.take_front(split), suffix = text.substr(std::min(split, text.size()));
  bool exponent = suffix.size() > 1 && toLower(suffix[0]) == 'e' &&
                  (isDigit(suffix[1]) || ((suffix[1] == '+' || suffix[1] == '-') && suffix.size() > 2));
  if (exponent) {
    size_t rest = suffix.find_first_not_of("0123456789", 2);
    digits = text.take_front(digits.size() + std::min(rest, suffix.size()));
    suffix = suffix.substr(std::min(rest, suffix.size()));
  }
  int64_t multiplier = StringSwitch<int64_t>(suffix)
                           .Case("", 1)
                           .Case("k", 1000)
                           .Case("M", 1000000)
                           .Case("B", 1000000000)
                           .Case("Ki", 1 << 10)
                           .Case("Mi", 1 << 20)
                           .Case("Gi", 1 << 30)
                           .Default(0);
  if (multiplier == 0 || (exponent && !suffix.empty()) || (percent && !suffix.empty())) {
    (void)diagnostics.error(node.range(), "`" + node.text() +
                                              "` is not a number: the endings are `k`, `M`, `B` (powers of "
                                              "1000), `Ki`, `Mi`, `Gi` (powers of 1024) and `%`");
    return made;
  }
  double value = 0;
  if (digits.getAsDouble(value) || !std::isfinite(value)) {
    (void)diagnostics.error(node.range(), "`" + node.text() + "` is too large for a number");
    return made;
  }
  made->real = percent ? value / 100 : value * static_cast<double>(multiplier);
  bool whole = !exponent && !percent && (!digits.contains('.') || multiplier != 1);
  if (!whole)
    return made;
  made->count = exactCount(digits, multiplier);
  if (!made->count && !digits.contains('.'))
    (void)diagnostics.error(node.range(),
                            "`" + node.text() + "` is too large for a count, the largest is " + Twine(INT64_MAX));
  return made;
}

static ast::Operator operatorOf(StringRef text) {
  using O = ast::Operator;
  return StringSwitch<O>(text)
      .Case("+", O::Add)
      .Case("-", O::Sub)
      .Case("*", O::Mul)
      .Case("/", O::Div)
      .Case("%", O::Mod)
      .Case("<", O::Less)
      .Case("<=", O::LessEqual)
      .Case(">", O::Greater)
      .Case(">=", O::GreaterEqual)
      .Case("==", O::Equal)
      .Case("!=", O::NotEqual)
      .Case("and", O::And)
      .Case("or", O::Or)
      .Case("not", O::Not);
}

ast::ExprPtr Builder::chain(const Node &node) {
  auto made = make<ast::Chain>(node);
  for (const Node &child : node.children) {
    if (child.kind == Kind::Operator)
      made->links.push_back({operatorOf(child.text()), child.range()});
    else
      made->operands.push_back(expression(child));
  }
  assert(made->operands.size() == made->links.size() + 1);
  return made;
}

ast::ExprPtr Builder::unary(const Node &node) {
  // Signs cancel in pairs, so that a row of them costs neither stack nor nodes.
  size_t signs = node.children.size() - 1;
  ast::ExprPtr operand = expression(node.children.back());
  ast::Operator op = operatorOf(node.children.front().text());
  for (size_t i = 0, n = signs % 2 == 1 ? 1 : 2; i < n; ++i) {
    auto made = make<ast::Unary>(node);
    made->op = op;
    made->operand = std::move(operand);
    operand = std::move(made);
  }
  return operand;
}

std::string Builder::string(const Node &node) {
  std::string value;
  StringRef text = node.text().drop_front().drop_back();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size())
      value += text[++i] == 'n' ? '\n' : text[i];
    else
      value += text[i];
  }
  return value;
}

ast::Argument Builder::argument(const Node &node) {
  ast::Argument made;
  made.range = node.range();
  if (node.kind == Kind::NamedArgument)
    made.name = ident(node.children[0]);
  made.value = expression(node.children.back());
  return made;
}

ast::ExprPtr Builder::call(const Node &node) {
  auto made = make<ast::Call>(node);
  made->callee = ident(node.children[0]);
  for (const Node &child : ArrayRef(node.children).drop_front())
    made->arguments.push_back(argument(child));
  return made;
}

ast::ExprPtr Builder::record(const Node &node) {
  auto made = make<ast::Record>(node);
  for (const Node &field : node.children)
    made->fields.push_back({key(field.children[0]), expression(field.children[1])});
  return made;
}

ast::ExprPtr Builder::expression(const Node &node) {
  switch (node.kind) {
  case Kind::Number:
    return number(node);
  case Kind::String: {
    auto made = make<ast::String>(node);
    made->value = string(node);
    return made;
  }
  case Kind::Word: {
    if (node.text() == "none")
      return make<ast::None>(node);
    auto made = make<ast::Bool>(node);
    made->value = node.text() == "true";
    return made;
  }
  case Kind::Name: {
    auto made = make<ast::Name>(node);
    made->text = node.text();
    return made;
  }
  case Kind::Tuple: {
    auto made = make<ast::Tuple>(node);
    for (const Node &child : node.children)
      made->elements.push_back(expression(child));
    return made;
  }
  case Kind::Record:
    return record(node);
  case Kind::Call:
    return call(node);
  case Kind::Pipe: {
    auto made = make<ast::Pipe>(node);
    made->stream = expression(node.children[0]);
    for (const Node &child : ArrayRef(node.children).drop_front())
      made->stages.push_back(expression(child));
    return made;
  }
  case Kind::Unary:
    return unary(node);
  case Kind::Product:
  case Kind::Sum:
  case Kind::Comparison:
  case Kind::And:
  case Kind::Or:
    return chain(node);
  case Kind::Range: {
    auto made = make<ast::Range>(node);
    made->from = expression(node.children[0]);
    made->to = expression(node.children[1]);
    return made;
  }
  case Kind::Choice: {
    auto made = make<ast::Choice>(node);
    made->condition = expression(node.children[0]);
    made->yes = expression(node.children[1]);
    made->no = expression(node.children[2]);
    return made;
  }
  default:
    llvm_unreachable("not an expression");
  }
}

//===----------------------------------------------------------------------===//
// Statements and declarations
//===----------------------------------------------------------------------===//

std::unique_ptr<ast::Let> Builder::let(const Node &node) {
  auto made = make<ast::Let>(node);
  made->name = ident(node.children[0]);
  made->value = expression(node.children[1]);
  return made;
}

ast::Body Builder::body(const Node &node) {
  ast::Body made;
  for (const Node &child : node.children)
    made.push_back(statement(child));
  return made;
}

ast::StmtPtr Builder::statement(const Node &node) {
  ArrayRef<Node> children = node.children;
  switch (node.kind) {
  case Kind::Let:
    return let(node);
  case Kind::Assign: {
    auto made = make<ast::Assign>(node);
    made->name = ident(children[0]);
    made->adds = children[1].text() == "+=";
    made->value = expression(children[2]);
    return made;
  }
  case Kind::Repeat: {
    auto made = make<ast::Repeat>(node);
    made->count = expression(children[0]);
    if (children[1].kind == Kind::RepeatVariable)
      made->variable = ident(children[1].children[0]);
    made->body = body(children.back());
    return made;
  }
  case Kind::If: {
    auto made = make<ast::If>(node);
    made->condition = expression(children[0]);
    made->then = body(children[1]);
    if (children.size() == 3) {
      const Node &other = children[2].children[0];
      if (other.kind == Kind::If)
        made->otherwise.push_back(statement(other));
      else
        made->otherwise = body(other);
    }
    return made;
  }
  case Kind::Require: {
    auto made = make<ast::Require>(node);
    made->condition = expression(children[0]);
    made->message = string(children[1]);
    return made;
  }
  case Kind::Return: {
    auto made = make<ast::Return>(node);
    made->value = expression(children[0]);
    return made;
  }
  default:
    llvm_unreachable("not a statement");
  }
}

std::vector<ast::Parameter> Builder::parameters(const Node &node) {
  std::vector<ast::Parameter> made;
  for (const Node &child : node.children) {
    ast::Parameter parameter;
    parameter.range = child.range();
    parameter.name = ident(child.children[0]);
    if (child.children.size() == 2)
      parameter.value = expression(child.children[1]);
    made.push_back(std::move(parameter));
  }
  return made;
}

std::unique_ptr<ast::File> Builder::file(const Node &node) {
  auto made = std::make_unique<ast::File>();
  for (const Node &child : node.children) {
    ArrayRef<Node> children = child.children;
    switch (child.kind) {
    case Kind::Use: {
      ast::Use use;
      use.range = children[0].range();
      use.path = string(children[0]);
      made->uses.push_back(std::move(use));
      break;
    }
    case Kind::Let:
      made->lets.push_back(let(child));
      break;
    case Kind::Block: {
      auto block = make<ast::Block>(child);
      block->name = ident(children[0]);
      block->parameters = parameters(children[1]);
      block->body = body(children[2]);
      made->blocks.push_back(std::move(block));
      break;
    }
    case Kind::Model: {
      auto model = make<ast::Model>(child);
      model->name = ident(children[0]);
      if (children[1].kind == Kind::Parameters)
        model->parameters = parameters(children[1]);
      model->body = body(children.back());
      made->models.push_back(std::move(model));
      break;
    }
    case Kind::Preset: {
      auto preset = make<ast::Preset>(child);
      preset->name = ident(children[0]);
      for (const Node &argumentNode : children.drop_front())
        preset->values.push_back(argument(argumentNode));
      made->presets.push_back(std::move(preset));
      break;
    }
    case Kind::Train: {
      auto train = make<ast::Train>(child);
      for (const Node &setting : children) {
        ast::Setting entry;
        entry.range = setting.range();
        entry.key = ident(setting.children[0]);
        entry.value = expression(setting.children[1]);
        train->settings.push_back(std::move(entry));
      }
      made->trains.push_back(std::move(train));
      break;
    }
    default:
      llvm_unreachable("not a declaration");
    }
  }
  return made;
}

std::unique_ptr<ast::File> buildFile(const Node &node, Diagnostics &diagnostics) {
  return Builder(diagnostics).file(node);
}

ast::ExprPtr buildExpression(const Node &node, Diagnostics &diagnostics) {
  return Builder(diagnostics).expression(node);
}

} // namespace moire::syntax
