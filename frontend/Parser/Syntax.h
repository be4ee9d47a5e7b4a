//===- frontend/Parser/Syntax.h - the raw tree that the grammar fills ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to the parser. The grammar propagates one attribute type, a node
// with a kind, a slice of text and children; Build.cpp turns it into the
// syntax tree. One type instead of thirty keeps the grammar's compile time low
// and its rules free of actions.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_PARSER_SYNTAX_H
#define MOIRE_FRONTEND_PARSER_SYNTAX_H

#include "frontend/AST/Diagnostics.h"
#include "frontend/AST/Nodes.h"
#include <vector>

namespace moire::syntax {

enum class Kind {
  Error, // what an error left behind; never built
  // leaves
  Number,
  String,
  Word,
  Name,
  Operator,
  // expressions
  Tuple,
  Record,
  Field,
  Call,
  Argument,
  NamedArgument,
  Pipe,
  Unary,
  Product,
  Sum,
  Comparison,
  And,
  Or,
  Range,
  Choice,
  // statements
  Let,
  Assign,
  Repeat,
  RepeatVariable,
  If,
  Else,
  Require,
  Return,
  Body,
  // declarations
  Parameters,
  Parameter,
  Block,
  Model,
  Preset,
  Train,
  Setting,
  Use,
  File
};

struct Node {
  Kind kind = Kind::Error;
  const char *begin = nullptr;
  const char *end = nullptr;
  std::vector<Node> children;

  llvm::StringRef text() const { return {begin, static_cast<size_t>(end - begin)}; }
  llvm::SMRange range() const { return {llvm::SMLoc::getFromPointer(begin), llvm::SMLoc::getFromPointer(end)}; }
};

/// What the grammar needs besides the text: where errors go, and how deep it is.
struct State {
  Diagnostics &diagnostics;
  const char *bufferBegin;
  const char *bufferEnd;
  unsigned depth = 0;
};

constexpr unsigned maxDepth = 128;
constexpr size_t maxBytes = 4u << 20;

/// Thrown when an expression or body lies deeper than maxDepth; caught at the parser's door.
struct TooDeep {
  const char *where;
};

/// Where the parser goes on after an error.
enum class Boundary { Statement, Declaration };

/// Reports `expected <what>` at `where`.
void reportExpected(State &state, const char *where, llvm::StringRef what);
/// The place after `where` from which parsing can go on; `start` is where the failed rule began.
const char *recover(Boundary boundary, const char *start, const char *where, const State &state);
/// Skips white space and comments.
const char *skipBlank(const char *p, const char *end);

/// Raw tree to syntax tree; reports numbers that make no sense and returns what it could build.
std::unique_ptr<ast::File> buildFile(const Node &node, Diagnostics &diagnostics);
ast::ExprPtr buildExpression(const Node &node, Diagnostics &diagnostics);

} // namespace moire::syntax

#endif // MOIRE_FRONTEND_PARSER_SYNTAX_H
