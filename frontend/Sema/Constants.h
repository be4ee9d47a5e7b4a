//===- frontend/Sema/Constants.h - values known before anything runs -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts, reals, words and the like, and the arithmetic on them. A number
// keeps its kind: a count becomes a real where one is wanted, never the other
// way round.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_CONSTANTS_H
#define MOIRE_FRONTEND_SEMA_CONSTANTS_H

#include "frontend/AST/Nodes.h"
#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <string>
#include <vector>

namespace moire::sema {

/// A constant of the language.
struct Constant {
  enum class Kind { Count, Real, Bool, String, Word, None, Tuple };
  Kind kind = Kind::None;
  int64_t count = 0;
  double real = 0;
  bool boolean = false;
  std::string text; ///< of a String or a Word
  std::vector<Constant> elements;

  static Constant ofCount(int64_t value);
  static Constant ofReal(double value);
  static Constant ofBool(bool value);
  static Constant ofString(llvm::StringRef value);
  static Constant ofWord(llvm::StringRef value);
  static Constant ofNone() { return {}; }
  static Constant ofTuple(std::vector<Constant> elements);

  bool isNumber() const { return kind == Kind::Count || kind == Kind::Real; }
  /// The value of a number as a real.
  double asReal() const { return kind == Kind::Count ? static_cast<double>(count) : real; }
  /// As the language writes it.
  std::string spelled() const;
  /// For messages: "the count 4", "the word `gelu`".
  std::string described() const;
  bool operator==(const Constant &other) const;
};

/// "a count", "a real", …
llvm::StringRef kindName(Constant::Kind kind);

/// The value of `left op right`; on failure nothing, and `error` says why.
std::optional<Constant> apply(ast::Operator op, const Constant &left, const Constant &right, std::string &error);
/// The value of `-operand` or `not operand`.
std::optional<Constant> apply(ast::Operator op, const Constant &operand, std::string &error);

/// A function on constants: `min`, `ceil_div`, …; arguments are positional.
struct Function {
  llvm::StringRef name;
  unsigned minArguments, maxArguments;
  llvm::StringRef doc;
  std::optional<Constant> (*apply)(llvm::ArrayRef<Constant> arguments, std::string &error);
};
llvm::ArrayRef<Function> functions();
const Function *findFunction(llvm::StringRef name);

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_CONSTANTS_H
