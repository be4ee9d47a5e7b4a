//===- frontend/AST/Dump.cpp - the tree as text ----------------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `moirec --emit=ast`: a node a line, children indented, each with its range.
//===----------------------------------------------------------------------===//
#include "frontend/AST/Nodes.h"
#include "llvm/ADT/Twine.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/SourceMgr.h"
#include <charconv>

using namespace llvm;

namespace moire::ast {

StringRef spelling(Operator op) {
  static constexpr StringRef words[] = {"+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "and", "or", "not"};
  return words[static_cast<size_t>(op)];
}

std::string realText(double value) {
  char buffer[64];
  auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, result.ptr);
  if (text.find_first_of(".en") == std::string::npos)
    text += ".0";
  return text;
}

namespace {

class Dumper {
public:
  Dumper(const SourceMgr &sources, raw_ostream &os) : sources(sources), os(os) {}

  void file(const File &file) {
    for (const Use &use : file.uses)
      line(use.range, "use \"" + use.path + "\"");
    for (const auto &let : file.lets)
      statement(*let);
    for (const auto &block : file.blocks)
      section(*block, "block " + block->name.text, block->parameters, block->body);
    for (const auto &model : file.models)
      section(*model, "model " + model->name.text, model->parameters, model->body);
    for (const auto &preset : file.presets) {
      line(preset->range, "preset " + preset->name.text);
      Nest nest(depth);
      arguments(preset->values);
    }
    for (const auto &train : file.trains) {
      line(train->range, "train");
      Nest nest(depth);
      for (const Setting &setting : train->settings) {
        line(setting.range, "setting " + setting.key.text);
        Nest inner(depth);
        expression(*setting.value);
      }
    }
  }

private:
  struct Nest {
    unsigned &depth;
    explicit Nest(unsigned &depth) : depth(depth) { ++depth; }
    ~Nest() { --depth; }
  };

  void line(SMRange range, const Twine &text) {
    os.indent(2 * depth) << text;
    auto begin = sources.getLineAndColumn(range.Start), end = sources.getLineAndColumn(range.End);
    os << " <" << begin.first << ':' << begin.second << '-' << end.first << ':' << end.second << ">\n";
  }

  template <typename T>
  void section(const T &node, const Twine &head, const std::vector<Parameter> &parameters, const Body &body) {
    line(node.range, head);
    Nest nest(depth);
    for (const Parameter &parameter : parameters) {
      line(parameter.range, "parameter " + parameter.name.text);
      Nest inner(depth);
      if (parameter.value)
        expression(*parameter.value);
    }
    statements(body);
  }

  void statements(const Body &body) {
    for (const StmtPtr &stmt : body)
      statement(*stmt);
  }

  void statement(const Stmt &stmt) {
    TypeSwitch<const Stmt *>(&stmt)
        .Case([&](const Let *let) { entry(*let, "let " + let->name.text, {let->value.get()}); })
        .Case([&](const Assign *assign) {
          entry(*assign, "assign " + assign->name.text + (assign->adds ? " +=" : " ="), {assign->value.get()});
        })
        .Case([&](const Repeat *repeat) {
          entry(*repeat, "repeat" + (repeat->variable ? " as " + repeat->variable->text.str() : std::string()),
                {repeat->count.get()});
          Nest nest(depth);
          statements(repeat->body);
        })
        .Case([&](const If *branch) {
          entry(*branch, "if", {branch->condition.get()});
          Nest nest(depth);
          statements(branch->then);
          if (!branch->otherwise.empty()) {
            os.indent(2 * depth) << "else\n";
            statements(branch->otherwise);
          }
        })
        .Case([&](const Require *require) {
          entry(*require, "require \"" + require->message + "\"", {require->condition.get()});
        })
        .Case([&](const Return *ret) { entry(*ret, "return", {ret->value.get()}); });
  }

  void arguments(const std::vector<Argument> &arguments) {
    for (const Argument &argument : arguments) {
      if (argument.name)
        entry(argument, "argument " + argument.name->text, {argument.value.get()});
      else
        entry(argument, "argument", {argument.value.get()});
    }
  }

  template <typename T> void entry(const T &node, const Twine &text, std::initializer_list<const Expr *> children) {
    line(node.range, text);
    Nest nest(depth);
    for (const Expr *child : children)
      expression(*child);
  }

  void expression(const Expr &expr) {
    TypeSwitch<const Expr *>(&expr)
        .Case([&](const Number *number) {
          if (number->count)
            line(expr.range, "count " + Twine(*number->count));
          else
            line(expr.range, "number " + realText(number->real));
        })
        .Case([&](const String *string) { line(expr.range, "string \"" + string->value + "\""); })
        .Case([&](const Bool *boolean) { line(expr.range, boolean->value ? "true" : "false"); })
        .Case([&](const None *) { line(expr.range, "none"); })
        .Case([&](const Name *name) { line(expr.range, "name " + name->text); })
        .Case([&](const Call *call) {
          line(expr.range, "call " + call->callee.text);
          Nest nest(depth);
          arguments(call->arguments);
        })
        .Case([&](const Chain *chain) {
          std::string ops;
          for (const Chain::Link &link : chain->links)
            ops += " " + spelling(link.op).str();
          line(expr.range, "chain" + ops);
          Nest nest(depth);
          for (const ExprPtr &operand : chain->operands)
            expression(*operand);
        })
        .Case([&](const Unary *unary) { entry(expr, spelling(unary->op), {unary->operand.get()}); })
        .Case([&](const Pipe *pipe) {
          entry(expr, "pipe", {pipe->stream.get()});
          Nest nest(depth);
          for (const ExprPtr &stage : pipe->stages)
            expression(*stage);
        })
        .Case([&](const Choice *choice) {
          entry(expr, "choice", {choice->condition.get(), choice->yes.get(), choice->no.get()});
        })
        .Case([&](const Tuple *tuple) {
          line(expr.range, "tuple");
          Nest nest(depth);
          for (const ExprPtr &element : tuple->elements)
            expression(*element);
        })
        .Case([&](const Range *range) {
          entry(expr, "range", {range->from.get(), range->to.get()});
        })
        .Case([&](const Record *record) {
          line(expr.range, "record");
          Nest nest(depth);
          for (const Record::Field &field : record->fields) {
            line(field.key.range, "field " + field.key.text);
            Nest inner(depth);
            expression(*field.value);
          }
        });
  }

  const SourceMgr &sources;
  raw_ostream &os;
  unsigned depth = 0;
};

} // namespace

void dump(const File &file, const SourceMgr &sources, raw_ostream &os) { Dumper(sources, os).file(file); }

} // namespace moire::ast
