//===- frontend/Parser/Parser.h - from text to a syntax tree ---------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The whole of the parser's face. How it parses is nobody else's business.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_PARSER_PARSER_H
#define MOIRE_FRONTEND_PARSER_PARSER_H

#include "frontend/AST/Diagnostics.h"
#include "frontend/AST/Nodes.h"
#include <memory>

namespace moire {

/// Parses a buffer of the diagnostics' SourceMgr. Every syntax error is reported, statement by statement; after any,
/// null is returned. Never throws. Files above 4 MiB and nesting deeper than 128 are refused.
std::unique_ptr<ast::File> parseFile(unsigned buffer, Diagnostics &diagnostics);

/// Parses the one expression that a buffer holds from `offset` on (the value of `-D name=value`).
ast::ExprPtr parseExpression(unsigned buffer, size_t offset, Diagnostics &diagnostics);

} // namespace moire

#endif // MOIRE_FRONTEND_PARSER_PARSER_H
