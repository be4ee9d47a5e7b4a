//===- frontend/AST/Nodes.h - the syntax tree of a spec --------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the parser makes and everything else reads. Each node knows the slice
// of text it came from; names are views into the buffers of the SourceMgr,
// which must outlive the tree. `docs/language.md` has the grammar.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_AST_NODES_H
#define MOIRE_FRONTEND_AST_NODES_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Casting.h"
#include "llvm/Support/SMLoc.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llvm {
class SourceMgr;
}

namespace moire::ast {

/// A name as written, with its place.
struct Ident {
  llvm::StringRef text;
  llvm::SMRange range;
};

/// What has a place in the text.
struct Node {
  llvm::SMRange range;
};

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

struct Expr : Node {
  enum class Kind { Number, String, Bool, None, Name, Call, Chain, Unary, Pipe, Choice, Tuple, Range, Record };
  const Kind kind;
  explicit Expr(Kind kind) : kind(kind) {}
  virtual ~Expr() = default;
};
using ExprPtr = std::unique_ptr<Expr>;

/// `16k`, `3e-4`, `1%`: a count when `count` holds, else `real`.
struct Number final : Expr {
  std::optional<int64_t> count;
  double real = 0;
  Number() : Expr(Kind::Number) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Number; }
};

struct String final : Expr {
  std::string value;
  String() : Expr(Kind::String) {}
  static bool classof(const Expr *e) { return e->kind == Kind::String; }
};

struct Bool final : Expr {
  bool value = false;
  Bool() : Expr(Kind::Bool) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Bool; }
};

struct None final : Expr {
  None() : Expr(Kind::None) {}
  static bool classof(const Expr *e) { return e->kind == Kind::None; }
};

/// A constant, a stream, a layer or an enumeration's word.
struct Name final : Expr {
  llvm::StringRef text;
  Name() : Expr(Kind::Name) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Name; }
};

/// `value` or `name = value`.
struct Argument : Node {
  std::optional<Ident> name;
  ExprPtr value;
};

/// `callee(arguments)`: a built-in, a block, a function on constants, or a layer bound by `let`.
struct Call final : Expr {
  Ident callee;
  std::vector<Argument> arguments;
  Call() : Expr(Kind::Call) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Call; }
};

enum class Operator { Add, Sub, Mul, Div, Mod, Less, LessEqual, Greater, GreaterEqual, Equal, NotEqual, And, Or, Not };

/// How the operator is written.
llvm::StringRef spelling(Operator op);

/// `a + b - c`: operands[0] op[0] operands[1] …, from the left; the operators are of one precedence. A chain is flat
/// so that its length costs no stack.
struct Chain final : Expr {
  struct Link {
    Operator op;
    llvm::SMRange range;
  };
  std::vector<ExprPtr> operands;
  std::vector<Link> links;
  Chain() : Expr(Kind::Chain) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Chain; }
};

/// `-a`, `not a`.
struct Unary final : Expr {
  Operator op = Operator::Sub;
  ExprPtr operand;
  Unary() : Expr(Kind::Unary) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Unary; }
};

/// `stream |> stage |> stage`: each stage is a Call without its stream, or the Name of a layer.
struct Pipe final : Expr {
  ExprPtr stream;
  std::vector<ExprPtr> stages;
  Pipe() : Expr(Kind::Pipe) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Pipe; }
};

/// `if condition then yes else no`.
struct Choice final : Expr {
  ExprPtr condition, yes, no;
  Choice() : Expr(Kind::Choice) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Choice; }
};

/// `(a, b)`.
struct Tuple final : Expr {
  std::vector<ExprPtr> elements;
  Tuple() : Expr(Kind::Tuple) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Tuple; }
};

/// `from -> to`.
struct Range final : Expr {
  ExprPtr from, to;
  Range() : Expr(Kind::Range) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Range; }
};

/// `{ key: value, "key": value, … }`.
struct Record final : Expr {
  struct Key : Ident {
    bool quoted = false;
  };
  struct Field {
    Key key;
    ExprPtr value;
  };
  std::vector<Field> fields;
  Record() : Expr(Kind::Record) {}
  static bool classof(const Expr *e) { return e->kind == Kind::Record; }
};

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

struct Stmt : Node {
  enum class Kind { Let, Assign, Repeat, If, Require, Return };
  const Kind kind;
  explicit Stmt(Kind kind) : kind(kind) {}
  virtual ~Stmt() = default;
};
using StmtPtr = std::unique_ptr<Stmt>;
using Body = std::vector<StmtPtr>;

/// `let name = value`: a constant or a layer; also at the top of a file.
struct Let final : Stmt {
  Ident name;
  ExprPtr value;
  Let() : Stmt(Kind::Let) {}
  static bool classof(const Stmt *s) { return s->kind == Kind::Let; }
};

/// `name = value` or `name += value` on streams.
struct Assign final : Stmt {
  Ident name;
  bool adds = false;
  ExprPtr value;
  Assign() : Stmt(Kind::Assign) {}
  static bool classof(const Stmt *s) { return s->kind == Kind::Assign; }
};

/// `repeat count as variable { … }`.
struct Repeat final : Stmt {
  ExprPtr count;
  std::optional<Ident> variable;
  Body body;
  Repeat() : Stmt(Kind::Repeat) {}
  static bool classof(const Stmt *s) { return s->kind == Kind::Repeat; }
};

/// `if condition { … } else { … }`; `else if` is an If inside `otherwise`.
struct If final : Stmt {
  ExprPtr condition;
  Body then, otherwise;
  If() : Stmt(Kind::If) {}
  static bool classof(const Stmt *s) { return s->kind == Kind::If; }
};

/// `require condition, "message"`.
struct Require final : Stmt {
  ExprPtr condition;
  std::string message;
  Require() : Stmt(Kind::Require) {}
  static bool classof(const Stmt *s) { return s->kind == Kind::Require; }
};

/// `return value`.
struct Return final : Stmt {
  ExprPtr value;
  Return() : Stmt(Kind::Return) {}
  static bool classof(const Stmt *s) { return s->kind == Kind::Return; }
};

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

/// `name` or `name = default` in the head of a model or block.
struct Parameter : Node {
  Ident name;
  ExprPtr value; ///< null when the caller must give it
};

/// `block name(stream, hyper = default, …) { … return y }`; the first parameter is the stream.
struct Block : Node {
  Ident name;
  std::vector<Parameter> parameters;
  Body body;
};

struct Model : Node {
  Ident name;
  std::vector<Parameter> parameters;
  Body body;
};

/// `preset name(hyper = value, …)`.
struct Preset : Node {
  Ident name;
  std::vector<Argument> values;
};

/// `key = value` inside `train`.
struct Setting : Node {
  Ident key;
  ExprPtr value;
};

struct Train : Node {
  std::vector<Setting> settings;
};

/// `use "path"`.
struct Use : Node {
  std::string path;
};

/// One file, its declarations by kind and each kind in the order of the text.
struct File {
  unsigned buffer = 0;
  std::vector<Use> uses;
  std::vector<std::unique_ptr<Let>> lets;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<std::unique_ptr<Model>> models;
  std::vector<std::unique_ptr<Preset>> presets;
  std::vector<std::unique_ptr<Train>> trains;
};

/// The shortest text that reads back as the same number, with a point or an exponent so that it stays a real.
std::string realText(double value);

/// Writes the tree, a node a line with its range as `line:column-line:column`.
void dump(const File &file, const llvm::SourceMgr &sources, llvm::raw_ostream &os);

} // namespace moire::ast

#endif // MOIRE_FRONTEND_AST_NODES_H
