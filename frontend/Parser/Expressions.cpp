//===- frontend/Parser/Expressions.cpp - the grammar of expressions --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Lowest precedence last. `|>` binds tighter than arithmetic, so that
// `x + norm(x) |> mlp(hidden)` adds the layer's output to x.
//===----------------------------------------------------------------------===//
#include "frontend/Parser/Grammar.h"

namespace moire::syntax {

using x3::eps;
using x3::lexeme;
using x3::lit;
using x3::standard::char_;
using x3::standard::digit;

namespace {

const auto reserved =
    lexeme[(lit("let") | "model" | "block" | "preset" | "train" | "use" | "repeat" | "as" | "if" | "then" | "else" |
            "require" | "return" | "and" | "or" | "not" | "true" | "false" | "none") >>
           !wordRest];

// Words ------------------------------------------------------------------------------------------------------------

// A `%` stuck to its number is percent, unless an operand is stuck to its other side.
const auto number = leaf<Kind::Number>[lexeme[+digit >> -('.' >> +digit) >> -(char_("eE") >> -char_("+-") >> +digit) >>
                                              *wordRest >> -('%' >> !(wordRest | '('))]];
const auto constantWord = leaf<Kind::Word>[lexeme[(lit("true") | "false" | "none") >> !wordRest]];

// Operands ---------------------------------------------------------------------------------------------------------

const auto namedArgument = node<Kind::NamedArgument>[(name >> '=' >> !lit('=')) > expression];
const auto argument = namedArgument | node<Kind::Argument>[expression];

const auto tuple = chain<Kind::Tuple>[lit('(') > expression >> *(lit(',') > expression) > punct("`,` or `)`", ')')];
const auto field = node<Kind::Field>[(name | string) > punct("`:`", ':') > expression];
const auto record = node<Kind::Record>[lit('{') > field >> *(lit(',') > field) > punct("`,` or `}`", '}')];
const auto call = node<Kind::Call>[name >> lit('(') >> arguments];
const auto primary = number | string | constantWord | call | name | tuple | record;

// Operators --------------------------------------------------------------------------------------------------------

const auto stage = named("a layer")[call | name];
const auto pipe = chain<Kind::Pipe>[primary >> *(lit("|>") > stage)];
const auto unary = chain<Kind::Unary>[*leaf<Kind::Operator>['-' >> !lit('>')] >> pipe];
const auto product =
    chain<Kind::Product>[unary >> *(leaf<Kind::Operator>[char_("*/%") - "/*"] > named("an expression")[unary])];
const auto sum = chain<Kind::Sum>[product >> *(leaf<Kind::Operator>['+' >> !lit('=') | '-' >> !lit('>')] >
                                               named("an expression")[product])];
const auto comparison =
    chain<Kind::Comparison>[sum >> -(leaf<Kind::Operator>[lit("<=") | ">=" | "==" | "!=" | '<' | '>'] >
                                     named("an expression")[sum])];
const auto negation = chain<Kind::Unary>[*leaf<Kind::Operator>[keyword("not")] >> comparison];
const auto conjunction =
    chain<Kind::And>[negation >> *(leaf<Kind::Operator>[keyword("and")] > named("an expression")[negation])];
const auto disjunction =
    chain<Kind::Or>[conjunction >> *(leaf<Kind::Operator>[keyword("or")] > named("an expression")[conjunction])];
const auto range = chain<Kind::Range>[disjunction >> -(lit("->") > named("an expression")[disjunction])];
const auto choice = node<Kind::Choice>[keyword("if") > expression > named("`then`")[keyword("then")] > expression >
                                       named("`else`")[keyword("else")] > expression];

} // namespace

const auto name_def = leaf<Kind::Name>[lexeme[!reserved >> letter >> *wordRest]];
const auto string_def =
    leaf<Kind::String>[lexeme[('"' >> *('\\' >> (char_ - '\n') | (char_ - (char_('"') | '\n' | '\\')))) >
                              punct("a closing `\"`", '"')]];
const auto arguments_def = (-(argument >> *(lit(',') > named("an argument")[argument]))) > punct("`,` or `)`", ')');
const auto expression_def = nested[choice | range];
const auto loneExpression_def = eps > expression > named("the end of the value")[x3::eoi];

BOOST_SPIRIT_DEFINE(name, string, arguments, expression, loneExpression)
BOOST_SPIRIT_INSTANTIATE(NameRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(StringRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(ArgumentsRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(ExpressionRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(LoneExpressionRule, Iterator, ParseContext)

} // namespace moire::syntax
