//===- frontend/Parser/Parser.cpp - from text to a syntax tree -------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The door of the parser: limits, the run over the buffer, and the wall that
// no exception passes.
//===----------------------------------------------------------------------===//
#include "frontend/Parser/Parser.h"
#include "frontend/Parser/Grammar.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire {

/// Runs a rule over a buffer from `offset` to its end; false after any error, which has been reported.
template <typename Rule>
static bool run(const Rule &rule, unsigned buffer, size_t offset, Diagnostics &diagnostics, syntax::Node &tree) {
  using namespace syntax;
  StringRef text = diagnostics.sourceManager().getMemoryBuffer(buffer)->getBuffer();
  SMRange begin(SMLoc::getFromPointer(text.begin()), SMLoc::getFromPointer(text.begin()));
  if (text.size() > maxBytes) {
    (void)diagnostics.error(begin, "the text has " + Twine(text.size()) + " bytes, at most " + Twine(maxBytes) +
                                       " are accepted");
    return false;
  }
  unsigned before = diagnostics.errorCount();
  State state{diagnostics, text.begin(), text.end()};
  Iterator first = text.begin() + offset;
  try {
    bool matched = x3::phrase_parse(first, text.end(), x3::with<StateTag>(state)[rule], skipper, tree);
    if (!matched && diagnostics.errorCount() == before)
      reportExpected(state, first, "a declaration");
  } catch (const TooDeep &deep) {
    (void)diagnostics.error({SMLoc::getFromPointer(deep.where), SMLoc::getFromPointer(deep.where + 1)},
                            "nested more than " + Twine(maxDepth) + " levels deep");
  } catch (const x3::expectation_failure<Iterator> &failure) {
    reportExpected(state, failure.where(), failure.which());
  }
  return diagnostics.errorCount() == before;
}

std::unique_ptr<ast::File> parseFile(unsigned buffer, Diagnostics &diagnostics) {
  syntax::Node tree;
  if (!run(syntax::file, buffer, 0, diagnostics, tree))
    return nullptr;
  unsigned before = diagnostics.errorCount();
  std::unique_ptr<ast::File> file = syntax::buildFile(tree, diagnostics);
  file->buffer = buffer;
  return diagnostics.errorCount() == before ? std::move(file) : nullptr;
}

ast::ExprPtr parseExpression(unsigned buffer, size_t offset, Diagnostics &diagnostics) {
  syntax::Node tree;
  if (!run(syntax::loneExpression, buffer, offset, diagnostics, tree))
    return nullptr;
  unsigned before = diagnostics.errorCount();
  ast::ExprPtr expr = syntax::buildExpression(tree, diagnostics);
  return diagnostics.errorCount() == before ? std::move(expr) : nullptr;
}

} // namespace moire
