//===- frontend/AST/Diagnostics.cpp - errors that point into the text ------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rendering is done here rather than by SourceMgr, because a spec may be one
// line of megabytes: only a window of the line around the range is shown.
//===----------------------------------------------------------------------===//
#include "frontend/AST/Diagnostics.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/WithColor.h"
#include <algorithm>

using namespace llvm;

namespace moire {

namespace {
constexpr size_t windowBefore = 100;
constexpr size_t windowAfter = 60;
} // namespace

ErrorInFlight::~ErrorInFlight() {
  if (shown)
    diagnostics->printFrames();
}

ErrorInFlight &ErrorInFlight::note(SMRange range, const Twine &text) {
  if (shown)
    diagnostics->print(range, "note", text);
  return *this;
}

ErrorInFlight Diagnostics::error(SMRange range, const Twine &text) {
  std::string key = (Twine(reinterpret_cast<uintptr_t>(range.Start.getPointer())) + ":" + text).str();
  if (!seen.insert(key).second)
    return ErrorInFlight(*this, false);
  ++errors;
  if (errors <= maxErrors)
    print(range, "error", text);
  else if (errors == maxErrors + 1)
    os << "error: more than " << maxErrors << " errors, the rest is not shown\n";
  return ErrorInFlight(*this, errors <= maxErrors);
}

void Diagnostics::printFrames() {
  for (const Frame &frame : reverse(frames))
    print(frame.range, "note", frame.text);
}

void Diagnostics::print(SMRange range, StringRef kind, const Twine &text) {
  unsigned buffer = range.Start.isValid() ? sources.FindBufferContainingLoc(range.Start) : 0;
  const MemoryBuffer *memory = buffer ? sources.getMemoryBuffer(buffer) : nullptr;
  if (memory) {
    auto [line, column] = sources.getLineAndColumn(range.Start, buffer);
    WithColor(os, raw_ostream::SAVEDCOLOR, true)
        << memory->getBufferIdentifier() << ':' << line << ':' << column << ": ";
  }
  WithColor(os, kind == "error" ? raw_ostream::RED : raw_ostream::CYAN, true) << kind << ": ";
  os << text << '\n';
  if (!memory)
    return;

  StringRef all = memory->getBuffer();
  size_t at = range.Start.getPointer() - all.begin();
  size_t lineBegin = at == 0 ? 0 : all.take_front(at).rfind('\n') + 1; // npos + 1 is 0
  size_t lineEnd = std::min(all.find('\n', at), all.size());
  size_t end = range.End.isValid() ? static_cast<size_t>(range.End.getPointer() - all.begin()) : at + 1;
  end = std::clamp(end, at + 1, std::max(lineEnd, at + 1));

  size_t from = at - lineBegin > windowBefore ? at - windowBefore : lineBegin;
  size_t to = std::min(lineEnd, at + windowAfter);
  end = std::min(end, std::max(to, at + 1));
  if (to <= from && end <= from + 1)
    return; // an empty line has nothing to show
  if (from != lineBegin)
    os << "… ";
  for (char c : all.slice(from, to).rtrim('\r'))
    os << (c == '\t' || (c >= 0 && c < 32) ? ' ' : c);
  os << (to != lineEnd ? " …\n" : "\n");
  os.indent((at - from) + (from != lineBegin ? 2 : 0));
  WithColor(os, raw_ostream::GREEN, true) << '^' << std::string(end - at - 1, '~');
  os << '\n';
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`, letter case aside.
static unsigned slips(StringRef a, StringRef b) {
  std::vector<unsigned> beforeLast(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      bool same = toLower(a[i - 1]) == toLower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + !same});
      if (i > 1 && j > 1 && toLower(a[i - 1]) == toLower(b[j - 2]) && toLower(a[i - 2]) == toLower(b[j - 1]))
        row[j] = std::min(row[j], beforeLast[j - 2] + 1);
    }
    std::swap(beforeLast, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

StringRef nearest(StringRef name, ArrayRef<StringRef> candidates) {
  constexpr size_t longest = 64; // beyond, nobody meant a name of ours
  StringRef best;
  unsigned bestDistance = std::max<size_t>(1, name.size() / 3) + 1;
  for (StringRef candidate : candidates) {
    if (name.size() > longest || candidate.size() > longest)
      continue;
    unsigned distance = slips(name, candidate);
    // An abbreviation or an extension is as likely meant as a typing slip.
    if (name.size() >= 3 && candidate.size() >= 3 && (candidate.starts_with(name) || name.starts_with(candidate)))
      distance = std::min(distance, 1u);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string didYouMean(StringRef name, ArrayRef<StringRef> candidates) {
  StringRef best = nearest(name, candidates);
  return best.empty() ? std::string() : (", did you mean `" + best + "`?").str();
}

std::string listNames(ArrayRef<StringRef> names, StringRef lastWord) {
  if (names.empty())
    return "none";
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i != 0)
      text += i + 1 == names.size() ? (" " + lastWord + " ").str() : std::string(", ");
    text += ("`" + names[i] + "`").str();
  }
  return text;
}

} // namespace moire
