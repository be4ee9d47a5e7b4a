//===- frontend/Sema/Resolved.h - a model with every number known ----------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What elaboration makes of a checked spec: streams, applications of layers
// with resolved arguments, and loops. Emission walks it and cannot fail.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_RESOLVED_H
#define MOIRE_FRONTEND_SEMA_RESOLVED_H

#include "frontend/Sema/Builtins.h"
#include "frontend/Sema/Train.h"
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace moire::sema {

/// One iteration of a `repeat`. When it stands for several (it is in the body of a loop), `trips` counts them and the
/// iterations are index, index + stride, …; else trips is 1.
struct Iteration {
  int64_t index = 0;
  int64_t stride = 1;
  int64_t trips = 1;
  bool inLoop = false;
};

/// One part of a parameter path: a name, or the number of an iteration.
struct PathSegment {
  std::string text;
  std::shared_ptr<Iteration> iteration;
};
using Path = std::vector<PathSegment>;

/// The path with a `#` for each loop: `layers.#.moe`. Bodies of several iterations need a phase to stay unique: `2#+1`
/// is every second iteration from the first.
std::string symbolicPath(const Path &path);
/// One full path per copy, in the order of iteration: `layers.0.moe`, `layers.1.moe`, …
std::vector<std::string> concretePaths(const Path &path);

/// One set of parameters, or a function without any: a built-in or a block with its arguments.
struct Layer {
  const Builtin *builtin = nullptr;
  const ast::Block *block = nullptr;
  const ast::Expr *site = nullptr; ///< where it was written: a Call, or a Name after `|>`
  std::vector<ArgumentValue> arguments;
  std::string name; ///< the last part of its path: the name of the `let`, else of the callee
  Path path;
  bool placed = false;               ///< has its path
  bool bound = false;                ///< by a `let` or a block's parameter, so that it can be applied again
  bool expert = false;               ///< serves as the expert of a `moe`
  std::optional<int64_t> inputWidth; ///< set by the first application
  int64_t inputTime = 0;             ///< with it
  int64_t outputWidth = 0;
  llvm::SMRange range;
  llvm::SMRange callee; ///< the name in it
  llvm::SMRange firstUse;
  struct PathScope *scope = nullptr;

  // Of a block: what its body makes, in order, for later applications to use again.
  std::vector<std::shared_ptr<Layer>> inner;
  std::vector<std::vector<std::shared_ptr<Iteration>>> innerIterations;
  struct PathScope *innerScope = nullptr;
};

/// A stream: `tensor<batch x time x width>`, or the tokens when `width` is 0. Or the routing of one, over so many
/// `experts`.
struct Stream {
  int64_t width = 0;
  int64_t time = 0; ///< positions: those of the context, unless a layer changed their number
  int64_t experts = 0;
  bool isRouting() const { return experts > 0; }
};

struct Region;

/// The call of a block that something came from, and the calls around that one.
struct CallChain {
  llvm::SMRange range;
  std::shared_ptr<const CallChain> outer;
};

/// One operation on streams.
struct Op {
  enum class Kind { Apply, Add, Sub, Mul, Scale, Loop };
  Kind kind = Kind::Apply;
  std::vector<Stream *> operands;
  std::vector<Stream *> results;
  std::shared_ptr<Layer> layer; ///< of Apply
  double factor = 1;            ///< of Scale
  int64_t trips = 0;            ///< of Loop
  std::unique_ptr<Region> body; ///< of Loop; operands are the first values of its arguments
  llvm::SMRange range;
  std::string variable;                    ///< the name that the result was assigned to, or empty
  std::shared_ptr<const CallChain> caller; ///< null outside of blocks
};

/// A straight list of ops with arguments (values that a loop carries) and yields.
struct Region {
  std::vector<Stream *> arguments;
  std::vector<std::unique_ptr<Op>> ops;
  std::vector<Stream *> yields;
};

/// A resolved model.
struct ResolvedModel {
  std::string name;
  llvm::SMRange range;
  int64_t vocab = 0;
  TrainSettings train;
  std::deque<Stream> streams; ///< owns them all
  Stream *tokens = nullptr;
  Region body;
  Stream *logits = nullptr;
  llvm::SMRange returnRange;

  Stream *makeStream(int64_t width, int64_t time) {
    streams.push_back({width, time, 0});
    return &streams.back();
  }
};

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_RESOLVED_H
