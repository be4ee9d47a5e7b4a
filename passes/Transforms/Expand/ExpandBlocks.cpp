//===- ExpandBlocks.cpp - model level to tensor level -----------------------===//
//
// Part of Moire, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Declares a model's parameters and writes its functions. A repeat stays a repeat: what the iterations own comes in as
// slices of stacked values (parameters, states), what they report goes out as stacked results (metrics, states).
//===----------------------------------------------------------------------===//
#include "passes/Transforms/Expand/BlockBuilder.h"
#include "passes/Transforms/Expand/Passes.h"

#include "mlir/IR/IRMapping.h"
#include <optional>

using namespace mlir;

namespace moire {
#define GEN_PASS_DEF_EXPANDBLOCKSPASS
#include "passes/Transforms/Expand/Passes.h.inc"

namespace {

/// How often a block runs in one pass over the model: the product of the repeats around it.
int64_t executionsOf(Operation *op) {
  int64_t executions = 1;
  for (auto repeat = op->getParentOfType<RepeatOp>(); repeat; repeat = repeat->getParentOfType<RepeatOp>())
    executions *= repeat.getCount();
  return executions;
}

/// Branches that add to the residual stream: what Mamba's output projections are scaled by.
int64_t countResidualBlocks(ModelOp model) {
  int64_t blocks = 0;
  model.walk([&](Operation *op) {
    if (isa<AttentionOp, LatentAttentionOp, MambaOp, Mamba2Op, MlpOp, SwigluOp, ExpertsOp>(op))
      blocks += executionsOf(op);
  });
  return blocks;
}

RankedTensorType prepend(llvm::ArrayRef<int64_t> extents, RankedTensorType type) {
  llvm::SmallVector<int64_t> shape(extents);
  shape.append(type.getShape().begin(), type.getShape().end());
  return RankedTensorType::get(shape, type.getElementType());
}

/// Writes one function of a model.
class FunctionExpansion {
public:
  FunctionExpansion(ModuleOp module, ModelOp model, const ParameterDeclarations &parameters, Precision precision)
      : module(module), model(model), parameters(parameters), precision(precision), b(module.getContext()) {}

  /// With `probe`, activations are reported.
  LogicalResult train(bool probe);
  LogicalResult eval();
  LogicalResult step(StringRef name, int64_t tokens, int64_t decodeContext);

private:
  /// Values of one nesting depth: parameters by symbol, states by block.
  struct Scope {
    llvm::StringMap<Value> params;
    llvm::DenseMap<Operation *, llvm::SmallVector<Value>> states;
  };
  /// What comes out of a region besides its stream: per block, in order of the walk.
  struct Collected {
    llvm::MapVector<Operation *, llvm::SmallVector<Value>> metrics, states;
  };

  func::FuncOp begin(StringRef name, ArrayRef<Type> leading);
  /// Where documents are isolated: finds their tokens' positions, from the state `count` on if there is one. Returns
  /// the state that comes out, or null.
  Value findDocuments(Value count = {});
  void setArgAttr(unsigned index, StringRef name, Attribute value) { function.setArgAttr(index, name, value); }
  /// Ends the function with `results`, and gives each its attributes.
  void finish(ArrayRef<Value> results, ArrayRef<DictionaryAttr> attributes);
  LogicalResult expandBody(Region &region, IRMapping &mapping, const Scope &scope, unsigned depth, Collected &out);
  LogicalResult expandRepeat(RepeatOp repeat, IRMapping &mapping, const Scope &scope, unsigned depth, Collected &out);
  FailureOr<Value> expandModel(Collected &out);
  Value crossEntropySum(Value logits, Value targets);
  void appendMetrics(Collected &collected, Value &objective, llvm::SmallVector<Value> &results,
                     llvm::SmallVector<DictionaryAttr> &attributes);

