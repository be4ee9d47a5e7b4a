//===- frontend/Sema/Elaborate.h - running a spec's constants --------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to Sema. Evaluates constants, makes layers, applies them to streams,
// runs repeats and blocks, and records what each expression came to, so that
// the resolved spec can be written down.
//===----------------------------------------------------------------------===//
#ifndef MOIRE_FRONTEND_SEMA_ELABORATE_H
#define MOIRE_FRONTEND_SEMA_ELABORATE_H

#include "frontend/Sema/Sema.h"
#include "llvm/ADT/StringMap.h"
#include <deque>

namespace moire::sema {

/// What an expression is worth. Poison follows an error that has been reported, and spreads without a word.
struct Value {
  enum class Kind { Poison, Constant, Stream, Routing, Layer };
  Kind kind = Kind::Poison;
  Constant constant;
  Stream *stream = nullptr; ///< or the routing
  std::shared_ptr<Layer> layer;

  static Value of(Constant c) { return {Kind::Constant, std::move(c), nullptr, nullptr}; }
  static Value of(Stream *s) { return {s->isRouting() ? Kind::Routing : Kind::Stream, {}, s, nullptr}; }
  static Value of(std::shared_ptr<Layer> l) { return {Kind::Layer, {}, nullptr, std::move(l)}; }
  bool isPoison() const { return kind == Kind::Poison; }
};

/// Names under one part of a parameter path; siblings are told apart by `_1`, `_2`.
struct PathScope {
  Path prefix;
  llvm::StringMap<unsigned> taken; ///< with the number to try next
  std::string unique(llvm::StringRef name);
};

/// The value that an expression always had, unless it varied between iterations or instances.
struct Record {
  Constant value;
  bool varies = false;
};

/// What elaboration saw, for the printer of the resolved spec.
struct Records {
  llvm::DenseMap<const ast::Expr *, Record> expressions;
  llvm::DenseMap<const ast::Expr *, std::vector<std::optional<Record>>> arguments; ///< by parameter; null for layers

  void note(const ast::Expr &expr, const Constant &value);
  void note(const ast::Expr &site, size_t parameter, size_t parameters, const Constant &value);
};

/// One elaborated iteration of a repeat, before equal ones become a loop.
struct IterationBody {
  std::shared_ptr<Iteration> iteration;
  std::unique_ptr<Region> region;
};

/// Turns elaborated iterations into loops and straight code at the end of `region`. `carried` holds the values that
/// enter, and those that leave.
void foldRepeat(std::vector<IterationBody> bodies, std::vector<Stream *> &carried, Region &region, ResolvedModel &model,
                llvm::SMRange range);

/// Reports layers and streams whose value reaches no logits; false if there are any.
bool checkReached(const ResolvedModel &model, Diagnostics &diagnostics);

/// The resolved spec as text, without its train section.
std::string printSpec(const Program &program, const Names &names, const Records &records, const ResolvedModel &model);

class Elaborator {
public:
  Elaborator(const Program &program, Names &names, const Options &options, Diagnostics &diagnostics)
      : program(program), names(names), options(options), diagnostics(diagnostics) {}

  /// Null after errors, which are reported.
  std::unique_ptr<ResolvedModel> run();
  const Records &allRecords() const { return records; }

private:
  using Scope = llvm::StringMap<Value>;
  struct Define {
    ast::ExprPtr value;
    llvm::SMRange range;
  };
  /// The body of a block that is being elaborated; `layer` remembers its layers for later applications.
  struct BlockFrame {
    std::shared_ptr<Layer> layer;
    size_t nextLayer = 0, nextRepeat = 0;
  };

  // ElaborateHead.cpp: overrides, hyperparameters, train settings
  bool readDefines();
  bool selectPreset();
  bool globals();
  bool hyperparameters();
  bool hyperparameter(const ast::Parameter &parameter);
  bool trainSettings();
  const ast::Expr *settingValue(llvm::StringRef key);
  bool countSetting(llvm::StringRef key, int64_t &slot, ArgumentKind kind);
  bool callSetting(llvm::StringRef key, llvm::ArrayRef<llvm::StringRef> callees, llvm::StringRef &callee,
                   std::vector<ArgumentValue> &values);
  bool optimizerAndSchedule();
  bool documentSettings();
  bool checkSeparator();

