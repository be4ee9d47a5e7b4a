//===- frontend/AST/Diagnostics.h - errors that point into the text --------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every mistake in a spec is reported through this class: file, line, column,
// the line of text with its range underlined, and notes at the other parties.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_AST_DIAGNOSTICS_H
#define MOIRE_FRONTEND_AST_DIAGNOSTICS_H

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/SMLoc.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace moire {

class Diagnostics;

/// An error that is still being worded: notes are appended to it. The frames of the elaboration (`instantiated from …`)
/// follow when it goes out of scope.
class [[nodiscard]] ErrorInFlight {
public:
  ErrorInFlight(Diagnostics &diagnostics, bool shown) : diagnostics(&diagnostics), shown(shown) {}
  ErrorInFlight(const ErrorInFlight &) = delete;
  ~ErrorInFlight();
  /// Adds a note at `range`; an invalid range prints the text alone.
  ErrorInFlight &note(llvm::SMRange range, const llvm::Twine &text);

private:
  Diagnostics *diagnostics;
  bool shown;
};

/// Prints errors with their source line and counts them. The same error at the same place is printed once, and past
/// `maxErrors` nothing more is printed.
class Diagnostics {
public:
  static constexpr unsigned maxErrors = 20;

  Diagnostics(llvm::SourceMgr &sources, llvm::raw_ostream &os) : sources(sources), os(os) {}

  /// Reports an error at `range`. Text: lower case, no full stop, names in backquotes.
  ErrorInFlight error(llvm::SMRange range, const llvm::Twine &text);
  unsigned errorCount() const { return errors; }
  /// Whether further errors would not be printed; searches for the best words can be spared then.
  bool isFull() const { return errors >= maxErrors; }
  llvm::SourceMgr &sourceManager() { return sources; }

  /// A place that every error below it should mention, e.g. the call that instantiates a block.
  struct Frame {
    llvm::SMRange range;
    std::string text;
  };
  /// Pushes a frame for the life of the object.
  class FrameScope {
  public:
    FrameScope(Diagnostics &diagnostics, llvm::SMRange range, const llvm::Twine &text) : diagnostics(diagnostics) {
      diagnostics.frames.push_back({range, text.str()});
    }
    FrameScope(const FrameScope &) = delete;
    ~FrameScope() { diagnostics.frames.pop_back(); }

  private:
    Diagnostics &diagnostics;
  };

private:
  friend class ErrorInFlight;
  void print(llvm::SMRange range, llvm::StringRef kind, const llvm::Twine &text);
  void printFrames();

  llvm::SourceMgr &sources;
  llvm::raw_ostream &os;
  std::vector<Frame> frames;
  llvm::StringSet<> seen;
  unsigned errors = 0;
};

/// The candidate nearest to `name` by edit distance, or an empty string when none is near enough to be meant.
llvm::StringRef nearest(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates);

/// ", did you mean `x`?" or an empty string.
std::string didYouMean(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> candidates);

/// "`a`, `b` and `c`"; "none" for an empty list.
std::string listNames(llvm::ArrayRef<llvm::StringRef> names, llvm::StringRef lastWord = "and");

} // namespace moire

#endif // MOIRE_FRONTEND_AST_DIAGNOSTICS_H