  RankedTensorType fullScalar() { return RankedTensorType::get({}, precision.full); }
  Value scale(Value x, double factor) {
    return ScaleOp::create(b, model.getLoc(), x.getType(), x, b.getF64FloatAttr(factor)).getY();
  }
  DictionaryAttr dictionary(ArrayRef<std::pair<StringRef, Attribute>> entries) {
    llvm::SmallVector<NamedAttribute> named;
    for (auto [name, value] : entries)
      named.push_back(b.getNamedAttr(name, value));
    return b.getDictionaryAttr(named);
  }
  /// Marks a result as the metric `name`, one of `paths` for each copy.
  DictionaryAttr metricAttributes(StringRef name, StringRef kind, ArrayRef<std::string> paths) {
    llvm::SmallVector<StringRef> texts(paths.begin(), paths.end());
    return dictionary({{"moire.metric", b.getStringAttr(name)},
                       {"moire.metric_kind", b.getStringAttr(kind)},
                       {"moire.metric_paths", b.getStrArrayAttr(texts)}});
  }

  ModuleOp module;
  ModelOp model;
  const ParameterDeclarations &parameters;
  Precision precision;
  OpBuilder b;
  func::FuncOp function;
  Scope outermost;
  ExpansionContext context{Mode::Train, {}};
  Routings routings;
  llvm::StringMap<int64_t> metricUses;
};

func::FuncOp FunctionExpansion::begin(StringRef name, ArrayRef<Type> leading) {
  llvm::SmallVector<Type> types(leading);
  for (ParamOp param : parameters.all()) {
    auto type = cast<RankedTensorType>(param.getType());
    types.push_back(param.getCompute() ? RankedTensorType::get(type.getShape(), precision.activation) : type);
  }
  b.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(b, model.getLoc(), name, b.getFunctionType(types, {}));
  Block *entry = function.addEntryBlock();
  outermost = Scope();
  routings.clear();
  context.precision = precision;
  for (auto [index, declared] : llvm::enumerate(parameters.all())) {
    ParamOp param = declared;
    unsigned position = leading.size() + index;
    setArgAttr(position, "moire.param", FlatSymbolRefAttr::get(param.getSymNameAttr()));
    outermost.params[param.getSymName()] = entry->getArgument(position);
  }
  b.setInsertionPointToStart(entry);
  return function;
}

Value FunctionExpansion::findDocuments(Value count) {
  context.documents = Value();
  if (!model.getIsolate())
    return Value();
  setArgAttr(0, "moire.separator", model.getSeparatorAttr());
  Value tokens = function.getArgument(0);
  Type next = count ? count.getType() : Type();
  auto positions =
      DocumentPositionsOp::create(b, model.getLoc(), tokens.getType(), next, tokens, count, model.getSeparatorAttr());
  context.documents = positions.getY();
  return positions.getNext();
}

void FunctionExpansion::finish(ArrayRef<Value> results, ArrayRef<DictionaryAttr> attributes) {
  func::ReturnOp::create(b, model.getLoc(), results);
  llvm::SmallVector<Type> types;
  for (Value result : results)
    types.push_back(result.getType());
  function.setType(b.getFunctionType(function.getArgumentTypes(), types));
  for (auto [index, attribute] : llvm::enumerate(attributes))
    function.setResultAttrs(index, attribute);
}

LogicalResult FunctionExpansion::expandBody(Region &region, IRMapping &mapping, const Scope &scope, unsigned depth,
                                            Collected &out) {
  for (Operation &op : region.front().without_terminator()) {
    if (auto repeat = dyn_cast<RepeatOp>(op)) {
      if (failed(expandRepeat(repeat, mapping, scope, depth, out)))
        return failure();
      continue;
    }
    llvm::SmallVector<Value> operands;
    for (Value operand : op.getOperands())
      operands.push_back(isa<RoutingType>(operand.getType()) ? Value() : mapping.lookup(operand));
    auto parameter = [&](StringRef path, StringRef suffix) { return scope.params.lookup((path + "." + suffix).str()); };
    auto states = scope.states.lookup(&op);
    BlockBuilder block(b, context, &op, parameter, states, routings);
    FailureOr<Value> result = block.build(operands);
    if (failed(result))
      return failure();
    if (*result)
      mapping.map(op.getResult(0), *result);
    if (!block.metrics.empty())
      out.metrics[&op] = block.metrics;
    if (!block.newStates.empty())
      out.states[&op] = block.newStates;
  }
  return success();
}

LogicalResult FunctionExpansion::expandRepeat(RepeatOp repeat, IRMapping &mapping, const Scope &scope, unsigned depth,
                                              Collected &out) {
  Location loc = repeat.getLoc();
  // What the iterations own comes in as slices; what they share is captured.
  llvm::SmallVector<Value> carried, slices;
  llvm::SmallVector<Type> argumentTypes, resultTypes;
  for (Value value : repeat.getCarried())
    carried.push_back(mapping.lookup(value));
  for (Value value : carried)
    argumentTypes.push_back(value.getType());
  auto addSlice = [&](Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    slices.push_back(value);
    argumentTypes.push_back(RankedTensorType::get(type.getShape().drop_front(), type.getElementType()));
  };

  Scope inner;
  llvm::SmallVector<ParamOp> sliced;
  for (ParamOp param : parameters.all())
    if (static_cast<int64_t>(param.getStack()) > static_cast<int64_t>(depth) &&
        scope.params.contains(param.getSymName())) {
      bool used = false;
      repeat.walk([&](Operation *op) { used |= llvm::is_contained(parameters.readBy(op), param); });
      if (used) {
        sliced.push_back(param);
        addSlice(scope.params.lookup(param.getSymName()));
      }
    }
  llvm::SmallVector<std::pair<Operation *, size_t>> slicedStates;
  repeat.walk<WalkOrder::PreOrder>([&](Operation *op) {
    auto states = scope.states.lookup(op);
    for (size_t i = 0; i < states.size(); ++i) {
      slicedStates.push_back({op, i});
      addSlice(states[i]);
    }
  });

  Block *body = new Block();
  for (Type type : argumentTypes)
    body->addArgument(type, loc);
  auto arguments = body->getArguments();
  inner.params = scope.params;
  unsigned next = carried.size();
  for (ParamOp param : sliced)
    inner.params[param.getSymName()] = arguments[next++];
  for (auto [op, index] : slicedStates)
    inner.states[op].push_back(arguments[next++]);
  for (auto [from, to] : llvm::zip(repeat.getCarriedArgs(), arguments))
    mapping.map(from, to);

  // The body first, in a detached block: only then are the stacked results known.
  OpBuilder::InsertPoint after = b.saveInsertionPoint();
  Collected inside;
  b.setInsertionPointToStart(body);
  if (failed(expandBody(repeat.getBody(), mapping, inner, depth + 1, inside))) {
    body->dropAllReferences();
    delete body;
    return failure();
  }
  llvm::SmallVector<Value> yielded;
  for (Value value : repeat.getYield().getValues())
    yielded.push_back(mapping.lookup(value));
  for (auto &[op, values] : inside.metrics)
    yielded.append(values);
  for (auto &[op, values] : inside.states)
    yielded.append(values);
  YieldOp::create(b, loc, yielded);
  b.restoreInsertionPoint(after);

  for (auto [index, value] : llvm::enumerate(yielded)) {
    auto type = cast<RankedTensorType>(value.getType());
    resultTypes.push_back(index < carried.size() ? type : prepend({static_cast<int64_t>(repeat.getCount())}, type));
  }
  auto loop = RepeatOp::create(b, loc, resultTypes, repeat.getCount(), carried, slices);
  loop.getBody().push_back(body);

  unsigned result = 0;
  for (Value old : repeat.getCarriedResults())
    mapping.map(old, loop.getResult(result++));
  for (auto &[op, values] : inside.metrics)
    for (size_t i = 0; i < values.size(); ++i)
      out.metrics[op].push_back(loop.getResult(result++));
  for (auto &[op, values] : inside.states)
    for (size_t i = 0; i < values.size(); ++i)
      out.states[op].push_back(loop.getResult(result++));
  return success();
}

FailureOr<Value> FunctionExpansion::expandModel(Collected &out) {
  IRMapping mapping;
  mapping.map(model.getBody().front().getArgument(0), function.getArgument(0));
  if (failed(expandBody(model.getBody(), mapping, outermost, 0, out)))
    return failure();
  auto end = cast<ReturnOp>(model.getBody().front().getTerminator());
  return mapping.lookup(end.getLogits());
}

Value FunctionExpansion::crossEntropySum(Value logits, Value targets) {
  Value nll = CrossEntropyOp::create(b, model.getLoc(), logits, targets).getNll();
  return ReduceLeadingOp::create(b, model.getLoc(), fullScalar(), nll).getY();
}

void FunctionExpansion::appendMetrics(Collected &collected, Value &objective, llvm::SmallVector<Value> &results,
                                      llvm::SmallVector<DictionaryAttr> &attributes) {
  for (auto &[op, values] : collected.metrics) {
    int64_t executions = executionsOf(op);
    for (auto [metric, value] : llvm::zip(BlockBuilder::metricsOf(op, context), values)) {
      // A shared block runs more often than it has names: its executions are numbered.
      llvm::SmallVector<std::string> paths;
      int64_t perName = executions / metric.paths.size();
      int64_t use = metricUses[metric.path]++;
      for (int64_t i = 0; i < executions; ++i) {
        std::string path = metric.paths[i / perName];
        if (perName > 1 || use > 0)
          path += "@" + std::to_string(use * perName + i % perName);
        paths.push_back(path);
      }
      if (metric.kind == "aux_loss") {
        Value sum = value;
        if (!shapeOf(value).empty())
          sum = ReduceLeadingOp::create(b, model.getLoc(), fullScalar(), value).getY();
        objective =
            BinaryOp::create(b, model.getLoc(), objective, sum, BinaryAttr::get(b.getContext(), Binary::Add)).getY();
      }
      results.push_back(value);
      attributes.push_back(metricAttributes(metric.path, metric.kind, paths));
    }
  }
}

LogicalResult FunctionExpansion::train(bool probe) {
  auto tokens = RankedTensorType::get(
      {static_cast<int64_t>(model.getBatch()), static_cast<int64_t>(model.getContextLength())}, b.getI32Type());
  context.mode = Mode::Train;
  context.probe = probe;
  begin("train", {tokens, tokens, fullScalar()});
  setArgAttr(2, "moire.seed", b.getUnitAttr());
  findDocuments();
  Collected collected;
  FailureOr<Value> logits = expandModel(collected);
  if (failed(logits))
    return failure();
  Value loss =
      scale(crossEntropySum(*logits, function.getArgument(1)), 1.0 / (model.getBatch() * model.getContextLength()));
  Value objective = loss;
  llvm::SmallVector<Value> results{loss};
  llvm::SmallVector<DictionaryAttr> attributes{metricAttributes("loss", "loss", {"loss"})};
  appendMetrics(collected, objective, results, attributes);
  if (probe) {
    results.push_back(sampleRows(b, model.getLoc(), *logits, precision.full));
    attributes.push_back(metricAttributes("logits", "probe", {"logits"}));
  }
  results.insert(results.begin(), objective);
  attributes.insert(attributes.begin(), dictionary({{"moire.objective", b.getUnitAttr()}}));
  finish(results, attributes);
  return success();
}

LogicalResult FunctionExpansion::eval() {
  auto tokens = RankedTensorType::get(
      {static_cast<int64_t>(model.getBatch()), static_cast<int64_t>(model.getContextLength())}, b.getI32Type());
  context.mode = Mode::Eval;
  context.probe = false;
  begin("eval", {tokens, tokens});
  findDocuments();
  Collected collected;
  FailureOr<Value> logits = expandModel(collected);
  if (failed(logits))
    return failure();
  Value targets = function.getArgument(1);
  Value loss = crossEntropySum(*logits, targets);
  auto counts =
      CountTargetsOp::create(b, model.getLoc(), RankedTensorType::get(tokens.getShape(), precision.full), targets);
  Value count = ReduceLeadingOp::create(b, model.getLoc(), fullScalar(), counts.getY()).getY();
  finish({loss, count}, {dictionary({{"moire.metric_kind", b.getStringAttr("loss_sum")}}),
                         dictionary({{"moire.metric_kind", b.getStringAttr("count")}})});
  return success();
}

LogicalResult FunctionExpansion::step(StringRef name, int64_t tokens, int64_t decodeContext) {
  context.mode = Mode::Step;
  context.probe = false;
  context.decodeContext = decodeContext;
  context.precision = precision;
  Type i32 = b.getI32Type();
  begin(name, {RankedTensorType::get({1, tokens}, i32), RankedTensorType::get({}, i32)});
  setArgAttr(1, "moire.position", b.getUnitAttr());
  context.position = function.getArgument(1);

  llvm::DenseMap<Operation *, unsigned> firstState;
  unsigned states = 0;
  auto addState = [&](RankedTensorType type, Location loc) -> Value {
    unsigned argument = function.getNumArguments();
    (void)function.insertArgument(argument, type, dictionary({{"moire.state", b.getI64IntegerAttr(states++)}}), loc);
    return function.getArgument(argument);
  };
  // How much of its document the sequence has read is a state of the model, zero at first like all others.
  Value next = findDocuments(model.getIsolate() ? addState(RankedTensorType::get({1}, i32), model.getLoc()) : Value());
  model.walk<WalkOrder::PreOrder>([&](Operation *op) {
    llvm::SmallVector<int64_t> counts;
    for (auto repeat = op->getParentOfType<RepeatOp>(); repeat; repeat = repeat->getParentOfType<RepeatOp>())
      counts.insert(counts.begin(), repeat.getCount());
    for (auto [i, type] : llvm::enumerate(BlockBuilder::stateTypes(op, context))) {
      if (i == 0)
        firstState[op] = states;
      outermost.states[op].push_back(addState(prepend(counts, type), op->getLoc()));
    }
  });

  Collected collected;
  FailureOr<Value> logits = expandModel(collected);
  if (failed(logits))
    return failure();
  auto flat = RankedTensorType::get({static_cast<int64_t>(model.getVocab())}, elementOf(*logits));
  llvm::SmallVector<Value> results{ReshapeOp::create(b, model.getLoc(), flat, *logits).getY()};
  llvm::SmallVector<DictionaryAttr> attributes{b.getDictionaryAttr({})};
  if (next) {
    results.push_back(next);
    attributes.push_back(dictionary({{"moire.state", b.getI64IntegerAttr(0)}}));
  }
  for (auto &[op, values] : collected.states)
    for (auto [i, value] : llvm::enumerate(values)) {
      results.push_back(value);
      attributes.push_back(dictionary({{"moire.state", b.getI64IntegerAttr(firstState[op] + i)}}));
    }
  finish(results, attributes);
  return success();
}

struct ExpandBlocks : impl::ExpandBlocksPassBase<ExpandBlocks> {
  using ExpandBlocksPassBase::ExpandBlocksPassBase;