  // ScalingSettings.cpp
  bool scalingSetting();
  bool ratesSetting();
  /// A record of extents by path.
  bool shapesOf(const ast::Expr &expr, std::vector<BaseShape> &shapes);
  /// Whether hyperparameters have the same kinds in another reading of the spec, which would be another model of the
  /// same text; `where` names it.
  bool sameKinds(llvm::ArrayRef<std::pair<std::string, Constant>> values, llvm::SMRange range, llvm::StringRef where);
  std::optional<double> rate(const ast::Expr &expr);

  // CompressSettings.cpp
  bool compressSetting();

  // ElaborateStatements.cpp
  void statements(const ast::Body &body);
  void let(const ast::Let &let);
  void assign(const ast::Assign &assign);
  void repeat(const ast::Repeat &repeat);
  void branch(const ast::If &branch);
  void require(const ast::Require &require);
  std::vector<Value *> carriedBy(const ast::Repeat &repeat);
  bool step(llvm::SMRange range);

  // ElaborateExpressions.cpp
  Value evaluate(const ast::Expr &expr);
  Value evaluateChain(const ast::Chain &chain);
  Value evaluateUnary(const ast::Unary &unary);
  Value evaluatePipe(const ast::Pipe &pipe);
  Value evaluateName(const ast::Name &name);
  Value evaluateFunction(const ast::Call &call, const Function &function);
  Value combine(ast::Operator op, const Value &left, const Value &right, llvm::SMRange range);
  std::optional<Constant> constant(const ast::Expr &expr, llvm::StringRef wanted);
  std::optional<bool> condition(const ast::Expr &expr);
  Stream *stream(const ast::Expr &expr);
  Stream *asStream(const Value &value, llvm::SMRange range);
  Stream *routing(const ast::Expr &expr);
  /// What stands after the stream of a layer: a routing, or a second stream.
  Stream *second(const Builtin *builtin, const ast::Expr &expr);

  // ElaborateLayers.cpp
  Value call(const ast::Call &call, Stream *piped);
  std::shared_ptr<Layer> makeLayer(const ast::Ident &callee, const ast::Expr &site);
  bool builtinArguments(Layer &layer, const BoundCall &bound);
  bool blockArguments(Layer &layer, const BoundCall &bound);
  /// `routing` is null for layers that take none, and a stream for those that take two.
  Value apply(const std::shared_ptr<Layer> &layer, Stream *input, Stream *routing, llvm::SMRange range);
  bool resolveLayer(Layer &layer, Stream *input, Stream *routing, llvm::SMRange range);
  bool checkRouting(const Layer &layer, Stream *routing, llvm::SMRange range);
  bool claimExpert(const ArgumentValue &argument);
  Value applyBlock(const std::shared_ptr<Layer> &layer, Stream *input, llvm::SMRange range);
  bool bindBlockParameters(Layer &layer);
  void place(Layer &layer);
  std::shared_ptr<Layer> remember(std::shared_ptr<Layer> layer);

  /// `time` is that of the first operand when it is not given.
  Op &emit(Op::Kind kind, std::vector<Stream *> operands, int64_t width, llvm::SMRange range,
           std::optional<int64_t> time = std::nullopt);
  bool sameLength(const Stream *left, const Stream *right, llvm::SMRange range);
  Value *lookup(llvm::StringRef name);
  PathScope *makeScope(Path prefix);

  const Program &program;
  Names &names;
  const Options &options;
  Diagnostics &diagnostics;
  Records records;

  std::unique_ptr<ResolvedModel> model;
  const ast::Preset *preset = nullptr;
  llvm::StringMap<Define> defines;
  llvm::StringMap<const ast::Argument *> presetValues;

  Scope globalScope;
  std::deque<Scope> scopes; ///< of the model or of the block that is being elaborated
  std::vector<BlockFrame> blockFrames;
  std::shared_ptr<const CallChain> caller;
  Region *region = nullptr;
  PathScope *pathScope = nullptr;
  std::deque<PathScope> pathScopes;
  size_t openRepeats = 0;
  int64_t steps = 0;
};

} // namespace moire::sema

#endif // MOIRE_FRONTEND_SEMA_ELABORATE_H
