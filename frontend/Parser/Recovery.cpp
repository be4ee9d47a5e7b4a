//===- frontend/Parser/Recovery.cpp - one run, every syntax error ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Words a syntax error and finds the place from which parsing can go on: the
// next line that begins a statement, or the next declaration.
//===----------------------------------------------------------------------===//
#include "frontend/Parser/Syntax.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"

using namespace llvm;

namespace moire::syntax {

static SMRange rangeOf(const char *begin, const char *end) {
  return {SMLoc::getFromPointer(begin), SMLoc::getFromPointer(end)};
}

static bool isWord(char c) { return isAlnum(c) || c == '_'; }

/// Past the comment that begins at p; p itself when none does.
static const char *skipComment(const char *p, const char *end) {
  StringRef rest(p, end - p);
  if (rest.starts_with("//"))
    return p + std::min(rest.find('\n'), rest.size());
  if (rest.starts_with("/*")) {
    size_t close = rest.find("*/", 2);
    return close == StringRef::npos ? end : p + close + 2;
  }
  return p;
}

/// Past the string that begins at p (or to the end of its line); p itself when none does.
static const char *skipString(const char *p, const char *end) {
  if (*p != '"')
    return p;
  for (++p; p != end && *p != '\n'; ++p) {
    if (*p == '\\' && p + 1 != end && p[1] != '\n')
      ++p;
    else if (*p == '"')
      return p + 1;
  }
  return p;
}

const char *skipBlank(const char *p, const char *end) {
  while (p != end) {
    if (isSpace(*p)) {
      ++p;
      continue;
    }
    const char *next = skipComment(p, end);
    if (next == p)
      break;
    p = next;
  }
  return p;
}

static StringRef wordAt(const char *p, const char *end) {
  const char *q = p;
  while (q != end && isWord(*q))
    ++q;
  return StringRef(p, q - p);
}

static bool isDeclarationWord(StringRef word) {
  return StringSwitch<bool>(word).Cases({"use", "block", "model", "preset", "train"}, true).Default(false);
}

/// Whether a statement, setting or declaration plausibly begins at p.
static bool beginsStatement(const char *p, const char *end) {
  StringRef word = wordAt(p, end);
  if (word.empty() || isDigit(word.front()))
    return false;
  if (StringSwitch<bool>(word).Cases({"let", "repeat", "if", "require", "return"}, true).Default(false) ||
      isDeclarationWord(word))
    return true;
  StringRef rest(p + word.size(), end - p - word.size());
  rest = rest.ltrim(" \t");
  return rest.starts_with("+=") || (rest.starts_with("=") && !rest.starts_with("=="));
}

/// Whether nothing but white space precedes p on its line.
static bool firstOnLine(const char *p, const char *bufferBegin) {
  while (p != bufferBegin && (p[-1] == ' ' || p[-1] == '\t'))
    --p;
  return p == bufferBegin || p[-1] == '\n';
}

namespace {
/// What stands before a place in the text.
struct Before {
  const char *openBracket = nullptr; ///< the innermost that is still open
  const char *lastToken = nullptr;   ///< the last character that is neither blank nor comment
};
} // namespace

static Before lookBack(const State &state, const char *where) {
  Before before;
  std::vector<const char *> open;
  for (const char *p = state.bufferBegin; p < where;) {
    if (const char *next = skipComment(p, state.bufferEnd); next != p) {
      p = next;
      continue;
    }
    if (const char *next = skipString(p, state.bufferEnd); next != p) {
      before.lastToken = next - 1;
      p = next;
      continue;
    }
    if (!isSpace(*p))
      before.lastToken = p;
    if (StringRef("([{").contains(*p))
      open.push_back(p);
    else if (StringRef(")]}").contains(*p) && !open.empty())
      open.pop_back();
    ++p;
  }
  before.openBracket = open.empty() ? nullptr : open.back();
  return before;
}

void reportExpected(State &state, const char *where, StringRef what) {
  const char *end = state.bufferEnd;
  const char *found = skipBlank(where, end);
  if (state.diagnostics.isFull()) { // the rest is only counted, so it need not be worded well
    (void)state.diagnostics.error(rangeOf(found, found), "expected " + what);
    return;
  }
  // An opened comment that never closes swallows the rest of the file: say so where it begins.
  for (const char *p = where; p != end && (isSpace(*p) || *p == '/');) {
    if (StringRef(p, end - p).starts_with("/*") && StringRef(p, end - p).find("*/", 2) == StringRef::npos) {
      (void)state.diagnostics.error(rangeOf(p, p + 2), "this comment is never closed");
      return;
    }
    const char *next = skipComment(p, end);
    p = next == p ? p + 1 : next;
  }
  StringRef word = found == end ? StringRef() : wordAt(found, end);
  size_t length = std::max<size_t>(word.size(), 1);
  for (StringRef op : {"|>", "->", "+=", "==", "!=", "<=", ">=", "/*"})
    if (StringRef(found, end - found).starts_with(op))
      length = op.size();
  if (found != end)
    while (found + length < end && (found[length] & 0xC0) == 0x80)
      ++length; // the rest of a UTF-8 character
  std::string text = ("expected " + what).str();
  if (what.contains("`\"`"))
    text += " on the same line";
  else if (found == end)
    text += ", found the end of the text";
  else if (!isPrint(*found) && static_cast<unsigned char>(*found) < 128)
    text += (", found the character " + Twine(static_cast<int>(*found))).str();
  else
    text += (", found `" + StringRef(found, length) + "`").str();

  // What is missing at the end of a line is shown there, not at the next line.
  SMRange at = rangeOf(found, found == end ? found : found + length);
  Before before = lookBack(state, found);
  bool startsAnew =
      what.starts_with("a declaration") || what.starts_with("a statement") || what.starts_with("a setting");
  const char *last = before.lastToken;
  if (last && StringRef(last, found - last).contains('\n') && (!startsAnew || found == end))
    at = rangeOf(last, last + 1);
  auto error = state.diagnostics.error(at, text);
  if ((what.contains("`)`") || what.contains("`}`")) && before.openBracket)
    error.note(rangeOf(before.openBracket, before.openBracket + 1),
               "to match this `" + Twine(*before.openBracket) + "`");
}

const char *recover(Boundary boundary, const char *start, const char *where, const State &state) {
  const char *end = state.bufferEnd;
  const char *p = skipBlank(where, end);
  if (boundary == Boundary::Statement && p > start && firstOnLine(p, state.bufferBegin) && beginsStatement(p, end))
    return p;
  unsigned depth = 0;
  bool lineStart = firstOnLine(p, state.bufferBegin);
  while (p < end) {
    const char *next = skipComment(p, end);
    if (next == p)
      next = skipString(p, end);
    if (next != p) {
      p = next;
      lineStart = false;
      continue;
    }
    if (isWord(*p)) {
      StringRef word = wordAt(p, end);
      // A `let` may also stand in a body; there it is indented.
      bool outerLet = boundary == Boundary::Declaration && word == "let" && p[-1] == '\n';
      if (p > start && lineStart && (isDeclarationWord(word) || outerLet))
        return p;
      p += word.size();
      lineStart = false;
      continue;
    }
    char c = *p;
    if (boundary == Boundary::Statement) {
      if (c == '}' && depth == 0)
        return p;
      if (c == '\n' && depth == 0) {
        p = skipBlank(p, end);
        if (p == end || *p == '}' || beginsStatement(p, end))
          return p;
        lineStart = true;
        continue;
      }
      if (StringRef("([{").contains(c))
        ++depth;
      else if (StringRef(")]}").contains(c) && depth > 0)
        --depth;
    }
    lineStart = c == '\n' || (lineStart && isSpace(c));
    ++p;
  }
  return end;
}

} // namespace moire::syntax
