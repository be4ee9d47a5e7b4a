//===- frontend/Parser/Grammar.h - rules and the words they are made of ----===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares the rules that the grammar's sources share, and four directives:
// `node` and `chain` make tree nodes, `named` gives a terminal the name that
// error messages show, `nested` counts depth.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_PARSER_GRAMMAR_H
#define MOIRE_FRONTEND_PARSER_GRAMMAR_H

#include "frontend/Parser/Syntax.h"
#include <boost/spirit/home/x3.hpp>

namespace moire::syntax {

namespace x3 = boost::spirit::x3;
using Iterator = const char *;

struct StateTag;

//===----------------------------------------------------------------------===//
// Directives
//===----------------------------------------------------------------------===//

/// A node of kind K whose children are what the subject matched. With `collapse`, a single child stands for itself.
template <Kind K, bool collapse, typename Subject>
struct NodeDirective : x3::unary_parser<Subject, NodeDirective<K, collapse, Subject>> {
  using attribute_type = Node;
  static constexpr bool has_attribute = true;
  static constexpr bool handles_container = false;
  constexpr explicit NodeDirective(const Subject &subject) : x3::unary_parser<Subject, NodeDirective>(subject) {}

  template <typename Context, typename RContext, typename Attribute>
  bool parse(Iterator &first, const Iterator &last, const Context &context, RContext &rcontext,
             Attribute &attribute) const {
    Iterator begin = first;
    x3::skip_over(begin, last, context);
    Iterator at = begin;
    std::vector<Node> children;
    if (!x3::detail::parse_into_container(this->subject, at, last, context, rcontext, children))
      return false;
    first = at;
    if constexpr (!std::is_same_v<std::remove_const_t<Attribute>, x3::unused_type>) {
      if (collapse && children.size() == 1) {
        Node only = std::move(children.front());
        attribute = std::move(only);
      } else {
        attribute = Node{K, begin, at, std::move(children)};
      }
    }
    return true;
  }
};

/// A leaf: the text that the subject matched.
template <Kind K, typename Subject> struct LeafDirective : x3::unary_parser<Subject, LeafDirective<K, Subject>> {
  using attribute_type = Node;
  static constexpr bool has_attribute = true;
  static constexpr bool handles_container = false;
  constexpr explicit LeafDirective(const Subject &subject) : x3::unary_parser<Subject, LeafDirective>(subject) {}

  template <typename Context, typename RContext, typename Attribute>
  bool parse(Iterator &first, const Iterator &last, const Context &context, RContext &rcontext,
             Attribute &attribute) const {
    Iterator begin = first;
    x3::skip_over(begin, last, context);
    Iterator at = begin;
    if (!this->subject.parse(at, last, context, rcontext, x3::unused))
      return false;
    first = at;
    if constexpr (!std::is_same_v<std::remove_const_t<Attribute>, x3::unused_type>)
      attribute = Node{K, begin, at, {}};
    return true;
  }
};

/// The subject under the name that "expected …" shows.
template <typename Subject> struct NamedDirective : x3::unary_parser<Subject, NamedDirective<Subject>> {
  static constexpr bool is_pass_through_unary = true;
  static constexpr bool handles_container = Subject::handles_container;
  const char *name;
  constexpr NamedDirective(const Subject &subject, const char *name)
      : x3::unary_parser<Subject, NamedDirective>(subject), name(name) {}

  template <typename Context, typename RContext, typename Attribute>
  bool parse(Iterator &first, const Iterator &last, const Context &context, RContext &rcontext,
             Attribute &attribute) const {
    return this->subject.parse(first, last, context, rcontext, attribute);
  }
};

/// Counts the depth of the recursion through the subject and gives up past maxDepth.
template <typename Subject> struct NestedDirective : x3::unary_parser<Subject, NestedDirective<Subject>> {
  static constexpr bool is_pass_through_unary = true;
  static constexpr bool handles_container = Subject::handles_container;
  constexpr explicit NestedDirective(const Subject &subject) : x3::unary_parser<Subject, NestedDirective>(subject) {}

  struct Level {
    State &state;
    ~Level() { --state.depth; }
  };
  template <typename Context, typename RContext, typename Attribute>
  bool parse(Iterator &first, const Iterator &last, const Context &context, RContext &rcontext,
             Attribute &attribute) const {
    State &state = x3::get<StateTag>(context);
    Level level{state};
    if (++state.depth > maxDepth)
      throw TooDeep{skipBlank(first, last)};
    return this->subject.parse(first, last, context, rcontext, attribute);
  }
};

template <Kind K> struct NodeMaker {
  template <typename Subject> constexpr auto operator[](const Subject &subject) const {
    auto parser = x3::as_parser(subject);
    return NodeDirective<K, false, decltype(parser)>(parser);
  }
};
template <Kind K> struct ChainMaker {
  template <typename Subject> constexpr auto operator[](const Subject &subject) const {
    auto parser = x3::as_parser(subject);
    return NodeDirective<K, true, decltype(parser)>(parser);
  }
};
template <Kind K> struct LeafMaker {
  template <typename Subject> constexpr auto operator[](const Subject &subject) const {
    auto parser = x3::as_parser(subject);
    return LeafDirective<K, decltype(parser)>(parser);
  }
};
struct NestedMaker {
  template <typename Subject> constexpr auto operator[](const Subject &subject) const {
    auto parser = x3::as_parser(subject);
    return NestedDirective<decltype(parser)>(parser);
  }
};
struct NamedMaker {
  const char *name;
  template <typename Subject> constexpr auto operator[](const Subject &subject) const {
    auto parser = x3::as_parser(subject);
    return NamedDirective<decltype(parser)>(parser, name);
  }
};
template <Kind K> constexpr NodeMaker<K> node{};
template <Kind K> constexpr ChainMaker<K> chain{};
template <Kind K> constexpr LeafMaker<K> leaf{};
constexpr NestedMaker nested{};
constexpr NamedMaker named(const char *name) { return {name}; }

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

const auto skipper = x3::standard::space | "//" >> *(x3::standard::char_ - '\n') |
                     "/*" >> *(x3::standard::char_ - "*/") >> "*/";

const auto letter = x3::standard::alpha | x3::standard::char_('_');
const auto wordRest = x3::standard::alnum | x3::standard::char_('_');

/// A reserved word, not the beginning of a longer name.
inline auto keyword(const char *word) { return x3::lexeme[x3::lit(word) >> !wordRest]; }

/// A terminal named by its own spelling in messages.
inline auto punct(const char *quoted, char c) { return named(quoted)[x3::lit(c)]; }

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

/// Rules with this base report a failed expectation and go on at the next boundary.
template <Boundary boundary> struct Recovering {
  template <typename Context>
  x3::error_handler_result on_error(Iterator &first, const Iterator &, const x3::expectation_failure<Iterator> &failure,
                                    const Context &context) {
    State &state = x3::get<StateTag>(context);
    reportExpected(state, failure.where(), failure.which());
    first = recover(boundary, skipBlank(first, state.bufferEnd), failure.where(), state);
    return x3::error_handler_result::accept;
  }
};

struct ExpressionClass {};
struct ArgumentsClass {};
struct NameClass {};
struct StringClass {};
struct StatementClass : Recovering<Boundary::Statement> {};
struct SettingClass : Recovering<Boundary::Statement> {};
struct DeclarationClass : Recovering<Boundary::Declaration> {};
struct BodyClass {};
struct FileClass {};
struct LoneExpressionClass : Recovering<Boundary::Declaration> {};

using NodeList = std::vector<Node>;
using ExpressionRule = x3::rule<ExpressionClass, Node>;
using ArgumentsRule = x3::rule<ArgumentsClass, NodeList>;
using NameRule = x3::rule<NameClass, Node>;
using StringRule = x3::rule<StringClass, Node>;
using StatementRule = x3::rule<StatementClass, Node>;
using SettingRule = x3::rule<SettingClass, Node>;
using DeclarationRule = x3::rule<DeclarationClass, Node>;
using BodyRule = x3::rule<BodyClass, Node>;
using FileRule = x3::rule<FileClass, Node>;
using LoneExpressionRule = x3::rule<LoneExpressionClass, Node>;

const ExpressionRule expression{"an expression"};
const ArgumentsRule arguments{"arguments"};
const NameRule name{"a name"};
const StringRule string{"a string in double quotes"};
const StatementRule statement{"a statement"};
const SettingRule setting{"a setting"};
const DeclarationRule declaration{"a declaration"};
const BodyRule body{"`{`"};
const FileRule file{"a file"};
const LoneExpressionRule loneExpression{"an expression"};

BOOST_SPIRIT_DECLARE(ExpressionRule, ArgumentsRule, NameRule, StringRule, StatementRule, SettingRule, DeclarationRule,
                     BodyRule, FileRule, LoneExpressionRule)

using ParseContext = x3::context<StateTag, State, x3::phrase_parse_context<decltype(skipper)>::type>;

} // namespace moire::syntax

namespace boost::spirit::x3 {
/// What an expectation failure calls a named parser.
template <typename Subject> struct get_info<moire::syntax::NamedDirective<Subject>> {
  using result_type = std::string;
  std::string operator()(const moire::syntax::NamedDirective<Subject> &parser) const { return parser.name; }
};
} // namespace boost::spirit::x3

#endif // MOIRE_FRONTEND_PARSER_GRAMMAR_H