  std::optional<Precision> parsePrecision() {
    Builder b(&getContext());
    if (precision == "f32")
      return Precision{b.getF32Type(), b.getF32Type()};
    if (precision == "bf16")
      return Precision{b.getBF16Type(), b.getF32Type()};
    if (precision == "f64")
      return Precision{b.getF64Type(), b.getF64Type()};
    getOperation().emitError("unknown precision '") << precision << "': f32, bf16 or f64";
    return std::nullopt;
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto models = llvm::to_vector(module.getOps<ModelOp>());
    if (models.empty())
      return; // already at the tensor level
    std::optional<Precision> types = parsePrecision();
    if (!types)
      return signalPassFailure();
    if (models.size() > 1) {
      models[1].emitError("a module holds one model, but this is the second");
      return signalPassFailure();
    }
    if (failed(expand(module, models.front(), *types)))
      return signalPassFailure();
  }

  /// Whether the model can read one sequence by itself; fails where it cannot, but is asked to.
  FailureOr<bool> canDecode(ModelOp model) {
    RouterOp mixing;
    model.walk([&](RouterOp router) { mixing = router.mixesSequences() && !mixing ? router : mixing; });
    AttentionOp ahead;
    model.walk([&](AttentionOp attention) { ahead = attention.getBidirectional() && !ahead ? attention : ahead; });
    Operation *moving = nullptr;
    model.walk(
        [&](Operation *op) { moving = !moving && isa<Conv1dOp, StackOp, UnstackOp, ShiftOp>(op) ? op : moving; });
    if (!mixing && !ahead && !moving)
      return true;
    bool asked =
        decodeContext > 0 || llvm::is_contained(functions, "prefill") || llvm::is_contained(functions, "decode");
    if (asked && ahead)
      return ahead.emitError("attention that sees later positions cannot go on token by token: leave out prefill and "
                             "decode, or make it causal");
    if (asked && moving)
      return moving->emitError("`") << moving->getName()
                                    << "` moves positions, and what it would keep from token to token is not made: "
                                       "leave out prefill and decode";
    if (asked)
      return mixing.emitError("choice = ")
             << stringifyChoice(mixing.getChoice()) << " lets the tokens of " << mixing.getGroup()
             << " sequences meet: one sequence by itself cannot be decoded";
    return false;
  }

