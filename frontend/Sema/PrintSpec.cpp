//===- frontend/Sema/PrintSpec.cpp - the resolved spec as text -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keeps the shape of the text (blocks, repeats, names of layers, hence the
// paths of parameters) and replaces what elaboration found constant: numbers
// for expressions, defaults filled in, branches chosen. What varied between
// iterations or instances stays an expression. The result parses again and
// resolves to itself.
//===----------------------------------------------------------------------===//
#include "frontend/Sema/Elaborate.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace llvm;

namespace moire::sema {

namespace {

/// How tightly an expression binds, for parentheses.
enum Strength {
  Weakest,
  OrStrength,
  AndStrength,
  NotStrength,
  CompareStrength,
  SumStrength,
  ProductStrength,
  SignStrength,
  PipeStrength,
  Strongest
};

using Declarations = DenseSet<const void *>;

class Printer {
public:
  Printer(const Program &program, const Names &names, const Records &records, const ResolvedModel &model)
      : program(program), names(names), records(records), model(model) {}

  std::string print() {
    // A name is declared in the output only if the output uses it, which other such omissions can change: to a
    // fixpoint.
    std::string text = once();
    for (size_t before = SIZE_MAX; before != needed.size();) {
      before = needed.size();
      firstPass = false;
      needed = std::move(used);
      used.clear();
      text = once();
    }
    return text;
  }

private:
  std::string once() {
    out.clear();
    scopes.assign(1, {});
    for (const ast::Let *let : program.lets)
      printLet(*let);
    for (const auto &file : program.files)
      for (const auto &block : file->blocks)
        printBlock(*block);
    line("model " + program.model->name.text.str() + " {");
    scopes.emplace_back();
    for (const ast::Parameter &parameter : program.model->parameters)
      scopes.back()[parameter.name.text] = &parameter;
    printBody(program.model->body);
    scopes.pop_back();
    line("}");
    out += "\n";
    return out;
  }

  //===-- names ----------------------------------------------------------===//

  bool isNeeded(const void *declaration) const { return firstPass || needed.contains(declaration); }

  void use(StringRef name) {
    for (auto &scope : reverse(scopes)) {
      auto it = scope.find(name);
      if (it == scope.end())
        continue;
      used.insert(it->second);
      return;
    }
  }
  bool known(StringRef name) const {
    return any_of(scopes, [&](const auto &scope) { return scope.count(name) != 0; });
  }

  //===-- lines ----------------------------------------------------------===//

  void line(const std::string &text) { out += std::string(2 * depth, ' ') + text + "\n"; }

  //===-- declarations ---------------------------------------------------===//

  void printLet(const ast::Let &let) {
    scopes.back()[let.name.text] = &let;
    if (isNeeded(&let))
      line("let " + let.name.text.str() + " = " + expression(*let.value));
  }

  void printBlock(const ast::Block &block) {
    if (!isNeeded(&block))
      return;
    scopes.emplace_back();
    std::string head = "block " + block.name.text.str() + "(" + block.parameters[0].name.text.str();
    scopes.back()[block.parameters[0].name.text] = &block.parameters[0];
    for (const ast::Parameter &parameter : ArrayRef(block.parameters).drop_front()) {
      if (isNeeded(&parameter)) {
        head += ", " + parameter.name.text.str();
        if (parameter.value)
          head += " = " + expression(*parameter.value);
      }
      scopes.back()[parameter.name.text] = &parameter;
    }
    line(head + ") {");
    printBody(block.body);
    line("}");
    out += "\n";
    scopes.pop_back();
  }

  //===-- statements -----------------------------------------------------===//

  void printBody(const ast::Body &body) {
    ++depth;
    scopes.emplace_back();
    statements(body);
    scopes.pop_back();
    --depth;
  }

