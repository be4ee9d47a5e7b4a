//===- frontend/Sema/Builtins.h - the layers that the language knows -------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One table: name, what stream it takes, its arguments with kinds and
// defaults. It drives checks, suggestions, the resolved spec and emission.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_BUILTINS_H
#define MOIRE_FRONTEND_SEMA_BUILTINS_H

#include "frontend/AST/Diagnostics.h"
#include "frontend/Sema/Constants.h"
#include "llvm/ADT/ArrayRef.h"
#include <optional>
#include <vector>

namespace moire::sema {

struct Layer;

/// What a value of an argument must be.
enum class ArgumentKind {
  Count,         ///< at least 1
  CountOrZero,   ///< at least 0
  OptionalCount, ///< at least 1, or `none`
  Positive,      ///< a real above 0
  NonNegative,   ///< a real of at least 0
  Fraction,      ///< a real in [0, 1)
  OptionalReal,  ///< a real above 0, or `none`
  RealOrWord,    ///< a real above 0, or one of a list of words
  Bool,
  Word,          ///< one of a list
  OptionalWord,  ///< one of a list, or `none`
  Pair,          ///< a tuple of two fractions
  Layer,         ///< a layer value
  OptionalLayer, ///< a layer value, or `none`
  CountOrFraction,
};

/// "a count of at least 1", …
llvm::StringRef describe(ArgumentKind kind);

struct ArgumentInfo {
  llvm::StringRef name;
  ArgumentKind kind;
  /// Applied: required of a layer that is applied where it is written, derived of one inside another.
  enum class Default { Required, Value, Derived, Applied } defaults;
  Constant value;                     ///< when Default::Value
  std::vector<llvm::StringRef> words; ///< when ArgumentKind::Word, OptionalWord or RealOrWord
  llvm::StringRef doc;
};

/// What a callee is applied to.
enum class Input { None, Tokens, Features };

/// Whether a layer makes a routing in the place of a stream, or takes one beside its stream; or takes a second stream.
enum class Routes { No, Makes, Takes, Joins };

/// The value of one argument of a layer.
struct ArgumentValue {
  std::optional<Constant> constant; ///< null while derived, or when a layer
  std::shared_ptr<Layer> layer;
  llvm::SMRange range; ///< where it was given; of the callee when it was not
  bool given = false;
};

/// What `complete` works on: the arguments of one layer and the width of the stream that it is applied to.
struct Completion {
  llvm::ArrayRef<ArgumentInfo> infos;
  llvm::MutableArrayRef<ArgumentValue> values;
  llvm::StringRef name; ///< of the layer
  int64_t width;        ///< features of the input; 0 for tokens
  int64_t time;         ///< positions of the input
  int64_t context;      ///< positions of the tokens
  int64_t routed;       ///< experts of the routing that it is applied with, if it takes one
  int64_t batch;        ///< sequences of a batch
  llvm::SMRange range;
  Diagnostics &diagnostics;

  ArgumentValue *find(llvm::StringRef name); ///< null when the layer has no such argument
  ArgumentValue &at(llvm::StringRef name);
  int64_t count(llvm::StringRef name) { return at(name).constant->count; }
  double real(llvm::StringRef name) { return at(name).constant->asReal(); }
  void set(llvm::StringRef name, int64_t value) { at(name).constant = Constant::ofCount(value); }
};

struct Builtin {
  llvm::StringRef name;
  Input input;
  bool hasParameters;
  std::vector<ArgumentInfo> arguments;
  llvm::StringRef doc;
  /// Computes derived arguments and checks the rest; false after an error. Null when nothing is to be done.
  bool (*complete)(Completion &);
  /// Features of the output.
  int64_t (*outputWidth)(llvm::ArrayRef<ArgumentValue> values, int64_t width);
  Routes routes = Routes::No;
  /// Positions of the output; given where the layer is made for streams of one length. Null: those of any input.
  int64_t (*outputTime)(llvm::ArrayRef<ArgumentValue> values, int64_t time) = nullptr;
};

/// Layers, in the order of the language reference.
llvm::ArrayRef<Builtin> builtins();
/// `adamw`, `cosine` and `constant`: what a `train` section calls.
llvm::ArrayRef<Builtin> trainBuiltins();
const Builtin *findBuiltin(llvm::StringRef name);
const Builtin *findTrainBuiltin(llvm::StringRef name);

/// Whether some argument of a built-in takes this word.
bool isWord(llvm::StringRef name);
/// All words, for suggestions.
llvm::ArrayRef<llvm::StringRef> allWords();

/// The value of the argument called `name`.
const ArgumentValue &argumentOf(const Layer &layer, llvm::StringRef name);
ArgumentValue &argumentOf(Layer &layer, llvm::StringRef name);
/// Features inside each expert of a resolved `moe` or `experts`.
int64_t expertHidden(const Layer &experts);

/// The table as Markdown: a line for each layer, setting and function with its arguments and defaults. The language
/// reference holds the same lines.
void printBuiltins(llvm::raw_ostream &os);

/// All that an argument of words can be, as a list.
std::string wordsOf(const ArgumentInfo &info);

/// Checks a constant against an argument's kind, widening counts to reals. Reports at `range` and returns nothing when
/// it does not fit.
std::optional<Constant> fit(const Constant &value, const ArgumentInfo &info, llvm::SMRange range,
                            Diagnostics &diagnostics);

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_BUILTINS_H