  LogicalResult expand(ModuleOp module, ModelOp model, Precision types) {
    int64_t context = model.getContextLength();
    FailureOr<bool> decodes = canDecode(model);
    if (failed(decodes))
      return failure();
    int64_t capacity = decodeContext > 0 ? decodeContext : context;
    int64_t block = std::min<int64_t>(prefillTokens, capacity);
    ParameterDeclarations parameters(module, types, countResidualBlocks(model));
    WalkResult walked = model.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (auto positions = dyn_cast<LearnedPositionsOp>(op); positions && capacity > context) {
        op->emitError("has learned positions for ")
            << context << " tokens, fewer than the " << capacity << " that decoding is to have room for";
        return WalkResult::interrupt();
      }
      return failed(parameters.declare(op)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return failure();

    auto wanted = [&](StringRef name) {
      if (!*decodes && (name == "prefill" || name == "decode"))
        return false;
      return functions.empty() || llvm::is_contained(functions, name);
    };
    FunctionExpansion expansion(module, model, parameters, types);
    if ((wanted("train") && failed(expansion.train(probe))) || (wanted("eval") && failed(expansion.eval())) ||
        (wanted("prefill") && failed(expansion.step("prefill", block, capacity))) ||
        (wanted("decode") && failed(expansion.step("decode", 1, capacity))))
      return failure();

    Builder b(module.getContext());
    auto number = [&](int64_t value) { return b.getI64IntegerAttr(value); };
    module->setAttr("moire.package",
                    b.getDictionaryAttr({b.getNamedAttr("model", b.getStringAttr(model.getSymName())),
                                         b.getNamedAttr("batch", number(model.getBatch())),
                                         b.getNamedAttr("context", number(context)),
                                         b.getNamedAttr("vocab", number(model.getVocab())),
                                         b.getNamedAttr("precision", b.getStringAttr(precision)),
                                         b.getNamedAttr("prefill_tokens", number(*decodes ? block : 0)),
                                         b.getNamedAttr("decode_context", number(*decodes ? capacity : 0)),
                                         b.getNamedAttr("train", b.getStringAttr(model.getTrain())),
                                         b.getNamedAttr("spec", b.getStringAttr(model.getSpec()))}));
    model.erase();
    return success();
  }
};

} // namespace
} // namespace moire