  void statements(const ast::Body &body) {
    for (const ast::StmtPtr &stmt : body)
      TypeSwitch<const ast::Stmt *>(stmt.get())
          .Case([&](const ast::Let *let) { printLet(*let); })
          .Case([&](const ast::Assign *assign) {
            line(assign->name.text.str() + (assign->adds ? " += " : " = ") + expression(*assign->value));
            if (!known(assign->name.text))
              scopes.back()[assign->name.text] = assign;
          })
          .Case([&](const ast::Repeat *repeat) { printRepeat(*repeat); })
          .Case([&](const ast::If *branch) { printIf(*branch); })
          .Case([&](const ast::Require *) {}) // met, or we would not be here
          .Case([&](const ast::Return *ret) { line("return " + expression(*ret->value)); });
  }

  void printRepeat(const ast::Repeat &repeat) {
    auto it = records.expressions.find(repeat.count.get());
    if (it != records.expressions.end() && !it->second.varies && it->second.value.count == 0)
      return; // its body was never looked at
    std::string head = "repeat " + expression(*repeat.count);
    scopes.emplace_back();
    if (repeat.variable) {
      scopes.back()[repeat.variable->text] = &repeat;
      if (isNeeded(&repeat))
        head += " as " + repeat.variable->text.str();
    }
    line(head + " {");
    printBody(repeat.body);
    line("}");
    scopes.pop_back();
  }

  /// Whether a branch can stand among the statements around it: it declares no names of its own.
  bool dissolves(const ast::Body &body) const {
    return all_of(body, [&](const ast::StmtPtr &stmt) {
      if (auto *assign = dyn_cast<ast::Assign>(stmt.get()))
        return known(assign->name.text);
      return !isa<ast::Let>(stmt.get());
    });
  }

  void printIf(const ast::If &branch) {
    auto it = records.expressions.find(branch.condition.get());
    if (it != records.expressions.end() && !it->second.varies) {
      const ast::Body &taken = it->second.value.boolean ? branch.then : branch.otherwise;
      if (dissolves(taken)) {
        statements(taken);
        return;
      }
      line("if true {");
      printBody(taken);
      line("}");
      return;
    }
    line("if " + expression(*branch.condition) + " {");
    printBody(branch.then);
    if (!branch.otherwise.empty()) {
      line("} else {");
      printBody(branch.otherwise);
    }
    line("}");
  }

  //===-- expressions ----------------------------------------------------===//

  struct Text {
    std::string text;
    Strength strength;
  };

  std::string expression(const ast::Expr &expr) { return print(expr).text; }

  /// With parentheses unless it binds tighter than `outer`.
  std::string within(const ast::Expr &expr, Strength outer) {
    Text text = print(expr);
    return text.strength > outer ? text.text : "(" + text.text + ")";
  }

  static Text literal(const Constant &value) {
    bool negative = value.isNumber() && value.spelled().front() == '-';
    return {value.spelled(), negative ? SignStrength : Strongest};
  }

  static Strength strengthOf(ast::Operator op) {
    switch (op) {
    case ast::Operator::Or:
      return OrStrength;
    case ast::Operator::And:
      return AndStrength;
    case ast::Operator::Not:
      return NotStrength;
    case ast::Operator::Add:
    case ast::Operator::Sub:
      return SumStrength;
    case ast::Operator::Mul:
    case ast::Operator::Div:
    case ast::Operator::Mod:
      return ProductStrength;
    default:
      return CompareStrength;
    }
  }

