//===- frontend/Sema/Constants.cpp - values known before anything runs -----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic that refuses rather than wraps, rounds or divides by zero.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Constants.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace llvm;

namespace moire::sema {

using Kind = Constant::Kind;
using ast::Operator;

Constant Constant::ofCount(int64_t value) {
  Constant c;
  c.kind = Kind::Count;
  c.count = value;
  return c;
}
Constant Constant::ofReal(double value) {
  Constant c;
  c.kind = Kind::Real;
  c.real = value;
  return c;
}
Constant Constant::ofBool(bool value) {
  Constant c;
  c.kind = Kind::Bool;
  c.boolean = value;
  return c;
}
Constant Constant::ofString(StringRef value) {
  Constant c;
  c.kind = Kind::String;
  c.text = value.str();
  return c;
}
Constant Constant::ofWord(StringRef value) {
  Constant c;
  c.kind = Kind::Word;
  c.text = value.str();
  return c;
}
Constant Constant::ofTuple(std::vector<Constant> elements) {
  Constant c;
  c.kind = Kind::Tuple;
  c.elements = std::move(elements);
  return c;
}

StringRef kindName(Kind kind) {
  static constexpr StringRef names[] = {"a count", "a real", "true or false", "a string",
                                        "a word",  "`none`", "a tuple"};
  return names[static_cast<size_t>(kind)];
}

static std::string quoted(StringRef text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out + "\"";
}

std::string Constant::spelled() const {
  switch (kind) {
  case Kind::Count:
    return std::to_string(count);
  case Kind::Real:
    return ast::realText(real);
  case Kind::Bool:
    return boolean ? "true" : "false";
  case Kind::String:
    return quoted(text);
  case Kind::Word:
    return text;
  case Kind::None:
    return "none";
  case Kind::Tuple: {
    std::string out = "(";
    for (size_t i = 0; i < elements.size(); ++i)
      out += (i ? ", " : "") + elements[i].spelled();
    return out + ")";
  }
  }
  return {};
}

std::string Constant::described() const {
  switch (kind) {
  case Kind::Count:
    return "the count " + spelled();
  case Kind::Real:
    return "the real " + spelled();
  case Kind::Word:
    return "the word `" + text + "`";
  case Kind::String:
    return "the string " + spelled();
  case Kind::Tuple:
    return "the tuple " + spelled();
  default:
    return "`" + spelled() + "`";
  }
}

bool Constant::operator==(const Constant &other) const {
  return kind == other.kind && count == other.count && real == other.real && boolean == other.boolean &&
         text == other.text && elements == other.elements;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

static std::optional<Constant> fail(std::string &error, const Twine &why) {
  error = why.str();
  return std::nullopt;
}

static std::optional<Constant> real(double value, std::string &error) {
  if (!std::isfinite(value))
    return fail(error, "the result is not a finite number");
  return Constant::ofReal(value);
}

static std::optional<Constant> countArithmetic(Operator op, int64_t a, int64_t b, std::string &error) {
  int64_t result = 0;
  switch (op) {
  case Operator::Add:
    if (AddOverflow(a, b, result))
      return fail(error, Twine(a) + " + " + Twine(b) + " is too large for a count");
    break;
  case Operator::Sub:
    if (SubOverflow(a, b, result))
      return fail(error, Twine(a) + " - " + Twine(b) + " is too large for a count");
    break;
  case Operator::Mul:
    if (MulOverflow(a, b, result))
      return fail(error, Twine(a) + " * " + Twine(b) + " is too large for a count");
    break;
  case Operator::Div:
  case Operator::Mod:
    if (b == 0)
      return fail(error, "division by zero");
    if (a == INT64_MIN && b == -1)
      return fail(error, Twine(a) + " / -1 is too large for a count");
    if (op == Operator::Div && a % b != 0)
      return fail(error, Twine(a) + " / " + Twine(b) + " leaves a remainder of " + Twine(a % b) +
                             "; `floor_div` and `ceil_div` round, a real operand gives a real");
    // The remainder takes the sign of the divisor, so that `i % n` counts in a circle.
    result = op == Operator::Div ? a / b : ((a % b) + b) % b;
    break;
  default:
    llvm_unreachable("not arithmetic");
  }
  return Constant::ofCount(result);
}

static std::optional<Constant> realArithmetic(Operator op, double a, double b, std::string &error) {
  switch (op) {
  case Operator::Add:
    return real(a + b, error);
  case Operator::Sub:
    return real(a - b, error);
  case Operator::Mul:
    return real(a * b, error);
  case Operator::Div:
    return b == 0 ? fail(error, "division by zero") : real(a / b, error);
  default:
    return fail(error, "`%` works on counts");
  }
}

static std::optional<Constant> compare(Operator op, const Constant &a, const Constant &b, std::string &error) {
  if (op == Operator::Equal || op == Operator::NotEqual) {
    bool same;
    if (a.isNumber() && b.isNumber())
      same = a.kind == b.kind ? a == b : a.asReal() == b.asReal();
    else if (a.kind == b.kind || a.kind == Kind::None || b.kind == Kind::None)
      same = a == b;
    else
      return fail(error, a.described() + " cannot be compared with " + b.described());
    return Constant::ofBool(same == (op == Operator::Equal));
  }
  if (!a.isNumber() || !b.isNumber())
    return fail(error, "`" + ast::spelling(op) + "` compares numbers, not " + (a.isNumber() ? b : a).described());
  bool both = a.kind == Kind::Count && b.kind == Kind::Count;
  bool less = both ? a.count < b.count : a.asReal() < b.asReal();
  bool more = both ? a.count > b.count : a.asReal() > b.asReal();
  switch (op) {
  case Operator::Less:
    return Constant::ofBool(less);
  case Operator::LessEqual:
    return Constant::ofBool(!more);
  case Operator::Greater:
    return Constant::ofBool(more);
  default:
    return Constant::ofBool(!less);
  }
}

std::optional<Constant> apply(Operator op, const Constant &left, const Constant &right, std::string &error) {
  switch (op) {
  case Operator::And:
  case Operator::Or:
    if (left.kind != Kind::Bool || right.kind != Kind::Bool)
      return fail(error, "`" + ast::spelling(op) + "` joins conditions, not " +
                             (left.kind == Kind::Bool ? right : left).described());
    return Constant::ofBool(op == Operator::And ? left.boolean && right.boolean : left.boolean || right.boolean);
  case Operator::Add:
  case Operator::Sub:
  case Operator::Mul:
  case Operator::Div:
  case Operator::Mod:
    if (!left.isNumber() || !right.isNumber())
      return fail(error, "`" + ast::spelling(op) + "` works on numbers, not on " +
                             (left.isNumber() ? right : left).described());
    if (left.kind == Kind::Count && right.kind == Kind::Count)
      return countArithmetic(op, left.count, right.count, error);
    return realArithmetic(op, left.asReal(), right.asReal(), error);
  default:
    return compare(op, left, right, error);
  }
}

std::optional<Constant> apply(Operator op, const Constant &operand, std::string &error) {
  if (op == Operator::Not) {
    if (operand.kind != Kind::Bool)
      return fail(error, "`not` takes a condition, not " + operand.described());
    return Constant::ofBool(!operand.boolean);
  }
  if (operand.kind == Kind::Count)
    return countArithmetic(Operator::Sub, 0, operand.count, error);
  if (operand.kind == Kind::Real)
    return Constant::ofReal(-operand.real);
  return fail(error, "`-` works on numbers, not on " + operand.described());
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

using Arguments = ArrayRef<Constant>;

static bool allNumbers(Arguments arguments, std::string &error) {
  for (const Constant &argument : arguments)
    if (!argument.isNumber()) {
      error = "expected a number, found " + argument.described();
      return false;
    }
  return true;
}

template <bool largest> static std::optional<Constant> extreme(Arguments arguments, std::string &error) {
  if (!allNumbers(arguments, error))
    return std::nullopt;
  Constant best = arguments.front();
  bool anyReal = false;
  for (const Constant &argument : arguments) {
    anyReal |= argument.kind == Kind::Real;
    auto before = compare(largest ? Operator::Greater : Operator::Less, argument, best, error);
    if (before->boolean)
      best = argument;
  }
  return anyReal ? Constant::ofReal(best.asReal()) : best;
}

/// Checks for two counts, the first not negative, the second positive.
static bool dividable(Arguments arguments, std::string &error) {
  for (const Constant &argument : arguments)
    if (argument.kind != Kind::Count) {
      error = "expected a count, found " + argument.described();
      return false;
    }
  if (arguments[0].count < 0 || arguments[1].count <= 0) {
    error = "expected a count of at least 0 and one of at least 1, found " + arguments[0].spelled() + " and " +
            arguments[1].spelled();
    return false;
  }
  return true;
}

static std::optional<Constant> floorDiv(Arguments a, std::string &error) {
  if (!dividable(a, error))
    return std::nullopt;
  return Constant::ofCount(a[0].count / a[1].count);
}
static std::optional<Constant> ceilDiv(Arguments a, std::string &error) {
  if (!dividable(a, error))
    return std::nullopt;
  return Constant::ofCount(a[0].count / a[1].count + (a[0].count % a[1].count != 0));
}
static std::optional<Constant> roundUp(Arguments a, std::string &error) {
  auto quotient = ceilDiv(a, error);
  return quotient ? countArithmetic(Operator::Mul, quotient->count, a[1].count, error) : std::nullopt;
}

static std::optional<Constant> logarithm(Arguments a, std::string &error) {
  if (!allNumbers(a, error))
    return std::nullopt;
  if (a[0].asReal() <= 0)
    return fail(error, "the logarithm needs a positive number, not " + a[0].spelled());
  if (a[0].kind == Kind::Real)
    return Constant::ofReal(std::log2(a[0].real));
  if (!isPowerOf2_64(a[0].count))
    return fail(error, a[0].spelled() + " is not a power of two; a real argument gives a real");
  return Constant::ofCount(Log2_64(a[0].count));
}

static std::optional<Constant> squareRoot(Arguments a, std::string &error) {
  if (!allNumbers(a, error))
    return std::nullopt;
  if (a[0].asReal() < 0)
    return fail(error, "the square root needs a number of at least 0, not " + a[0].spelled());
  if (a[0].kind == Kind::Real)
    return Constant::ofReal(std::sqrt(a[0].real));
  int64_t root = std::llround(std::sqrt(a[0].asReal()));
  int64_t square;
  if (MulOverflow(root, root, square) || square != a[0].count)
    return fail(error, a[0].spelled() + " is not a square; a real argument gives a real");
  return Constant::ofCount(root);
}

ArrayRef<Function> functions() {
  static const Function table[] = {
      {"min", 1, 64, "the smallest of its arguments", extreme<false>},
      {"max", 1, 64, "the largest of its arguments", extreme<true>},
      {"floor_div", 2, 2, "a / b, rounded down", floorDiv},
      {"ceil_div", 2, 2, "a / b, rounded up", ceilDiv},
      {"round_up", 2, 2, "the first multiple of b that is not below a", roundUp},
      {"log2", 1, 1, "the logarithm to base 2; a count must be a power of two", logarithm},
      {"sqrt", 1, 1, "the square root; a count must be a square", squareRoot},
  };
  return table;
}

const Function *findFunction(StringRef name) {
  for (const Function &function : functions())
    if (function.name == name)
      return &function;
  return nullptr;
}

} // namespace moire::sema
