//===- frontend/Parser/Statements.cpp - the grammar of statements ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Statements need no separator: each begins with a reserved word or with
// `name =`, and no expression goes on with either.
//===----------------------------------------------------------------------===//
#include "frontend/Parser/Grammar.h"

namespace moire::syntax {

using x3::eoi;
using x3::lexeme;
using x3::lit;

namespace {

// Statements -------------------------------------------------------------------------------------------------------

struct IfClass {};
const x3::rule<IfClass, Node> conditional{"`if`"};

const auto let = node<Kind::Let>[keyword("let") > name > punct("`=`", '=') > expression];
const auto assign =
    node<Kind::Assign>[name > named("`=` or `+=`")[leaf<Kind::Operator>[lexeme[lit("+=") | '=' >> !lit('=')]]] >
                       expression];
const auto repeatVariable = node<Kind::RepeatVariable>[keyword("as") > name];
const auto repeat = node<Kind::Repeat>[keyword("repeat") > expression > -repeatVariable > body];
const auto otherwise = node<Kind::Else>[keyword("else") > named("`{` or `if`")[conditional | body]];
const auto conditional_def = nested[node<Kind::If>[keyword("if") > expression > body > -otherwise]];
const auto require = node<Kind::Require>[keyword("require") > expression > punct("`,` and a message", ',') > string];
const auto giveBack = node<Kind::Return>[keyword("return") > expression];

BOOST_SPIRIT_DEFINE(conditional)

// Declarations -----------------------------------------------------------------------------------------------------

const auto declarationWord =
    keyword("model") | keyword("block") | keyword("preset") | keyword("train") | keyword("use");

const auto parameter = node<Kind::Parameter>[name >> -('=' > expression)];
const auto parameters = node<Kind::Parameters>[(lit('(') >> -(parameter >> *(lit(',') > named("a name")[parameter]))) >
                                               punct("`,` or `)`", ')')];
const auto use = node<Kind::Use>[keyword("use") > string];
const auto block = node<Kind::Block>[keyword("block") > name > named("`(`")[parameters] > body];
const auto model = node<Kind::Model>[keyword("model") > name > -parameters > body];
const auto preset = node<Kind::Preset>[keyword("preset") > name > punct("`(`", '(') > arguments];
const auto train =
    node<Kind::Train>[keyword("train") > punct("`{`", '{') > *setting > named("a setting or `}`")[lit('}')]];

} // namespace

const auto statement_def = (!lit('}') >> !eoi >> !declarationWord) >
                           named("a statement")[let | repeat | conditional | require | giveBack | assign];
const auto body_def = nested[node<Kind::Body>[lit('{') > *statement > named("a statement or `}`")[lit('}')]]];
const auto setting_def =
    node<Kind::Setting>[(!lit('}') >> !eoi >> !declarationWord) > name > punct("`=`", '=') > expression];
const auto declaration_def =
    !eoi > named("a declaration (`model`, `block`, `let`, `preset`, `train` or `use`)")[model | block | let | preset |
                                                                                        train | use];
const auto file_def = node<Kind::File>[*declaration >> eoi];

BOOST_SPIRIT_DEFINE(statement, body, setting, declaration, file)
BOOST_SPIRIT_INSTANTIATE(StatementRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(BodyRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(SettingRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(DeclarationRule, Iterator, ParseContext)
BOOST_SPIRIT_INSTANTIATE(FileRule, Iterator, ParseContext)

} // namespace moire::syntax