  Text print(const ast::Expr &expr) {
    auto it = records.expressions.find(&expr);
    if (it != records.expressions.end() && !it->second.varies)
      return literal(it->second.value);
    return TypeSwitch<const ast::Expr *, Text>(&expr)
        .Case([&](const ast::Number *number) {
          return literal(number->count ? Constant::ofCount(*number->count) : Constant::ofReal(number->real));
        })
        .Case([&](const ast::String *string) { return literal(Constant::ofString(string->value)); })
        .Case([&](const ast::Bool *boolean) { return literal(Constant::ofBool(boolean->value)); })
        .Case([&](const ast::None *) { return literal(Constant::ofNone()); })
        .Case([&](const ast::Name *name) {
          if (!known(name->text) && (findBuiltin(name->text) || program.blocks.count(name->text)))
            return Text{printLayer(name->text, *name, nullptr), Strongest}; // a layer without arguments, after `|>`
          use(name->text);
          return Text{name->text.str(), Strongest};
        })
        .Case([&](const ast::Call *call) {
          return Text{printCall(*call), Strongest};
        })
        .Case([&](const ast::Chain *chain) {
          Strength strength = strengthOf(chain->links.front().op);
          std::string text = within(*chain->operands.front(), strength);
          for (size_t i = 0; i < chain->links.size(); ++i)
            text += " " + ast::spelling(chain->links[i].op).str() + " " + within(*chain->operands[i + 1], strength);
          return Text{text, strength};
        })
        .Case([&](const ast::Unary *unary) {
          bool negates = unary->op == ast::Operator::Not;
          Strength strength = negates ? NotStrength : SignStrength;
          return Text{(negates ? "not " : "-") + within(*unary->operand, strength), strength};
        })
        .Case([&](const ast::Pipe *pipe) {
          std::string text = within(*pipe->stream, PipeStrength);
          for (const ast::ExprPtr &stage : pipe->stages)
            text += " |> " + expression(*stage);
          return Text{text, PipeStrength};
        })
        .Case([&](const ast::Choice *choice) { return printChoice(*choice); })
        .Case([&](const ast::Tuple *tuple) {
          std::string text;
          for (const ast::ExprPtr &element : tuple->elements)
            text += (text.empty() ? "" : ", ") + expression(*element);
          return Text{"(" + text + ")", Strongest};
        })
        .Default([](const ast::Expr *) -> Text { llvm_unreachable("refused with the names"); });
  }

  Text printChoice(const ast::Choice &choice) {
    auto it = records.expressions.find(choice.condition.get());
    if (it != records.expressions.end() && !it->second.varies)
      return print(it->second.value.boolean ? *choice.yes : *choice.no);
    return {"if " + expression(*choice.condition) + " then " + expression(*choice.yes) + " else " +
                expression(*choice.no),
            Weakest};
  }

  std::string printCall(const ast::Call &call) {
    StringRef callee = call.callee.text;
    if (findBuiltin(callee) || (!known(callee) && program.blocks.count(callee)))
      return printLayer(callee, call, &names.calls.find(&call)->second);
    // A layer bound by `let`, or a function on constants.
    use(callee);
    std::string text;
    for (const ast::Argument &argument : call.arguments)
      text += (text.empty() ? "" : ", ") + expression(*argument.value);
    return callee.str() + "(" + text + ")";
  }

  std::string printLayer(StringRef callee, const ast::Expr &site, const BoundCall *bound) {
    std::string text;
    auto add = [&](const std::string &argument) { text += (text.empty() ? "" : ", ") + argument; };
    const Builtin *builtin = findBuiltin(callee);
    const ast::Block *block = builtin ? nullptr : program.blocks.lookup(callee);
    if (block)
      used.insert(block);
    if (bound && bound->stream)
      add(expression(*bound->stream));
    if (bound && bound->routing)
      add(expression(*bound->routing));
    auto filled = records.arguments.find(&site);
    size_t count = block ? block->parameters.size() - 1 : builtin->arguments.size();
    for (size_t i = 0; i < count; ++i) {
      if (block && !isNeeded(&block->parameters[i + 1]))
        continue;
      StringRef name = block ? block->parameters[i + 1].name.text : builtin->arguments[i].name;
      const ast::Argument *given = bound ? bound->byParameter[i] : nullptr;
      if (given)
        add(name.str() + " = " + expression(*given->value));
      else if (filled != records.arguments.end() && filled->second[i] && !filled->second[i]->varies)
        add(name.str() + " = " + filled->second[i]->value.spelled());
    }
    return callee.str() + "(" + text + ")";
  }

  const Program &program;
  const Names &names;
  const Records &records;
  const ResolvedModel &model;
  std::vector<StringMap<const void *>> scopes;
  Declarations needed, used;
  bool firstPass = true;
  unsigned depth = 0;
  std::string out;
};

} // namespace

std::string printSpec(const Program &program, const Names &names, const Records &records, const ResolvedModel &model) {
  return Printer(program, names, records, model).print();
}

} // namespace moire::sema
